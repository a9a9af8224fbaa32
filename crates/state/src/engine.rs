//! Engines: ordered maps of bytes with atomic batches.

#[cfg(feature = "fjall")]
mod fjall;
#[cfg(feature = "fjall")]
pub(crate) mod mark;
mod memory;
mod memory_engines;

use std::sync::Arc;

use millstream_types::{Offset, Result, TaskId, TopicPartition};

use crate::{MemoryBudget, StoreFacts};

#[cfg(feature = "fjall")]
pub use fjall::FjallEngines;
pub use memory::MemoryEngine;
pub use memory_engines::MemoryEngines;

/// Up to where a store's engine has taken in its changelog. Written atomically with the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitMark {
    /// Offset of the last changelog record applied; -1 when none was.
    pub changelog_offset: Offset,
    /// Id of the changelog topic, so that a recreated topic is noticed; 0 when not known.
    pub topic_id: u128,
    /// Leader epoch of that record; -1 when not known.
    pub leader_epoch: i32,
    /// Input offsets that the state reflects (last applied, per input partition), sorted.
    pub position: Vec<(TopicPartition, Offset)>,
    /// Wall clock of the commit, in ms since the epoch.
    pub wall_ms: i64,
}

impl Default for CommitMark {
    /// The mark before anything was applied.
    fn default() -> Self {
        Self { changelog_offset: Offset(-1), topic_id: 0, leader_epoch: -1, position: Vec::new(), wall_ms: 0 }
    }
}

/// An ordered map of bytes to bytes with atomic batches. One per store and task.
pub trait Engine: Send + Sync {
    /// The value under a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// A snapshot of the pairs with `from <= key < to` (`None`: open end), ascending, or descending
    /// when `is_reverse`. It borrows nothing and does not see later writes.
    fn scan(&self, from: Option<&[u8]>, to: Option<&[u8]>, is_reverse: bool) -> Result<Scan>;

    /// Applies writes (`None` deletes), sorted by key and each key once, and the mark, atomically.
    fn apply(&mut self, writes: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>, mark: &CommitMark) -> Result<()>;

    /// The mark of the last batch.
    fn mark(&self) -> Result<Option<CommitMark>>;

    /// Deletes all pairs and the mark.
    fn wipe(&mut self) -> Result<()>;

    /// Whether the data outlives the process.
    fn is_persistent(&self) -> bool;
}

/// Pairs of an [`Engine::scan`].
pub type Scan = Box<dyn Iterator<Item = Result<(Vec<u8>, Vec<u8>)>> + Send>;

/// Opens the engines of one store: how a user brings an engine of their own
/// ([`KeyValueStoreSupplier::with_engine`](crate::KeyValueStoreSupplier::with_engine)). A closure is one.
pub trait EngineSupplier: Send + Sync {
    /// Opens (or creates) the engine of a task; `None` is the global "task". A task's engine is open
    /// once at a time in a process; a standby copy on another instance has the same task id.
    ///
    /// # Errors
    /// `Storage` and `Retriable` are tried again, all else ends the thread.
    fn open(&self, task: Option<TaskId>, facts: &StoreFacts) -> Result<Box<dyn Engine>>;
}

impl<F> EngineSupplier for F
where
    F: Fn(Option<TaskId>, &StoreFacts) -> Result<Box<dyn Engine>> + Send + Sync,
{
    fn open(&self, task: Option<TaskId>, facts: &StoreFacts) -> Result<Box<dyn Engine>> {
        self(task, facts)
    }
}

/// Opens the engines of an application's stores.
pub trait EngineProvider: Send + Sync {
    /// Opens (or creates) the engine of a task's store; `None` is the global "task".
    fn open(&self, task: Option<TaskId>, facts: &StoreFacts) -> Result<Box<dyn Engine>>;

    /// Tasks that have data here, sorted.
    fn tasks(&self) -> Result<Vec<TaskId>>;

    /// Deletes the data of a task.
    fn remove(&self, task: TaskId) -> Result<()>;

    /// Engines of this provider count what they keep in memory against this budget, and take their part of it. To be
    /// called before the first is opened; without, they keep a little.
    fn share_memory(&self, _memory: &MemoryBudget) {}

    /// A stable id of this state directory, made at its first use (the process id).
    fn process_id(&self) -> Arc<str>;

    /// Whether a later process finds the same id here. Then it takes the place of this one in its group.
    fn keeps_process_id(&self) -> bool {
        false
    }

    /// Whether an earlier process has used this state directory.
    fn is_reused(&self) -> bool {
        false
    }

    /// Highest number of a thread that has written transactions under this process id, as
    /// [`keep_threads`](Self::keep_threads) has kept it; 0 where none was. Transactions that such threads have left open
    /// are ended by the next process of the id.
    fn kept_threads(&self) -> usize {
        0
    }

    /// Keeps the highest number of a thread that may write transactions, for later processes of the same id.
    ///
    /// # Errors
    /// `Storage` if the file system refuses.
    fn keep_threads(&self, highest: usize) -> Result<()> {
        let _ = highest;
        Ok(())
    }
}
