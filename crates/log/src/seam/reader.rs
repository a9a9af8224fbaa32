//! Reading partitions.

use millstream_types::{Now, Offset, TopicPartition};

use super::Failure;
use crate::batch::Batch;

/// Whether records of open and aborted transactions are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Everything up to the high watermark, aborted records too.
    ReadUncommitted,
    /// Only records of committed transactions, up to the last stable offset.
    ReadCommitted,
}

/// A client that reads partitions.
pub trait Reader: Send {
    /// Reads exactly these partitions from these offsets on; replaces what was assigned before.
    /// What was fetched for other positions is dropped.
    fn assign(&mut self, positions: &[(TopicPartition, Offset)]);

    /// Gives nothing of a partition until it is resumed; its position stays. A little of it may be read ahead.
    fn pause(&mut self, partition: &TopicPartition);

    /// Gives records of a paused partition again.
    fn resume(&mut self, partition: &TopicPartition);

    /// Appends what has arrived to `events`. At most about `bytes_max` bytes of records, fairly
    /// from all partitions that are not paused.
    fn poll(&mut self, now: Now, bytes_max: usize, events: &mut Vec<ReaderEvent>);
}

/// Something a reader has to say.
#[derive(Debug)]
pub enum ReaderEvent {
    /// Batches of one partition, or progress without any.
    Fetched(Fetched),
    /// The position does not exist any more (deleted by retention) or not yet (a truncated log).
    OutOfRange {
        /// The partition.
        partition: TopicPartition,
        /// Where it was to be read.
        position: Offset,
        /// First offset that can be read.
        log_start: Offset,
        /// One past the last.
        log_end: Offset,
    },
    /// The topic was deleted, or deleted and created again: its old offsets mean nothing.
    Gone {
        /// The partition.
        partition: TopicPartition,
    },
    /// A fetch failed; a retriable one is repeated by the reader itself and not reported.
    Failed(Failure),
}

/// Batches of one partition.
#[derive(Debug)]
pub struct Fetched {
    /// The partition.
    pub partition: TopicPartition,
    /// Data batches only: control batches and, for read-committed, aborted ones are left out. The
    /// first may start before the position; skip records under [`Self::from`].
    pub batches: Vec<Batch>,
    /// The position these batches were fetched from.
    pub from: Offset,
    /// Position after them; may move without batches (control records, aborted transactions).
    pub next: Offset,
    /// One past the last offset this reader may see now: lag is `end - next`.
    pub end: Offset,
    /// First offset that can be read.
    pub log_start: Offset,
}
