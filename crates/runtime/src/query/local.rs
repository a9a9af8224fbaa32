//! What the tasks of this instance are doing and how far their stores are, as their threads know it.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_log::OffsetSpec;
use millstream_types::{Offset, Result, TaskId, TopicPartition};

use super::gather::Gather;
use super::run::has_task;
use crate::streams::Streams;
use crate::thread::ThreadMetadata;

/// How far a store is behind its changelog: Kafka Streams' `LagInfo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LagInfo {
    /// The next offset that the store takes; the changelog's end for a task that runs.
    pub current_offset_position: Offset,
    /// The changelog's end.
    pub end_offset_position: Offset,
    /// Offsets in between, at least 0.
    pub offset_lag: u64,
}

/// What a task reads and how far it is: Kafka Streams' `TaskMetadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskMetadata {
    /// The task.
    pub task_id: TaskId,
    /// The partitions it reads; the changelogs, for a standby task.
    pub topic_partitions: Vec<TopicPartition>,
    /// The offsets it has committed, those that it has; for a standby task, those that its stores have taken.
    pub committed_offsets: BTreeMap<TopicPartition, Offset>,
    /// Where these partitions end, as far as the task has heard.
    pub end_offsets: BTreeMap<TopicPartition, Offset>,
    /// Since when (ms since the epoch) it waits for records of an empty partition (`max.task.idle.ms`), if it does.
    pub time_current_idling_started: Option<i64>,
}

/// A stream thread with its tasks: Kafka Streams' `ThreadMetadata`, as `metadataForLocalThreads` gives it.
#[derive(Clone, Debug)]
pub struct LocalThread {
    /// What the thread is doing.
    pub thread: ThreadMetadata,
    /// Tasks that run.
    pub active_tasks: Vec<TaskMetadata>,
    /// Tasks of which it keeps copies.
    pub standby_tasks: Vec<TaskMetadata>,
}

impl Streams {
    /// How far each store on this instance is behind its changelog, by store and partition: those of tasks that run
    /// (they are not), that are being restored, and copies. Kafka Streams' `allLocalStorePartitionLags`.
    ///
    /// Blocks until the stream threads and the log have answered.
    ///
    /// # Errors
    /// `State` when the caller is a stream thread; what the log gives when it is asked for the ends.
    pub fn all_local_store_partition_lags(&self) -> Result<BTreeMap<Arc<str>, BTreeMap<i32, LagInfo>>> {
        self.check_caller("(all)")?;
        let gather = Gather::new();
        self.ask_threads(has_task(|_| true), || {
            let promise = gather.promise();
            Box::new(move |thread| promise.keep(thread.changelog_positions()))
        });
        let positions: Vec<_> = gather.wait().into_iter().flatten().collect();
        let partitions: Vec<TopicPartition> = positions.iter().map(|known| known.partition.clone()).collect();
        let log = self.log();
        let ends = crate::client::answer(&*log, log.admin().offsets(&partitions, OffsetSpec::EndUncommitted))?;
        let mut lags = BTreeMap::new();
        for (known, end) in positions.into_iter().zip(ends) {
            let current = known.next.unwrap_or(end);
            let lag = LagInfo {
                current_offset_position: current,
                end_offset_position: end,
                offset_lag: u64::try_from(end.0 - current.0).unwrap_or(0),
            };
            let of_store: &mut BTreeMap<i32, LagInfo> = lags.entry(known.store).or_default();
            of_store.insert(known.partition.partition.0, lag);
        }
        Ok(lags)
    }

    /// The stream threads with what their tasks read and have committed: Kafka Streams' `metadataForLocalThreads`.
    /// [`threads_metadata`](Self::threads_metadata) knows less and asks nobody.
    ///
    /// Blocks until the stream threads have answered.
    ///
    /// # Errors
    /// `State` when the caller is a stream thread.
    pub fn metadata_for_local_threads(&self) -> Result<Vec<LocalThread>> {
        self.check_caller("(all)")?;
        let gather = Gather::new();
        self.ask_threads(
            |_| true,
            || {
                let (promise, clock) = (gather.promise(), Arc::clone(&self.supervisor.components.clock));
                Box::new(move |thread| promise.keep(thread.local(clock.now())))
            },
        );
        Ok(gather.wait())
    }
}

/// How far the store of a changelog is.
pub(crate) struct ChangelogPosition {
    pub(crate) store: Arc<str>,
    pub(crate) partition: TopicPartition,
    /// The next offset to take; `None` where the store is the changelog's source.
    pub(crate) next: Option<Offset>,
}
