//! Where a task's records go: all that a task knows of the log.

use std::sync::Arc;

use millstream_log::PartitionHandle;
use millstream_types::{Headers, Result, Timestamp};

/// Takes the records a task writes: outputs, changelogs and dead letters. The runtime implements it
/// over the thread's writer, the test driver by collecting.
pub trait TaskOutput {
    /// Number of partitions of a topic.
    ///
    /// # Errors
    /// `Retriable` when it is not known yet: the thread rolls back and comes again.
    fn partition_count(&mut self, topic: &Arc<str>) -> Result<i32>;

    /// A handle for appends to a partition. Asked once per topic and partition; the task keeps it.
    fn partition(&mut self, topic: &Arc<str>, partition: i32) -> PartitionHandle;

    /// A handle for a partition that a partitioner chose and the topic does not have. `None`, which
    /// ends the task, unless the partitions of this output only stand for those of a real topic.
    fn partition_beyond(&mut self, topic: &Arc<str>, partition: i32) -> Option<PartitionHandle> {
        let _ = (topic, partition);
        None
    }

    /// Appends a record. The bytes are copied.
    ///
    /// # Errors
    /// `Production` when this record can never be written; any other kind ends the task.
    fn append(
        &mut self,
        to: PartitionHandle,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &Headers,
    ) -> Result<()>;
}
