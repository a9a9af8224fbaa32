//! The store of records without a partner: its bytes, its order, and what comes back from its
//! changelog.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{Disk, Engines, Topic, origin};
use millstream_state::{JoinSide, LeftOrRight, OuterJoinStore, StateStore, StoreBuilder, StoreFactory, Stores};
use millstream_types::{Headers, Serdes, Timestamp};

type Store = OuterJoinStore<String, String, i64>;

/// Time, side, key and values of a row.
type Row = (i64, JoinSide, String, Vec<LeftOrRight<String, i64>>);

fn builder() -> StoreBuilder<Store> {
    Stores::outer_join_store_builder("unmatched", Serdes::string(), Serdes::string(), Serdes::long())
}

fn rows(store: &mut Store) -> Vec<Row> {
    let rows = store.rows().unwrap().map(Result::unwrap);
    rows.map(|row| (row.time().0, row.side(), row.key().unwrap(), row.values().unwrap())).collect()
}

fn left(store: &mut Store, key: &str, time: i64, value: &str) {
    store.put(&key.to_owned(), Timestamp(time), LeftOrRight::Left(&value.to_owned())).unwrap();
}

fn right(store: &mut Store, key: &str, time: i64, value: i64) {
    store.put(&key.to_owned(), Timestamp(time), LeftOrRight::Right(&value)).unwrap();
}

fn is_left(value: &str) -> LeftOrRight<String, i64> {
    LeftOrRight::Left(value.to_owned())
}

#[test]
fn rows_are_logged_in_kafka_streams_bytes() {
    let engines = Engines::new(Disk::Simulated, 0);
    let mut store = builder().build_store(engines.env(builder().facts())).unwrap();
    store.enter(&origin(0, 1005), &Headers::new());
    left(&mut store, "k1", 1000, "v1");
    left(&mut store, "k1", 1000, "v2");
    store.remove_if_present(&"k2".to_owned(), Timestamp(1000), JoinSide::Right).unwrap();
    store.remove_if_present(&"k1".to_owned(), Timestamp(1000), JoinSide::Left).unwrap();
    let logged = Topic::drain(&mut store);
    let key = b"\0\0\0\0\0\0\x03\xe8\x01k1".to_vec();
    let value = |bytes: &[u8]| Some(bytes.to_vec());
    let values =
        [value(b"\x01\0\0\0\x01\0\0\0\x03\x01v1"), value(b"\x01\0\0\0\x02\0\0\0\x03\x01v1\0\0\0\x03\x01v2"), None];
    assert_eq!(logged.len(), values.len());
    for (logged, value) in logged.into_iter().zip(values) {
        assert_eq!((logged.key, logged.value, logged.timestamp), (key.clone(), value, 1005));
    }
}

#[test]
fn rows_come_by_time_then_right_before_left_then_key_also_from_the_changelog() {
    for disk in [Disk::Forgetful, Disk::Simulated, Disk::Fjall] {
        let engines = Engines::new(disk, 0);
        let open = || builder().build_store(engines.env(builder().facts())).unwrap();
        let mut topic = Topic::default();
        let mut store = open();
        left(&mut store, "b", 20, "one");
        right(&mut store, "b", 20, 7);
        left(&mut store, "a", 20, "two");
        topic.commit(&mut store, None);
        left(&mut store, "b", 20, "three");
        left(&mut store, "z", 10, "gone");
        store.remove_if_present(&"z".to_owned(), Timestamp(10), JoinSide::Left).unwrap();
        right(&mut store, "c", 3, 9);
        let expected = vec![
            (3, JoinSide::Right, "c".to_owned(), vec![LeftOrRight::Right(9)]),
            (20, JoinSide::Right, "b".to_owned(), vec![LeftOrRight::Right(7)]),
            (20, JoinSide::Left, "a".to_owned(), vec![is_left("two")]),
            (20, JoinSide::Left, "b".to_owned(), vec![is_left("one"), is_left("three")]),
        ];
        assert_eq!(rows(&mut store), expected);
        topic.0.extend(Topic::drain(&mut store));
        // What was not committed is lost with the store and comes back from the changelog.
        drop(store);
        let mut store = open();
        topic.restore(&mut store);
        assert_eq!(rows(&mut store), expected, "{disk:?}");
    }
}
