//! What the model tests share: randomness, an engine that fails on demand, a changelog topic.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use millstream_state::{
    CacheBudget, ChangelogRecord, CommitMark, Engine, EngineProvider, FjallEngines, MemoryBudget, MemoryEngines,
    Origin, RestoreRecord, Scan, StateStore, StoreEnv, StoreFacts,
};
use millstream_types::{Error, ErrorKind, Headers, Offset, Partition, Result, TaskId, Timestamp};

pub const TASK: TaskId = TaskId { subtopology: 1, partition: 0 };

/// Knuth's MMIX generator.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed);
        random.below(2);
        random
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

pub fn origin(offset: i64, timestamp: i64) -> Origin {
    Origin {
        topic: Some("in".into()),
        partition: Partition(0),
        offset: Offset(offset),
        timestamp: Timestamp(timestamp),
        ..Origin::NONE
    }
}

/// An engine whose next batch fails when told so.
pub struct FlakyEngine {
    inner: Box<dyn Engine>,
    fails: Arc<AtomicBool>,
}

impl Engine for FlakyEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.inner.get(key)
    }

    fn scan(&self, from: Option<&[u8]>, to: Option<&[u8]>, is_reverse: bool) -> Result<Scan> {
        self.inner.scan(from, to, is_reverse)
    }

    fn apply(&mut self, writes: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>, mark: &CommitMark) -> Result<()> {
        if self.fails.swap(false, Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Storage, "no space left"));
        }
        let writes: Vec<_> = writes.collect();
        assert!(writes.is_sorted_by(|a, b| a.0 < b.0), "sorted, each key once");
        self.inner.apply(&mut writes.into_iter(), mark)
    }

    fn mark(&self) -> Result<Option<CommitMark>> {
        self.inner.mark()
    }

    fn wipe(&mut self) -> Result<()> {
        self.inner.wipe()
    }

    fn is_persistent(&self) -> bool {
        self.inner.is_persistent()
    }
}

/// Where the engines of a test come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Disk {
    /// In memory, empty at every open.
    Forgetful,
    /// In memory, kept.
    Simulated,
    Fjall,
}

pub struct Engines {
    provider: Box<dyn EngineProvider>,
    pub fails: Arc<AtomicBool>,
    pub budget: usize,
    /// Bytes for rows at hand.
    memory: usize,
    _directory: tempfile::TempDir,
}

impl Engines {
    pub fn new(disk: Disk, budget: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let provider: Box<dyn EngineProvider> = match disk {
            Disk::Forgetful => Box::new(MemoryEngines::new("id")),
            Disk::Simulated => Box::new(MemoryEngines::simulated_disk("id")),
            Disk::Fjall => Box::new(FjallEngines::open(directory.path(), "app", || "id".to_owned()).unwrap()),
        };
        Self { provider, fails: Arc::default(), budget, memory: 2000, _directory: directory }
    }

    /// With room for all rows at hand, for some or for none.
    pub fn with_memory(self, seed: u64) -> Self {
        let memory = match seed % 3 {
            0 => 2000,
            1 => 1 << 20,
            _ => 0,
        };
        Self { memory, ..self }
    }

    pub fn env(&self, facts: &StoreFacts) -> StoreEnv {
        let inner = self.provider.open(Some(TASK), facts).unwrap();
        let engine = Box::new(FlakyEngine { inner, fails: Arc::clone(&self.fails) });
        StoreEnv { engine, cache: CacheBudget::new(self.budget), memory: MemoryBudget::new(self.memory) }
    }

    pub fn engine(&self, facts: &StoreFacts) -> Box<dyn Engine> {
        self.provider.open(Some(TASK), facts).unwrap()
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
    pub timestamp: i64,
}

/// A changelog topic: what was committed, by offset.
#[derive(Default)]
pub struct Topic(pub Vec<Logged>);

impl Topic {
    pub fn drain(store: &mut dyn StateStore) -> Vec<Logged> {
        let mut logged = Vec::new();
        store
            .drain_changelog(&mut |record: ChangelogRecord<'_>| {
                assert!(record.headers.is_empty());
                let value = record.value.map(<[u8]>::to_vec);
                logged.push(Logged { key: record.key.to_vec(), value, timestamp: record.timestamp.0 });
                Ok(())
            })
            .unwrap();
        logged
    }

    pub fn end_mark(&self) -> CommitMark {
        CommitMark { changelog_offset: Offset(self.0.len() as i64 - 1), ..CommitMark::default() }
    }

    /// Last value of each key.
    pub fn state(&self) -> BTreeMap<Vec<u8>, (Vec<u8>, i64)> {
        let mut state = BTreeMap::new();
        for logged in &self.0 {
            match &logged.value {
                Some(value) => drop(state.insert(logged.key.clone(), (value.clone(), logged.timestamp))),
                None => drop(state.remove(&logged.key)),
            }
        }
        state
    }

    /// Commits the store; its engine may fail at first.
    pub fn commit(&mut self, store: &mut dyn StateStore, fails: Option<&AtomicBool>) {
        store.flush_cache().unwrap();
        self.0.extend(Self::drain(store));
        store.seal();
        if let Some(fails) = fails {
            fails.store(true, Ordering::Relaxed);
            assert_eq!(store.apply(&self.end_mark()).unwrap_err().kind(), ErrorKind::Storage);
            return;
        }
        store.apply(&self.end_mark()).unwrap();
        assert_eq!(store.mark().unwrap(), Some(self.end_mark()));
    }

    /// Brings a store that was just built up to the topic's end, in stretches of a few records.
    pub fn restore(&self, store: &mut dyn StateStore) {
        let headers = Headers::new();
        let from = store.mark().unwrap().map_or(0, |mark| (mark.changelog_offset.0 + 1) as usize);
        let rest: Vec<(usize, &Logged)> = self.0.iter().enumerate().skip(from).collect();
        for stretch in rest.chunks(7) {
            let records: Vec<RestoreRecord<'_>> = stretch
                .iter()
                .map(|(offset, logged)| RestoreRecord {
                    offset: Offset(*offset as i64),
                    record: ChangelogRecord {
                        key: &logged.key,
                        value: logged.value.as_deref(),
                        timestamp: Timestamp(logged.timestamp),
                        headers: &headers,
                    },
                })
                .collect();
            let last = records.last().unwrap().offset;
            let mark = CommitMark { changelog_offset: last, ..CommitMark::default() };
            store.restore(&records, &mark).unwrap();
        }
    }
}
