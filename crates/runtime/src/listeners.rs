//! Who hears how state is restored and how copies are kept.

use std::sync::Arc;

use millstream_types::{Offset, Result, TaskId, TopicPartition};
use parking_lot::RwLock;

use crate::guard::guarded;

/// Hears how stores are restored from their changelogs: Kafka Streams' `StateRestoreListener`. Copies that
/// standby tasks keep are not restored; see [`StandbyUpdateListener`].
///
/// It is called by the stream threads, so several calls may come at once, and the restore waits for each: whatever
/// takes long belongs elsewhere. A call that panics ends its thread.
///
/// ```
/// use millstream_runtime::StateRestoreListener;
/// use millstream_types::{Offset, TopicPartition};
///
/// struct Progress;
///
/// impl StateRestoreListener for Progress {
///     fn on_batch_restored(&self, partition: &TopicPartition, store: &str, last: Offset, records: u64) {
///         println!("{store}: {records} more records of {partition}, up to {last}");
///     }
/// }
/// ```
pub trait StateRestoreListener: Send + Sync {
    /// A store is about to be restored, from an offset to another one, which does not belong to it.
    fn on_restore_start(
        &self,
        partition: &TopicPartition,
        store: &str,
        starting_offset: Offset,
        ending_offset: Offset,
    ) {
        let _ = (partition, store, starting_offset, ending_offset);
    }

    /// A store has taken records; the last one has this offset.
    fn on_batch_restored(&self, partition: &TopicPartition, store: &str, batch_end_offset: Offset, num_restored: u64) {
        let _ = (partition, store, batch_end_offset, num_restored);
    }

    /// A store is restored. Told of stores without anything to restore, too.
    fn on_restore_end(&self, partition: &TopicPartition, store: &str, total_restored: u64) {
        let _ = (partition, store, total_restored);
    }

    /// The task was given up, or its thread begins anew, before the store was restored.
    fn on_restore_suspended(&self, partition: &TopicPartition, store: &str, total_restored: u64) {
        let _ = (partition, store, total_restored);
    }
}

/// Why a copy is not kept up to date any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuspendReason {
    /// Another instance keeps it, or nobody.
    Migrated,
    /// Its task becomes active on this thread.
    Promoted,
}

/// Hears how standby tasks keep their copies of stores: Kafka Streams' `StandbyUpdateListener` (KIP-988). Called
/// as a [`StateRestoreListener`] is.
pub trait StandbyUpdateListener: Send + Sync {
    /// A copy is kept from now on, from this offset of the changelog.
    fn on_update_start(&self, partition: &TopicPartition, store: &str, starting_offset: Offset) {
        let _ = (partition, store, starting_offset);
    }

    /// A copy has taken records; the last one has this offset. The changelog ends, as far as it is known, before
    /// `current_end_offset`.
    fn on_batch_loaded(
        &self,
        partition: &TopicPartition,
        store: &str,
        task: TaskId,
        batch_end_offset: Offset,
        batch_size: u64,
        current_end_offset: Offset,
    ) {
        let _ = (partition, store, task, batch_end_offset, batch_size, current_end_offset);
    }

    /// A copy is not kept any more. `store_offset` is that of the last record it has taken, -1 if none.
    fn on_update_suspended(
        &self,
        partition: &TopicPartition,
        store: &str,
        store_offset: Offset,
        current_end_offset: Offset,
        reason: SuspendReason,
    ) {
        let _ = (partition, store, store_offset, current_end_offset, reason);
    }
}

/// The listeners of an instance.
#[derive(Default)]
pub(crate) struct Listeners {
    restore: RwLock<Option<Arc<dyn StateRestoreListener>>>,
    standby: RwLock<Option<Arc<dyn StandbyUpdateListener>>>,
}

impl Listeners {
    pub(crate) fn set_restore(&self, listener: Arc<dyn StateRestoreListener>) {
        *self.restore.write() = Some(listener);
    }

    pub(crate) fn set_standby(&self, listener: Arc<dyn StandbyUpdateListener>) {
        *self.standby.write() = Some(listener);
    }

    /// Who is to hear of a restore that begins now.
    pub(crate) fn restore(&self) -> RestoreEar {
        RestoreEar(self.restore.read().clone())
    }

    /// Who is to hear of a copy that is kept from now on.
    pub(crate) fn standby(&self) -> StandbyEar {
        StandbyEar(self.standby.read().clone())
    }
}

/// A restore listener, if there is one. Its panics are errors.
#[derive(Clone, Default)]
pub(crate) struct RestoreEar(Option<Arc<dyn StateRestoreListener>>);

impl RestoreEar {
    pub(crate) fn tell(&self, what: impl FnOnce(&dyn StateRestoreListener)) -> Result<()> {
        self.0.as_ref().map_or(Ok(()), |listener| guarded("state restore listener", || what(&**listener)))
    }
}

/// A standby listener, if there is one. Its panics are errors.
#[derive(Clone, Default)]
pub(crate) struct StandbyEar(Option<Arc<dyn StandbyUpdateListener>>);

impl StandbyEar {
    pub(crate) fn tell(&self, what: impl FnOnce(&dyn StandbyUpdateListener)) -> Result<()> {
        self.0.as_ref().map_or(Ok(()), |listener| guarded("standby update listener", || what(&**listener)))
    }
}

/// Says of a call that nobody waits for whether it went wrong.
pub(crate) fn logged(outcome: Result<()>) {
    if let Err(error) = outcome {
        tracing::error!(%error, "a listener is at fault");
    }
}
