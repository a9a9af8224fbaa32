//! The embedded log: everything the runtime needs of a broker, inside the process.
//!
//! All clients share one state behind one lock, taken for a batch or a request and never for a
//! record. A request is done when its call returns, so every [`Call`](crate::Call) of this log
//! answers on its first poll. Time passes only with the `now` that clients are polled with.

mod admin;
mod broker;
mod disk;
mod durable;
mod failure;
mod group;
mod journal;
mod member;
mod memory;
mod open;
mod options;
mod partition;
mod reader;
mod retention;
mod storage;
#[cfg(test)]
mod tests;
mod transaction;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use millstream_types::{Clock, Now, Offset, Result, TopicPartition, clock::SystemClock};

use crate::Signal;
use crate::fs::RealFs;
use crate::seam::{Admin, CommittedOffset, Failure, Isolation, Log, Member, MemberConfig, Reader, Writer};
use broker::Broker;

pub use options::{Flush, Options};

/// The journal is rewritten when it has grown by this much, in bytes.
const JOURNAL_BYTES: u64 = 4 << 20;

/// A log inside the process. Cloning gives another handle to the same log.
///
/// ```
/// use millstream_log::{EmbeddedLog, Log, Options, Outcome};
/// use millstream_types::{Headers, Now, Timestamp, TopicPartition};
///
/// let log = EmbeddedLog::memory(Options::default());
/// let mut writer = log.writer(None);
/// assert!(matches!(writer.init().poll(Now::default()), Outcome::Done(())));
/// let words = writer.partition(&TopicPartition::new("words", 0));
/// writer.append(words, Timestamp(1), None, Some(b"hello"), &Headers::new())?;
/// assert!(matches!(writer.flush().poll(Now::default()), Outcome::Done(_)));
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[derive(Clone)]
pub struct EmbeddedLog(Arc<Shared>);

/// What all clients of a log share.
struct Shared {
    broker: Mutex<Broker>,
    signal: Signal,
}

impl EmbeddedLog {
    /// A log in memory; gone with its last handle.
    pub fn memory(options: Options) -> Self {
        let seed = options.seed.unwrap_or_else(|| wall_seed(SystemClock::new().now()));
        Self::of(Broker::new(options, seed))
    }

    /// Opens the log in a directory, or creates one there. Reads the last segment of each
    /// partition and the batch headers of the others, and finishes or aborts what a crash left
    /// half way. The log stays locked for other processes until its last handle and client are
    /// gone.
    ///
    /// # Errors
    /// `Storage` when the directory cannot be used or is open in another process, `Corrupted` when
    /// a file is damaged; the message says what can be done.
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self> {
        let now = SystemClock::new().now();
        let seed = options.seed.unwrap_or_else(|| wall_seed(now));
        open::open(Arc::new(RealFs), dir.as_ref(), options, JOURNAL_BYTES, seed, now.wall_ms).map(Self::of)
    }

    fn of(broker: Broker) -> Self {
        Self(Arc::new(Shared { broker: Mutex::new(broker), signal: Signal::default() }))
    }

    /// All groups that have members or committed offsets, sorted.
    pub fn groups(&self) -> Vec<Arc<str>> {
        self.0.request(|broker| {
            let is_known = |group: &group::Group| !group.is_empty() || !group.offsets.is_empty();
            broker.groups.iter().filter(|(_, group)| is_known(group)).map(|(name, _)| name.clone()).collect()
        })
    }

    /// All committed offsets of a group, sorted by partition.
    pub fn group_offsets(&self, group: &str) -> Vec<(TopicPartition, CommittedOffset)> {
        self.0.request(|broker| {
            let offsets = broker.groups.get(group).into_iter().flat_map(|group| &group.offsets);
            offsets.map(|(partition, offset)| (partition.clone(), offset.clone())).collect()
        })
    }

    /// Appends a whole batch as a producer would send it, with its own producer id, epoch and
    /// sequence. Gives the last offset; `None` when the batch was there already, which costs
    /// nothing and changes nothing.
    ///
    /// # Errors
    /// The partition must exist, the batch be valid and next in its producer's sequence.
    pub fn produce(&self, partition: &TopicPartition, batch: Bytes) -> Result<Option<Offset>, Failure> {
        self.0.request(|broker| {
            let slot = broker.slot_or_create(partition)?;
            broker.append(slot, batch)
        })
    }
}

impl Log for EmbeddedLog {
    fn admin(&self) -> Box<dyn Admin> {
        Box::new(admin::EmbeddedAdmin::new(self.0.clone()))
    }

    fn reader(&self, isolation: Isolation) -> Box<dyn Reader> {
        Box::new(reader::EmbeddedReader::new(self.0.clone(), isolation))
    }

    fn writer(&self, transactional_id: Option<&str>) -> Box<dyn Writer> {
        Box::new(writer::EmbeddedWriter::new(self.0.clone(), transactional_id))
    }

    fn member(&self, config: MemberConfig) -> Box<dyn Member> {
        Box::new(member::EmbeddedMember::new(self.0.clone(), config))
    }

    /// Each thread has its own last call: no thread takes another's changes.
    fn wait(&self, timeout: Duration) {
        self.0.signal.wait(timeout);
    }

    fn wake(&self) {
        self.0.signal.notify();
    }
}

impl Shared {
    /// One request under the lock; wakes those who wait if it changed anything.
    fn request<T>(&self, request: impl FnOnce(&mut Broker) -> T) -> T {
        // A panic under the lock is a bug, but each request leaves the broker whole.
        let mut broker = self.broker.lock().unwrap_or_else(PoisonError::into_inner);
        let before = broker.version;
        let answer = request(&mut broker);
        let is_changed = broker.version != before;
        drop(broker);
        if is_changed {
            self.signal.notify();
        }
        answer
    }

    fn options(&self) -> Options {
        self.request(|broker| broker.options.clone())
    }
}

impl fmt::Debug for EmbeddedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedLog").finish_non_exhaustive()
    }
}

/// A log made without a seed has topic ids unlike those of any log before.
fn wall_seed(now: Now) -> u64 {
    (now.wall_ms as u64).rotate_left(20) ^ now.mono_ns
}
