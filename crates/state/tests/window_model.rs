//! Window stores of all kinds against a map with Kafka Streams' retention rules.
#![cfg(feature = "fjall")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{Disk, Engines, Random, Topic, origin};
use millstream_state::{
    StateStore, StoreBuilder, StoreFactory, Stores, TimestampedWindowStore, ValueAndTimestamp, WindowStore,
};
use millstream_types::{Headers, Serdes, Timestamp, Windowed};

const RETENTION: i64 = 150_000;
/// Half the retention.
const SEGMENT: i64 = 75_000;
const SIZE: i64 = 10_000;

type Row = (String, i64, i64);

trait Subject: StateStore {
    fn builder(is_persistent: bool) -> StoreBuilder<Self>
    where
        Self: Sized;
    /// Gives whether the row was dropped.
    fn put_at(&mut self, key: &str, start: i64, value: Option<i64>) -> bool;
    fn fetch_at(&mut self, key: &str, start: i64) -> Option<i64>;
    fn fetch_times(&mut self, key: &str, from: i64, to: i64, is_reverse: bool) -> Vec<(i64, i64)>;
    fn fetch_rows(&mut self, keys: Option<(&str, &str)>, from: i64, to: i64, is_reverse: bool) -> Vec<Row>;
    fn fetch_by_time(&mut self, from: i64, to: i64) -> Vec<Row>;
}

fn row(row: (Windowed<String>, i64)) -> Row {
    assert_eq!(row.0.window.end.0 - row.0.window.start.0, SIZE);
    (row.0.key, row.0.window.start.0, row.1)
}

macro_rules! subject {
    ($store:ident, $builder:ident, $put:expr, $value:expr) => {
        impl Subject for $store<String, i64> {
            fn builder(is_persistent: bool) -> StoreBuilder<Self> {
                let make = if is_persistent {
                    Stores::persistent_timestamped_window_store
                } else {
                    Stores::in_memory_window_store
                };
                let (retention, size) = (Duration::from_millis(RETENTION as u64), Duration::from_millis(SIZE as u64));
                Stores::$builder(make("w", retention, size, false), Serdes::string(), Serdes::long())
            }

            fn put_at(&mut self, key: &str, start: i64, value: Option<i64>) -> bool {
                self.put(&key.to_owned(), value.map($put), Timestamp(start)).unwrap().is_expired
            }

            fn fetch_at(&mut self, key: &str, start: i64) -> Option<i64> {
                self.fetch(&key.to_owned(), Timestamp(start)).unwrap().map($value)
            }

            fn fetch_times(&mut self, key: &str, from: i64, to: i64, is_reverse: bool) -> Vec<(i64, i64)> {
                let (key, from, to) = (key.to_owned(), Timestamp(from), Timestamp(to));
                let rows =
                    if is_reverse { self.backward_fetch(&key, from, to) } else { self.fetch_range(&key, from, to) };
                rows.unwrap().map(|row| row.map(|(start, value)| (start.0, $value(value))).unwrap()).collect()
            }

            fn fetch_rows(&mut self, keys: Option<(&str, &str)>, from: i64, to: i64, is_reverse: bool) -> Vec<Row> {
                let (from, to) = (Timestamp(from), Timestamp(to));
                let keys = keys.map(|(from, to)| (from.to_owned(), to.to_owned()));
                let rows = match (&keys, is_reverse) {
                    (None, false) => self.fetch_all(from, to),
                    (None, true) => self.backward_fetch_all(from, to),
                    (Some((first, last)), false) => self.fetch_keys(Some(first), Some(last), from, to),
                    (Some((first, last)), true) => self.backward_fetch_keys(Some(first), Some(last), from, to),
                };
                rows.unwrap().map(|found| found.map(|(key, value)| row((key, $value(value)))).unwrap()).collect()
            }

            fn fetch_by_time(&mut self, from: i64, to: i64) -> Vec<Row> {
                let rows = self.fetch_all_by_time(Timestamp(from), Timestamp(to)).unwrap();
                rows.map(|found| found.map(|(key, value)| row((key, $value(value)))).unwrap()).collect()
            }
        }
    };
}

subject!(WindowStore, window_store_builder, |value| value, |value| value);
subject!(
    TimestampedWindowStore,
    timestamped_window_store_builder,
    |value| ValueAndTimestamp::new(value, Timestamp(value + 7)),
    |row: ValueAndTimestamp<i64>| {
        assert_eq!(row.timestamp.0, row.value + 7);
        row.value
    }
);

/// Rows by key and start, and time, below the cache; and what the cache holds above.
#[derive(Clone)]
struct Model {
    is_persistent: bool,
    time: i64,
    below: BTreeMap<(String, i64), i64>,
    cache: Option<Cache>,
}

/// Values by key and start, and the dirty ones in the order of their last write.
#[derive(Clone, Default)]
struct Cache {
    rows: BTreeMap<(String, i64), Option<i64>>,
    dirty: Vec<(String, i64)>,
}

impl Model {
    fn new(is_persistent: bool, is_cached: bool) -> Self {
        Self { is_persistent, time: -1, below: BTreeMap::new(), cache: is_cached.then(Cache::default) }
    }

    fn put(&mut self, key: &str, start: i64, value: Option<i64>) -> bool {
        let row = (key.to_owned(), start);
        match &mut self.cache {
            Some(cache) => {
                cache.dirty.retain(|dirty| *dirty != row);
                cache.dirty.push(row.clone());
                cache.rows.insert(row, value);
                false
            }
            None => self.write(row, value),
        }
    }

    fn write(&mut self, row: (String, i64), value: Option<i64>) -> bool {
        self.time = self.time.max(row.1);
        let is_kept = if self.is_persistent {
            row.1 / SEGMENT >= (self.time - RETENTION).max(0) / SEGMENT
        } else {
            row.1 > self.time - RETENTION
        };
        match value.filter(|_| is_kept) {
            Some(value) => drop(self.below.insert(row, value)),
            None if is_kept => drop(self.below.remove(&row)),
            None => {}
        }
        !is_kept
    }

    fn flush(&mut self) {
        let Some(cache) = &mut self.cache else { return };
        for row in std::mem::take(&mut cache.dirty) {
            let cache = self.cache.as_mut().unwrap();
            let value = cache.rows[&row];
            if value.is_none() {
                cache.rows.remove(&row);
            }
            self.write(row, value);
        }
    }

    /// Visible rows by key and start.
    fn rows(&self) -> BTreeMap<(String, i64), i64> {
        let first = if self.time < 0 { 0 } else { self.time - RETENTION + 1 };
        let mut rows: BTreeMap<_, _> = self
            .below
            .iter()
            .filter(|((_, start), _)| *start >= first)
            .map(|(row, value)| (row.clone(), *value))
            .collect();
        for (row, value) in self.cache.iter().flat_map(|cache| &cache.rows) {
            match value {
                Some(value) => drop(rows.insert(row.clone(), *value)),
                None => drop(rows.remove(row)),
            }
        }
        rows
    }
}

fn key(random: &mut Random) -> String {
    // Keys that are prefixes of others, with the zero bytes that times begin with.
    ["", "a", "a\0", "a\0\0\0\0\0\0\0\0", "b"][random.below(5) as usize].to_owned()
}

fn check<S: Subject>(store: &mut S, model: &Model, random: &mut Random, now: i64, note: &str) {
    let rows = model.rows();
    let (from, to) = (now - random.below(300_000) as i64, now + 20_000 - random.below(100_000) as i64);
    let in_time: Vec<Row> = rows
        .iter()
        .filter(|((_, start), _)| (from..=to).contains(start))
        .map(|((key, start), value)| (key.clone(), *start, *value))
        .collect();
    let bytes = |row: &Row| [row.0.as_bytes(), &row.1.to_be_bytes()[..]].concat();
    let segment = if model.is_persistent { SEGMENT } else { 1 };
    match random.below(4) {
        0 => {
            let key = key(random);
            let expected: Vec<_> = in_time.iter().filter(|row| row.0 == key).map(|row| (row.1, row.2)).collect();
            assert_eq!(store.fetch_times(&key, from, to, false), expected, "{note}");
            let reverse: Vec<_> = expected.into_iter().rev().collect();
            assert_eq!(store.fetch_times(&key, from, to, true), reverse, "{note}");
        }
        1 => {
            let mut expected = in_time.clone();
            expected.sort_by_key(|row| (row.1 / segment, bytes(row)));
            assert_eq!(store.fetch_rows(None, from, to, false), expected, "{note}");
            expected.reverse();
            assert_eq!(store.fetch_rows(None, from, to, true), expected, "{note}");
            expected.sort_by_key(|row| (row.1, bytes(row)));
            assert_eq!(store.fetch_by_time(from, to), expected, "{note}");
        }
        2 => {
            let (first, last) = (key(random), key(random));
            let mut expected: Vec<Row> = in_time.into_iter().filter(|row| row.0 >= first && row.0 <= last).collect();
            expected.sort_by_key(|row| (row.1 / segment, bytes(row)));
            assert_eq!(store.fetch_rows(Some((&first, &last)), from, to, false), expected, "{note}");
            expected.reverse();
            assert_eq!(store.fetch_rows(Some((&first, &last)), from, to, true), expected, "{note}");
        }
        _ => {
            let (key, start) = (key(random), start(random, now));
            assert_eq!(store.fetch_at(&key, start), rows.get(&(key.clone(), start)).copied(), "{note} {key:?} {start}");
        }
    }
}

fn start(random: &mut Random, now: i64) -> i64 {
    let back = if random.chance(80) { 30_000 } else { 400_000 };
    (now - random.below(back) as i64).max(0) / 5_000 * 5_000
}

fn run<S: Subject>(disk: Disk, is_cached: bool, seed: u64, steps: i64) {
    let note = format!("{disk:?} cached {is_cached} seed {seed} {}", std::any::type_name::<S>());
    let mut random = Random::new(seed);
    // No eviction: which rows are cached decides which expired rows show.
    let engines = Engines::new(disk, 1 << 30).with_memory(seed);
    let builder = S::builder(disk != Disk::Forgetful);
    let builder = if is_cached { builder.with_caching_enabled() } else { builder };
    let mut store = builder.build_store(engines.env(builder.facts())).unwrap();
    let mut topic = Topic::default();
    let mut model = Model::new(disk != Disk::Forgetful, is_cached);
    let mut committed = model.clone();
    let mut now = 0;
    for step in 0..steps {
        // Now and then all rows are past their retention at once.
        let step_max = if random.chance(1) { 800_000 } else { 2_000 };
        now += random.below(step_max) as i64;
        store.enter(&origin(step, now), &Headers::new());
        match random.below(100) {
            0..65 => {
                let (key, start) = (key(&mut random), start(&mut random, now));
                let value = (!random.chance(20)).then(|| random.below(1000) as i64);
                assert_eq!(store.put_at(&key, start, value), model.put(&key, start, value), "{note}");
            }
            65..92 => check(&mut store, &model, &mut random, now, &note),
            92..98 => {
                let fails = random.chance(30).then_some(&*engines.fails);
                topic.commit(&mut store, fails);
                model.flush();
                committed = model.clone();
                if fails.is_some() && random.chance(50) {
                    check(&mut store, &model, &mut random, now, &note);
                    store.apply(&topic.end_mark()).unwrap();
                }
            }
            _ => {
                engines.fails.store(false, Ordering::Relaxed);
                drop(store);
                store = builder.build_store(engines.env(builder.facts())).unwrap();
                topic.restore(&mut store);
                model = committed.clone();
                model.cache = is_cached.then(Cache::default);
            }
        }
    }
    topic.commit(&mut store, None);
    for _ in 0..20 {
        topic.commit(&mut store, None);
    }
    drop(store);
    if disk != Disk::Forgetful {
        let first = (model.time - RETENTION).max(0) / SEGMENT * SEGMENT;
        let engine = engines.engine(builder.facts());
        let starts = engine.scan(Some(&[0; 12]), None, false).unwrap().map(|row| {
            let key = row.unwrap().0;
            i64::from_be_bytes(key[key.len() - 12..key.len() - 4].try_into().unwrap())
        });
        let dead = starts.filter(|start| *start < first).count();
        assert_eq!(dead, 0, "{note}: rows of dead segments are removed");
    }
}

#[test]
fn window_stores_in_memory_follow_the_rules() {
    for seed in 0..15 {
        for disk in [Disk::Forgetful, Disk::Simulated] {
            for is_cached in [false, true] {
                run::<WindowStore<String, i64>>(disk, is_cached, seed, 700);
                run::<TimestampedWindowStore<String, i64>>(disk, is_cached, seed, 700);
            }
        }
    }
}

#[test]
fn window_stores_on_disk_follow_the_rules() {
    for seed in 0..3 {
        for is_cached in [false, true] {
            run::<WindowStore<String, i64>>(Disk::Fjall, is_cached, seed, 700);
            run::<TimestampedWindowStore<String, i64>>(Disk::Fjall, is_cached, seed, 700);
        }
    }
}

#[test]
fn duplicates_stay_in_order_of_arrival_over_a_restart() {
    let engines = Engines::new(Disk::Simulated, 0);
    let day = Duration::from_secs(86_400);
    let builder = Stores::persistent_window_store("w", day, day, true);
    let builder = Stores::window_store_builder(builder, Serdes::string(), Serdes::long());
    assert!(!builder.clone().with_caching_enabled().facts().is_cached);
    let mut store = builder.build_store(engines.env(builder.facts())).unwrap();
    let mut topic = Topic::default();
    let key = "k".to_owned();
    for (value, start) in [(1, 5), (2, 5), (3, 4)] {
        store.enter(&origin(0, start), &Headers::new());
        store.put(&key, Some(value), Timestamp(start)).unwrap();
    }
    store.put(&key, None, Timestamp(5)).unwrap();
    topic.commit(&mut store, None);
    let keys: Vec<_> = topic.0.iter().map(|logged| (logged.key[9..].to_vec(), logged.timestamp)).collect();
    let sequence = |number| vec![0, 0, 0, number];
    // The null deletes nothing and is logged all the same, at the time of the record that gave it.
    assert_eq!(keys, [(sequence(1), 5), (sequence(2), 5), (sequence(3), 4), (sequence(4), 4)]);
    drop(store);

    let mut store = builder.build_store(engines.env(builder.facts())).unwrap();
    store.put_with_headers(&key, Some(4), Timestamp(5), &Headers::new()).unwrap();
    let rows: Vec<_> = store.fetch_range(&key, Timestamp(0), Timestamp(9)).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows, [(Timestamp(4), 3), (Timestamp(5), 1), (Timestamp(5), 2), (Timestamp(5), 4)]);
}
