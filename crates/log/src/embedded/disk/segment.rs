//! One segment file.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use millstream_types::{Error, ErrorKind, Offset, Result};

use crate::batch::{Batch, BatchHeader};
use crate::fs::{self, Fs, FsFile, Mode};

/// Bytes between two entries of the sparse index.
const INDEX_BYTES: u64 = 32 << 10;
/// A segment stays below this, so that positions fit the index.
const SEGMENT_BYTES_MAX: u64 = 2 << 30;

/// A file of batches, one after the other.
#[derive(Debug)]
pub(super) struct Segment {
    /// Offset of its first record; the file's name.
    pub(super) base: i64,
    pub(super) path: PathBuf,
    fs: Arc<dyn Fs>,
    /// Open as long as the segment is written to. Closed segments are opened for each read: a log
    /// may have more of them than a process may have files.
    file: Option<Box<dyn FsFile>>,
    /// Bytes that count. More may be there after a failed write.
    pub(super) len: u64,
    pub(super) time_max: i64,
    index: Vec<Entry>,
    /// Position from which the next index entry is due.
    index_due: u64,
    is_dirty: bool,
    /// Offset and position after the last read: where most reads go on.
    read_on: Cell<(i64, u64)>,
}

/// Where some batch lies, and the largest timestamp before it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: i64,
    position: u32,
    time_before: i64,
}

impl Segment {
    /// A new, empty file.
    pub(super) fn create(fs: &Arc<dyn Fs>, dir: &Path, base: i64) -> Result<Self> {
        Self::open(fs, dir, base, Mode::Fresh)
    }

    /// An existing file, of which nothing is known yet; [`note`](Self::note) tells its batches.
    pub(super) fn existing(fs: &Arc<dyn Fs>, dir: &Path, base: i64) -> Result<Self> {
        Self::open(fs, dir, base, Mode::Existing)
    }

    fn open(fs: &Arc<dyn Fs>, dir: &Path, base: i64, mode: Mode) -> Result<Self> {
        let path = dir.join(format!("{base:020}.log"));
        let file = fs.open(&path, mode).map_err(|error| fs::error("open", &path, error))?;
        Ok(Self {
            base,
            path,
            fs: fs.clone(),
            file: Some(file),
            len: 0,
            time_max: i64::MIN,
            index: Vec::new(),
            index_due: 0,
            is_dirty: true,
            read_on: Cell::new((base, 0)),
        })
    }

    /// Nothing will be written any more.
    pub(super) fn close(&mut self) {
        self.file = None;
    }

    /// Uses the file, open or not.
    pub(super) fn with_file<T>(&self, action: &str, run: impl FnOnce(&dyn FsFile) -> std::io::Result<T>) -> Result<T> {
        let answer = match &self.file {
            Some(file) => run(&**file),
            None => self.fs.open(&self.path, Mode::Existing).and_then(|file| run(&*file)),
        };
        answer.map_err(|error| fs::error(action, &self.path, error))
    }

    /// Whether a batch of this length belongs into the next segment.
    pub(super) fn is_full(&self, len: u64, segment_bytes: u64) -> bool {
        self.len > 0 && self.len + len > segment_bytes.min(SEGMENT_BYTES_MAX)
    }

    /// Writes a batch at the end.
    pub(super) fn append(&mut self, batch: &Batch) -> Result<()> {
        self.is_dirty = true;
        let position = self.len;
        self.with_file("write", |file| {
            file.write_at(batch.bytes(), position).inspect_err(|_| {
                // If this fails as well, the bytes are cut off when the log is opened.
                let _ = file.truncate(position);
            })
        })?;
        self.note(batch.header());
        Ok(())
    }

    /// Takes note of the batch at the end of what is known.
    pub(super) fn note(&mut self, header: &BatchHeader) {
        if self.len >= self.index_due {
            let (offset, position) = (header.base_offset, self.len as u32);
            self.index.push(Entry { offset, position, time_before: self.time_max });
            self.index_due = self.len + INDEX_BYTES;
        }
        self.time_max = self.time_max.max(header.max_timestamp);
        self.len += header.len as u64;
    }

    pub(super) fn sync(&mut self) -> Result<()> {
        if self.is_dirty {
            self.with_file("sync", |file| file.sync())?;
            self.is_dirty = false;
        }
        Ok(())
    }

    /// See [`DiskStorage::read`](super::DiskStorage::read).
    pub(super) fn read(&self, from: i64, limit: i64, bytes_max: usize) -> Result<Vec<Batch>> {
        let (mut position, lead) = self.seek(from);
        let (mut batches, mut bytes) = (Vec::new(), 0);
        let mut chunk = self.chunk(position, bytes_max.saturating_add(lead))?;
        while position < self.len && bytes < bytes_max {
            let header = match BatchHeader::parse(&chunk) {
                Ok(header) if header.len <= chunk.len() => header,
                _ if !batches.is_empty() => break,
                Ok(header) => {
                    chunk = self.chunk(position, header.len)?;
                    header
                }
                Err(_) => {
                    chunk = self.chunk(position, crate::batch::HEADER_LEN)?;
                    BatchHeader::parse(&chunk).map_err(|error| self.damaged(position, error))?
                }
            };
            if header.base_offset >= limit {
                break;
            }
            if header.last_offset() < from {
                chunk = chunk.slice(header.len.min(chunk.len())..);
                position += header.len as u64;
                continue;
            }
            if header.len > chunk.len() {
                chunk = self.chunk(position, header.len)?;
            }
            let (batch, len) = Batch::parse(chunk.clone()).map_err(|error| self.damaged(position, error))?;
            chunk = chunk.slice(len..);
            position += len as u64;
            bytes += len;
            self.read_on.set((batch.last_offset().0 + 1, position));
            batches.push(batch);
        }
        Ok(batches)
    }

    /// A position at or before the batch that holds an offset, and how far before it may be.
    fn seek(&self, from: i64) -> (u64, usize) {
        let (offset, position) = self.read_on.get();
        if offset == from {
            return (position, 0);
        }
        let after = self.index.partition_point(|entry| entry.offset <= from);
        let entry = after.checked_sub(1).and_then(|at| self.index.get(at));
        (entry.map_or(0, |entry| u64::from(entry.position)), INDEX_BYTES as usize)
    }

    /// Offset of a batch before which no timestamp in this segment is `time` or later.
    pub(super) fn seek_time(&self, time: i64) -> i64 {
        let after = self.index.partition_point(|entry| entry.time_before < time);
        after.checked_sub(1).and_then(|at| self.index.get(at)).map_or(self.base, |entry| entry.offset)
    }

    /// Bytes of the file from a position on, fewer at its end.
    fn chunk(&self, position: u64, len: usize) -> Result<Bytes> {
        let left = usize::try_from(self.len.saturating_sub(position)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len.min(left)];
        self.with_file("read", |file| file.read_at(&mut bytes, position))?;
        Ok(bytes.into())
    }

    /// The error for a batch that was whole once.
    pub(super) fn damaged(&self, position: u64, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        let offset = self.index.iter().rev().find(|entry| u64::from(entry.position) <= position);
        let offset = offset.map_or(self.base, |entry| entry.offset);
        let path = self.path.display();
        let message = format!(
            "{path} is damaged at byte {position}, in the records from offset {offset} on: {source}. Restore the file \
             from a backup. Or, to give up what follows, remove the later .log files beside it, cut it to {position} \
             bytes, and open the log once with log.flush=os"
        );
        Error::new(ErrorKind::Corrupted, message).with_context(|c| c.offset = Some(Offset(offset))).with_source(source)
    }
}
