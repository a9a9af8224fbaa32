//! Versioned stores against a map of versions, through commits, failed applies, crashes and
//! restores; and what Kafka Streams does at the edges.
#![cfg(feature = "fjall")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{Disk, Engines, Random, Topic};
use millstream_state::{PutReturn, StateStore, StoreBuilder, StoreFactory, Stores, VersionedKeyValueStore};
use millstream_types::{Serdes, Timestamp};

type Store = VersionedKeyValueStore<String, String>;

fn builder(history_ms: u64, segment_ms: u64, disk: Disk) -> StoreBuilder<Store> {
    let (history, segment) = (Duration::from_millis(history_ms), Duration::from_millis(segment_ms));
    let supplier = if disk == Disk::Forgetful {
        Stores::in_memory_versioned_key_value_store("prices", history)
    } else {
        Stores::persistent_versioned_key_value_store_with_segments("prices", history, segment)
    };
    Stores::versioned_key_value_store_builder(supplier, Serdes::string(), Serdes::string())
}

/// Every version ever put, and the store's time.
#[derive(Clone, Default)]
struct Model {
    versions: BTreeMap<String, BTreeMap<i64, Option<String>>>,
    time: i64,
    history_ms: i64,
}

impl Model {
    fn put(&mut self, key: &str, value: Option<String>, timestamp: i64) -> PutReturn {
        if timestamp < self.time - self.history_ms {
            return PutReturn::NotPut;
        }
        self.time = self.time.max(timestamp);
        let versions = self.versions.entry(key.to_owned()).or_default();
        versions.insert(timestamp, value);
        match versions.range(timestamp + 1..).next() {
            Some((next, _)) => PutReturn::Until(Timestamp(*next)),
            None => PutReturn::Latest,
        }
    }

    fn as_of(&self, key: &str, time: i64) -> Option<(String, i64, Option<i64>)> {
        let versions = self.versions.get(key)?;
        let (from, value) = versions.range(..=time).next_back()?;
        let to = versions.range(from + 1..).next().map(|(to, _)| *to);
        if time < self.time - self.history_ms && to.is_some() {
            return None;
        }
        Some((value.clone()?, *from, to))
    }
}

fn as_of(store: &mut Store, key: &str, time: i64) -> Option<(String, i64, Option<i64>)> {
    let found = store.get_as_of(&key.to_owned(), Timestamp(time)).unwrap()?;
    Some((found.value, found.timestamp.0, found.valid_to.map(|to| to.0)))
}

impl Model {
    /// Versions valid at some time from `from` to `to`, newest first.
    fn between(&self, key: &str, from: i64, to: i64) -> Vec<(String, i64, Option<i64>)> {
        let Some(versions) = self.versions.get(key) else { return Vec::new() };
        let (mut found, mut end) = (Vec::new(), versions.range(to + 1..).next().map(|(next, _)| *next));
        for (time, value) in versions.range(..=to).rev() {
            if end.is_some_and(|end| end <= from) {
                break;
            }
            found.extend(value.clone().map(|value| (value, *time, end)));
            end = Some(*time);
        }
        found
    }
}

fn between(store: &mut Store, key: &str, from: i64, to: i64) -> Vec<(String, i64, Option<i64>)> {
    let found = store.get_between(&key.to_owned(), Timestamp(from), Timestamp(to)).unwrap();
    found.into_iter().map(|found| (found.value, found.timestamp.0, found.valid_to.map(|to| to.0))).collect()
}

fn check(store: &mut Store, model: &Model, random: &mut Random) {
    for key in ["a", "b", "c"] {
        let from = (model.time - model.history_ms).max(0) + random.below(10) as i64;
        let to = from + random.below(20) as i64;
        assert_eq!(between(store, key, from, to), model.between(key, from, to), "{key} from {from} to {to}");
        let time = random.below(model.time as u64 + 20) as i64;
        assert_eq!(as_of(store, key, time), model.as_of(key, time), "{key} as of {time}");
        let newest = store.get(&key.to_owned()).unwrap().map(|found| (found.value, found.timestamp.0));
        let expected = model.as_of(key, i64::MAX).map(|(value, from, _)| (value, from));
        assert_eq!(newest, expected, "{key}");
    }
    let all: Vec<String> = store.all().unwrap().map(|row| row.unwrap().0).collect();
    let expected: Vec<String> =
        model.versions.keys().filter(|key| model.as_of(key, i64::MAX).is_some()).cloned().collect();
    assert_eq!(all, expected);
}

fn run(disk: Disk, seed: u64) {
    let mut random = Random::new(seed);
    let history_ms = [0, 5, 40, 1_000][random.below(4) as usize];
    let builder = builder(history_ms, 1 + random.below(15), disk);
    let engines = Engines::new(disk, 0).with_memory(seed);
    let mut topic = Topic::default();
    let mut store = builder.build_store(engines.env(builder.facts())).unwrap();
    let mut model = Model { history_ms: history_ms as i64, ..Model::default() };
    let mut committed = model.clone();
    for step in 0..400 {
        let key = ["a", "b", "c"][random.below(3) as usize].to_owned();
        let back = random.below(history_ms + 10) as i64;
        let timestamp = (model.time + 8 - back).max(0);
        let value = random.chance(75).then(|| format!("v{step}"));
        let is_there = model.versions.get(&key).is_some_and(|versions| versions.contains_key(&timestamp));
        // Deletions at the time of a version may leave nothing behind; see below.
        if !is_there || value.is_some() {
            let put = store.put(&key, value.clone(), Timestamp(timestamp)).unwrap();
            assert_eq!(put, model.put(&key, value, timestamp), "step {step}");
        }
        check(&mut store, &model, &mut random);
        if random.chance(10) {
            // The changelog has it all: an engine whose batch fails catches up after a crash.
            topic.commit(&mut store, random.chance(20).then_some(&*engines.fails));
            committed = model.clone();
            check(&mut store, &model, &mut random);
        }
        if random.chance(4) {
            drop(store);
            store = builder.build_store(engines.env(builder.facts())).unwrap();
            topic.restore(&mut store);
            model = committed.clone();
            check(&mut store, &model, &mut random);
        }
    }
}

#[test]
fn versions_survive_commits_crashes_and_restores() {
    for seed in 0..40 {
        run(Disk::Simulated, seed);
        run(Disk::Forgetful, seed);
    }
    for seed in 0..4 {
        run(Disk::Fjall, seed);
    }
}

fn open(history_ms: u64) -> Store {
    let builder = builder(history_ms, 10, Disk::Simulated);
    builder.build_store(Engines::new(Disk::Simulated, 0).env(builder.facts())).unwrap()
}

fn put(store: &mut Store, value: Option<&str>, timestamp: i64) -> PutReturn {
    store.put(&"k".to_owned(), value.map(str::to_owned), Timestamp(timestamp)).unwrap()
}

#[test]
fn a_deletion_at_the_time_of_a_first_value_leaves_nothing() {
    let mut store = open(100);
    assert_eq!(put(&mut store, Some("a"), 10), PutReturn::Latest);
    assert_eq!(put(&mut store, None, 10), PutReturn::Latest);
    assert_eq!(put(&mut store, Some("b"), 5), PutReturn::Latest);
    assert_eq!(as_of(&mut store, "k", 20), Some(("b".to_owned(), 5, None)));
}

#[test]
fn a_deletion_at_the_time_of_a_later_value_ends_the_one_before() {
    let mut store = open(100);
    put(&mut store, Some("a"), 5);
    put(&mut store, Some("b"), 10);
    assert_eq!(put(&mut store, None, 10), PutReturn::Latest);
    assert_eq!(as_of(&mut store, "k", 20), None);
    assert_eq!(put(&mut store, Some("c"), 7), PutReturn::Until(Timestamp(10)));
}

#[test]
fn what_is_too_late_is_dropped_counted_and_logged() {
    let mut store = open(10);
    put(&mut store, Some("a"), 100);
    assert_eq!(put(&mut store, Some("b"), 89), PutReturn::NotPut);
    assert_eq!(put(&mut store, Some("c"), 90), PutReturn::Until(Timestamp(100)));
    assert_eq!(store.delete(&"k".to_owned(), Timestamp(80)).unwrap(), None);
    assert_eq!(store.take_dropped(), 2);
    let mut logged = Vec::new();
    let mut sink = |record: millstream_state::ChangelogRecord<'_>| {
        logged.push((record.key.to_vec(), record.value.map(<[u8]>::to_vec), record.timestamp.0));
        Ok(())
    };
    store.drain_changelog(&mut sink).unwrap();
    let times: Vec<i64> = logged.iter().map(|record| record.2).collect();
    assert_eq!(times, [100, 89, 90, 80]);
    assert_eq!(logged[0], (b"k".to_vec(), Some(b"a".to_vec()), 100));
    assert_eq!(logged[3].1, None);
}

#[test]
fn a_delete_gives_what_was_valid() {
    let mut store = open(100);
    put(&mut store, Some("a"), 10);
    let before = store.delete(&"k".to_owned(), Timestamp(15)).unwrap().expect("a value");
    assert_eq!((before.value.as_str(), before.timestamp, before.valid_to), ("a", Timestamp(10), None));
    assert_eq!(as_of(&mut store, "k", 12), Some(("a".to_owned(), 10, Some(15))));
    assert_eq!(as_of(&mut store, "k", 15), None);
}

#[test]
fn the_newest_value_is_known_beyond_the_history() {
    let mut store = open(10);
    put(&mut store, Some("a"), 10);
    store.put(&"other".to_owned(), Some("x".to_owned()), Timestamp(1_000)).unwrap();
    assert_eq!(as_of(&mut store, "k", 20), Some(("a".to_owned(), 10, None)));
    put(&mut store, Some("b"), 1_000);
    assert_eq!(as_of(&mut store, "k", 20), None);
}
