//! Session stores against a map with Kafka Streams' retention rules, over crashes and restores.
#![cfg(feature = "fjall")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{Disk, Engines, Random, Topic, origin};
use millstream_state::{SessionStore, StateStore, StoreFactory, StoreIterator, Stores};
use millstream_types::{Headers, Serdes, Timestamp, Window, Windowed};

/// Key, start, end, value.
type Row = (String, i64, i64, i64);

#[derive(Clone)]
struct Model {
    rows: BTreeMap<(String, i64, i64), i64>,
    time: i64,
    retention: i64,
    is_persistent: bool,
}

impl Model {
    fn segment(&self) -> i64 {
        (self.retention / 2).max(60_000)
    }

    fn first_kept(&self) -> i64 {
        if self.is_persistent {
            (self.time - self.retention).max(0) / self.segment() * self.segment()
        } else {
            self.time - self.retention + 1
        }
    }

    /// Gives whether the row was dropped.
    fn put(&mut self, (key, start, end): (String, i64, i64), value: Option<i64>) -> bool {
        self.time = self.time.max(end);
        if end < self.first_kept() {
            return true;
        }
        match value {
            Some(value) => self.rows.insert((key, start, end), value),
            None => self.rows.remove(&(key, start, end)),
        };
        false
    }

    fn all(&self, first_end: i64) -> Vec<Row> {
        let rows = self.rows.iter().map(|((key, start, end), value)| (key.clone(), *start, *end, *value));
        rows.filter(|row| row.2 >= first_end).collect()
    }

    fn visible(&self) -> Vec<Row> {
        let mut rows = self.all(self.time - self.retention + 1);
        if self.is_persistent {
            rows.sort_by_key(|(key, start, end, _)| (end / self.segment(), key.clone(), *end, *start));
        } else {
            rows.sort_by_key(|(key, start, end, _)| (*end, key.clone(), Reverse(*start)));
        }
        rows
    }
}

fn read(rows: StoreIterator<(Windowed<String>, i64)>) -> Vec<Row> {
    rows.map(|row| {
        let (Windowed { key, window }, value) = row.unwrap();
        (key, window.start.0, window.end.0, value)
    })
    .collect()
}

fn session(key: &str, start: i64, end: i64) -> Windowed<String> {
    Windowed { key: key.to_owned(), window: Window { start: Timestamp(start), end: Timestamp(end) } }
}

fn check(store: &mut SessionStore<String, i64>, model: &Model, random: &mut Random, now: i64, note: &str) {
    let key = random_key(random);
    let of_key = |row: &Row| row.0 == key;
    let (from, to) = (now - random.below(20_000) as i64, now - random.below(20_000) as i64);
    let mut fetched: Vec<Row> = model.visible().into_iter().filter(of_key).collect();
    assert_eq!(read(store.fetch(&key).unwrap()), fetched, "{note}");
    let found: Vec<Row> = fetched.iter().filter(|row| row.2 >= from && row.1 <= to).cloned().collect();
    assert_eq!(read(store.find_sessions(&key, Timestamp(from), Timestamp(to)).unwrap()), found, "{note}");
    fetched.reverse();
    assert_eq!(read(store.backward_fetch(&key).unwrap()), fetched, "{note}");
    assert_eq!(read(store.fetch_keys(None, None).unwrap()), model.visible(), "{note}");
    let (low, high) = ("a".to_owned(), "bb".to_owned());
    let mut ranged: Vec<Row> = model.visible().into_iter().filter(|row| row.0 >= low && row.0 <= high).collect();
    ranged.reverse();
    assert_eq!(read(store.backward_fetch_keys(Some(&low), Some(&high)).unwrap()), ranged, "{note}");
    let mut by_end = read(store.find_sessions_by_end(Timestamp(0), Timestamp(to)).unwrap());
    let mut kept = model.all(model.first_kept());
    kept.retain(|row| row.2 <= to);
    assert!(by_end.is_sorted_by_key(|row| row.2), "{note}");
    kept.sort();
    by_end.sort();
    assert_eq!(by_end, kept, "{note}");
    if let Some((key, start, end, value)) = model.visible().first() {
        assert_eq!(store.fetch_session(key, Timestamp(*start), Timestamp(*end)).unwrap(), Some(*value), "{note}");
    }
}

fn random_key(random: &mut Random) -> String {
    ["", "a", "b", "bb", "c"][random.below(5) as usize].to_owned()
}

fn run(disk: Disk, is_cached: bool, seed: u64) {
    let note = format!("{disk:?} cached {is_cached} seed {seed}");
    let mut random = Random::new(seed);
    let engines = Engines::new(disk, 1 << 30).with_memory(seed);
    let is_persistent = disk != Disk::Forgetful;
    // A cache shows rows past their retention: then none gets that old.
    let retention = if is_cached { 100_000_000 } else { 130_000 };
    let make = if is_persistent { Stores::persistent_session_store } else { Stores::in_memory_session_store };
    let supplier = make("s", Duration::from_millis(retention as u64));
    let builder = Stores::session_store_builder(supplier, Serdes::string(), Serdes::long());
    let builder = if is_cached { builder.with_caching_enabled() } else { builder };
    let mut store = builder.build_store(engines.env(builder.facts())).unwrap();
    let mut topic = Topic::default();
    let mut model = Model { rows: BTreeMap::new(), time: -1, retention, is_persistent };
    let mut committed = model.clone();
    let mut now = 0;
    for step in 0..500 {
        now += random.below(3_000) as i64;
        store.enter(&origin(step, now), &Headers::new());
        match random.below(100) {
            0..55 => {
                let back = if random.chance(80) { 20_000 } else { 300_000 };
                let end = (now - random.below(back) as i64).max(0);
                let start = (end - random.below(5_000) as i64).max(0);
                let (key, value) = (random_key(&mut random), (!random.chance(20)).then_some(step));
                let put = store.put(&session(&key, start, end), value).unwrap();
                let is_expired = model.put((key, start, end), value);
                assert!(is_cached || put.is_expired == is_expired, "{note}");
            }
            55..65 => {
                let visible = model.visible();
                if let Some((key, start, end, _)) = visible.get(random.below(visible.len().max(1) as u64) as usize) {
                    store.remove(&session(key, *start, *end)).unwrap();
                    model.rows.remove(&(key.clone(), *start, *end));
                }
            }
            65..92 => check(&mut store, &model, &mut random, now, &note),
            92..98 => {
                let fails = random.chance(30).then_some(&*engines.fails);
                topic.commit(&mut store, fails);
                committed = model.clone();
            }
            _ => {
                engines.fails.store(false, Ordering::Relaxed);
                drop(store);
                store = builder.build_store(engines.env(builder.facts())).unwrap();
                topic.restore(&mut store);
                model = committed.clone();
            }
        }
    }
}

#[test]
fn session_stores_in_memory_follow_the_rules() {
    for seed in 0..20 {
        for disk in [Disk::Forgetful, Disk::Simulated] {
            run(disk, false, seed);
            run(disk, true, seed);
        }
    }
}

#[test]
fn session_stores_on_disk_follow_the_rules() {
    for seed in 0..2 {
        run(Disk::Fjall, false, seed);
        run(Disk::Fjall, true, seed);
    }
}

#[test]
fn a_changelog_key_is_key_end_start() {
    let engines = Engines::new(Disk::Simulated, 0);
    let supplier = Stores::persistent_session_store("s", Duration::from_secs(60));
    let builder = Stores::session_store_builder(supplier, Serdes::string(), Serdes::long());
    let mut store = builder.build_store(engines.env(builder.facts())).unwrap();
    store.enter(&origin(0, 7), &Headers::new());
    store.put(&session("k1", 1, 258), Some(2)).unwrap();
    store.remove(&session("k1", 1, 258)).unwrap();
    assert!(store.put(&session("k1", 3, 2), Some(1)).is_err(), "it ends before it starts");
    let logged = Topic::drain(&mut store);
    let key = [b"k1".as_slice(), &[0, 0, 0, 0, 0, 0, 1, 2], &[0, 0, 0, 0, 0, 0, 0, 1]].concat();
    assert_eq!(logged.len(), 2);
    assert!(logged.iter().all(|record| record.key == key && record.timestamp == 7));
}
