//! One fjall database, opened at its first use and again after a failed write.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};

use fjall::{Keyspace, KeyspaceCreateOptions, LsmError, PersistMode, Readable};
use millstream_types::{Error, ErrorKind, Result};

use super::claims;
use super::scan::{HandleLock, Opened, Scan};
use crate::MemoryBudget;
use crate::directory::{StateDirectory, delete_remedy};
use crate::memory_budget::MemoryShare;

/// Cap of the journal in bytes; fjall's least. Recovery reads all of it.
const JOURNAL_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Bytes of blocks that reads keep in memory, for all stores together, where no budget says more.
const BLOCK_CACHE_BYTES: usize = 1024 * 1024;

/// The part of the memory budget that these blocks have. Rows at hand are better: they need not be searched.
const BLOCK_CACHE_PART: usize = 12;

/// Bytes of writes that one keyspace keeps in memory before they become a table.
const MEMTABLE_BYTES: u64 = 4 * 1024 * 1024;

/// Rows from which on a batch becomes tables at once, about eight times faster than by way of the
/// journal. Smaller ones would leave many small tables.
const INGEST_ROWS_MIN: usize = 20_000;

/// Bytes of keys and values from which on it does, too: half of what makes a table by way of the journal.
const INGEST_BYTES_MIN: usize = MEMTABLE_BYTES as usize / 2;

/// Threads that flush and compact.
const WORKERS: usize = 2;

/// What is written at once.
pub(super) struct Batch<'a> {
    /// A pair that comes before all rows.
    pub(super) before: (&'a [u8], &'a [u8]),
    /// What the keys of rows begin with.
    pub(super) rows_prefix: u8,
    /// Keys and values, sorted by key and each key once; `None` deletes.
    pub(super) rows: &'a [(&'a [u8], Option<&'a [u8]>)],
}

impl Batch<'_> {
    fn is_large(&self) -> bool {
        let bytes = || self.rows.iter().map(|(key, value)| key.len() + value.map_or(0, <[u8]>::len)).sum::<usize>();
        self.rows.len() >= INGEST_ROWS_MIN || bytes() >= INGEST_BYTES_MIN
    }

    /// Gives all pairs, in order.
    fn each<E>(&self, mut put: impl FnMut(&[u8], Option<&[u8]>) -> Result<(), E>) -> Result<(), E> {
        put(self.before.0, Some(self.before.1))?;
        let mut prefixed = vec![self.rows_prefix];
        for (key, value) in self.rows {
            prefixed.truncate(1);
            prefixed.extend_from_slice(key);
            put(&prefixed, *value)?;
        }
        Ok(())
    }
}

/// The database of a state directory.
pub(super) struct Database {
    path: Arc<Path>,
    state: RwLock<State>,
    /// Taken before the state's lock.
    handles: HandleLock,
    /// A write failed: fjall takes no more until it is opened again.
    must_reopen: AtomicBool,
    directory: StateDirectory,
    /// What is kept in memory, of the process's budget.
    memory: Mutex<Memory>,
}

struct Memory {
    block_cache_bytes: usize,
    share: Option<MemoryShare>,
}

#[derive(Default)]
struct State {
    /// The keyspaces in use.
    keyspaces: BTreeMap<String, Arc<Opened>>,
    /// Keyspaces that were deleted and may still be scanned.
    deleted: Vec<Weak<Opened>>,
    database: Option<fjall::Database>,
}

impl State {
    /// Gives up all handles, those of scans too: fjall keeps its directory locked as long as there is one.
    fn close(&mut self) {
        let deleted = self.deleted.drain(..).filter_map(|keyspace| keyspace.upgrade());
        self.keyspaces.values().cloned().chain(deleted).for_each(|keyspace| keyspace.close());
        self.database = None;
    }
}

impl Database {
    pub(super) fn new(directory: StateDirectory) -> Self {
        let path = directory.engine_path().into();
        let memory = Mutex::new(Memory { block_cache_bytes: BLOCK_CACHE_BYTES, share: None });
        let (state, handles, must_reopen) = (RwLock::default(), HandleLock::default(), AtomicBool::new(false));
        Self { path, state, handles, must_reopen, directory, memory }
    }

    /// Counts what is kept in memory against a budget, from the database's first use on.
    pub(super) fn share_memory(&self, budget: &MemoryBudget) {
        let block_cache_bytes = budget.bytes_max() / BLOCK_CACHE_PART;
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) =
            Memory { block_cache_bytes, share: Some(budget.share(false)) };
    }

    /// Tells the budget what writes wait in memory, and the size of the block cache.
    fn count_memory(&self, database: &fjall::Database) {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = usize::try_from(database.write_buffer_size()).unwrap_or_default();
        let bytes = memory.block_cache_bytes + waiting;
        if let Some(share) = &mut memory.share {
            share.set(bytes, 0);
        }
    }

    pub(super) fn directory(&self) -> &StateDirectory {
        &self.directory
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a keyspace unless there is one.
    pub(super) fn create(&self, name: &str) -> Result<()> {
        let _in_use = self.handles.while_in_use();
        let database = self.ensure(&mut self.lock_mut())?;
        let keyspace = database.keyspace(name, options).map_err(|error| self.error(error))?;
        self.lock_mut().keyspaces.insert(name.to_owned(), Opened::new(Some(keyspace)));
        Ok(())
    }

    /// Names of all keyspaces; none if the database was never made.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        if !self.directory.has_engine() {
            return Ok(Vec::new());
        }
        let mut state = self.lock_mut();
        Ok(self.ensure(&mut state)?.list_keyspace_names().iter().map(ToString::to_string).collect())
    }

    /// Removes a keyspace. Its files go with the last handle, when nobody scans it any more; reads do not wait for that.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        let _in_use = self.handles.while_in_use();
        let database = self.ensure(&mut self.lock_mut())?;
        let keyspace = database.keyspace(name, options).map_err(|error| self.error(error))?;
        database.delete_keyspace(keyspace).map_err(|error| self.error(error))?;
        let mut state = self.lock_mut();
        let removed = state.keyspaces.remove(name);
        state.deleted.retain(|keyspace| keyspace.strong_count() > 0);
        state.deleted.extend(removed.as_ref().map(Arc::downgrade));
        drop(state);
        drop(removed);
        Ok(())
    }

    pub(super) fn get(&self, name: &str, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.with(name, |_, keyspace, _| Ok(keyspace.get(key)?.map(|value| value.to_vec())))
    }

    /// A snapshot of a range of rows. It outlives the keyspace, and the database's being opened again.
    pub(super) fn scan(&self, name: &str, range: Range<Vec<u8>>, is_reverse: bool) -> Result<Scan> {
        self.with(name, |database, keyspace, opened| {
            // `Keyspace::range` would show later writes.
            let rows = database.snapshot().range(keyspace, range);
            Ok(Scan::new(rows, is_reverse, Arc::clone(opened), self.handles.clone(), Arc::clone(&self.path)))
        })
    }

    /// Writes a batch, whole or not at all.
    pub(super) fn write(&self, name: &str, batch: &Batch<'_>) -> Result<()> {
        self.directory.check_present()?;
        self.reopen_if_needed()?;
        let written = self.with(name, |database, keyspace, _| {
            // A caller that breaks the order must not make the ingestion panic.
            if batch.is_large() && batch.rows.is_sorted_by(|one, next| one.0 < next.0) {
                return ingest(keyspace, batch);
            }
            let mut rows = database.batch();
            batch.each(|key, value| {
                match value {
                    Some(value) => rows.insert(keyspace, key, value),
                    None => rows.remove(keyspace, key),
                }
                Ok::<(), fjall::Error>(())
            })?;
            rows.commit()?;
            self.count_memory(database);
            Ok(())
        });
        self.note(written)
    }

    /// Deletes all rows of a keyspace, by a new one in its place.
    ///
    /// `Keyspace::clear` would stand in the journal and be done again whenever the journal is read, then also to the
    /// tables of later ingestions, which do not stand there.
    pub(super) fn clear(&self, name: &str) -> Result<()> {
        self.directory.check_present()?;
        self.reopen_if_needed()?;
        let cleared = self.remove(name).and_then(|()| self.create(name));
        if cleared.is_err() {
            // It is in use all the same: it comes back when the database is opened again.
            self.lock_mut().keyspaces.entry(name.to_owned()).or_insert_with(|| Opened::new(None));
        }
        self.note(cleared)
    }

    pub(super) fn sync(&self) -> Result<()> {
        let state = self.lock();
        let Some(database) = &state.database else { return Ok(()) };
        let synced = database.persist(PersistMode::SyncAll).map_err(|error| self.error(error));
        drop(state);
        self.note(synced)
    }

    fn note<T>(&self, result: Result<T>) -> Result<T> {
        if result.as_ref().is_err_and(|error| matches!(error.kind(), ErrorKind::Storage | ErrorKind::Corrupted)) {
            self.must_reopen.store(true, Ordering::Release);
        }
        result
    }

    fn with<T>(
        &self,
        name: &str,
        run: impl FnOnce(&fjall::Database, &Keyspace, &Arc<Opened>) -> fjall::Result<T>,
    ) -> Result<T> {
        let state = self.lock();
        let Some(database) = &state.database else {
            let path = self.path.display();
            let message = format!("the state database {path} is closed after a failure; the next write opens it again");
            return Err(Error::new(ErrorKind::Storage, message));
        };
        let opened = state.keyspaces.get(name);
        let handle = opened.map(|opened| opened.get());
        let (Some(opened), Some(Some(keyspace))) = (opened, handle.as_deref()) else {
            let message = format!("store {name} of the state database {} was removed", self.path.display());
            return Err(Error::new(ErrorKind::State, message));
        };
        run(database, keyspace, opened).map_err(|error| self.error(error))
    }

    /// After a failed write: opens the database again, and with it the keyspaces in use.
    fn reopen_if_needed(&self) -> Result<()> {
        if !self.must_reopen.load(Ordering::Acquire) {
            return Ok(());
        }
        self.handles.while_none_is_in_use(|| {
            let mut state = self.lock_mut();
            if !self.must_reopen.load(Ordering::Acquire) {
                return Ok(());
            }
            tracing::warn!(path = %self.path.display(), "a write failed; the state database is opened again");
            state.close();
            let database = self.ensure(&mut state)?;
            for (name, opened) in &mut state.keyspaces {
                *opened = Opened::new(Some(database.keyspace(name, options).map_err(|error| self.error(error))?));
            }
            self.must_reopen.store(false, Ordering::Release);
            Ok(())
        })
    }

    /// The database, opened if need be. Who opens a keyspace has asked for it.
    fn ensure(&self, state: &mut State) -> Result<fjall::Database> {
        self.check_working_directory()?;
        if let Some(database) = &state.database {
            return Ok(database.clone());
        }
        let damaged = claims::damaged(&self.path).map_err(|error| self.error(error.into()))?;
        if let Some(file) = damaged {
            return Err(self.corrupted(&format!("is damaged: {} is not as it was written", file.display())));
        }
        let block_cache_bytes = self.memory.lock().unwrap_or_else(PoisonError::into_inner).block_cache_bytes;
        let database = catch_unwind(AssertUnwindSafe(|| {
            fjall::Database::builder(&self.path)
                .max_journaling_size(JOURNAL_BYTES_MAX)
                .cache_size(block_cache_bytes as u64)
                .worker_threads(WORKERS)
                .open()
        }));
        // A damaged file can make the recovery panic.
        let database = database.map_err(|_| self.corrupted("cannot be opened"))?.map_err(|error| self.error(error))?;
        self.count_memory(&database);
        state.database = Some(database.clone());
        Ok(database)
    }

    /// fjall asks for the working directory whenever it opens something, though the path it has is absolute, and
    /// panics where there is none.
    fn check_working_directory(&self) -> Result<()> {
        let Err(error) = std::env::current_dir() else { return Ok(()) };
        let message = format!(
            "the working directory of this process cannot be told (was it removed?), without which the state database \
             {} cannot be opened; start the process in a directory that stays",
            self.path.display()
        );
        Err(Error::new(ErrorKind::Storage, message).with_source(error))
    }

    fn lock(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, error: fjall::Error) -> Error {
        describe(&self.path, error)
    }

    /// An error for damaged data, with the remedy.
    pub(super) fn corrupted(&self, what: &str) -> Error {
        let message = format!("the state database {} {what}; {}", self.path.display(), delete_remedy(&self.path));
        Error::new(ErrorKind::Corrupted, message)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.handles.while_none_is_in_use(|| state.close());
    }
}

/// Writes a large batch straight into tables, past journal and memtable: the bulk load of a
/// restore. The tables become visible together.
fn ingest(keyspace: &Keyspace, batch: &Batch<'_>) -> fjall::Result<()> {
    let mut ingestion = keyspace.start_ingestion()?;
    batch.each(|key, value| match value {
        Some(value) => ingestion.write(key, value),
        None => ingestion.write_tombstone(key),
    })?;
    ingestion.finish()
}

fn options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES)
}

/// What kind of error it is for the caller, and what can be done.
#[cold]
pub(super) fn describe(path: &Path, error: fjall::Error) -> Error {
    use std::io::ErrorKind as Io;

    let place = path.display();
    let io = match &error {
        fjall::Error::Io(io) | fjall::Error::Storage(LsmError::Io(io)) => Some(io.kind()),
        _ => None,
    };
    let (kind, message) = match (&error, io) {
        (fjall::Error::Poisoned, _) => (
            ErrorKind::Storage,
            format!("a write to the state database {place} failed before; it is opened again with the next write"),
        ),
        (fjall::Error::Locked, _) => (
            ErrorKind::Storage,
            format!("the state database {place} is in use by another process; stop it, or set another state.dir"),
        ),
        (fjall::Error::KeyspaceDeleted, _) => {
            (ErrorKind::State, format!("a store of the state database {place} was removed while it was open"))
        }
        (fjall::Error::InvalidVersion(Some(_)), _) => (
            ErrorKind::Configuration,
            format!("the state database {place} was written by another version; {}", delete_remedy(path)),
        ),
        (_, Some(io)) if !matches!(io, Io::InvalidData | Io::UnexpectedEof | Io::NotFound) => (
            ErrorKind::Storage,
            format!("the file system refuses the state database {place}; check its space and permissions: {error}"),
        ),
        _ => (ErrorKind::Corrupted, format!("the state database {place} is damaged; {}: {error}", delete_remedy(path))),
    };
    Error::new(kind, message).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failed_write_the_database_is_opened_again_below_its_engines_and_scans() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(directory.path(), "app", || "id".to_owned()).unwrap();
        let database = Database::new(state);
        let write = |name: &str, value: &str, rows: &[(&[u8], Option<&[u8]>)]| {
            database.write(name, &Batch { before: (b"a", value.as_bytes()), rows_prefix: b'b', rows })
        };
        for name in ["one", "two"] {
            database.create(name).unwrap();
            write(name, "1", &[(b"", Some(b"1"))]).unwrap();
        }
        let scan = database.scan("one", b"a".to_vec()..b"z".to_vec(), false).unwrap();

        let failed: Result<()> = Err(database.error(fjall::Error::Poisoned));
        assert_eq!(database.note(failed).unwrap_err().kind(), ErrorKind::Storage);
        assert_eq!(database.get("two", b"a").unwrap().as_deref(), Some(&b"1"[..]), "reads go on meanwhile");
        write("one", "2", &[]).unwrap();
        assert!(!database.must_reopen.load(Ordering::Acquire));
        assert_eq!(database.get("one", b"a").unwrap().as_deref(), Some(&b"2"[..]));
        assert_eq!(database.get("two", b"b").unwrap().as_deref(), Some(&b"1"[..]));
        let values: Vec<Vec<u8>> = scan.map(|row| row.unwrap().1).collect();
        assert_eq!(values, [b"1", b"1"], "the snapshot is as it was");
    }

    #[test]
    fn a_scan_of_a_deleted_keyspace_does_not_keep_the_database_from_being_opened_again() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(directory.path(), "app", || "id".to_owned()).unwrap();
        let database = Database::new(state);
        database.create("one").unwrap();
        let batch = Batch { before: (b"a", b"1"), rows_prefix: b'b', rows: &[] };
        let large = vec![7; INGEST_BYTES_MIN];
        database.write("one", &Batch { rows: &[(b"", Some(&large))], ..batch }).unwrap();
        let scan = || database.scan("one", b"a".to_vec()..b"z".to_vec(), false).unwrap();
        let of_deleted = scan();
        database.clear("one").unwrap();
        database.write("one", &batch).unwrap();
        let of_closed = scan();

        database.note::<()>(Err(database.error(fjall::Error::Poisoned))).unwrap_err();
        database.write("one", &batch).unwrap();
        assert_eq!(of_closed.map(Result::unwrap).count(), 1);
        let error = of_deleted.collect::<Result<Vec<_>>>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::State, "{error}");
        assert!(error.message().contains("read again"), "{error}");
    }

    #[test]
    fn while_files_are_deleted_reads_go_on_and_the_database_is_not_opened_again() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDirectory::open(directory.path(), "app", || "id".to_owned()).unwrap();
        let database = Database::new(state);
        let batch = Batch { before: (b"a", b"1"), rows_prefix: b'b', rows: &[] };
        database.create("one").unwrap();
        database.write("one", &batch).unwrap();
        database.note::<()>(Err(database.error(fjall::Error::Poisoned))).unwrap_err();
        std::thread::scope(|scope| {
            let deleting = database.handles.while_in_use();
            let writer = scope.spawn(|| database.write("one", &batch));
            assert_eq!(database.get("one", b"a").unwrap().as_deref(), Some(&b"1"[..]));
            assert!(database.must_reopen.load(Ordering::Acquire));
            drop(deleting);
            writer.join().unwrap().unwrap();
        });
        assert!(!database.must_reopen.load(Ordering::Acquire));
    }

    #[test]
    fn a_full_disk_and_a_damaged_file_are_told_apart() {
        let path = Path::new("/state/app/millstream.db");
        let io = |kind| fjall::Error::Io(std::io::Error::from(kind));
        let cases = [
            (io(std::io::ErrorKind::StorageFull), ErrorKind::Storage, "space"),
            (io(std::io::ErrorKind::PermissionDenied), ErrorKind::Storage, "permissions"),
            (io(std::io::ErrorKind::UnexpectedEof), ErrorKind::Corrupted, "rebuilt"),
            (fjall::Error::Unrecoverable, ErrorKind::Corrupted, "rebuilt"),
            (fjall::Error::Poisoned, ErrorKind::Storage, "again"),
            (fjall::Error::Locked, ErrorKind::Storage, "another process"),
        ];
        for (error, kind, words) in cases {
            let shown = format!("{error:?}");
            let error = describe(path, error);
            assert_eq!(error.kind(), kind, "{shown}");
            assert!(error.message().contains(words) && error.message().contains("/state/app"), "{shown}: {error}");
        }
    }
}
