//! Engines in memory, kept over re-opens where a test or simulation asks for it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use millstream_types::{Result, TaskId};

use super::memory::{MemoryEngine, Table, lock};
use super::{Engine, EngineProvider};
use crate::StoreFacts;
use crate::directory::StateDirectory;

/// Batches of each engine that [`MemoryEngines::crash`] may take back.
const UNDO_MAX: usize = 8;

/// Opens engines in memory. Clones share what is kept.
#[derive(Clone)]
pub struct MemoryEngines {
    process_id: Arc<str>,
    /// Tables of persistent stores; `None` keeps nothing.
    disk: Option<Arc<Mutex<Tables>>>,
    /// Where the process id comes from, if it is kept.
    directory: Option<Arc<StateDirectory>>,
}

type Tables = BTreeMap<(Option<TaskId>, Arc<str>), Arc<Mutex<Table>>>;

impl MemoryEngines {
    /// Engines that are empty at every open.
    pub fn new(process_id: impl Into<Arc<str>>) -> Self {
        Self { process_id: process_id.into(), disk: None, directory: None }
    }

    /// Engines that are empty at every open, of a process whose id is kept in the state directory of an
    /// application, `<state.dir>/<application.id>`: who starts there next takes its place. `fresh_id` gives the id
    /// at the first use.
    ///
    /// # Errors
    /// `Storage` if the directory is in use or the file system refuses, `Configuration` if it belongs to another
    /// application or a newer version, `Corrupted` if it cannot be read.
    pub fn with_kept_id(
        state_dir: impl AsRef<Path>,
        application_id: &str,
        fresh_id: impl FnOnce() -> String,
    ) -> Result<Self> {
        let directory = StateDirectory::open(state_dir.as_ref(), application_id, fresh_id)?;
        Ok(Self { process_id: Arc::clone(directory.process_id()), disk: None, directory: Some(Arc::new(directory)) })
    }

    /// A disk in memory: persistent stores find their data again when they are opened again, also
    /// after a [crash](Self::crash). For simulations and tests.
    pub fn simulated_disk(process_id: impl Into<Arc<str>>) -> Self {
        Self { process_id: process_id.into(), disk: Some(Arc::default()), directory: None }
    }

    /// What a crash of the machine does: of each engine the last batches that were not synced, up
    /// to eight, are lost whole; how many follows from the seed. Engines that are open see it too.
    pub fn crash(&self, seed: u64) {
        let Some(disk) = &self.disk else { return };
        let mut state = seed;
        for table in lock(disk).values() {
            // Knuth's MMIX generator; its upper bits are the good ones.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let mut table = lock(table);
            let choices = table.undo_count() as u64 + 1;
            table.take_back(((state >> 33) % choices) as usize);
        }
    }
}

impl EngineProvider for MemoryEngines {
    fn open(&self, task: Option<TaskId>, facts: &StoreFacts) -> Result<Box<dyn Engine>> {
        let Some(disk) = self.disk.as_ref().filter(|_| facts.is_persistent) else {
            return Ok(Box::new(MemoryEngine::new()));
        };
        let mut tables = lock(disk);
        let table = tables
            .entry((task, Arc::clone(&facts.name)))
            .or_insert_with(|| Arc::new(Mutex::new(Table::with_undo(UNDO_MAX))));
        Ok(Box::new(MemoryEngine::over(Arc::clone(table))))
    }

    fn tasks(&self) -> Result<Vec<TaskId>> {
        let Some(disk) = &self.disk else { return Ok(Vec::new()) };
        let tables = lock(disk);
        let with_data = tables.iter().filter(|(_, table)| lock(table).has_data());
        let mut tasks: Vec<TaskId> = with_data.filter_map(|((task, _), _)| *task).collect();
        tasks.dedup();
        Ok(tasks)
    }

    fn remove(&self, task: TaskId) -> Result<()> {
        if let Some(disk) = &self.disk {
            lock(disk).retain(|(of, _), _| *of != Some(task));
        }
        Ok(())
    }

    fn process_id(&self) -> Arc<str> {
        Arc::clone(&self.process_id)
    }

    fn keeps_process_id(&self) -> bool {
        self.directory.is_some()
    }

    fn is_reused(&self) -> bool {
        self.directory.as_ref().is_some_and(|directory| directory.is_reused())
    }

    fn kept_threads(&self) -> usize {
        self.directory.as_ref().map_or(0, |directory| directory.kept_threads())
    }

    fn keep_threads(&self, highest: usize) -> Result<()> {
        self.directory.as_ref().map_or(Ok(()), |directory| directory.keep_threads(highest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_id_is_the_next_process_s_too_and_one_process_s_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let open = |id: &'static str| MemoryEngines::with_kept_id(dir.path(), "app", || id.to_owned());
        let first = open("one").unwrap();
        assert!(first.keeps_process_id() && !first.is_reused());
        assert_eq!(first.kept_threads(), 0);
        first.keep_threads(3).unwrap();
        assert!(open("two").is_err(), "the directory is in use");
        drop(first);
        let third = open("three").unwrap();
        assert_eq!((&*third.process_id(), third.kept_threads(), third.is_reused()), ("one", 3, true));
    }
}
