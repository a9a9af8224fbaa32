//! What suppliers decide: bounds, and what of timestamps and headers is kept.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use millstream_state::{
    ChangelogRecord, CommitMark, KeyValueStore, KeyValueStoreSupplier, MemoryEngine, Origin, RestoreRecord, StateStore,
    StoreBuilder, StoreEnv, Stores, TimestampedKeyValueStore, TimestampedKeyValueStoreWithHeaders, ValueAndTimestamp,
    ValueTimestampHeaders,
};
use millstream_types::{Headers, Offset, Partition, Serdes, Timestamp};

type Logged = (String, Option<Vec<u8>>, i64, Headers);

fn build<S: StateStore>(builder: &StoreBuilder<S>) -> S {
    let env = StoreEnv::new(Box::new(MemoryEngine::new()));
    builder.build_store(env).unwrap()
}

fn enter(store: &mut dyn StateStore, timestamp: i64, headers: &Headers) {
    let origin = Origin {
        topic: Some("in".into()),
        partition: Partition(0),
        offset: Offset(0),
        timestamp: Timestamp(timestamp),
        ..Origin::NONE
    };
    store.enter(&origin, headers);
}

fn drain(store: &mut dyn StateStore) -> Vec<Logged> {
    let mut logged = Vec::new();
    let mut keep = |record: ChangelogRecord<'_>| {
        let key = String::from_utf8(record.key.to_vec()).unwrap();
        logged.push((key, record.value.map(<[u8]>::to_vec), record.timestamp.0, record.headers.clone()));
        Ok(())
    };
    store.drain_changelog(&mut keep).unwrap();
    logged
}

fn restore(store: &mut dyn StateStore, logged: &[Logged]) {
    for (at, (key, value, timestamp, headers)) in logged.iter().enumerate() {
        let record =
            ChangelogRecord { key: key.as_bytes(), value: value.as_deref(), timestamp: Timestamp(*timestamp), headers };
        let offset = Offset(at as i64);
        let mark = CommitMark { changelog_offset: offset, ..CommitMark::default() };
        store.restore(&[RestoreRecord { offset, record }], &mark).unwrap();
    }
}

fn header(name: &str) -> Headers {
    let mut headers = Headers::new();
    headers.add(name, None);
    headers
}

fn keys(store: &mut KeyValueStore<String, i64>) -> Vec<String> {
    store.all().unwrap().map(|row| row.unwrap().0).collect()
}

#[test]
fn a_bounded_store_forgets_what_was_used_least_recently_and_logs_it() {
    let builder = Stores::key_value_store_builder(Stores::lru_map("s", 2), Serdes::string(), Serdes::long());
    let mut store = build(&builder);
    enter(&mut store, 7, &Headers::new());
    for key in ["a", "b"] {
        store.put(&key.to_owned(), Some(1)).unwrap();
    }
    store.seal();
    store.apply(&CommitMark::default()).unwrap();
    store.get(&"a".to_owned()).unwrap();
    store.put(&"c".to_owned(), Some(2)).unwrap();
    assert_eq!(keys(&mut store), ["a", "c"]);
    let logged = drain(&mut store);
    let names: Vec<_> = logged.iter().map(|(key, value, ..)| (&**key, value.is_some())).collect();
    // The eviction comes before the write that causes it.
    assert_eq!(names, [("a", true), ("b", true), ("b", false), ("c", true)]);
    store.seal();
    store.apply(&CommitMark::default()).unwrap();
    assert_eq!(keys(&mut store), ["a", "c"]);
    assert_eq!(store.approximate_num_entries().unwrap(), 2);

    let mut restored = build(&builder);
    restore(&mut restored, &logged);
    assert_eq!(keys(&mut restored), ["a", "c"]);
}

#[test]
fn a_bounded_table_logs_no_evictions_and_is_bounded_again_when_restored() {
    let supplier = Stores::lru_map("s", 2);
    let builder = Stores::timestamped_key_value_store_builder(supplier, Serdes::string(), Serdes::long());
    let mut store = build(&builder);
    for key in ["a", "b", "c"] {
        store.put(&key.to_owned(), Some(ValueAndTimestamp::new(1, Timestamp(3)))).unwrap();
    }
    let logged = drain(&mut store);
    assert_eq!(logged.len(), 3);
    let mut restored = build(&builder);
    restore(&mut restored, &logged);
    let rows: Vec<_> = restored.all().unwrap().map(|row| row.unwrap().0).collect();
    assert_eq!(rows, ["b", "c"]);
}

/// The row that a timestamped store gives back, in memory and from its changelog.
#[track_caller]
fn check_timestamp(supplier: KeyValueStoreSupplier, expected: i64) {
    let builder = Stores::timestamped_key_value_store_builder(supplier, Serdes::string(), Serdes::long());
    let mut store: TimestampedKeyValueStore<String, i64> = build(&builder);
    store.put(&"a".to_owned(), Some(ValueAndTimestamp::new(1, Timestamp(5)))).unwrap();
    let row = Some(ValueAndTimestamp::new(1, Timestamp(expected)));
    assert_eq!(store.get(&"a".to_owned()).unwrap(), row);
    let logged = drain(&mut store);
    assert_eq!(logged[0].2, 5, "the changelog has the time in any case");
    let mut restored = build(&builder);
    restore(&mut restored, &logged);
    assert_eq!(restored.get(&"a".to_owned()).unwrap(), row);
}

#[test]
fn a_plain_supplier_on_disk_loses_timestamps() {
    check_timestamp(Stores::persistent_key_value_store("s"), -1);
    check_timestamp(Stores::persistent_timestamped_key_value_store("s"), 5);
    check_timestamp(Stores::persistent_timestamped_key_value_store_with_headers("s"), 5);
    check_timestamp(Stores::in_memory_key_value_store("s"), 5);
    check_timestamp("s".into(), 5);
}

/// What a store with headers gives back.
#[track_caller]
fn check_headers(supplier: KeyValueStoreSupplier, timestamp: i64, headers: &Headers) {
    for is_cached in [false, true] {
        let supplier = supplier.clone();
        let builder =
            Stores::timestamped_key_value_store_with_headers_builder(supplier, Serdes::string(), Serdes::long());
        let builder = if is_cached { builder.with_caching_enabled() } else { builder };
        let mut store: TimestampedKeyValueStoreWithHeaders<String, i64> = build(&builder);
        let value = ValueTimestampHeaders { value: 1, timestamp: Timestamp(5), headers: header("kept") };
        enter(&mut store, 7, &header("record"));
        store.put(&"a".to_owned(), Some(value)).unwrap();
        store.put(&"b".to_owned(), None).unwrap();
        store.flush_cache().unwrap();
        let row = ValueTimestampHeaders { value: 1, timestamp: Timestamp(timestamp), headers: headers.clone() };
        assert_eq!(store.get(&"a".to_owned()).unwrap(), Some(row.clone()));
        let logged = drain(&mut store);
        let value = Some(1_i64.to_be_bytes().to_vec());
        assert_eq!(logged[0], ("a".to_owned(), value, 5, header("kept")));
        assert_eq!(logged[1], ("b".to_owned(), None, 7, header("record")));
        let mut restored = build(&builder);
        restore(&mut restored, &logged);
        let rows: Vec<_> = restored.all().unwrap().map(Result::unwrap).collect();
        assert_eq!(rows, [("a".to_owned(), row)]);
    }
}

#[test]
fn headers_survive_store_and_changelog_where_the_supplier_keeps_them() {
    check_headers(Stores::persistent_timestamped_key_value_store_with_headers("s"), 5, &header("kept"));
    check_headers(Stores::in_memory_key_value_store("s"), 5, &header("kept"));
    check_headers(Stores::persistent_timestamped_key_value_store("s"), 5, &Headers::new());
    check_headers(Stores::persistent_key_value_store("s"), -1, &Headers::new());
}
