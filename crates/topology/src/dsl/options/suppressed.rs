//! `Suppressed`: how long a table's updates are held back, and in how large a buffer.

use std::marker::PhantomData;
use std::time::Duration;

use millstream_types::{Timestamp, Windowed};

use millstream_types::clock::millis;

/// How a table's updates are held back by [`KTable::suppress`](crate::KTable::suppress) (KIP-328).
///
/// ```
/// use millstream_topology::{BufferConfig, Suppressed};
/// use millstream_types::Windowed;
/// use std::time::Duration;
///
/// // At most one update a minute for each key, or earlier when a thousand keys wait.
/// let rate = Suppressed::<String>::until_time_limit(Duration::from_secs(60), BufferConfig::max_records(1000));
/// // One result for each window, when it is over.
/// let finals = Suppressed::<Windowed<String>>::until_window_closes(BufferConfig::unbounded());
/// # let _ = (rate.with_name("rate"), finals);
/// ```
#[must_use]
pub struct Suppressed<K> {
    pub(crate) name: Option<String>,
    pub(crate) until: Until<K>,
    pub(crate) buffer: BufferLimits,
}

/// When an update may go on.
pub(crate) enum Until<K> {
    /// So many ms of stream time after the record that gave the first update held.
    TimeLimit(i64),
    /// When the window of its key has closed, whose end this is.
    WindowClose(fn(&K) -> Timestamp),
}

impl<K> Suppressed<K> {
    /// Holds updates of a key until stream time has moved on by `limit` since the first one held;
    /// then the last one goes on. A full buffer does what its configuration says.
    pub fn until_time_limit<F>(limit: Duration, buffer: BufferConfig<F>) -> Self {
        Self { name: None, until: Until::TimeLimit(millis(limit)), buffer: buffer.limits }
    }

    /// Name of the node; its store is called after it, with `-store`.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl<K> Suppressed<K> {
    /// As [`until_window_closes`](Suppressed::until_window_closes), for keys that hold their window in
    /// a way of their own: `end` tells when it ends.
    pub fn until_window_closes_at(end: fn(&K) -> Timestamp, buffer: StrictBufferConfig) -> Self {
        Self { name: None, until: Until::WindowClose(end), buffer: buffer.limits }
    }
}

impl<K> Suppressed<Windowed<K>> {
    /// Holds the result of a window until the window has closed: its end and grace period have
    /// passed. Each window gives one result, the last one, and none if that deletes it. Only windowed
    /// keys have windows, and only a strict buffer keeps the promise.
    pub fn until_window_closes(buffer: StrictBufferConfig) -> Self {
        Self::until_window_closes_at(|key| key.window.end, buffer)
    }
}

/// Marks a buffer that lets the oldest updates go early when it is full.
#[derive(Clone, Copy, Debug)]
pub struct EmitEarly;

/// Marks a buffer that fails the task when it is full.
#[derive(Clone, Copy, Debug)]
pub struct ShutDown;

/// A buffer that lets the oldest updates go early when it is full.
pub type EagerBufferConfig = BufferConfig<EmitEarly>;

/// A buffer that never lets an update go early: full, it fails the task.
pub type StrictBufferConfig = BufferConfig<ShutDown>;

/// How large a buffer may grow, what happens then, and whether it has a changelog.
///
/// Bytes are reckoned as Kafka Streams does: keys, values (the row before the first update held,
/// before the last, and after it), topics and headers, and 28 bytes for each update.
///
/// ```
/// use millstream_topology::{BufferConfig, EagerBufferConfig, StrictBufferConfig};
///
/// // Full, it lets the oldest updates go early.
/// let eager: EagerBufferConfig = BufferConfig::max_records(1_000).with_max_bytes(1 << 20);
/// let eager = eager.with_logging_enabled([("retention.ms".to_owned(), "3600000".to_owned())]);
/// // Full, it fails the task: no update ever goes early.
/// let strict: StrictBufferConfig = BufferConfig::max_bytes(1 << 20).with_max_records(1_000).shut_down_when_full();
/// // As large as the process has memory for.
/// let unbounded: StrictBufferConfig = BufferConfig::unbounded().with_logging_disabled();
///
/// // One can be made of the other.
/// let _ = (eager.with_no_bound(), strict.emit_early_when_full(), unbounded);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct BufferConfig<F> {
    limits: BufferLimits,
    when_full: PhantomData<F>,
}

/// A buffer's configuration without its type.
#[derive(Clone, Debug)]
pub(crate) struct BufferLimits {
    pub(crate) records_max: u64,
    pub(crate) bytes_max: u64,
    pub(crate) is_strict: bool,
    pub(crate) is_logged: bool,
    pub(crate) changelog_configs: Vec<(String, String)>,
}

impl BufferLimits {
    const NONE: Self = Self {
        records_max: u64::MAX,
        bytes_max: u64::MAX,
        is_strict: true,
        is_logged: true,
        changelog_configs: Vec::new(),
    };
}

impl BufferConfig<EmitEarly> {
    /// At most so many updates; the oldest go early.
    pub fn max_records(records: u64) -> Self {
        Self::of(BufferLimits { records_max: records, is_strict: false, ..BufferLimits::NONE })
    }

    /// At most so many bytes; the oldest go early.
    pub fn max_bytes(bytes: u64) -> Self {
        Self::of(BufferLimits { bytes_max: bytes, is_strict: false, ..BufferLimits::NONE })
    }
}

impl BufferConfig<ShutDown> {
    /// As large as it gets; the process must have memory for it.
    pub fn unbounded() -> Self {
        Self::of(BufferLimits::NONE)
    }
}

impl<F> BufferConfig<F> {
    fn of(limits: BufferLimits) -> Self {
        Self { limits, when_full: PhantomData }
    }

    /// At most so many updates.
    pub fn with_max_records(mut self, records: u64) -> Self {
        self.limits.records_max = records;
        self
    }

    /// At most so many bytes.
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.limits.bytes_max = bytes;
        self
    }

    /// Takes both limits away.
    pub fn with_no_bound(self) -> StrictBufferConfig {
        let BufferLimits { is_logged, changelog_configs, .. } = self.limits;
        BufferConfig::of(BufferLimits { is_logged, changelog_configs, ..BufferLimits::NONE })
    }

    /// Full, it fails the task: no update ever goes early.
    pub fn shut_down_when_full(self) -> StrictBufferConfig {
        BufferConfig::of(BufferLimits { is_strict: true, ..self.limits })
    }

    /// Full, it lets the oldest updates go early.
    pub fn emit_early_when_full(self) -> EagerBufferConfig {
        BufferConfig::of(BufferLimits { is_strict: false, ..self.limits })
    }

    /// Writes a changelog topic, the default, whose settings `configs` override.
    pub fn with_logging_enabled(mut self, configs: impl IntoIterator<Item = (String, String)>) -> Self {
        self.limits.is_logged = true;
        self.limits.changelog_configs = configs.into_iter().collect();
        self
    }

    /// Without a changelog: what is held is lost with the task.
    pub fn with_logging_disabled(mut self) -> Self {
        self.limits.is_logged = false;
        self.limits.changelog_configs.clear();
        self
    }
}
