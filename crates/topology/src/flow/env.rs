//! What a flow needs from outside: a place for its output and a clock.

use std::sync::Arc;

use millstream_types::{Headers, RawRecord, Result, Timestamp};

use super::build::NodeIndex;

/// The world around a flow. The runtime and the test driver implement it.
pub trait FlowEnv {
    /// Takes a record for a topic.
    ///
    /// # Errors
    /// `Production` when this record cannot be written; the production exception handler decides.
    /// Any other kind ends the task.
    fn send(&mut self, record: SinkRecord<'_>) -> Result<()>;

    /// Number of partitions of a topic, for custom partitioners.
    fn partition_count(&mut self, topic: &Arc<str>) -> Result<i32>;

    /// Wall clock in ms since the epoch.
    fn wall_ms(&self) -> i64;

    /// A processor asks for a commit soon.
    fn request_commit(&mut self);

    /// The input record being processed, as it was read; `None` below a punctuator or flush.
    fn source_record(&self) -> Option<RawRecord>;
}

/// A serialised record on its way to a topic.
#[derive(Clone, Copy, Debug)]
pub struct SinkRecord<'a> {
    /// The sink node, so that an implementation may cache what it knows of the topic; `None` for
    /// dead letters.
    pub sink: Option<NodeIndex>,
    /// The topic; internal ones stand with the application id.
    pub topic: &'a Arc<str>,
    /// The partition if one was chosen; otherwise the default partitioner chooses.
    pub partition: Option<i32>,
    /// The bytes the default partitioner hashes: the key's, for windowed keys the inner key's.
    pub partition_key: Option<&'a [u8]>,
    /// Key bytes.
    pub key: Option<&'a [u8]>,
    /// Value bytes; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Timestamp, never negative.
    pub timestamp: Timestamp,
    /// Headers.
    pub headers: &'a Headers,
}
