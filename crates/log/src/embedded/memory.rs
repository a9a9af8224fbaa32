//! Batches of a partition in memory.

use std::collections::VecDeque;

use crate::batch::Batch;

/// Batches by offset, without gaps.
#[derive(Debug, Default)]
pub(super) struct MemoryStorage {
    batches: VecDeque<Batch>,
}

impl MemoryStorage {
    pub(super) fn append(&mut self, batch: Batch) {
        self.batches.push_back(batch);
    }

    /// The batches from the one that holds `from` on, those that start below `limit`, until
    /// `bytes_max` is reached; at least one if there is any.
    pub(super) fn read(&self, from: i64, limit: i64, bytes_max: usize) -> Vec<Batch> {
        let mut bytes = 0;
        self.batches
            .range(self.position(from)..)
            .take_while(|batch| {
                let takes = batch.base_offset().0 < limit && bytes < bytes_max;
                bytes += batch.bytes().len();
                takes
            })
            .cloned()
            .collect()
    }

    /// Drops the batches that end before this offset.
    pub(super) fn delete_before(&mut self, offset: i64) {
        self.batches.drain(..self.position(offset));
    }

    /// Offset of the first batch with a timestamp of at least `time`.
    pub(super) fn seek_time(&self, time: i64) -> Option<i64> {
        self.batches.iter().find(|batch| batch.max_timestamp().0 >= time).map(|batch| batch.base_offset().0)
    }

    fn position(&self, offset: i64) -> usize {
        self.batches.partition_point(|batch| batch.last_offset().0 < offset)
    }
}
