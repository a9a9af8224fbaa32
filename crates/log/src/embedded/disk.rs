//! Batches of a partition in segment files, laid out as Kafka's: `<topic>-<partition>/<base
//! offset, 20 digits>.log`. Contents stay on disk; memory holds a sparse index.

mod recovery;
mod segment;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use millstream_types::{Result, TopicPartition};

use super::options::Flush;
use crate::batch::Batch;
use crate::fs::{self, Fs};
use segment::Segment;

pub(super) use recovery::Evidence;

/// Where a log lies, and how it is kept.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) fs: Arc<dyn Fs>,
    pub(super) dir: PathBuf,
    pub(super) flush: Flush,
    pub(super) segment_bytes: u64,
    /// The journal is rewritten when it has grown by this much, in bytes.
    pub(super) journal_bytes: u64,
}

/// A partition's segments, oldest first; never empty. Only the last is written to.
#[derive(Debug)]
pub(super) struct DiskStorage {
    disk: Arc<Disk>,
    dir: PathBuf,
    segments: Vec<Segment>,
    end: i64,
    /// Everything before this offset is known to be durable.
    synced: i64,
}

impl Disk {
    pub(super) fn partition_dir(&self, name: &TopicPartition) -> PathBuf {
        self.dir.join(name.to_string())
    }
}

impl DiskStorage {
    /// An empty partition. What lay in its directory belonged to a deleted topic and is removed.
    pub(super) fn create(disk: &Arc<Disk>, name: &TopicPartition) -> Result<Self> {
        let dir = disk.partition_dir(name);
        disk.fs.remove_dir(&dir).map_err(|error| fs::error("remove", &dir, error))?;
        disk.fs.create_dir(&dir).map_err(|error| fs::error("create", &dir, error))?;
        let first = Segment::create(&disk.fs, &dir, 0)?;
        sync_dir(&*disk.fs, &dir)?;
        Ok(Self { disk: disk.clone(), dir, segments: vec![first], end: 0, synced: 0 })
    }

    /// Removes the files of a partition.
    pub(super) fn remove(disk: &Disk, name: &TopicPartition) -> Result<()> {
        let dir = disk.partition_dir(name);
        disk.fs.remove_dir(&dir).map_err(|error| fs::error("remove", &dir, error))
    }

    /// Everything before this offset is known to be durable.
    pub(super) fn synced(&self) -> i64 {
        self.synced
    }

    /// Appends a batch. When this fails, nothing of it counts: what was written is cut off, or
    /// will be when the log is opened again.
    pub(super) fn append(&mut self, batch: &Batch) -> Result<()> {
        let len = batch.bytes().len() as u64;
        if self.active()?.is_full(len, self.disk.segment_bytes) {
            self.roll(batch.base_offset().0)?;
        }
        self.active_mut()?.append(batch)?;
        self.end = batch.last_offset().0 + 1;
        Ok(())
    }

    /// The batches from the one that holds `from` on, those that start below `limit`, until
    /// `bytes_max` is reached; at least one if there is any. Checks their checksums.
    pub(super) fn read(&self, from: i64, limit: i64, bytes_max: usize) -> Result<Vec<Batch>> {
        let after = self.segments.partition_point(|segment| segment.base <= from);
        match self.segments.get(after.saturating_sub(1)) {
            Some(segment) => segment.read(from, limit, bytes_max),
            None => Ok(Vec::new()),
        }
    }

    /// Whether [`delete_before`](Self::delete_before) would remove files.
    pub(super) fn has_before(&self, offset: i64) -> bool {
        self.segments.get(1).is_some_and(|second| second.base <= offset)
    }

    /// Removes the files that end before this offset.
    pub(super) fn delete_before(&mut self, offset: i64) -> Result<()> {
        while self.has_before(offset) {
            let path = self.segments.remove(0).path;
            self.disk.fs.remove_file(&path).map_err(|error| fs::error("remove", &path, error))?;
        }
        Ok(())
    }

    /// Offset before which closed segments lie that are out of date: all their timestamps are
    /// before `time`, or what follows is `bytes_max` bytes without them.
    pub(super) fn expired(&self, time: Option<i64>, bytes_max: Option<u64>) -> Option<i64> {
        let mut bytes: u64 = self.segments.iter().map(|segment| segment.len).sum();
        let closed = self.segments.len().saturating_sub(1);
        let expired = self.segments.iter().take(closed).take_while(|segment| {
            bytes -= segment.len;
            time.is_some_and(|time| segment.time_max < time) || bytes_max.is_some_and(|max| bytes >= max)
        });
        let count = expired.count();
        self.segments.get(count).filter(|_| count > 0).map(|segment| segment.base)
    }

    /// Offset of a batch before which no timestamp is `time` or later.
    pub(super) fn seek_time(&self, time: i64) -> Option<i64> {
        let segment = self.segments.iter().find(|segment| segment.time_max >= time)?;
        Some(segment.seek_time(time))
    }

    /// Makes everything appended durable. Gives whether there was anything to do.
    pub(super) fn sync(&mut self) -> Result<bool> {
        let is_due = self.synced < self.end;
        if is_due {
            self.sync_all()?;
        }
        Ok(is_due)
    }

    fn sync_all(&mut self) -> Result<()> {
        for segment in &mut self.segments {
            segment.sync()?;
        }
        self.synced = self.end;
        Ok(())
    }

    /// Begins a new segment. The one before is durable first where that was asked for: recovery
    /// trusts all segments but the last.
    fn roll(&mut self, base: i64) -> Result<()> {
        if self.disk.flush == Flush::Commit {
            self.sync_all()?;
        }
        self.active_mut()?.close();
        self.segments.push(Segment::create(&self.disk.fs, &self.dir, base)?);
        if self.disk.flush == Flush::Commit {
            sync_dir(&*self.disk.fs, &self.dir)?;
        }
        Ok(())
    }

    fn active(&self) -> Result<&Segment> {
        self.segments.last().ok_or_else(no_segment)
    }

    fn active_mut(&mut self) -> Result<&mut Segment> {
        self.segments.last_mut().ok_or_else(no_segment)
    }
}

fn no_segment() -> millstream_types::Error {
    millstream_types::Error::new(millstream_types::ErrorKind::Fatal, "a partition on disk has no segment")
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(fs: &dyn Fs, dir: &Path) -> Result<()> {
    fs.sync_dir(dir).map_err(|error| fs::error("sync", dir, error))
}
