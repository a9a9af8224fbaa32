//! The persistent engine: fjall, one database per state directory, a keyspace per task and store.
//!
//! ```text
//! keyspace   <task> "." <store>            "0_1.counts"; "global.rates" for global stores
//! row        01 | key                      the store's rows
//!            00                            the commit mark
//!            00 01                         header: version (1) | kind (1) | keeps duplicates (1) | row format (1)
//! ```
//!
//! The mark lies beside the data, so that one batch writes both and a quiet store pins no journal.
//! Nothing of fjall's shows outside of this folder.

mod claims;
mod database;
mod scan;

use std::path::Path;
use std::sync::Arc;

use millstream_types::{Error, ErrorKind, Result, TaskId};

use super::memory::MemoryEngine;
use super::{CommitMark, Engine, EngineProvider, Scan, mark};
use crate::directory::{StateDirectory, delete_remedy};
use crate::{MemoryBudget, StoreFacts, StoreFormat, StoreKind};
use database::{Batch, Database};

const ROW: u8 = 1;
const AFTER_ROWS: u8 = 2;
const MARK_KEY: &[u8] = &[0];
const HEADER_KEY: &[u8] = &[0, 1];
const HEADER_FORMAT: u8 = 1;

/// Longest key of the database, in bytes.
const KEY_LEN_MAX: usize = 65_535;

/// Longest name of a keyspace, in bytes.
const NAME_LEN_MAX: usize = 255;

/// Opens the stores of an application on disk: `<state.dir>/<application.id>`. Stores that are not
/// persistent get an engine in memory. Clones share the directory, which is free again when all
/// clones and engines are gone.
#[derive(Clone)]
pub struct FjallEngines {
    database: Arc<Database>,
}

impl FjallEngines {
    /// Locks the state directory of an application, and makes it if need be. `fresh_id` gives the
    /// process id (a UUID) at the first use.
    ///
    /// # Errors
    /// `Storage` if the directory is in use or the file system refuses, `Configuration` if it
    /// belongs to another application or a newer version, `Corrupted` if it cannot be read.
    pub fn open(state_dir: impl AsRef<Path>, application_id: &str, fresh_id: impl FnOnce() -> String) -> Result<Self> {
        let directory = StateDirectory::open(state_dir.as_ref(), application_id, fresh_id)?;
        Ok(Self { database: Arc::new(Database::new(directory)) })
    }

    /// Forces what was written so far to the disk; without it a crash of the machine (not of the
    /// process) may cost the last commits, which the changelogs then replace.
    pub fn sync(&self) -> Result<()> {
        self.database.sync()
    }
}

impl EngineProvider for FjallEngines {
    fn open(&self, task: Option<TaskId>, facts: &StoreFacts) -> Result<Box<dyn Engine>> {
        if !facts.is_persistent {
            return Ok(Box::new(MemoryEngine::new()));
        }
        let name = keyspace_name(task, &facts.name)?;
        self.database.create(&name)?;
        let format = match facts.format {
            StoreFormat::Plain => 0,
            StoreFormat::Timestamped => 1,
            StoreFormat::Headers => 2,
        };
        let header = [HEADER_FORMAT, kind_code(facts.kind), u8::from(facts.retains_duplicates), format];
        let mut engine = FjallEngine { database: Arc::clone(&self.database), name: name.into(), header };
        engine.check_header(facts)?;
        Ok(Box::new(engine))
    }

    fn tasks(&self) -> Result<Vec<TaskId>> {
        let names = self.database.names()?;
        let mut tasks: Vec<TaskId> = names.iter().filter_map(|name| task_of(name)).collect();
        tasks.sort_unstable();
        tasks.dedup();
        Ok(tasks)
    }

    fn remove(&self, task: TaskId) -> Result<()> {
        for name in self.database.names()?.iter().filter(|name| task_of(name) == Some(task)) {
            self.database.remove(name)?;
        }
        Ok(())
    }

    fn share_memory(&self, memory: &MemoryBudget) {
        self.database.share_memory(memory);
    }

    fn process_id(&self) -> Arc<str> {
        Arc::clone(self.database.directory().process_id())
    }

    fn keeps_process_id(&self) -> bool {
        true
    }

    fn is_reused(&self) -> bool {
        self.database.directory().is_reused()
    }

    fn kept_threads(&self) -> usize {
        self.database.directory().kept_threads()
    }

    fn keep_threads(&self, highest: usize) -> Result<()> {
        self.database.directory().keep_threads(highest)
    }
}

fn keyspace_name(task: Option<TaskId>, store: &str) -> Result<String> {
    let name = match task {
        Some(task) => format!("{task}.{store}"),
        None => format!("global.{store}"),
    };
    if name.len() <= NAME_LEN_MAX {
        return Ok(name);
    }
    let message =
        format!("the name of store {store} is too long: with its task it takes more than {NAME_LEN_MAX} bytes");
    Err(Error::new(ErrorKind::Configuration, message))
}

fn task_of(name: &str) -> Option<TaskId> {
    let (task, _) = name.split_once('.')?;
    let (subtopology, partition) = task.split_once('_')?;
    Some(TaskId { subtopology: subtopology.parse().ok()?, partition: partition.parse().ok()? })
}

/// Numbers that stand in headers on disk; never reused.
fn kind_code(kind: StoreKind) -> u8 {
    match kind {
        StoreKind::KeyValue => 1,
        StoreKind::TimestampedKeyValue | StoreKind::TimestampedKeyValueWithHeaders => 2,
        StoreKind::Window => 3,
        StoreKind::TimestampedWindow | StoreKind::TimestampedWindowWithHeaders => 4,
        StoreKind::Session | StoreKind::SessionWithHeaders => 5,
        StoreKind::Versioned => 7,
        StoreKind::Custom => 30,
        StoreKind::ChangeBuffer => 20,
        StoreKind::StreamBuffer => 21,
        StoreKind::OuterJoin => 9,
    }
}

/// One store of one task: a keyspace.
struct FjallEngine {
    database: Arc<Database>,
    name: Arc<str>,
    header: [u8; 4],
}

impl FjallEngine {
    /// The part of the header that rows of another format share.
    fn kind(&self) -> &[u8] {
        self.header.split_last().map_or(&[], |(_, kind)| kind)
    }

    fn write_header(&self) -> Result<()> {
        self.database.write(&self.name, &Batch { before: (HEADER_KEY, &self.header), rows_prefix: ROW, rows: &[] })
    }

    /// Refuses data of another kind of store; marks an empty keyspace as this store's.
    fn check_header(&mut self, facts: &StoreFacts) -> Result<()> {
        match self.database.get(&self.name, HEADER_KEY)? {
            None => self.write_header(),
            Some(header) if header == self.header => Ok(()),
            Some(header) if header.len() == self.header.len() && header.starts_with(self.kind()) && facts.is_logged => {
                tracing::info!(
                    store = &*facts.name,
                    "the store's rows get another format; it is read back from its changelog"
                );
                self.wipe()
            }
            Some(header) => {
                let is_newer = header.first().is_some_and(|format| *format > HEADER_FORMAT);
                let problem = if is_newer { "a newer version" } else { "a store of another kind under this name" };
                let message = format!(
                    "the data of store {} in {} was written by {problem}; go back to what wrote it, give the store another name, or {}",
                    facts.name,
                    self.database.path().display(),
                    delete_remedy(self.database.path())
                );
                Err(Error::new(ErrorKind::Configuration, message)
                    .with_context(|context| context.store = Some(Arc::clone(&facts.name))))
            }
        }
    }
}

fn row_key(key: &[u8]) -> Vec<u8> {
    [&[ROW], key].concat()
}

impl Engine for FjallEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.database.get(&self.name, &row_key(key))
    }

    fn scan(&self, from: Option<&[u8]>, to: Option<&[u8]>, is_reverse: bool) -> Result<Scan> {
        let from = row_key(from.unwrap_or_default());
        let to = to.map_or_else(|| vec![AFTER_ROWS], row_key);
        if from >= to {
            return Ok(Box::new(std::iter::empty()));
        }
        let rows = self.database.scan(&self.name, from..to, is_reverse)?;
        Ok(Box::new(rows.map(|row| {
            let (mut key, value) = row?;
            key.remove(0);
            Ok((key, value))
        })))
    }

    fn apply(&mut self, writes: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>, mark: &CommitMark) -> Result<()> {
        let mut rows = Vec::with_capacity(writes.size_hint().0);
        for (key, value) in writes {
            if key.len() >= KEY_LEN_MAX {
                let message = format!("a key of {} bytes is too long for a store on disk: at most 65534", key.len());
                return Err(Error::new(ErrorKind::Production, message));
            }
            rows.push((key, value));
        }
        let mark = mark::encode(mark);
        self.database.write(&self.name, &Batch { before: (MARK_KEY, &mark), rows_prefix: ROW, rows: &rows })
    }

    fn mark(&self) -> Result<Option<CommitMark>> {
        let Some(bytes) = self.database.get(&self.name, MARK_KEY)? else { return Ok(None) };
        mark::decode(&bytes).map(Some).ok_or_else(|| self.database.corrupted("holds a commit mark that cannot be read"))
    }

    fn wipe(&mut self) -> Result<()> {
        self.database.clear(&self.name)?;
        self.write_header()
    }

    fn is_persistent(&self) -> bool {
        true
    }
}
