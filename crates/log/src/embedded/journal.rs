//! The log's own memory: topics, producers, commit points and committed offsets, in one
//! append-only file that is rewritten when it has grown.
//!
//! ```text
//! "MILLLOG1"                             once
//! length u32, CRC-32C u32, entries       for each change
//! ```
//!
//! Where the log is flushed at commits, at most the last frame is not durable, so a frame that is
//! damaged with a whole one behind it was durable once.

mod entry;
mod replay;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use millstream_types::{Error, ErrorKind, Result};

use super::disk::{Disk, sync_dir};
use super::options::Flush;
use crate::fs::{self, FsFile, Mode};
use crate::seam::{Failure, FailureKind};

pub(super) use entry::Entry;
pub(super) use replay::Replay;

const NAME: &str = "journal";
const NAME_NEW: &str = "journal.new";
const MAGIC: &[u8; 8] = b"MILLLOG1";
/// Length and checksum before each entry.
const FRAME_LEN: usize = 8;

/// The open journal.
#[derive(Debug)]
pub(super) struct Journal {
    disk: Arc<Disk>,
    path: PathBuf,
    file: Box<dyn FsFile>,
    len: u64,
    /// Length after the last rewrite.
    base_len: u64,
    /// Entries that go with the next frame.
    pending: Vec<Entry>,
}

impl Journal {
    /// Reads what a journal says. `None` when there is none: a new log.
    pub(super) fn read(disk: &Disk) -> Result<Option<Vec<Entry>>> {
        let path = disk.dir.join(NAME);
        let names = disk.fs.names(&disk.dir).map_err(|error| fs::error("read", &disk.dir, error))?;
        if !names.iter().any(|name| name == NAME) {
            return Ok(None);
        }
        let read = || {
            let file = disk.fs.open(&path, Mode::Existing)?;
            let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
            file.read_at(&mut bytes, 0)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|error| fs::error("read", &path, error))?;
        parse(&bytes, &path).map(Some)
    }

    /// Replaces the journal by one that holds these entries, durably and in one step.
    pub(super) fn create(disk: &Arc<Disk>, entries: &[Entry]) -> Result<Self> {
        let (path, path_new) = (disk.dir.join(NAME), disk.dir.join(NAME_NEW));
        let mut bytes = MAGIC.to_vec();
        for entry in entries {
            frame(std::slice::from_ref(entry), &mut bytes);
        }
        let file = disk.fs.open(&path_new, Mode::Fresh).map_err(|error| fs::error("create", &path_new, error))?;
        // Content before name: a journal that is there is whole.
        file.write_at(&bytes, 0).map_err(|error| fs::error("write", &path_new, error))?;
        file.sync().map_err(|error| fs::error("sync", &path_new, error))?;
        disk.fs.rename(&path_new, &path).map_err(|error| fs::error("rename", &path_new, error))?;
        sync_dir(&*disk.fs, &disk.dir)?;
        let len = bytes.len() as u64;
        Ok(Self { disk: disk.clone(), path, file, len, base_len: len, pending: Vec::new() })
    }

    /// Whether it has grown enough to be rewritten.
    pub(super) fn is_long(&self) -> bool {
        self.len - self.base_len > self.disk.journal_bytes.max(self.base_len)
    }

    /// Appends an entry; durable where the log is flushed at commits.
    ///
    /// # Errors
    /// `Fatal` when nothing was written, `Unknown` when it may have been. Either way nothing more
    /// may be appended.
    pub(super) fn append(&mut self, entry: Entry) -> Result<(), Failure> {
        self.pending.push(entry);
        self.append_pending()
    }

    /// Appends what was deferred, if anything was.
    pub(super) fn append_pending(&mut self) -> Result<(), Failure> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        frame(&self.pending, &mut bytes);
        self.pending.clear();
        if let Err(error) = self.file.write_at(&bytes, self.len) {
            let is_undone = self.file.truncate(self.len).is_ok();
            let kind = if is_undone { FailureKind::Fatal } else { FailureKind::Unknown };
            return Err(Failure { kind, error: fs::error("write", &self.path, error) });
        }
        self.len += bytes.len() as u64;
        if self.disk.flush == Flush::Commit { self.sync() } else { Ok(()) }
    }

    /// Keeps an entry for the next [`append`](Self::append): one that may be lost in a crash.
    pub(super) fn defer(&mut self, entry: Entry) {
        // Nothing but these may come for a long time; the last says it all.
        self.pending.clear();
        self.pending.push(entry);
    }

    /// Makes all entries durable.
    pub(super) fn sync(&mut self) -> Result<(), Failure> {
        self.file
            .sync()
            .map_err(|error| Failure { kind: FailureKind::Unknown, error: fs::error("sync", &self.path, error) })
    }
}

fn frame(entries: &[Entry], out: &mut Vec<u8>) {
    let mut payload = Vec::new();
    for entry in entries {
        entry.write(&mut payload);
    }
    out.extend((payload.len() as u32).to_be_bytes());
    out.extend(crc32c::crc32c(&payload).to_be_bytes());
    out.extend(payload);
}

/// The entries of a journal, up to one that was never finished.
fn parse(bytes: &[u8], path: &Path) -> Result<Vec<Entry>> {
    let damaged = |position: usize| {
        let path = path.display();
        let message = format!("{path} is damaged at byte {position}. Restore the log's directory from a backup");
        Error::new(ErrorKind::Corrupted, message)
    };
    let mut at = MAGIC.len();
    if bytes.get(..at) != Some(MAGIC) {
        return Err(damaged(0));
    }
    let mut entries = Vec::new();
    while let Some((frame, next)) = parse_one(bytes, at) {
        let Some(frame) = frame else { return Err(damaged(at)) };
        entries.extend(frame);
        at = next;
    }
    // What was never finished has nothing whole behind it.
    if (at + 1..bytes.len()).any(|later| matches!(parse_one(bytes, later), Some((Some(_), _)))) {
        return Err(damaged(at));
    }
    if at < bytes.len() {
        tracing::warn!(path = %path.display(), position = at, "an unfinished entry is dropped");
    }
    Ok(entries)
}

/// The frame at a position and where the next one is. `None`: no whole frame. No entries: a whole
/// frame that says nothing known.
fn parse_one(bytes: &[u8], at: usize) -> Option<(Option<Vec<Entry>>, usize)> {
    let (len, rest) = bytes.get(at..)?.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let len = u32::from_be_bytes(*len) as usize;
    // An empty frame does not exist; zeros are what a lost write leaves.
    let payload = rest.get(..len).filter(|payload| !payload.is_empty())?;
    let is_whole = crc32c::crc32c(payload) == u32::from_be_bytes(*crc);
    is_whole.then(|| (Entry::read_all(payload), at + FRAME_LEN + len))
}
