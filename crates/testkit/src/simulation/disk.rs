//! A disk that forgets: engines whose last batches are lost in a crash.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_state::{CommitMark, Engine, EngineProvider, Scan, StoreFacts};
use millstream_types::{Error, ErrorKind, Result, TaskId};

use super::Trace;
use crate::Random;

/// The state directory of one instance. It outlives the instance; clones share it.
///
/// Batches are atomic. A crash loses the last ones of each store, as many as were not synced and
/// chance has it; a store that is not persistent loses everything.
#[derive(Clone)]
pub struct Disk(Arc<Mutex<Inner>>);

struct Inner {
    process_id: Arc<str>,
    random: Random,
    trace: Trace,
    /// How often a batch is refused, in a thousand.
    failures: u32,
    /// Moves with every crash: engines opened before are dead.
    generation: u64,
    stores: BTreeMap<StoreKey, Store>,
}

type StoreKey = (Option<TaskId>, Arc<str>);
type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;
type Batch = (Vec<(Vec<u8>, Option<Vec<u8>>)>, Option<CommitMark>);

#[derive(Default)]
struct Store {
    is_persistent: bool,
    synced: Content,
    /// Batches since; a crash keeps a prefix of them.
    unsynced: Vec<Batch>,
    present: Content,
}

#[derive(Clone, Default)]
struct Content {
    pairs: Pairs,
    mark: Option<CommitMark>,
}

impl Content {
    fn apply(&mut self, (writes, mark): &Batch) {
        for (key, value) in writes {
            match value {
                Some(value) => self.pairs.insert(key.clone(), value.clone()),
                None => self.pairs.remove(key),
            };
        }
        self.mark.clone_from(mark);
    }
}

impl Disk {
    /// An empty disk.
    pub fn new(process_id: &str, random: Random, failures: u32, trace: Trace) -> Self {
        let process_id = process_id.into();
        Self(Arc::new(Mutex::new(Inner {
            process_id,
            random,
            trace,
            failures,
            generation: 0,
            stores: BTreeMap::new(),
        })))
    }

    /// The machine fails: un-synced batches are lost and open engines die.
    pub fn crash(&self) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        inner.generation += 1;
        for ((task, name), store) in &mut inner.stores {
            let lost = if store.is_persistent {
                let keep = inner.random.below(store.unsynced.len() as u64 + 1) as usize;
                let lost = store.unsynced.len() - keep;
                store.unsynced.truncate(keep);
                lost
            } else {
                store.synced = Content::default();
                std::mem::take(&mut store.unsynced).len()
            };
            store.sync();
            inner.trace.add(format_args!("disk {} lost {lost} batches of {task:?} {name}", inner.process_id));
        }
    }

    /// The disk is replaced by an empty one; open engines die.
    pub fn replace(&self) {
        let mut inner = self.lock();
        inner.generation += 1;
        inner.stores.clear();
    }

    /// The process ends in order: nothing is lost, open engines die.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.generation += 1;
        inner.stores.retain(|_, store| store.is_persistent);
        inner.stores.values_mut().for_each(Store::sync);
    }

    /// Batches are no longer refused.
    pub fn heal(&self) {
        self.lock().failures = 0;
    }

    /// The content of a task's store, ascending by key, and its mark; `None` if it was never opened.
    #[expect(clippy::type_complexity, reason = "pairs and mark, once")]
    pub fn content(&self, task: Option<TaskId>, store: &str) -> Option<(Vec<(Vec<u8>, Vec<u8>)>, Option<CommitMark>)> {
        let inner = self.lock();
        let store = inner.stores.get(&(task, store.into()))?;
        Some((store.present.pairs.clone().into_iter().collect(), store.present.mark.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    fn sync(&mut self) {
        for batch in std::mem::take(&mut self.unsynced) {
            self.synced.apply(&batch);
        }
        self.present = self.synced.clone();
    }
}

impl EngineProvider for Disk {
    fn open(&self, task: Option<TaskId>, facts: &StoreFacts) -> Result<Box<dyn Engine>> {
        let mut inner = self.lock();
        let key = (task, Arc::clone(&facts.name));
        let store = inner.stores.entry(key.clone()).or_default();
        store.is_persistent = facts.is_persistent;
        let generation = inner.generation;
        Ok(Box::new(DiskEngine { disk: self.clone(), key, generation, is_persistent: facts.is_persistent }))
    }

    fn tasks(&self) -> Result<Vec<TaskId>> {
        let mut tasks: Vec<TaskId> = self.lock().stores.keys().filter_map(|(task, _)| *task).collect();
        tasks.dedup();
        Ok(tasks)
    }

    fn remove(&self, task: TaskId) -> Result<()> {
        self.lock().stores.retain(|(of, _), _| *of != Some(task));
        Ok(())
    }

    fn process_id(&self) -> Arc<str> {
        Arc::clone(&self.lock().process_id)
    }
}

struct DiskEngine {
    disk: Disk,
    key: StoreKey,
    generation: u64,
    is_persistent: bool,
}

impl DiskEngine {
    fn with<T>(&self, run: impl FnOnce(&mut Inner, &StoreKey) -> Result<T>) -> Result<T> {
        let mut inner = self.disk.lock();
        if inner.generation != self.generation {
            return Err(Error::new(ErrorKind::Storage, "the engine belongs to a process that is gone"));
        }
        run(&mut inner, &self.key)
    }

    fn write(&self, batch: Batch) -> Result<()> {
        self.with(|inner, key| {
            let store = inner.stores.entry(key.clone()).or_default();
            store.is_persistent = self.is_persistent;
            store.present.apply(&batch);
            store.unsynced.push(batch);
            // Chance decides when the operating system writes.
            if inner.random.per_mille(200) {
                store.sync();
            }
            Ok(())
        })
    }
}

impl Engine for DiskEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.with(|inner, store| Ok(inner.stores.get(store).and_then(|store| store.present.pairs.get(key).cloned())))
    }

    fn scan(&self, from: Option<&[u8]>, to: Option<&[u8]>, is_reverse: bool) -> Result<Scan> {
        self.with(|inner, store| {
            let lower = from.map_or(Bound::Unbounded, Bound::Included);
            let upper = to.map_or(Bound::Unbounded, Bound::Excluded);
            if matches!((from, to), (Some(from), Some(to)) if from >= to) {
                return Ok(Box::new(std::iter::empty()) as Scan);
            }
            let Some(store) = inner.stores.get(store) else { return Ok(Box::new(std::iter::empty()) as Scan) };
            let range = store.present.pairs.range::<[u8], _>((lower, upper));
            let mut found: Vec<_> = range.map(|(key, value)| Ok((key.clone(), value.clone()))).collect();
            if is_reverse {
                found.reverse();
            }
            Ok(Box::new(found.into_iter()) as Scan)
        })
    }

    fn apply(&mut self, writes: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>, mark: &CommitMark) -> Result<()> {
        self.with(|inner, (task, name)| {
            if inner.random.per_mille(inner.failures) {
                inner.trace.add(format_args!("disk {} refused a batch of {task:?} {name}", inner.process_id));
                return Err(Error::new(ErrorKind::Storage, "no space left on the simulated disk"));
            }
            Ok(())
        })?;
        let writes = writes.map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect();
        self.write((writes, Some(mark.clone())))
    }

    fn mark(&self) -> Result<Option<CommitMark>> {
        self.with(|inner, store| Ok(inner.stores.get(store).and_then(|store| store.present.mark.clone())))
    }

    fn wipe(&mut self) -> Result<()> {
        self.with(|inner, key| {
            inner.trace.add(format_args!("disk {} wiped {key:?}", inner.process_id));
            Ok(())
        })?;
        let keys = self.with(|inner, store| {
            Ok(inner.stores.get(store).map(|store| store.present.pairs.keys().cloned().collect::<Vec<_>>()))
        })?;
        self.write((keys.unwrap_or_default().into_iter().map(|key| (key, None)).collect(), None))
    }

    fn is_persistent(&self) -> bool {
        self.is_persistent
    }
}
