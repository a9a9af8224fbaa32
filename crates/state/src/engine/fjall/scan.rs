//! Scans of a keyspace. They go on when it is deleted, and hold up nobody who closes the database.
//!
//! A scan opens files only when it comes to them, and those of a deleted keyspace go with its last handle: so a scan
//! shares the handle. But with any handle fjall keeps its directory locked: so whoever closes the database takes the
//! handle away from the scans that are left.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use fjall::{Guard, Keyspace, LsmError};
use millstream_types::{Error, ErrorKind, Result};

use super::database::describe;

/// Held for reading by those who have handles of the database or give one up, unless they have the database's state
/// locked; for writing by who closes the database, when no handle may be left.
#[derive(Clone, Default)]
pub(super) struct HandleLock(Arc<RwLock<()>>);

impl HandleLock {
    pub(super) fn while_in_use(&self) -> RwLockReadGuard<'_, ()> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn while_none_is_in_use<T>(&self, run: impl FnOnce() -> T) -> T {
        let _lock = self.0.write().unwrap_or_else(PoisonError::into_inner);
        run()
    }
}

/// A keyspace, shared by the database and its scans until the database is closed.
pub(super) struct Opened(RwLock<Option<Keyspace>>);

impl Opened {
    pub(super) fn new(keyspace: Option<Keyspace>) -> Arc<Self> {
        Arc::new(Self(RwLock::new(keyspace)))
    }

    pub(super) fn get(&self) -> RwLockReadGuard<'_, Option<Keyspace>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn close(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// A snapshot of a range of rows.
pub(super) struct Scan {
    rows: fjall::Iter,
    is_reverse: bool,
    keyspace: Option<Arc<Opened>>,
    lock: HandleLock,
    path: Arc<Path>,
}

impl Scan {
    pub(super) fn new(
        rows: fjall::Iter,
        is_reverse: bool,
        keyspace: Arc<Opened>,
        lock: HandleLock,
        path: Arc<Path>,
    ) -> Self {
        Self { rows, is_reverse, keyspace: Some(keyspace), lock, path }
    }

    #[cold]
    fn error(&self, error: fjall::Error) -> Error {
        let is_closed = self.keyspace.as_ref().is_none_or(|keyspace| keyspace.get().is_none());
        match &error {
            fjall::Error::Io(io) | fjall::Error::Storage(LsmError::Io(io))
                if is_closed && io.kind() == std::io::ErrorKind::NotFound =>
            {
                let message = format!(
                    "the state database {} was closed while it was read, and some of the rows are gone; read again",
                    self.path.display()
                );
                Error::new(ErrorKind::State, message).with_source(error)
            }
            _ => describe(&self.path, error),
        }
    }
}

impl Iterator for Scan {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = if self.is_reverse { self.rows.next_back() } else { self.rows.next() };
        Some(match row.map(Guard::into_inner)? {
            Ok((key, value)) => Ok((key.to_vec(), value.to_vec())),
            Err(error) => Err(self.error(error)),
        })
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        // It may be the last to have the handle of a deleted keyspace, whose files go now.
        let _in_use = self.lock.while_in_use();
        self.keyspace = None;
    }
}
