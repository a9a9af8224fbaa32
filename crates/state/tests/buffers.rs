//! Buffers ordered by time against models: order, accounting, changelogs, and what a crash leaves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use common::{Disk, Engines, Random, origin};
use millstream_state::{
    ChangeBuffer, ChangelogRecord, CommitMark, RestoreRecord, StateStore, StoreBuilder, StoreFactory, Stores,
    StreamBuffer,
};
use millstream_types::{ErrorKind, Header, Headers, Offset, Serdes, Timestamp};

type Changes = ChangeBuffer<String, i64>;
type Waiting = StreamBuffer<String, i64>;

fn open<S: StateStore>(builder: &StoreBuilder<S>, engines: &Engines) -> S {
    builder.build_store(engines.env(builder.facts())).unwrap()
}

fn changes() -> StoreBuilder<Changes> {
    Stores::change_buffer_builder("buffer", Serdes::string(), Serdes::long())
}

/// A changelog topic with headers: key, value, whether the record says its version.
#[derive(Default)]
struct Topic(Vec<(Vec<u8>, Option<Vec<u8>>, Headers)>);

impl Topic {
    /// Commits a store; gives the number of records logged.
    fn commit(&mut self, store: &mut dyn StateStore) -> usize {
        let before = self.0.len();
        store.flush_cache().unwrap();
        store
            .drain_changelog(&mut |record: ChangelogRecord<'_>| {
                assert_eq!(record.timestamp, Timestamp::UNKNOWN, "the wall clock is the task's to tell");
                self.0.push((record.key.to_vec(), record.value.map(<[u8]>::to_vec), record.headers.clone()));
                Ok(())
            })
            .unwrap();
        store.seal();
        store.apply(&mark(self.0.len())).unwrap();
        self.0.len() - before
    }

    fn restore(&self, store: &mut dyn StateStore) {
        let from = store.mark().unwrap().map_or(0, |mark| (mark.changelog_offset.0 + 1) as usize);
        for (at, (key, value, headers)) in self.0.iter().enumerate().skip(from) {
            let record = ChangelogRecord { key, value: value.as_deref(), timestamp: Timestamp(7), headers };
            let record = RestoreRecord { offset: Offset(at as i64), record };
            store.restore(&[record], &mark(at + 1)).unwrap();
        }
    }
}

/// The mark of a commit after so many records.
fn mark(end: usize) -> CommitMark {
    CommitMark { changelog_offset: Offset(end as i64 - 1), ..CommitMark::default() }
}

/// An update held: old, new, prior, offset of its record.
type Held = (Option<i64>, Option<i64>, Option<i64>, i64);

/// Updates by time and key.
#[derive(Clone, Default)]
struct Model {
    held: BTreeMap<(i64, String), Held>,
}

impl Model {
    fn put(&mut self, time: i64, key: &str, (old, new): (Option<i64>, Option<i64>), offset: i64) {
        let place = self.held.keys().find(|(_, held)| held == key).cloned();
        let prior = place.as_ref().map_or(old, |place| self.held[place].2);
        self.held.insert(place.unwrap_or((time, key.to_owned())), (old, new, prior, offset));
    }

    fn bytes(&self) -> u64 {
        let value = |value: Option<i64>| if value.is_some() { 8 } else { 0 };
        let held = |((_, key), (old, new, prior, _)): (&(i64, String), &Held)| {
            let own_old = if old == prior { 0 } else { value(*old) };
            8 + key.len() as u64 + value(*prior) + own_old + value(*new) + 20 + "in".len() as u64 + 2
        };
        self.held.iter().map(held).sum()
    }

    fn check(&self, buffer: &mut Changes) {
        assert_eq!(buffer.record_count(), self.held.len() as u64);
        assert_eq!(buffer.byte_count(), self.bytes());
        let first = self.held.first_key_value();
        assert_eq!(buffer.first_time().map(|time| time.0), first.map(|((time, _), _)| *time));
        let released = buffer.first().unwrap();
        let seen = released.as_ref().map(|released| (released.key.clone(), released.value, released.origin.clone()));
        assert_eq!(seen, first.map(|((_, key), (old, new, _, at))| (key.clone(), (*old, *new), origin(*at, 50 + at))));
        for key in ["a", "b", "c", "d"] {
            let held = self.held.iter().find(|((_, held), _)| held == key);
            let prior = buffer.prior_value(&key.to_owned()).unwrap();
            assert_eq!(prior, held.map(|(_, (_, _, prior, _))| *prior), "{key}");
        }
    }
}

fn headers() -> Headers {
    Headers::from_iter([Header { key: "h".into(), value: Some(Bytes::from_static(b"x")) }])
}

#[test]
fn a_change_buffer_is_its_model_and_comes_back_from_its_changelog() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let engines = Engines::new(Disk::Simulated, 0);
        let (mut topic, mut buffer) = (Topic::default(), open(&changes(), &engines));
        let (mut model, mut committed) = (Model::default(), Model::default());
        let mut touched: BTreeSet<String> = BTreeSet::new();
        for at in 0..200 {
            match random.below(100) {
                0..60 => {
                    let key = ["a", "b", "c", "d"][random.below(4) as usize];
                    let some = |random: &mut Random| random.chance(70).then(|| random.below(3) as i64);
                    let (old, new, time) = (some(&mut random), some(&mut random), random.below(20) as i64);
                    buffer.enter(&origin(at, 50 + at), &Headers::new());
                    buffer.put(Timestamp(time), &key.to_owned(), old.as_ref(), new.as_ref(), &headers()).unwrap();
                    model.put(time, key, (old, new), at);
                    touched.insert(key.to_owned());
                }
                60..85 => {
                    touched.extend(model.held.pop_first().map(|((_, key), _)| key));
                    buffer.remove_first();
                }
                85..95 => {
                    assert_eq!(topic.commit(&mut buffer), touched.len(), "one record a key touched");
                    touched.clear();
                    committed = model.clone();
                }
                _ => {
                    buffer = open(&changes(), &engines);
                    topic.restore(&mut buffer);
                    touched.clear();
                    model = committed.clone();
                }
            }
            model.check(&mut buffer);
        }
    }
}

#[test]
fn changelog_records_have_kafka_streams_bytes() {
    let engines = Engines::new(Disk::Forgetful, 0);
    let mut buffer = open(&changes(), &engines);
    buffer.enter(&origin(5, 1000), &Headers::new());
    buffer.put(Timestamp(10_000), &"k".to_owned(), None, Some(&1), &headers()).unwrap();
    let mut topic = Topic::default();
    topic.commit(&mut buffer);
    let (key, value, headers) = &topic.0[0];
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let expected = "00000000000003e8 0000000000000005 00000002 696e 00000000 00000001 00000001 68 00000001 78 \
                    ffffffff ffffffff 00000008 0000000000000001 0000000000002710";
    assert_eq!((key.as_slice(), hex(value.as_ref().unwrap())), (&b"k"[..], expected.replace(' ', "")));
    assert_eq!(headers.last("v").unwrap().value.as_deref(), Some(&[3][..]));
    buffer.remove_first();
    topic.commit(&mut buffer);
    assert_eq!(topic.0[1], (b"k".to_vec(), None, Headers::new()));
}

#[test]
fn every_version_of_the_changelog_is_read() {
    let context = [&1000_i64.to_be_bytes()[..], &[0; 8], &[0, 0, 0, 1, b't'], &[0; 4], &[0; 4]].concat();
    let sized = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes()[..], bytes].concat();
    let null = [0xff; 4].to_vec();
    let long = |value: i64| sized(&value.to_be_bytes());
    let time = 9_i64.to_be_bytes().to_vec();
    let change = [long(1), long(2)].concat();
    let version_3 = [&context[..], &long(1), &[0xff, 0xff, 0xff, 0xfe], &long(2), &time].concat();
    for (version, value) in [
        (None, [&time[..], &change].concat()),
        (Some(1), [&time[..], &context, &sized(&change)].concat()),
        (Some(2), [&context[..], &sized(&change), &long(1), &time].concat()),
        (Some(2), version_3.clone()),
        (Some(3), version_3.clone()),
        (Some(3), [&context[..], &null, &long(1), &long(2), &time].concat()),
    ] {
        let header = version.map(|version| Header { key: "v".into(), value: Some(Bytes::from(vec![version])) });
        let topic = Topic(vec![(b"k".to_vec(), Some(value), header.into_iter().collect())]);
        let mut buffer = open(&changes(), &Engines::new(Disk::Forgetful, 0));
        topic.restore(&mut buffer);
        let first = buffer.first().unwrap().unwrap();
        assert_eq!((buffer.first_time(), first.value), (Some(Timestamp(9)), (Some(1), Some(2))), "{version:?}");
        let time = if version.is_none() { 7 } else { 1000 };
        assert_eq!(first.origin.timestamp, Timestamp(time), "{version:?}");
    }
    for (version, value) in [(3, &version_3[1..]), (4, &version_3[..]), (3, &[][..])] {
        let header = Header { key: "v".into(), value: Some(Bytes::from(vec![version])) };
        let headers = Headers::from_iter([header]);
        let record = ChangelogRecord { key: b"k", value: Some(value), timestamp: Timestamp(7), headers: &headers };
        let mut buffer = open(&changes(), &Engines::new(Disk::Forgetful, 0));
        let failed = buffer.restore(&[RestoreRecord { offset: Offset(0), record }], &CommitMark::default());
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Corrupted);
    }
}

/// Offsets of the records that wait, by time, key and arrival.
type WaitingModel = BTreeMap<(i64, String, u64), i64>;

#[test]
fn a_stream_buffer_is_its_model_whatever_a_crash_leaves() {
    const GRACE_MS: i64 = 6;
    for (seed, disk) in
        (0..30).flat_map(|seed| [Disk::Forgetful, Disk::Simulated, Disk::Fjall].map(|disk| (seed, disk)))
    {
        if disk == Disk::Fjall && seed > 4 {
            continue;
        }
        let mut random = Random::new(seed);
        let engines = Engines::new(disk, 0);
        let builder = Stores::stream_buffer_builder("buffer", Serdes::string(), Serdes::long());
        let (mut topic, mut buffer): (Topic, Waiting) = (Topic::default(), open(&builder, &engines));
        let (mut model, mut committed) = (WaitingModel::new(), WaitingModel::new());
        let (mut stream_time, mut clock) = (-1, 0);
        for at in 0..150 {
            match random.below(100) {
                0..70 => {
                    clock += random.below(3) as i64;
                    let time = (clock - random.below(10) as i64).max(0);
                    let key = ["a", "b"][random.below(2) as usize].to_owned();
                    buffer.enter(&origin(at, time), &Headers::new());
                    let is_held = buffer.put(&key, &at, &headers(), GRACE_MS).unwrap();
                    assert_eq!(is_held, stream_time - GRACE_MS <= time, "{disk:?} {seed}");
                    if is_held {
                        stream_time = stream_time.max(time);
                        model.insert((time, key, at as u64), at);
                    }
                }
                70..85 => {
                    for due in buffer.due(GRACE_MS).unwrap() {
                        let released = buffer.remove(due).unwrap();
                        let ((time, key, _), offset) = model.pop_first().unwrap();
                        assert!(time <= stream_time - GRACE_MS);
                        assert_eq!((released.key, released.value, released.headers), (key, offset, headers()));
                        assert_eq!(released.origin, origin(offset, time));
                    }
                    assert!(model.keys().all(|(time, ..)| *time > stream_time - GRACE_MS), "{disk:?} {seed}");
                }
                85..95 => {
                    topic.commit(&mut buffer);
                    committed = model.clone();
                }
                _ => {
                    drop(buffer);
                    buffer = open(&builder, &engines);
                    topic.restore(&mut buffer);
                    model = committed.clone();
                    stream_time = model.keys().map(|(time, ..)| *time).max().unwrap_or(-1);
                }
            }
            assert_eq!(buffer.record_count().unwrap(), model.len() as u64);
        }
    }
}
