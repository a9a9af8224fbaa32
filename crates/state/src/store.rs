//! A store as the flow and the runtime see it: erased, with the stages of a commit.

use std::any::Any;
use std::sync::Arc;

use millstream_types::{Headers, Offset, Partition, RawRecord, Result, TaskId, Timestamp};

use crate::{CommitMark, Engine, EngineProvider, StoreFacts};

/// Where a write comes from: the record being processed. Its time stamps writes of stores that
/// keep none of their own; a record cache keeps all of it for the flush.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Topic of the input record; `None` below a punctuator.
    pub topic: Option<Arc<str>>,
    /// Its partition; -1 below a punctuator.
    pub partition: Partition,
    /// Its offset; -1 below a punctuator.
    pub offset: Offset,
    /// Timestamp of the record as it was forwarded to the node that writes.
    pub timestamp: Timestamp,
    /// The input record as it was read, where an exception handler may ask for it.
    pub raw: Option<Arc<RawRecord>>,
}

impl Origin {
    /// No record: what holds before the first one.
    pub const NONE: Self =
        Self { topic: None, partition: Partition(-1), offset: Offset(-1), timestamp: Timestamp::UNKNOWN, raw: None };

    /// Becomes a copy of another; cheap where the topic is the same.
    #[inline]
    pub fn set(&mut self, origin: &Self) {
        self.set_topic(origin.topic.as_ref());
        self.set_raw(origin.raw.as_ref());
        self.partition = origin.partition;
        self.offset = origin.offset;
        self.timestamp = origin.timestamp;
    }

    /// The topic is nearly always the one before: no reference count then.
    pub(crate) fn set_topic(&mut self, topic: Option<&Arc<str>>) {
        if !is_same(self.topic.as_ref(), topic) {
            self.topic = topic.cloned();
        }
    }

    pub(crate) fn set_raw(&mut self, raw: Option<&Arc<RawRecord>>) {
        if self.raw.is_some() || raw.is_some() {
            self.raw = raw.cloned();
        }
    }
}

/// Whether it is one topic in memory, or none: without a look at its text.
pub(crate) fn is_same(one: Option<&Arc<str>>, other: Option<&Arc<str>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (None, None) => true,
        _ => false,
    }
}

/// One record for a changelog topic.
#[derive(Clone, Copy, Debug)]
pub struct ChangelogRecord<'a> {
    /// Key bytes, as `reference` formats have them for the store's kind.
    pub key: &'a [u8],
    /// Value bytes; `None` deletes.
    pub value: Option<&'a [u8]>,
    /// Record timestamp.
    pub timestamp: Timestamp,
    /// Headers; empty for most kinds.
    pub headers: &'a Headers,
}

/// One record read back from a changelog topic.
#[derive(Clone, Copy, Debug)]
pub struct RestoreRecord<'a> {
    /// Its offset.
    pub offset: Offset,
    /// The record.
    pub record: ChangelogRecord<'a>,
}

/// What a store needs besides its facts when it is built for a task.
pub struct StoreEnv {
    /// Where its bytes go.
    pub engine: Box<dyn Engine>,
    /// The thread's record-cache budget, shared by all its stores.
    pub cache: crate::CacheBudget,
    /// The process's memory budget, shared by the stores of all threads.
    pub memory: crate::MemoryBudget,
}

impl StoreEnv {
    /// An engine and nothing else: no record cache, and no room for rows at hand.
    pub fn new(engine: Box<dyn Engine>) -> Self {
        Self { engine, cache: crate::CacheBudget::new(0), memory: crate::MemoryBudget::new(0) }
    }
}

/// Builds the stores of one description, one for each task.
pub trait StoreFactory: Send + Sync {
    /// What is known without building.
    fn facts(&self) -> &StoreFacts;

    /// Opens the engine of a task's store: one of the application's unless the store brings its own.
    ///
    /// # Errors
    /// What opening gives.
    fn open_engine(&self, task: Option<TaskId>, engines: &dyn EngineProvider) -> Result<Box<dyn Engine>> {
        engines.open(task, self.facts())
    }

    /// Builds the store over an opened engine.
    fn build(&self, env: StoreEnv) -> Result<Box<dyn StateStore>>;
}

/// A store of one task.
///
/// Writes go: record cache, changelog buffer and overlay, and after the commit the engine. A
/// failed commit drops the whole store; it is built again over its engine and caught up from the
/// changelog.
pub trait StateStore: Any + Send {
    /// Facts.
    fn facts(&self) -> &StoreFacts;

    /// Sets where the writes that follow come from: the record, and its headers.
    fn enter(&mut self, origin: &Origin, headers: &Headers);

    /// Hears which keys, as bytes, will probably be read next, and may bring their rows closer; gives
    /// how many of them it had a use for. A hint: nothing that can be seen changes.
    fn read_ahead(&mut self, _keys: &[&[u8]]) -> usize {
        0
    }

    /// Writes dirty cache entries through to changelog and overlay without telling anyone; for
    /// cached stores that no DSL operator owns. Nothing to do for stores without a cache.
    fn flush_cache(&mut self) -> Result<()>;

    /// Hands out, in order of writing, the changelog records written since the last call.
    fn drain_changelog(&mut self, sink: &mut dyn FnMut(ChangelogRecord<'_>) -> Result<()>) -> Result<()>;

    /// Writes dropped since the last call because the time of their windows is over
    /// (`dropped-records-total`). None for stores without windows.
    fn take_dropped(&mut self) -> u64 {
        0
    }

    /// Number of rows, or of the records that a buffer holds. It may read the whole store.
    fn row_count(&mut self) -> Result<u64>;

    /// Bytes held by the overlay, sealed or not.
    fn uncommitted_bytes(&self) -> usize;

    /// Closes the overlay: what it holds belongs to the commit now under way. Later writes go to
    /// a new one; reads see both.
    fn seal(&mut self);

    /// After the commit: writes the sealed overlay to the engine in one atomic batch with its
    /// mark. After an error the overlay stays sealed and readable, and the call may be repeated.
    fn apply(&mut self, mark: &CommitMark) -> Result<()>;

    /// The mark of the last applied batch; `None` for a new store.
    fn mark(&self) -> Result<Option<CommitMark>>;

    /// Applies records of the changelog, in order, and sets the mark with them, atomically.
    fn restore(&mut self, records: &[RestoreRecord<'_>], mark: &CommitMark) -> Result<()>;

    /// Deletes everything, the mark too.
    fn wipe(&mut self) -> Result<()>;

    /// Answers a question of an interactive query, if it is one that the store knows: by
    /// [`Question::offer`](crate::query::Question::offer), for each kind of read. It should change nothing.
    fn answer(&mut self, _: &mut crate::query::Question<'_>) {}

    /// Name of the store's type, for messages.
    fn type_name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }

    /// For typed access.
    fn as_any(&self) -> &dyn Any;

    /// For typed access.
    fn as_any_mut(&mut self) -> &mut dyn Any;
}
