//! Where a partition's batches lie.

use millstream_types::Result;

use super::memory::MemoryStorage;
use crate::batch::Batch;

/// Batches by offset, without gaps.
#[derive(Debug)]
pub(super) enum Storage {
    /// In memory.
    Memory(MemoryStorage),
}

impl Storage {
    /// Appends a batch. When this fails, nothing of it is left.
    pub(super) fn append(&mut self, batch: Batch) -> Result<()> {
        match self {
            Self::Memory(memory) => memory.append(batch),
        }
        Ok(())
    }

    /// The batches from the one that holds `from` on, those that start below `limit`, until
    /// `bytes_max` is reached; at least one if there is any.
    pub(super) fn read(&self, from: i64, limit: i64, bytes_max: usize) -> Result<Vec<Batch>> {
        match self {
            Self::Memory(memory) => Ok(memory.read(from, limit, bytes_max)),
        }
    }

    /// Drops what ends before this offset, as far as that is cheap.
    pub(super) fn delete_before(&mut self, offset: i64) -> Result<()> {
        match self {
            Self::Memory(memory) => memory.delete_before(offset),
        }
        Ok(())
    }

    /// Offset of a batch before which no timestamp is `time` or later.
    pub(super) fn seek_time(&self, time: i64) -> Option<i64> {
        match self {
            Self::Memory(memory) => memory.seek_time(time),
        }
    }
}
