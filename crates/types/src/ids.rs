//! Identifiers that could be swapped by mistake are types, not integers.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Event time in milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

/// Position of a record in a partition, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Offset(pub i64);

/// Number of a partition within its topic, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Partition(pub i32);

impl Timestamp {
    /// "Not known": what Kafka Streams writes as -1.
    pub const UNKNOWN: Self = Self(-1);
}

impl Offset {
    /// The offset after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One partition of one topic. Cloning shares the name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Number of the partition.
    pub partition: Partition,
}

impl TopicPartition {
    /// Names a partition.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition: Partition(partition) }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A task: one partition of one sub-topology. Displays as Kafka Streams writes it, `0_1`, and is
/// read from that.
///
/// ```
/// use millstream_types::TaskId;
///
/// let task: TaskId = "0_1".parse()?;
/// assert_eq!(task, TaskId { subtopology: 0, partition: 1 });
/// assert!("0-1".parse::<TaskId>().is_err());
/// # Ok::<(), millstream_types::NotATaskId>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// Number of the sub-topology.
    pub subtopology: i32,
    /// Partition of the sub-topology's input.
    pub partition: i32,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.subtopology, self.partition)
    }
}

/// A text is not a task's id: Kafka Streams' `TaskIdFormatException`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("task id {0:?} is not of the form SUBTOPOLOGY_PARTITION")]
pub struct NotATaskId(String);

impl FromStr for TaskId {
    type Err = NotATaskId;

    fn from_str(text: &str) -> Result<Self, NotATaskId> {
        let parts = text.split_once('_').and_then(|(subtopology, partition)| {
            Some(Self { subtopology: subtopology.parse().ok()?, partition: partition.parse().ok()? })
        });
        parts.ok_or_else(|| NotATaskId(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_id_is_read_as_it_is_written() {
        for (subtopology, partition) in [(0, 0), (3, 12), (i32::MAX, i32::MAX)] {
            let task = TaskId { subtopology, partition };
            assert_eq!(task.to_string().parse(), Ok(task));
        }
    }

    #[test]
    fn other_texts_are_no_task_ids() {
        for text in ["", "0", "_", "0_", "_0", "0_1_2", "a_0", "named__0_1", "0_99999999999"] {
            assert_eq!(text.parse::<TaskId>(), Err(NotATaskId(text.to_owned())));
        }
    }
}
