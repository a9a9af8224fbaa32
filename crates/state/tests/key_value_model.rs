//! Key-value stores of all kinds against a map, through commits, failed applies and crashes.
#![cfg(feature = "fjall")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use common::{Disk, Engines, Random, Topic, origin};
use millstream_state::{
    FlushedEntry, KeyValueStore, KeyValueStoreSupplier, Origin, StateStore, StoreBuilder, StoreFactory, Stores,
    TimestampedKeyValueStore, ValueAndTimestamp,
};
use millstream_types::{Headers, Result, Serdes, Timestamp};

type Rows = BTreeMap<String, (i64, i64)>;

/// What the test needs of either kind.
trait Subject: StateStore {
    fn builder(supplier: KeyValueStoreSupplier) -> StoreBuilder<Self>
    where
        Self: Sized;
    const IS_TIMESTAMPED: bool;
    fn put_at(&mut self, key: &str, value: Option<i64>, timestamp: i64);
    fn get_at(&mut self, key: &str) -> Option<(i64, i64)>;
    fn read_range(&mut self, from: Option<&str>, to: Option<&str>, is_reverse: bool) -> Vec<(String, (i64, i64))>;
    fn read_prefix(&mut self, prefix: &str) -> Vec<(String, (i64, i64))>;
    fn count(&mut self) -> u64;
}

impl Subject for KeyValueStore<String, i64> {
    const IS_TIMESTAMPED: bool = false;

    fn builder(supplier: KeyValueStoreSupplier) -> StoreBuilder<Self> {
        Stores::key_value_store_builder(supplier, Serdes::string(), Serdes::long())
    }

    fn put_at(&mut self, key: &str, value: Option<i64>, _: i64) {
        self.put(&key.to_owned(), value).unwrap();
    }

    fn get_at(&mut self, key: &str) -> Option<(i64, i64)> {
        self.get(&key.to_owned()).unwrap().map(|value| (value, 0))
    }

    fn read_range(&mut self, from: Option<&str>, to: Option<&str>, is_reverse: bool) -> Vec<(String, (i64, i64))> {
        let (from, to) = (from.map(str::to_owned), to.map(str::to_owned));
        let rows = match (is_reverse, &from, &to) {
            (false, None, None) => self.all(),
            (true, None, None) => self.reverse_all(),
            (false, ..) => self.range(from.as_ref(), to.as_ref()),
            (true, ..) => self.reverse_range(from.as_ref(), to.as_ref()),
        };
        rows.unwrap().map(|row| row.map(|(key, value)| (key, (value, 0))).unwrap()).collect()
    }

    fn read_prefix(&mut self, prefix: &str) -> Vec<(String, (i64, i64))> {
        let rows = self.prefix_scan(prefix.as_bytes()).unwrap();
        rows.map(|row| row.map(|(key, value)| (key, (value, 0))).unwrap()).collect()
    }

    fn count(&mut self) -> u64 {
        self.approximate_num_entries().unwrap()
    }
}

impl Subject for TimestampedKeyValueStore<String, i64> {
    const IS_TIMESTAMPED: bool = true;

    fn builder(supplier: KeyValueStoreSupplier) -> StoreBuilder<Self> {
        Stores::timestamped_key_value_store_builder(supplier, Serdes::string(), Serdes::long())
    }

    fn put_at(&mut self, key: &str, value: Option<i64>, timestamp: i64) {
        self.put(&key.to_owned(), value.map(|value| ValueAndTimestamp::new(value, Timestamp(timestamp)))).unwrap();
    }

    fn get_at(&mut self, key: &str) -> Option<(i64, i64)> {
        self.get(&key.to_owned()).unwrap().map(|row| (row.value, row.timestamp.0))
    }

    fn read_range(&mut self, from: Option<&str>, to: Option<&str>, is_reverse: bool) -> Vec<(String, (i64, i64))> {
        let (from, to) = (from.map(str::to_owned), to.map(str::to_owned));
        let rows = if is_reverse {
            self.reverse_range(from.as_ref(), to.as_ref())
        } else {
            self.range(from.as_ref(), to.as_ref())
        };
        rows.unwrap().map(|row| row.map(|(key, row)| (key, (row.value, row.timestamp.0))).unwrap()).collect()
    }

    fn read_prefix(&mut self, prefix: &str) -> Vec<(String, (i64, i64))> {
        let rows = self.prefix_scan(prefix.as_bytes()).unwrap();
        rows.map(|row| row.map(|(key, row)| (key, (row.value, row.timestamp.0))).unwrap()).collect()
    }

    fn count(&mut self) -> u64 {
        self.approximate_num_entries().unwrap()
    }
}

fn key(random: &mut Random) -> String {
    // Among them the empty key, keys that are prefixes of others, and the highest byte of UTF-8.
    let alphabet = ["", "a", "b", "\u{10ffff}"];
    (0..random.below(4)).map(|_| alphabet[random.below(4) as usize]).collect()
}

fn check<S: Subject>(store: &mut S, model: &Rows, random: &mut Random, note: &str) {
    let all: Vec<_> = model.iter().map(|(key, row)| (key.clone(), *row)).collect();
    match random.below(5) {
        0 => {
            assert_eq!(store.read_range(None, None, false), all, "{note}");
            assert_eq!(store.count(), all.len() as u64, "{note}");
        }
        1 => {
            let (from, to) = (key(random), key(random));
            let expected: Vec<_> = all.iter().filter(|(key, _)| *key >= from && *key <= to).cloned().collect();
            assert_eq!(store.read_range(Some(&from), Some(&to), false), expected, "{note} {from:?} {to:?}");
            let reverse: Vec<_> = expected.into_iter().rev().collect();
            assert_eq!(store.read_range(Some(&from), Some(&to), true), reverse, "{note} {from:?} {to:?}");
        }
        2 => {
            let prefix = key(random);
            let expected: Vec<_> = all.iter().filter(|(key, _)| key.starts_with(&prefix)).cloned().collect();
            assert_eq!(store.read_prefix(&prefix), expected, "{note} {prefix:?}");
        }
        _ => {
            let key = key(random);
            assert_eq!(store.get_at(&key), model.get(&key).copied(), "{note} {key:?}");
        }
    }
}

fn run<S: Subject>(disk: Disk, budget: Option<usize>, seed: u64, steps: u32) {
    let note = format!("{disk:?} budget {budget:?} seed {seed} timestamped {}", S::IS_TIMESTAMPED);
    let mut random = Random::new(seed);
    let engines = Engines::new(disk, budget.unwrap_or_default()).with_memory(seed);
    let builder = S::builder(if disk == Disk::Forgetful {
        Stores::in_memory_key_value_store("s")
    } else {
        Stores::persistent_timestamped_key_value_store("s")
    });
    let builder = if budget.is_some() { builder.with_caching_enabled() } else { builder };
    let mut store = builder.build_store(engines.env(builder.facts())).unwrap();
    let (mut topic, mut model, mut committed) = (Topic::default(), Rows::new(), Rows::new());
    for step in 0..steps {
        let time = i64::from(step);
        store.enter(&origin(time, time), &Headers::new());
        match random.below(100) {
            0..60 => {
                let (key, value) = (key(&mut random), (!random.chance(25)).then(|| random.below(1000) as i64));
                let timestamp = time - random.below(3) as i64;
                store.put_at(&key, value, timestamp);
                match value {
                    Some(value) => drop(model.insert(key, (value, if S::IS_TIMESTAMPED { timestamp } else { 0 }))),
                    None => drop(model.remove(&key)),
                }
            }
            60..90 => check(&mut store, &model, &mut random, &note),
            90..97 => {
                let fails = random.chance(30).then_some(&*engines.fails);
                topic.commit(&mut store, fails);
                committed.clone_from(&model);
                if fails.is_some() {
                    check(&mut store, &model, &mut random, &note);
                    if random.chance(50) {
                        store.apply(&topic.end_mark()).unwrap();
                    }
                }
            }
            _ => {
                // A crash: what was not committed is gone, what was not applied is restored.
                engines.fails.store(false, Ordering::Relaxed);
                drop(store);
                store = builder.build_store(engines.env(builder.facts())).unwrap();
                topic.restore(&mut store);
                model.clone_from(&committed);
                assert_eq!(store.read_range(None, None, false).len(), model.len(), "{note}");
            }
        }
        if random.chance(3) {
            check(&mut store, &model, &mut random, &note);
        }
    }
    topic.commit(&mut store, None);
    let logged: Vec<_> = topic.state().into_iter().collect();
    let expected: Vec<_> = model.iter().map(|(key, (value, _))| (key.clone().into_bytes(), *value)).collect();
    let found: Vec<_> = logged
        .iter()
        .map(|(key, (value, _))| (key.clone(), i64::from_be_bytes((&**value).try_into().unwrap())))
        .collect();
    assert_eq!(found, expected, "{note}: the changelog");
    if S::IS_TIMESTAMPED {
        let times: Vec<_> = logged.iter().map(|(_, (_, timestamp))| *timestamp).collect();
        assert_eq!(times, model.values().map(|(_, timestamp)| *timestamp).collect::<Vec<_>>(), "{note}");
    }
}

#[test]
fn stores_in_memory_do_what_a_map_does() {
    for seed in 0..15 {
        for disk in [Disk::Forgetful, Disk::Simulated] {
            for budget in [None, Some(1), Some(400), Some(1 << 20)] {
                run::<KeyValueStore<String, i64>>(disk, budget, seed, 600);
                run::<TimestampedKeyValueStore<String, i64>>(disk, budget, seed, 600);
            }
        }
    }
}

#[test]
fn stores_on_disk_do_what_a_map_does() {
    for seed in 0..3 {
        for budget in [None, Some(400), Some(1 << 20)] {
            run::<KeyValueStore<String, i64>>(Disk::Fjall, budget, seed, 600);
            run::<TimestampedKeyValueStore<String, i64>>(Disk::Fjall, budget, seed, 600);
        }
    }
}

type Flushed = FlushedEntry<String, i64>;

/// Rows until none comes, and where each comes from.
fn all<S>(
    store: &mut S,
    next: impl Fn(&mut S, bool, &mut Origin) -> Result<Option<Flushed>>,
) -> Vec<(Flushed, Origin)> {
    let mut origin = Origin::NONE;
    std::iter::from_fn(|| Some((next(store, true, &mut origin).unwrap()?, origin.clone()))).collect()
}

/// The path of an operator: rows come out of the cache for forwarding.
#[test]
fn what_the_cache_hands_out_adds_up_to_the_store() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let engines = Engines::new(Disk::Simulated, 600);
        let builder = TimestampedKeyValueStore::<String, i64>::builder("s".into()).with_caching_enabled();
        let mut store = builder.build_store(engines.env(builder.facts())).unwrap();
        let (mut model, mut downstream) = (Rows::new(), BTreeMap::<String, i64>::new());
        for step in 0..500 {
            let mut flushed = Vec::new();
            if random.chance(90) {
                let (key, value) = (key(&mut random), (!random.chance(30)).then(|| random.below(9) as i64));
                store.enter(&origin(step, step), &Headers::new());
                let put = store.put_row(&key, value, Timestamp(step), &Headers::new()).unwrap();
                match value {
                    Some(value) => drop(model.insert(key, (value, step))),
                    None => drop(model.remove(&key)),
                }
                if put.is_over_budget {
                    flushed = all(&mut store, TimestampedKeyValueStore::next_evicted);
                }
            } else {
                flushed = all(&mut store, TimestampedKeyValueStore::next_dirty);
            }
            for (entry, origin) in flushed {
                assert!(entry.old.is_some() || entry.new.is_some(), "seed {seed}");
                assert_eq!(entry.old, downstream.get(&entry.key).copied(), "seed {seed}: old value of {:?}", entry.key);
                assert_eq!(entry.timestamp, origin.timestamp);
                match entry.new {
                    Some(value) => drop(downstream.insert(entry.key, value)),
                    None => drop(downstream.remove(&entry.key)),
                }
            }
            check(&mut store, &model, &mut random, &format!("seed {seed} step {step}"));
        }
        for (entry, _) in all(&mut store, TimestampedKeyValueStore::next_dirty) {
            match entry.new {
                Some(value) => drop(downstream.insert(entry.key, value)),
                None => drop(downstream.remove(&entry.key)),
            }
        }
        let expected: BTreeMap<_, _> = model.into_iter().map(|(key, (value, _))| (key, value)).collect();
        assert_eq!(downstream, expected, "seed {seed}");
    }
}
