//! Batches on their way to one partition: sent in order, several at once, repeated in order.

use std::collections::VecDeque;

use bytes::Bytes;
use millstream_log::batch::{BatchBuilder, Compression, Stamp};
use millstream_types::Offset;

use super::sequence;
use super::split::{Half, split};

/// A partition's batches.
#[derive(Default)]
pub(super) struct PartitionLane {
    /// Not stamped yet, and since when, in ms.
    waiting: VecDeque<(BatchBuilder, i64)>,
    /// Stamped: sent, or to be sent again. Ascending by sequence.
    stamped: VecDeque<Batch>,
    sequence: i32,
    /// Whether the broker has taken a batch of this epoch and transaction. Before that only one is sent:
    /// a broker that knows nothing of a producer takes any sequence for its first.
    is_known: bool,
    /// After a failure nothing is sent until all that is under way came back.
    is_draining: bool,
    /// Nothing is sent before this time, in ms.
    pub(super) pause_until: i64,
    /// Offset of the last record that was acknowledged since the last flush; the inner `None`: not
    /// known.
    pub(super) acked: Option<Option<Offset>>,
    /// Whether the partition belongs to the open transaction (before KIP-890).
    pub(super) is_added: bool,
}

/// A stamped batch.
struct Batch {
    bytes: Bytes,
    /// Its size before it was compressed.
    uncompressed: usize,
    count: i32,
    sequence: i32,
    is_under_way: bool,
    /// Since when it is to be sent, in ms.
    since: i64,
}

impl PartitionLane {
    pub(super) fn push(&mut self, builder: BatchBuilder, now_ms: i64) {
        self.waiting.push_back((builder, now_ms));
    }

    /// Since when the oldest batch is to be sent, in ms.
    pub(super) fn since(&self) -> Option<i64> {
        self.stamped.front().map(|batch| batch.since).or(self.waiting.front().map(|(_, since)| *since))
    }

    /// Whether batches wait that were never sent.
    pub(super) fn has_unsent(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether the broker has taken a batch of this epoch and transaction.
    pub(super) fn is_known(&self) -> bool {
        self.is_known
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.stamped.is_empty()
    }

    /// Whether something could be sent now.
    pub(super) fn is_ready(&self, now_ms: i64, in_flight_max: usize) -> bool {
        let under_way = self.stamped.iter().filter(|batch| batch.is_under_way).count();
        let has_more = !self.waiting.is_empty() || under_way < self.stamped.len();
        let under_way_max = if self.is_known { in_flight_max } else { 1 };
        has_more && !self.is_draining && under_way < under_way_max && now_ms >= self.pause_until
    }

    /// The next batch to send, with its sequence. An emptied builder is given to `spare`.
    pub(super) fn next(
        &mut self,
        stamp: Stamp,
        compression: Compression,
        spare: impl FnOnce(BatchBuilder),
    ) -> Option<(i32, Bytes)> {
        if let Some(batch) = self.stamped.iter_mut().find(|batch| !batch.is_under_way) {
            batch.is_under_way = true;
            return Some((batch.sequence, batch.bytes.clone()));
        }
        let (mut builder, since) = self.waiting.pop_front()?;
        let sequence = self.sequence;
        let (count, uncompressed) = (builder.count(), builder.len());
        let base_sequence = if stamp.producer_id < 0 { -1 } else { sequence };
        let bytes = builder.finish(Stamp { base_sequence, ..stamp }, compression);
        spare(builder);
        self.sequence = sequence::after(sequence, count);
        self.stamped.push_back(Batch {
            bytes: bytes.clone(),
            uncompressed,
            count,
            sequence,
            is_under_way: true,
            since,
        });
        Some((sequence, bytes))
    }

    /// A batch was acknowledged. Gives its size before it was compressed.
    pub(super) fn acknowledged(&mut self, sequence: i32, base_offset: Option<i64>) -> usize {
        let Some(at) = self.stamped.iter().position(|batch| batch.sequence == sequence) else { return 0 };
        let Some(batch) = self.stamped.remove(at) else { return 0 };
        self.is_known = true;
        let last = |base: i64| base.checked_add(i64::from(batch.count) - 1).map(Offset);
        self.acked = Some(base_offset.and_then(last));
        self.came_back();
        batch.uncompressed
    }

    /// A batch is to be sent again, after those before it. Gives whether it is the oldest, and how
    /// long it is tried already, in ms.
    pub(super) fn refused(&mut self, sequence: i32, now_ms: i64) -> (bool, i64) {
        let mut answer = (true, 0);
        if let Some(at) = self.stamped.iter().position(|batch| batch.sequence == sequence)
            && let Some(batch) = self.stamped.get_mut(at)
        {
            batch.is_under_way = false;
            answer = (at == 0, now_ms - batch.since);
        }
        self.is_draining = true;
        self.came_back();
        answer
    }

    /// Makes two of a batch that the broker finds too large. Sequences of those behind it stay as they
    /// are. Whether there were two records at least.
    pub(super) fn split(&mut self, sequence: i32) -> bool {
        let Some(at) = self.stamped.iter().position(|batch| batch.sequence == sequence) else { return false };
        let Some(batch) = self.stamped.get(at) else { return false };
        // What was built here can be read here.
        let Ok(Some([mut first, mut second])) = split(&batch.bytes) else { return false };
        // Together they count for what was queued, though smaller batches say the same in fewer bytes.
        first.uncompressed = first.uncompressed.min(batch.uncompressed);
        second.uncompressed = batch.uncompressed - first.uncompressed;
        let (since, behind) = (batch.since, sequence::after(sequence, first.count));
        let of = |half: Half, sequence, is_under_way| {
            let Half { bytes, uncompressed, count } = half;
            Batch { bytes, uncompressed, count, sequence, is_under_way, since }
        };
        // The first half takes the place of the batch, which is under way until it is refused.
        self.stamped.insert(at + 1, of(second, behind, false));
        if let Some(batch) = self.stamped.get_mut(at) {
            *batch = of(first, sequence, true);
        }
        true
    }

    fn came_back(&mut self) {
        if !self.stamped.iter().any(|batch| batch.is_under_way) {
            self.is_draining = false;
        }
    }

    /// Whether no batch before this one waits for its acknowledgement.
    pub(super) fn is_oldest(&self, sequence: i32) -> bool {
        self.stamped.front().is_none_or(|batch| batch.sequence == sequence)
    }

    /// Drops what the broker has not seen; what is under way comes back. Gives the size of what is
    /// dropped.
    pub(super) fn drop_unsent(&mut self) -> usize {
        let waiting: usize = self.waiting.drain(..).map(|(builder, _)| builder.len()).sum();
        let unsent = self.stamped.iter().filter(|batch| !batch.is_under_way).map(|batch| batch.uncompressed);
        let dropped = waiting + unsent.sum::<usize>();
        self.stamped.retain(|batch| batch.is_under_way);
        dropped
    }

    /// Another producer epoch: sequences begin anew.
    pub(super) fn new_epoch(&mut self) {
        self.sequence = 0;
        self.new_transaction();
    }

    /// Another transaction.
    pub(super) fn new_transaction(&mut self) {
        self.is_added = false;
        self.is_known = false;
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_types::{Headers, Timestamp};

    const STAMP: Stamp = Stamp { producer_id: 9, producer_epoch: 1, base_sequence: 0, is_transactional: false };

    fn lane(batches: i32) -> PartitionLane {
        let mut lane = PartitionLane::default();
        for _ in 0..batches {
            let mut builder = BatchBuilder::new();
            for _ in 0..2 {
                builder.append(Timestamp(5), None, Some(b"x"), &Headers::new());
            }
            lane.push(builder, 0);
        }
        lane
    }

    fn send(lane: &mut PartitionLane) -> Option<i32> {
        lane.is_ready(0, 5).then(|| lane.next(STAMP, Compression::None, drop))?.map(|(sequence, _)| sequence)
    }

    #[test]
    fn batches_go_out_in_order_and_come_back_acknowledged() {
        let mut lane = lane(3);
        assert_eq!([send(&mut lane), send(&mut lane)], [Some(0), None], "the first goes alone");
        lane.acknowledged(0, Some(10));
        assert_eq!(lane.acked, Some(Some(Offset(11))));
        assert_eq!([send(&mut lane), send(&mut lane), send(&mut lane)], [Some(2), Some(4), None]);
        lane.acknowledged(2, None);
        lane.acknowledged(4, Some(14));
        assert!(lane.is_empty());
    }

    #[test]
    fn an_offset_past_the_end_of_numbers_is_not_known() {
        let mut lane = lane(1);
        send(&mut lane);
        lane.acknowledged(0, Some(i64::MAX));
        assert_eq!(lane.acked, Some(None));
    }

    #[test]
    fn after_a_failure_all_come_back_before_they_go_out_again_in_order() {
        let mut lane = lane(5);
        assert_eq!(send(&mut lane), Some(0));
        lane.acknowledged(0, None);
        assert_eq!([send(&mut lane), send(&mut lane), send(&mut lane)], [Some(2), Some(4), Some(6)]);
        assert_eq!(lane.refused(2, 5), (true, 5));
        assert_eq!(send(&mut lane), None, "two are under way");
        assert_eq!(lane.refused(4, 5), (false, 5));
        lane.refused(6, 5);
        assert_eq!([send(&mut lane), send(&mut lane), send(&mut lane), send(&mut lane)], [2, 4, 6, 8].map(Some));
    }

    #[test]
    fn halves_of_a_split_batch_are_as_large_as_the_whole() {
        let mut lane = PartitionLane::default();
        let mut builder = BatchBuilder::new();
        for number in 0..1000 {
            builder.append(Timestamp(1_000 * number), None, Some(b"x"), &Headers::new());
        }
        let len = builder.len();
        lane.push(builder, 0);
        send(&mut lane);
        assert!(lane.split(0));
        let first = lane.acknowledged(0, None);
        assert_eq!(send(&mut lane), Some(500));
        assert_eq!(first + lane.acknowledged(500, None), len);
    }
}
