//! The demo's directory: the log and the state of one demo, and a marker that says so.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use millstream::types::open_patiently;
use millstream::{Error, ErrorKind, Result};

/// A directory with this file belongs to the demo and may be replaced by it.
const MARKER: &str = "millstream-demo.txt";
/// How long a directory is waited for that another process has.
const PATIENCE: Duration = Duration::from_secs(2);
const MARKER_TEXT: &str = "This directory belongs to `millstream demo`, which may delete it.\n";

/// Where one demo keeps its topics and state. While this lives, no other process replaces it.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// The marker, locked.
    _lock: File,
}

impl Directory {
    /// A directory without anything in it, apart from the marker. What an earlier demo left there
    /// is deleted; anything else is left alone and refused.
    pub(super) fn fresh(path: &Path) -> Result<Self> {
        let directory = Self::kept(path)?;
        for part in [directory.log(), directory.state()] {
            match fs::remove_dir_all(&part) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused("delete", &part, error)),
                _ => {}
            }
        }
        Ok(directory)
    }

    /// The directory as an earlier demo left it, or a new one.
    pub(super) fn kept(path: &Path) -> Result<Self> {
        let marker = path.join(MARKER);
        if !marker.is_file() {
            if !is_empty(path)? {
                let message = format!(
                    "{} exists and is not a directory of the demo (it has no {MARKER}): give another one with --dir",
                    path.display()
                );
                return Err(Error::new(ErrorKind::Configuration, message));
            }
            fs::create_dir_all(path).map_err(|error| refused("create", path, error))?;
            fs::write(&marker, MARKER_TEXT).map_err(|error| refused("write", &marker, error))?;
        }
        let lock = File::open(&marker).map_err(|error| refused("open", &marker, error))?;
        // A demo that was killed a moment ago may not have ended yet.
        let locked = || Self::locked(path, lock.try_lock());
        open_patiently(PATIENCE, locked)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The directory of an earlier demo, for reading.
    pub(super) fn existing(path: &Path) -> Result<Self> {
        let marker = path.join(MARKER);
        if !marker.is_file() {
            let message = format!("{} is not a directory of the demo: run `millstream demo run` first", path.display());
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        let lock = File::open(&marker).map_err(|error| refused("open", &marker, error))?;
        open_patiently(PATIENCE, || Self::locked(path, lock.try_lock_shared()))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    fn locked(path: &Path, answer: std::result::Result<(), TryLockError>) -> Result<()> {
        match answer {
            Ok(()) => Ok(()),
            Err(error @ TryLockError::WouldBlock) => {
                let message =
                    format!("{} is in use by another process: give this one its own with --dir", path.display());
                Err(Error::new(ErrorKind::Storage, message).with_source(io::Error::from(error)))
            }
            Err(TryLockError::Error(error)) => Err(refused("lock", path, error)),
        }
    }

    /// The embedded log.
    pub(super) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// The state stores.
    pub(super) fn state(&self) -> PathBuf {
        self.path.join("state")
    }

    /// The state stores of an instance on Kafka. They stay when a demo on the embedded log begins anew.
    pub(super) fn kafka_state(&self) -> PathBuf {
        self.path.join("kafka")
    }
}

/// Whether nothing would be lost if the directory were ours.
fn is_empty(path: &Path) -> Result<bool> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(refused("read", path, error)),
    }
}

fn refused(what: &str, path: &Path, error: io::Error) -> Error {
    Error::new(ErrorKind::Storage, format!("could not {what} {}", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_somebody_else_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("log")).unwrap();
        for directory in [Directory::fresh(home.path()), Directory::kept(home.path())] {
            assert_eq!(directory.unwrap_err().kind(), ErrorKind::Configuration);
        }
        assert!(home.path().join("log").is_dir());
    }

    #[test]
    fn a_fresh_demo_replaces_the_last_one_and_a_kept_one_does_not() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("demo");
        let directory = Directory::fresh(&path).unwrap();
        let file = directory.log().join("flights-0");
        fs::create_dir(directory.log()).unwrap();
        fs::write(&file, "records").unwrap();
        assert!(Directory::fresh(&path).unwrap_err().to_string().contains("is in use by another process"));
        drop(directory);
        Directory::kept(&path).unwrap();
        assert!(file.is_file());
        Directory::fresh(&path).unwrap();
        assert!(!file.exists());
    }

    #[test]
    fn a_dump_needs_a_demo() {
        let home = tempfile::tempdir().unwrap();
        assert!(Directory::existing(home.path()).is_err());
        Directory::kept(home.path()).unwrap();
        assert!(Directory::existing(home.path()).is_ok());
    }
}
