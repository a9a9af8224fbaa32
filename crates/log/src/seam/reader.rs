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

/// Where reading a partition goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadPosition {
    /// Next offset to read.
    pub offset: Offset,
    /// Leader epoch of the record before it, as it was fetched or committed; -1 where that is not known. By it a log finds
    /// out whether it still is the one that was read, or was cut and has grown again with other records.
    pub leader_epoch: i32,
}

impl From<Offset> for ReadPosition {
    /// Nothing is known of the record before.
    fn from(offset: Offset) -> Self {
        Self { offset, leader_epoch: -1 }
    }
}

/// A client that reads partitions.
pub trait Reader: Send {
    /// Reads exactly these partitions from these offsets on; replaces what was assigned before.
    /// What was fetched for other positions is dropped.
    fn assign(&mut self, positions: &[(TopicPartition, ReadPosition)]);

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
    /// The position does not exist any more (deleted by retention) or not yet (a truncated log); or what was read before
    /// it is not what the log holds now, so that the same offset means another record. Where the log cannot tell since
    /// when, the position lies within.
    OutOfRange {
        /// The partition.
        partition: TopicPartition,
        /// Where it was to be read.
        position: Offset,
        /// First offset that can be read.
        log_start: Offset,
        /// One past the last of those that are there and are what was read.
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
    /// Leader epoch of the last record before it, left out or not; -1 where that is not known.
    pub leader_epoch: i32,
    /// One past the last offset this reader may see now: lag is `end - next`.
    pub end: Offset,
    /// First offset that can be read.
    pub log_start: Offset,
}

impl Fetched {
    /// Where reading goes on behind these batches.
    #[must_use]
    pub fn position(&self) -> ReadPosition {
        ReadPosition { offset: self.next, leader_epoch: self.leader_epoch }
    }
}
