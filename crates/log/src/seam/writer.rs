//! Writing, plainly or in transactions.

use std::sync::Arc;

use millstream_types::{Headers, Now, Offset, Result, Timestamp, TopicPartition};

use super::{Call, CommittedOffset, GroupMetadata, Outcome};

/// A partition as a writer knows it; valid for the writer that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionHandle(pub u32);

/// Last offsets of what was written since the last flush. `None`: acknowledged, but the offset is
/// not known (a duplicate of a batch the broker already had).
pub type Acks = Vec<(TopicPartition, Option<Offset>)>;

/// A client that appends records.
///
/// With a transactional id, the first append after [`init`](Self::init) or the end of the last
/// transaction begins one. A writer whose outcome was fenced or unknown is of no use until
/// `init` has succeeded again.
pub trait Writer: Send {
    /// Registers the writer. With a transactional id: fences every earlier writer of that id and
    /// aborts its open transaction. Must succeed before the first append.
    fn init(&mut self) -> Call<()>;

    /// What is written from now on is written for this member's tasks: it waits while the group may have given them to
    /// somebody else, who has gone on by then. That is for writers without a transactional id, which nobody fences; and for
    /// logs where a process can be cut off from its group. What waits when the member is expelled is dropped by
    /// [`init`](Self::init), which must come before the member joins again.
    fn write_for(&mut self, member_id: &Arc<str>) {
        let _ = member_id;
    }

    /// Number of partitions of a topic. A topic that does not exist is created by a log that
    /// does so on its own (Kafka's `auto.create.topics.enable`).
    fn partition_count(&mut self, topic: &str, now: Now) -> Outcome<i32>;

    /// A handle for appends to a partition.
    fn partition(&mut self, partition: &TopicPartition) -> PartitionHandle;

    /// Appends a record to the partition's open batch; full batches are sent on the way. The bytes
    /// are copied.
    ///
    /// # Errors
    /// `Production` when this record can never be written (too large, unknown partition): nothing
    /// was appended. Anything else ends the writer (see [`flush`](Self::flush)).
    fn append(
        &mut self,
        to: PartitionHandle,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &Headers,
    ) -> Result<()>;

    /// Whether so much waits to be sent that nothing more should be appended for now. Appending all
    /// the same is no error, it only costs memory. A log that writes at once is never full.
    fn is_full(&self) -> bool {
        false
    }

    /// Sends open batches that have waited for more records long enough. Called once a step; gives when
    /// to call again at the latest (monotonic ns), if anything waits. A log that writes at once has nothing
    /// to send.
    fn send_lingering(&mut self, now: Now) -> Option<u64> {
        let _ = now;
        None
    }

    /// Sends all open batches. Done when everything appended so far is acknowledged.
    fn flush(&mut self) -> Call<Acks>;

    /// Flushes, adds the group's offsets to the transaction and commits it. Without a record
    /// appended this still commits the offsets. What is appended from now on belongs to the next
    /// transaction, also while this one is on its way.
    fn commit(&mut self, offsets: Vec<(TopicPartition, CommittedOffset)>, group: &GroupMetadata) -> Call<()>;

    /// Aborts the open transaction, if there is one, and drops open batches.
    fn abort(&mut self) -> Call<()>;
}
