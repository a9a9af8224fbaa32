//! The state directory of an application: its lock, its format and the process id. The one place
//! of this crate that touches files itself; the engine keeps its own below.
//!
//! ```text
//! <state.dir>/<application.id>/
//!   .lock                            locked by the process that uses the directory
//!   kafka-streams-process-metadata   {"processId":"<uuid>"}, as Kafka Streams writes it
//!   millstream-format                format version and application id, text
//!   millstream-threads               highest number of a thread that has written transactions, text
//!   millstream.db/                   the engine's
//! ```
#![expect(clippy::disallowed_methods, reason = "the home of this crate's file access")]

mod rights;

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millstream_types::{Error, ErrorKind, Result};

/// Version of what lies in the directory; a newer one is not opened.
const FORMAT: u32 = 1;
const FORMAT_FILE: &str = "millstream-format";
const THREADS_FILE: &str = "millstream-threads";
const PROCESS_FILE: &str = "kafka-streams-process-metadata";
const LOCK_FILE: &str = ".lock";
/// None of the small files is ever longer.
const FILE_BYTES_MAX: u64 = 4096;
/// Longer than any UUID: what is read here goes into every member's id.
const PROCESS_ID_LEN_MAX: usize = 64;
/// A kept number of threads above this is damage: each costs a request at the start.
const THREADS_MAX: usize = 10_000;

/// A locked state directory. The lock goes with the value.
#[derive(Debug)]
pub(crate) struct StateDirectory {
    path: PathBuf,
    process_id: Arc<str>,
    is_reused: bool,
    /// Holds the lock.
    _lock: File,
}

impl StateDirectory {
    /// Makes the directory if need be, locks it and looks whether it is this user's and this application's.
    /// `fresh_id` gives the process id at the first use.
    pub(crate) fn open(state_dir: &Path, application_id: &str, fresh_id: impl FnOnce() -> String) -> Result<Self> {
        check_name(application_id)?;
        // The working directory may be another one later.
        let state_dir = std::path::absolute(state_dir).map_err(|error| refused(state_dir, "cannot be found", error))?;
        let path = state_dir.join(application_id);
        rights::prepare(&state_dir, &path)?;
        let lock = lock(&path)?;
        check_format(&path, application_id)?;
        let mut is_reused = true;
        let process_id = process_id(&path, || {
            is_reused = false;
            fresh_id()
        })?;
        Ok(Self { path, process_id, is_reused, _lock: lock })
    }

    pub(crate) fn process_id(&self) -> &Arc<str> {
        &self.process_id
    }

    /// Whether an earlier process has left its id here.
    pub(crate) fn is_reused(&self) -> bool {
        self.is_reused
    }

    /// Highest number of a thread that has written transactions, as it was kept; 0 where none was, or it cannot be read.
    pub(crate) fn kept_threads(&self) -> usize {
        let text = read(&self.path.join(THREADS_FILE)).unwrap_or_default();
        text.trim().parse().ok().filter(|highest| *highest <= THREADS_MAX).unwrap_or(0)
    }

    pub(crate) fn keep_threads(&self, highest: usize) -> Result<()> {
        write(&self.path, &self.path.join(THREADS_FILE), &format!("{highest}\n"))
    }

    /// Where the engine keeps its files.
    pub(crate) fn engine_path(&self) -> PathBuf {
        self.path.join("millstream.db")
    }

    /// Whether the engine has been here.
    pub(crate) fn has_engine(&self) -> bool {
        self.engine_path().is_dir()
    }

    /// An error if the directory was removed behind our back: what is written would be lost.
    pub(crate) fn check_present(&self) -> Result<()> {
        if self.path.join(LOCK_FILE).exists() {
            return Ok(());
        }
        let message = format!(
            "state directory {} was removed while in use; do not let it be cleaned up (set state.dir to a place that is kept), then restart",
            self.path.display()
        );
        Err(Error::new(ErrorKind::Storage, message))
    }
}

/// An application id becomes a file name.
fn check_name(application_id: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if !application_id.is_empty() && application_id.bytes().all(is_plain) && !matches!(application_id, "." | "..") {
        return Ok(());
    }
    let message = format!("application.id {application_id:?} may hold letters, digits, '.', '_' and '-' only");
    Err(Error::new(ErrorKind::Configuration, message))
}

fn lock(path: &Path) -> Result<File> {
    let file = path.join(LOCK_FILE);
    let opened = rights::writable(&file, false).map_err(|error| refused(&file, "cannot be opened", error))?;
    match opened.try_lock() {
        Ok(()) => Ok(opened),
        Err(error @ TryLockError::WouldBlock) => {
            let message = format!(
                "state directory {} is in use by another process or instance; stop that one, or give this one another state.dir",
                path.display()
            );
            Err(Error::new(ErrorKind::Storage, message).with_source(io::Error::from(error)))
        }
        Err(TryLockError::Error(error)) => Err(refused(&file, "cannot be locked", error)),
    }
}

/// Reads the format file, or writes it at the first use.
fn check_format(path: &Path, application_id: &str) -> Result<()> {
    let file = path.join(FORMAT_FILE);
    let text = match read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = format!("format={FORMAT}\napplication.id={application_id}\n");
            return write(path, &file, &text);
        }
        Err(error) => return Err(refused(&file, "cannot be read", error)),
    };
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let (Some(format), Some(owner)) =
        (field("format").and_then(|format| format.parse::<u32>().ok()), field("application.id"))
    else {
        let message = format!("{} cannot be understood; {}", file.display(), delete_remedy(path));
        return Err(Error::new(ErrorKind::Corrupted, message));
    };
    if owner != application_id {
        let message = format!(
            "state directory {} belongs to application {owner:?}, not {application_id:?}; set another state.dir",
            path.display()
        );
        return Err(Error::new(ErrorKind::Configuration, message));
    }
    if format > FORMAT {
        let message = format!(
            "state directory {} was written by a newer version (format {format}, this one knows {FORMAT}); use that version, or {}",
            path.display(),
            delete_remedy(path)
        );
        return Err(Error::new(ErrorKind::Configuration, message));
    }
    Ok(())
}

/// The process id of the directory. As in Kafka Streams one that cannot be read is replaced.
fn process_id(path: &Path, fresh_id: impl FnOnce() -> String) -> Result<Arc<str>> {
    let file = path.join(PROCESS_FILE);
    match read(&file) {
        Ok(text) => {
            if let Some(id) = parse_process_id(&text) {
                return Ok(id.into());
            }
            tracing::warn!(file = %file.display(), "the process id cannot be read; a new one is made");
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(refused(&file, "cannot be read", error)),
    }
    let id = fresh_id();
    write(path, &file, &format!("{{\"processId\":\"{id}\"}}"))?;
    Ok(id.into())
}

/// The id in `{"processId":"<uuid>"}`.
fn parse_process_id(text: &str) -> Option<&str> {
    let (_, after) = text.split_once("\"processId\"")?;
    let quoted = after.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let (id, _) = quoted.split_once('"')?;
    let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (!id.is_empty() && id.len() <= PROCESS_ID_LEN_MAX && is_plain).then_some(id)
}

/// Reads a small file. What is no text cannot be understood later, which says more.
fn read(file: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(file)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Writes a small file whole or not at all.
fn write(directory: &Path, file: &Path, text: &str) -> Result<()> {
    let temporary = file.with_extension("tmp");
    let written = (|| {
        let mut open = rights::writable(&temporary, true)?;
        open.write_all(text.as_bytes())?;
        // The content must be there before the name, or a crash leaves an empty file.
        open.sync_all()?;
        fs::rename(&temporary, file)?;
        sync_names(directory)
    })();
    written.map_err(|error| refused(file, "cannot be written", error))
}

#[cfg(unix)]
fn sync_names(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
fn sync_names(_directory: &Path) -> io::Result<()> {
    Ok(())
}

#[cold]
fn refused(path: &Path, what: &str, error: io::Error) -> Error {
    let message = format!("{} {what}; check state.dir, its permissions and the space left: {error}", path.display());
    Error::new(ErrorKind::Storage, message).with_source(error)
}

/// What to do with a directory that cannot be read.
pub(crate) fn delete_remedy(path: &Path) -> String {
    format!("delete {}; it will be rebuilt from the changelogs", path.display())
}
