//! What stays in memory of the rows that an engine has, and what never gets to the engine.
#![cfg(feature = "fjall")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{Topic, origin};
use millstream_state::{
    CacheBudget, CommitMark, Engine, KeyValueStore, MemoryBudget, MemoryEngine, Scan, StateStore, StoreBuilder,
    StoreEnv, Stores,
};
use millstream_types::{Headers, Result, Serdes, Timestamp};

/// Counts what it is asked and given.
#[derive(Default)]
struct Counts {
    gets: AtomicUsize,
    puts: AtomicUsize,
    deletes: AtomicUsize,
    wipes: AtomicUsize,
    scans: AtomicUsize,
}

struct CountingEngine(MemoryEngine, Arc<Counts>);

impl Engine for CountingEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.1.gets.fetch_add(1, Ordering::Relaxed);
        self.0.get(key)
    }

    fn scan(&self, from: Option<&[u8]>, to: Option<&[u8]>, is_reverse: bool) -> Result<Scan> {
        self.1.scans.fetch_add(1, Ordering::Relaxed);
        self.0.scan(from, to, is_reverse)
    }

    fn apply(&mut self, writes: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>, mark: &CommitMark) -> Result<()> {
        let count = |value: Option<&[u8]>| if value.is_some() { &self.1.puts } else { &self.1.deletes };
        let counted = |write: &(&[u8], Option<&[u8]>)| {
            count(write.1).fetch_add(1, Ordering::Relaxed);
        };
        self.0.apply(&mut writes.inspect(counted), mark)
    }

    fn mark(&self) -> Result<Option<CommitMark>> {
        self.0.mark()
    }

    fn wipe(&mut self) -> Result<()> {
        self.1.wipes.fetch_add(1, Ordering::Relaxed);
        self.0.wipe()
    }

    fn is_persistent(&self) -> bool {
        true
    }
}

fn open<S: StateStore>(builder: &StoreBuilder<S>, memory: &MemoryBudget) -> (S, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    let engine = Box::new(CountingEngine(MemoryEngine::new(), Arc::clone(&counts)));
    let store = builder.build_store(StoreEnv { engine, cache: CacheBudget::new(0), memory: memory.clone() }).unwrap();
    counts.gets.store(0, Ordering::Relaxed);
    (store, counts)
}

fn counts() -> StoreBuilder<KeyValueStore<i64, i64>> {
    Stores::key_value_store_builder(Stores::persistent_key_value_store("s"), Serdes::long(), Serdes::long())
}

fn put_all(store: &mut KeyValueStore<i64, i64>, keys: std::ops::Range<i64>) {
    for key in keys {
        store.enter(&origin(key, key), &Headers::new());
        store.put(&key, Some(key)).unwrap();
    }
}

#[test]
fn a_store_that_fits_into_memory_never_asks_its_engine() {
    let memory = MemoryBudget::new(1 << 20);
    let (mut store, engine) = open(&counts(), &memory);
    let mut topic = Topic::default();
    for round in 0..5 {
        put_all(&mut store, round * 500..round * 500 + 1000);
        topic.commit(&mut store, None);
        for key in 0..4000 {
            assert_eq!(store.get(&key).unwrap(), (key < round * 500 + 1000).then_some(key));
        }
    }
    assert_eq!(engine.gets.load(Ordering::Relaxed), 0);
    assert!(memory.bytes() > 3000 * 16);
    drop(store);
    assert_eq!(memory.bytes(), 0);
}

#[test]
fn a_store_that_does_not_fit_stays_within_the_budget() {
    let memory = MemoryBudget::new(200_000);
    let (mut store, engine) = open(&counts(), &memory);
    let mut topic = Topic::default();
    for round in 0..20 {
        put_all(&mut store, round * 1000..(round + 1) * 1000);
        topic.commit(&mut store, None);
        assert!(memory.bytes() <= 200_000, "{} bytes in round {round}", memory.bytes());
    }
    for key in 0..20_000 {
        assert_eq!(store.get(&key).unwrap(), Some(key));
    }
    assert!(engine.gets.load(Ordering::Relaxed) > 10_000);
    assert!(memory.bytes() <= 200_000);
}

#[test]
fn stores_that_come_later_get_their_part() {
    let memory = MemoryBudget::new(400_000);
    let mut topic = Topic::default();
    let (mut early, _) = open(&counts(), &memory);
    put_all(&mut early, 0..6000);
    topic.commit(&mut early, None);
    let held_early = memory.bytes();
    let (mut late, engine) = open(&counts(), &memory);
    put_all(&mut late, 0..1000);
    topic.commit(&mut late, None);
    (0..1000).for_each(|key| assert_eq!(late.get(&key).unwrap(), Some(key)));
    assert_eq!(engine.gets.load(Ordering::Relaxed), 0);
    put_all(&mut early, 6000..7000);
    topic.commit(&mut early, None);
    assert!(held_early > 200_000 && memory.bytes() <= 400_000, "{held_early}, then {}", memory.bytes());
}

#[test]
fn rows_past_their_retention_never_reach_the_engine() {
    let minute = Duration::from_secs(60);
    let supplier = Stores::persistent_window_store("w", minute, minute, false);
    let builder = Stores::window_store_builder(supplier, Serdes::long(), Serdes::long());
    let (mut store, engine) = open(&builder, &MemoryBudget::new(1 << 20));
    let mut topic = Topic::default();
    let mut put = |store: &mut millstream_state::WindowStore<i64, i64>, minutes: std::ops::Range<i64>| {
        for start in minutes.map(|minute| minute * 60_000) {
            store.enter(&origin(start, start), &Headers::new());
            for key in 0..10 {
                store.put(&key, Some(start), Timestamp(start)).unwrap();
            }
        }
        topic.commit(store, None);
    };
    put(&mut store, 0..20);
    // The last two segments, and the row of the store's own time.
    let applied = |of: &AtomicUsize| of.swap(0, Ordering::Relaxed);
    assert_eq!((applied(&engine.puts), applied(&engine.deletes), applied(&engine.wipes)), (21, 0, 0));
    put(&mut store, 20..21);
    assert_eq!(
        (applied(&engine.puts), applied(&engine.deletes), applied(&engine.wipes)),
        (11, 10, 0),
        "one segment dies"
    );
    put(&mut store, 40..60);
    assert_eq!(
        (applied(&engine.puts), applied(&engine.deletes), applied(&engine.wipes)),
        (21, 0, 1),
        "all die at once"
    );
    assert_eq!(store.fetch(&3, Timestamp(59 * 60_000)).unwrap(), Some(59 * 60_000));
    assert_eq!(store.fetch(&3, Timestamp(58 * 60_000)).unwrap(), None, "as old as the retention");
    assert_eq!(engine.gets.load(Ordering::Relaxed), 0);
}

#[test]
fn windows_that_are_over_before_the_commit_hold_no_memory() {
    let minute = Duration::from_secs(60);
    let supplier = Stores::persistent_window_store("w", minute, minute, false);
    let builder = Stores::window_store_builder(supplier, Serdes::long(), Serdes::long());
    let (mut store, engine) = open(&builder, &MemoryBudget::new(1 << 20));
    let mut held = Vec::new();
    for start in (0..20).map(|minute| minute * 60_000) {
        store.enter(&origin(start, start), &Headers::new());
        for key in 0..100 {
            store.put(&key, Some(start), Timestamp(start)).unwrap();
        }
        held.push(store.uncommitted_bytes());
    }
    assert!(held[19] <= held[2], "more with each window: {held:?}");
    assert_eq!(store.fetch(&3, Timestamp(19 * 60_000)).unwrap(), Some(19 * 60_000));
    Topic::default().commit(&mut store, None);
    assert_eq!(engine.puts.load(Ordering::Relaxed), 201, "the last two segments, and the store's time");
}

#[test]
fn a_store_that_is_scanned_all_the_time_is_scanned_in_memory() {
    let memory = MemoryBudget::new(1 << 20);
    let (mut store, engine) = open(&counts(), &memory);
    let mut topic = Topic::default();
    put_all(&mut store, 0..500);
    topic.commit(&mut store, None);
    put_all(&mut store, 400..600);
    let scan = |store: &mut KeyValueStore<i64, i64>, from: i64| {
        let rows = store.range(Some(&from), Some(&(from + 9))).unwrap();
        rows.map(|row| row.unwrap().0).collect::<Vec<i64>>()
    };
    for from in (0..2000).map(|step| step % 580) {
        assert_eq!(scan(&mut store, from), (from..from + 10).collect::<Vec<i64>>());
    }
    assert_eq!(engine.scans.swap(0, Ordering::Relaxed), 1000, "the first ones are no reason to keep order");
    topic.commit(&mut store, None);
    assert_eq!(scan(&mut store, 590), (590..600).collect::<Vec<i64>>());
    assert_eq!(engine.scans.load(Ordering::Relaxed), 0);
}
