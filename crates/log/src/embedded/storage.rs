//! Where a partition's batches lie.

use millstream_types::Result;

use super::disk::DiskStorage;
use super::memory::MemoryStorage;
use crate::batch::Batch;

/// Batches by offset, without gaps.
#[derive(Debug)]
pub(super) enum Storage {
    /// In memory.
    Memory(MemoryStorage),
    /// In files.
    Disk(DiskStorage),
}

impl Storage {
    /// Appends a batch. When this fails, nothing of it counts.
    pub(super) fn append(&mut self, batch: Batch) -> Result<()> {
        match self {
            Self::Memory(memory) => {
                memory.append(batch);
                Ok(())
            }
            Self::Disk(disk) => disk.append(&batch),
        }
    }

    /// The batches from the one that holds `from` on, those that start below `limit`, until
    /// `bytes_max` is reached; at least one if there is any.
    pub(super) fn read(&self, from: i64, limit: i64, bytes_max: usize) -> Result<Vec<Batch>> {
        match self {
            Self::Memory(memory) => Ok(memory.read(from, limit, bytes_max)),
            Self::Disk(disk) => disk.read(from, limit, bytes_max),
        }
    }

    /// Whether [`delete_before`](Self::delete_before) would remove files.
    pub(super) fn has_files_before(&self, offset: i64) -> bool {
        match self {
            Self::Memory(_) => false,
            Self::Disk(disk) => disk.has_before(offset),
        }
    }

    /// Drops what ends before this offset, as far as that is cheap.
    pub(super) fn delete_before(&mut self, offset: i64) -> Result<()> {
        match self {
            Self::Memory(memory) => {
                memory.delete_before(offset);
                Ok(())
            }
            Self::Disk(disk) => disk.delete_before(offset),
        }
    }

    /// Offset of a batch before which no timestamp is `time` or later.
    pub(super) fn seek_time(&self, time: i64) -> Option<i64> {
        match self {
            Self::Memory(memory) => memory.seek_time(time),
            Self::Disk(disk) => disk.seek_time(time),
        }
    }

    /// Makes everything appended durable. Gives whether there was anything to do.
    pub(super) fn sync(&mut self) -> Result<bool> {
        match self {
            Self::Memory(_) => Ok(false),
            Self::Disk(disk) => disk.sync(),
        }
    }

    /// Everything before this offset is known to be durable.
    pub(super) fn synced(&self) -> i64 {
        match self {
            Self::Memory(_) => 0,
            Self::Disk(disk) => disk.synced(),
        }
    }
}
