//! The one door to files. A real file system is behind it, and in tests one that fails.

#[cfg(test)]
pub(crate) mod faulty;
mod real;

use std::fmt;
use std::io;
use std::path::Path;

use millstream_types::{Error, ErrorKind};

pub(crate) use real::RealFs;

/// What the log needs of a file system.
pub(crate) trait Fs: fmt::Debug + Send + Sync {
    /// Creates a directory and those above it; one that exists is fine.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Names in a directory, sorted.
    fn names(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Opens a file for reading and writing.
    fn open(&self, path: &Path, mode: Mode) -> io::Result<Box<dyn FsFile>>;

    /// Renames a file over another.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory with all files in it; one that does not exist is fine.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes the lock that keeps other processes out, for as long as the value lives.
    /// `WouldBlock` when it is taken.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>>;
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It must be there.
    Existing,
    /// Emptied if it is there, created if not.
    Fresh,
}

/// An open file.
pub(crate) trait FsFile: fmt::Debug + Send + Sync {
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Fills the buffer from this position.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()>;

    /// Writes all bytes at this position.
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;

    /// Cuts the file off.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Makes the content durable.
    fn sync(&self) -> io::Result<()>;
}

/// A lock held until it is dropped.
pub(crate) trait Lock: fmt::Debug + Send + Sync {}

/// The error of an operation on a path.
pub(crate) fn error(action: &str, path: &Path, error: io::Error) -> Error {
    let path = path.display();
    let message = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("cannot {action} {path}: the disk is full; free some space and open the log again")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!("cannot {action} {path}: this process is not allowed to; check owner and permissions")
        }
        io::ErrorKind::NotFound => format!("cannot {action} {path}: it does not exist"),
        _ => format!("cannot {action} {path}: {error}"),
    };
    Error::new(ErrorKind::Storage, message).with_source(error)
}
