//! The operating system's files: the crate's one home of `std::fs`.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use super::{Fs, FsFile, Lock, Mode};

/// The operating system's file system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RealFs;

#[expect(clippy::disallowed_methods, reason = "the one home of files in this crate")]
impl Fs for RealFs {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        // What records say is the owner's business.
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.recursive(true).create(path)
    }

    fn names(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            // A name that is not UTF-8 is none of ours.
            names.extend(entry?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, path: &Path, mode: Mode) -> io::Result<Box<dyn FsFile>> {
        let is_fresh = mode == Mode::Fresh;
        let file = readable(is_fresh).truncate(is_fresh).open(path)?;
        Ok(Box::new(RealFile(file)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        match std::fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        // Elsewhere a directory cannot be opened, and names are durable with the file.
        if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Lock>> {
        let file = readable(true).truncate(false).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(RealLock { _file: file })),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// A file to read and write, for its owner only where it is made.
#[expect(clippy::disallowed_methods, reason = "the one home of files in this crate")]
fn readable(is_created: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(is_created);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[derive(Debug)]
struct RealFile(File);

impl FsFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    #[cfg(unix)]
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.0, buffer, position)
    }

    #[cfg(unix)]
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.0, bytes, position)
    }

    // Moving the file's own position is safe: the log uses a file under its lock only.
    #[cfg(not(unix))]
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        use std::io::{Read, Seek};
        (&self.0).seek(io::SeekFrom::Start(position))?;
        (&self.0).read_exact(buffer)
    }

    #[cfg(not(unix))]
    fn write_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        use std::io::{Seek, Write};
        (&self.0).seek(io::SeekFrom::Start(position))?;
        (&self.0).write_all(bytes)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// The operating system releases the lock with the file, however the process ends.
#[derive(Debug)]
struct RealLock {
    _file: File,
}

impl Lock for RealLock {}

#[cfg(test)]
#[cfg(unix)]
#[expect(clippy::disallowed_methods, reason = "looks at the files themselves")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_made_is_for_its_owner_only() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("log").join("words-0");
        RealFs.create_dir(&dir).unwrap();
        drop(RealFs.open(&dir.join("segment"), Mode::Fresh).unwrap());
        drop(RealFs.lock(&dir.join("lock")).unwrap());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&temporary.path().join("log")), mode(&dir)), (0o700, 0o700));
        assert_eq!((mode(&dir.join("segment")), mode(&dir.join("lock"))), (0o600, 0o600));
    }
}
