//! What a task is told when it is built, and what it asks of its reader.

use std::sync::Arc;

use millstream_log::ReadPosition;
use millstream_topology::flow::{DeserializationExceptionHandler, GlobalState, TimestampExtraction};
use millstream_types::TopicPartition;
use millstream_types::config::TaskIdle;
use parking_lot::RwLock;

/// How a task treats its input.
#[derive(Clone)]
pub struct TaskOptions {
    /// `default.timestamp.extractor`.
    pub extraction: TimestampExtraction,
    /// Decides on records that cannot be read.
    pub deserialization_handler: Arc<dyn DeserializationExceptionHandler>,
    /// `errors.dead.letter.queue.topic.name`.
    pub dead_letter_topic: Option<Arc<str>>,
    /// `max.task.idle.ms`.
    pub idle: TaskIdle,
    /// `buffered.records.per.partition`: a partition with more is paused.
    pub buffered_records_max: usize,
    /// Whether fetched records wait until [`Task::claimed`](super::Task::claimed) says that their offsets
    /// are committed (`at_most_once`).
    pub claims_first: bool,
    /// The global stores, if the topology has any.
    pub globals: Option<Arc<RwLock<GlobalState>>>,
}

/// One input partition of a task.
#[derive(Clone, Debug)]
pub struct TaskInput {
    /// The partition.
    pub partition: TopicPartition,
    /// Name of the source node that reads it.
    pub source: Arc<str>,
    /// Where reading starts.
    pub position: ReadPosition,
    /// Whether the group has an offset of it. Where it has none, the task's first commit tells it.
    pub is_committed: bool,
    /// What was committed with that position; empty if nothing was.
    pub metadata: String,
}

/// A partition to stop or to go on fetching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowControl {
    /// The partition.
    pub partition: TopicPartition,
    /// Whether it is to be paused; resumed otherwise.
    pub pause: bool,
}
