#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]
//! Queries of a store: what each kind knows, as which types, and what each view sees.

use std::time::Duration;

use millstream_state::query::*;
use millstream_state::*;
use millstream_types::{Headers, Result, Serdes, Timestamp, Window, Windowed};

fn cached() -> StoreEnv {
    StoreEnv { cache: CacheBudget::new(1 << 20), ..StoreEnv::new(Box::new(MemoryEngine::new())) }
}

fn commit(store: &mut dyn StateStore) {
    store.flush_cache().unwrap();
    store.drain_changelog(&mut |_| Ok(())).unwrap();
    store.seal();
    store.apply(&CommitMark::default()).unwrap();
}

#[track_caller]
fn run<Q: Query>(store: &mut dyn StateStore, query: &Q) -> Q::Result {
    query.run(store, ReadView::Latest).unwrap()
}

#[track_caller]
fn rows<T>(rows: StoreIterator<T>) -> Vec<T> {
    rows.collect::<Result<_>>().unwrap()
}

#[track_caller]
fn assert_unknown<Q: Query>(store: &mut dyn StateStore, query: &Q) {
    let Err(failure) = query.run(store, ReadView::Latest) else { panic!("the query is known") };
    assert_eq!(failure.reason, FailureReason::UnknownQueryType, "{failure}");
}

fn counts() -> TimestampedKeyValueStore<String, i64> {
    let supplier = Stores::in_memory_key_value_store("counts");
    let builder = Stores::timestamped_key_value_store_builder(supplier, Serdes::string(), Serdes::long());
    builder.with_caching_enabled().build_store(cached()).unwrap()
}

fn put(store: &mut TimestampedKeyValueStore<String, i64>, key: &str, value: i64) {
    store.put(&key.to_owned(), Some(ValueAndTimestamp::new(value, Timestamp(value)))).unwrap();
}

#[test]
fn each_view_sees_what_has_come_so_far() {
    let mut store = counts();
    put(&mut store, "a", 1);
    commit(&mut store);
    put(&mut store, "a", 2);
    store.flush_cache().unwrap();
    put(&mut store, "a", 3);
    put(&mut store, "b", 4);
    let query = KeyQuery::<String, i64>::with_key("a".to_owned());
    let all = RangeQuery::<String, i64>::with_no_bounds();
    let seen = |store: &mut TimestampedKeyValueStore<String, i64>, view| {
        (query.run(store, view).unwrap(), rows(all.run(store, view).unwrap()).len())
    };
    assert_eq!(seen(&mut store, ReadView::Latest), (Some(3), 2));
    assert_eq!(seen(&mut store, ReadView::SkipCache), (Some(2), 1));
    assert_eq!(seen(&mut store, ReadView::Committed), (Some(1), 1));
    assert_eq!(run(&mut store, &query.clone().skip_cache()), Some(2));
    assert_eq!(query.skip_cache().run(&mut store, ReadView::Committed), Ok(Some(1)));
}

#[test]
fn rows_come_with_timestamps_where_they_are_asked_for() {
    let mut store = counts();
    ["a", "b", "c"].iter().zip(1..).for_each(|(key, value)| put(&mut store, key, value));
    let query = TimestampedKeyQuery::<String, i64>::with_key("b".to_owned());
    assert_eq!(run(&mut store, &query), Some(ValueAndTimestamp::new(2, Timestamp(2))));
    let query = RangeQuery::<String, i64>::with_lower_bound("b".to_owned());
    assert_eq!(rows(run(&mut store, &query)), [("b".to_owned(), 2), ("c".to_owned(), 3)]);
    let query = TimestampedRangeQuery::<String, i64>::with_upper_bound("b".to_owned()).with_descending_keys();
    let keys: Vec<_> = rows(run(&mut store, &query)).into_iter().map(|(key, row)| (key, row.timestamp.0)).collect();
    assert_eq!(keys, [("b".to_owned(), 2), ("a".to_owned(), 1)]);
}

#[test]
fn other_kinds_and_types_are_unknown_and_the_failure_names_the_store() {
    let mut store = counts();
    assert_unknown(&mut store, &KeyQuery::<i64, i64>::with_key(1));
    assert_unknown(&mut store, &KeyQuery::<String, String>::with_key("a".to_owned()));
    assert_unknown(&mut store, &VersionedKeyQuery::<String, i64>::with_key("a".to_owned()));
    let query = WindowRangeQuery::<String, i64>::with_key("a".to_owned());
    let failure = query.run(&mut store, ReadView::Latest).err().unwrap();
    assert!(failure.message.contains("store counts is a "), "{failure}");
    assert!(failure.message.contains("TimestampedKeyValueStore<alloc::string::String, i64>"), "{failure}");

    let supplier = Stores::in_memory_key_value_store("plain");
    let mut store: KeyValueStore<i64, i64> =
        Stores::key_value_store_builder(supplier, Serdes::long(), Serdes::long()).build_store(cached()).unwrap();
    store.put(&1, Some(2)).unwrap();
    assert_eq!(run(&mut store, &KeyQuery::<i64, i64>::with_key(1)), Some(2));
    assert_unknown(&mut store, &TimestampedKeyQuery::<i64, i64>::with_key(1));
}

#[test]
fn a_query_leaves_the_order_of_use_alone() {
    let supplier = Stores::lru_map("recent", 2);
    let mut store: KeyValueStore<i64, i64> =
        Stores::key_value_store_builder(supplier, Serdes::long(), Serdes::long()).build_store(cached()).unwrap();
    store.put(&1, Some(1)).unwrap();
    store.put(&2, Some(2)).unwrap();
    assert_eq!(run(&mut store, &KeyQuery::<i64, i64>::with_key(1)), Some(1));
    store.put(&3, Some(3)).unwrap();
    assert_eq!(run(&mut store, &KeyQuery::<i64, i64>::with_key(1)), None, "it was still the one used least recently");
}

#[test]
fn an_iterator_shows_the_rows_of_its_moment() {
    let mut store = counts();
    put(&mut store, "a", 1);
    commit(&mut store);
    put(&mut store, "b", 2);
    let before = run(&mut store, &RangeQuery::<String, i64>::with_no_bounds());
    put(&mut store, "a", 3);
    put(&mut store, "c", 4);
    commit(&mut store);
    assert_eq!(rows(before), [("a".to_owned(), 1), ("b".to_owned(), 2)]);
}

#[test]
fn rows_with_headers_are_shown_with_and_without_them() {
    let supplier = Stores::persistent_timestamped_key_value_store_with_headers("orders");
    let builder = Stores::timestamped_key_value_store_with_headers_builder(supplier, Serdes::long(), Serdes::long());
    let mut store: TimestampedKeyValueStoreWithHeaders<i64, i64> = builder.build_store(cached()).unwrap();
    let mut headers = Headers::new();
    headers.add("shop", Some("Ulm".into()));
    let row = ValueTimestampHeaders { value: 20, timestamp: Timestamp(5), headers };
    store.put(&1, Some(row.clone())).unwrap();
    assert_eq!(run(&mut store, &KeyQuery::<i64, i64>::with_key(1)), Some(20));
    assert_eq!(
        run(&mut store, &TimestampedKeyQuery::<i64, i64>::with_key(1)),
        Some(ValueAndTimestamp::new(20, Timestamp(5)))
    );
    assert_eq!(run(&mut store, &KeyQuery::<i64, ValueTimestampHeaders<i64>>::with_key(1)), Some(row));
}

#[test]
fn windows_are_found_by_key_and_by_start() {
    let ms = Duration::from_millis;
    let supplier = Stores::in_memory_window_store("clicks", ms(100), ms(10), false);
    let builder = Stores::timestamped_window_store_builder(supplier, Serdes::long(), Serdes::long());
    let mut store: TimestampedWindowStore<i64, i64> = builder.build_store(cached()).unwrap();
    for (key, start, value) in [(1, 0, 10), (2, 0, 20), (1, 10, 11), (1, 20, 12)] {
        store.put(&key, Some(ValueAndTimestamp::new(value, Timestamp(start + 1))), Timestamp(start)).unwrap();
    }
    let query = WindowKeyQuery::<i64, i64>::with_key_and_window_start_range(1, Timestamp(0), Timestamp(10));
    assert_eq!(rows(run(&mut store, &query)), [(Timestamp(0), 10), (Timestamp(10), 11)]);
    let query = WindowKeyQuery::<i64, ValueAndTimestamp<i64>>::with_key_and_window_start_range(
        2,
        Timestamp(0),
        Timestamp(i64::MAX),
    );
    assert_eq!(rows(run(&mut store, &query)), [(Timestamp(0), ValueAndTimestamp::new(20, Timestamp(1)))]);
    let query = WindowRangeQuery::<i64, i64>::with_window_start_range(Timestamp(0), Timestamp(10));
    let found: Vec<_> = rows(run(&mut store, &query)).into_iter().map(|(window, value)| (window.key, value)).collect();
    assert_eq!(found, [(1, 10), (2, 20), (1, 11)]);
    assert_unknown(&mut store, &WindowRangeQuery::<i64, i64>::with_key(1));
}

#[test]
fn sessions_are_found_by_key() {
    let supplier = Stores::in_memory_session_store("visits", Duration::from_millis(100));
    let mut store: SessionStore<i64, i64> =
        Stores::session_store_builder(supplier, Serdes::long(), Serdes::long()).build_store(cached()).unwrap();
    let visit = |key, start, end| Windowed { key, window: Window { start: Timestamp(start), end: Timestamp(end) } };
    for (session, value) in [(visit(1, 0, 5), 1), (visit(2, 0, 6), 2), (visit(1, 20, 25), 3)] {
        store.put(&session, Some(value)).unwrap();
    }
    let found = rows(run(&mut store, &WindowRangeQuery::<i64, i64>::with_key(1)));
    assert_eq!(found, [(visit(1, 0, 5), 1), (visit(1, 20, 25), 3)]);
    assert_eq!(found, rows(store.fetch(&1).unwrap()), "as a processor reads them");
    assert_unknown(&mut store, &WindowRangeQuery::<i64, i64>::with_window_start_range(Timestamp(0), Timestamp(9)));
    let read = SessionValue::<i64, i64>::new(2, (Timestamp(0), Timestamp(6)));
    assert_eq!(ask(&mut store, read, ReadView::Latest), Ok(Some(2)));
}

#[test]
fn versions_are_found_by_time() {
    let supplier = Stores::in_memory_versioned_key_value_store("prices", Duration::from_secs(60));
    let mut store: VersionedKeyValueStore<i64, i64> =
        Stores::versioned_key_value_store_builder(supplier, Serdes::long(), Serdes::long())
            .build_store(cached())
            .unwrap();
    store.put(&1, Some(20), Timestamp(100)).unwrap();
    commit(&mut store);
    store.put(&1, Some(30), Timestamp(200)).unwrap();
    let newest = VersionedKeyQuery::<i64, i64>::with_key(1);
    assert_eq!(run(&mut store, &newest).map(|version| version.value), Some(30));
    let committed = newest.run(&mut store, ReadView::Committed).unwrap();
    assert_eq!(committed.map(|version| version.value), Some(20));
    let query = newest.as_of(Timestamp(150));
    assert_eq!(
        run(&mut store, &query).map(|version| (version.value, version.valid_to)),
        Some((20, Some(Timestamp(200))))
    );

    let values = |store: &mut dyn StateStore, query: &MultiVersionedKeyQuery<i64, i64>| {
        rows(run(store, query)).into_iter().map(|version| version.value).collect::<Vec<_>>()
    };
    let query = MultiVersionedKeyQuery::<i64, i64>::with_key(1);
    assert_eq!(values(&mut store, &query), [30, 20]);
    assert_eq!(values(&mut store, &query.clone().with_ascending_timestamps()), [20, 30]);
    assert_eq!(values(&mut store, &query.clone().to_time(Timestamp(199))), [20]);
    let failure = query.from_time(Timestamp(5)).to_time(Timestamp(4)).run(&mut store, ReadView::Latest).err();
    assert_eq!(failure.map(|failure| failure.reason), Some(FailureReason::StoreException));
}

#[test]
fn a_bound_asks_for_the_offsets_of_the_stores_own_partition() {
    use millstream_types::{Offset, Partition};
    let at = |topic: &str, partition, offset| Position::empty().with_component(topic, partition, Offset(offset));
    let seen = at("in", 0, 5).merge(&at("in", 1, 2));
    let is_past = |bound: Position, partition| seen.is_past(&PositionBound::at(bound), Partition(partition));
    assert!(is_past(Position::empty(), 0) && is_past(at("in", 0, 5), 0));
    assert!(!is_past(at("in", 0, 6), 0) && !is_past(at("other", 0, 0), 0));
    assert!(is_past(at("in", 1, 9), 0), "another partition's offset");
}
