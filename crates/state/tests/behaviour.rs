//! What Kafka Streams' stores do beyond being maps: changelog records, swallowed deletions, times.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::time::Duration;

use millstream_state::{
    AggregationWithHeaders, CacheBudget, ChangelogRecord, CommitMark, Engine, EngineProvider, MemoryEngine,
    MemoryEngines, Origin, RestoreRecord, SessionStoreWithHeaders, StateStore, StoreBuilder, StoreEnv, StoreFactory,
    StoreFacts, Stores, ValueAndTimestamp,
};
use millstream_types::{
    Codec, CodecError, ErrorKind, Headers, Offset, Partition, Serde, Serdes, TaskId, Timestamp, Window, Windowed,
};

const HOUR: Duration = Duration::from_secs(3600);

fn build<S: StateStore>(builder: &StoreBuilder<S>, budget: usize) -> S {
    let env = StoreEnv { cache: CacheBudget::new(budget), ..StoreEnv::new(Box::new(MemoryEngine::new())) };
    builder.build_store(env).unwrap()
}

fn enter(store: &mut dyn StateStore, timestamp: i64) {
    store.enter(
        &Origin {
            topic: Some("in".into()),
            partition: Partition(2),
            offset: Offset(timestamp),
            timestamp: Timestamp(timestamp),
            ..Origin::NONE
        },
        &Headers::new(),
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// Changelog records as `key -> value @timestamp #headers`.
fn drain(store: &mut dyn StateStore) -> Vec<String> {
    let mut seen = Vec::new();
    store
        .drain_changelog(&mut |record: ChangelogRecord<'_>| {
            let value = record.value.map_or("null".to_owned(), hex);
            seen.push(format!("{} -> {value} @{} #{}", hex(record.key), record.timestamp, record.headers.len()));
            Ok(())
        })
        .unwrap();
    seen
}

#[test]
fn changelog_records_are_kafka_streams_bytes() {
    let key = "k1".to_owned();
    let at = |value: i64, timestamp| Some(ValueAndTimestamp::new(value, Timestamp(timestamp)));
    for is_cached in [false, true] {
        let mut plain = Stores::key_value_store_builder("s", Serdes::string(), Serdes::long());
        let mut timestamped = Stores::timestamped_key_value_store_builder("s", Serdes::string(), Serdes::long());
        let supplier = Stores::persistent_timestamped_window_store("s", HOUR, HOUR, false);
        let mut window = Stores::timestamped_window_store_builder(supplier, Serdes::string(), Serdes::long());
        if is_cached {
            plain = plain.with_caching_enabled();
            timestamped = timestamped.with_caching_enabled();
            window = window.with_caching_enabled();
        }
        let mut store = build(&plain, 1 << 20);
        enter(&mut store, 7);
        store.put(&key, Some(2)).unwrap();
        store.flush_cache().unwrap();
        enter(&mut store, 8);
        store.put(&key, None).unwrap();
        store.flush_cache().unwrap();
        assert_eq!(drain(&mut store), ["6b31 -> 0000000000000002 @7 #0", "6b31 -> null @8 #0"]);
        assert!(drain(&mut store).is_empty());

        let mut store = build(&timestamped, 1 << 20);
        enter(&mut store, 7);
        store.put(&key, at(2, 5)).unwrap();
        store.flush_cache().unwrap();
        enter(&mut store, 8);
        store.put(&key, None).unwrap();
        store.flush_cache().unwrap();
        assert_eq!(drain(&mut store), ["6b31 -> 0000000000000002 @5 #0", "6b31 -> null @8 #0"]);

        let mut store = build(&window, 1 << 20);
        enter(&mut store, 9);
        store.put(&key, at(2, 6), Timestamp(0x1a1_fd3d_1080)).unwrap();
        store.flush_cache().unwrap();
        assert_eq!(drain(&mut store), ["6b31000001a1fd3d108000000000 -> 0000000000000002 @6 #0"]);
    }

    let join = Stores::persistent_window_store("s", HOUR, HOUR, true);
    let join = Stores::window_store_builder(join, Serdes::string(), Serdes::string());
    let mut store = build(&join, 0);
    let mut headers = Headers::new();
    headers.add("h", None);
    enter(&mut store, 1500);
    store.put_with_headers(&key, Some("w1".to_owned()), Timestamp(1500), &headers).unwrap();
    assert_eq!(drain(&mut store), ["6b3100000000000005dc00000001 -> 7731 @1500 #1"]);
}

#[test]
fn a_store_without_logging_logs_nothing() {
    let builder = Stores::key_value_store_builder("s", Serdes::string(), Serdes::long()).with_logging_disabled();
    let mut store = build(&builder, 0);
    store.put(&"a".to_owned(), Some(1)).unwrap();
    assert!(drain(&mut store).is_empty());
}

#[test]
fn a_failed_drain_keeps_what_was_not_taken() {
    let mut store = build(&Stores::key_value_store_builder("s", Serdes::string(), Serdes::long()), 0);
    for key in ["a", "b", "c"] {
        store.put(&key.to_owned(), Some(1)).unwrap();
    }
    let mut taken = 0;
    let failed = store.drain_changelog(&mut |_| {
        taken += 1;
        if taken == 2 { Err(millstream_types::Error::new(ErrorKind::Retriable, "later")) } else { Ok(()) }
    });
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Retriable);
    let rest: Vec<String> = drain(&mut store).iter().map(|record| record[..2].to_owned()).collect();
    assert_eq!(rest, ["62", "63"]);
}

#[test]
fn a_flush_of_nothing_over_nothing_is_swallowed() {
    let builder =
        Stores::timestamped_key_value_store_builder("s", Serdes::string(), Serdes::long()).with_caching_enabled();
    let mut store = build(&builder, 1 << 20);
    let (key, none) = ("k".to_owned(), Headers::new());
    enter(&mut store, 1);
    store.put_row(&key, None, Timestamp(1), &none).unwrap();
    store.put_row(&key, Some(1), Timestamp(1), &none).unwrap();
    store.put_row(&key, None, Timestamp(1), &none).unwrap();
    let mut origin = Origin::NONE;
    assert_eq!(store.next_dirty(true, &mut origin).unwrap(), None);
    assert!(drain(&mut store).is_empty());

    store.put_row(&key, Some(1), Timestamp(1), &none).unwrap();
    store.next_dirty(false, &mut origin).unwrap().unwrap();
    assert_eq!(origin.timestamp, Timestamp(1));
    enter(&mut store, 9);
    let mut headers = Headers::new();
    headers.add("h", None);
    store.put_row(&key, None, Timestamp(4), &headers).unwrap();
    let entry = store.next_dirty(false, &mut origin).unwrap().unwrap();
    assert_eq!(store.next_dirty(false, &mut origin).unwrap(), None);
    assert_eq!(
        (entry.new, entry.old, entry.headers.len()),
        (None, Some(1), 1),
        "a deletion always tells the old value"
    );
    assert_eq!((entry.timestamp, origin.offset), (Timestamp(9), Offset(9)), "the time of the record's context");
    assert_eq!(drain(&mut store), ["6b -> 0000000000000001 @1 #0", "6b -> null @9 #0"]);
}

#[test]
fn without_a_cache_a_deletion_of_nothing_is_written() {
    let builder = Stores::timestamped_key_value_store_builder("s", Serdes::string(), Serdes::long());
    let mut store = build(&builder, 0);
    enter(&mut store, 3);
    let mut headers = Headers::new();
    headers.add("h", None);
    let put = store.put_row(&"k".to_owned(), None, Timestamp(3), &headers).unwrap();
    assert!(!put.is_over_budget);
    assert_eq!(drain(&mut store), ["6b -> null @3 #0"]);
}

#[test]
fn a_value_that_is_null_by_its_serde_deletes() {
    for is_cached in [false, true] {
        let builder = Stores::key_value_store_builder("s", Serdes::string(), Serdes::long().optional());
        let builder = if is_cached { builder.with_caching_enabled() } else { builder };
        let mut store = build(&builder, 1 << 20);
        let key = "k".to_owned();
        store.put(&key, Some(Some(1))).unwrap();
        assert_eq!(store.put_if_absent(&key, Some(Some(2))).unwrap(), Some(Some(1)));
        store.put(&key, Some(None)).unwrap();
        assert_eq!(store.get(&key).unwrap(), None);
        assert_eq!(store.put_if_absent(&key, Some(Some(3))).unwrap(), None);
        assert_eq!(store.delete(&key).unwrap(), Some(Some(3)));
        assert_eq!(store.all().unwrap().count(), 0);
    }
}

#[test]
fn iterators_do_not_see_later_writes() {
    for is_cached in [false, true] {
        let builder = Stores::key_value_store_builder("s", Serdes::string(), Serdes::long());
        let builder = if is_cached { builder.with_caching_enabled() } else { builder };
        let mut store = build(&builder, 1 << 20);
        for (key, value) in [("a", 1), ("b", 2), ("c", 3)] {
            store.put(&key.to_owned(), Some(value)).unwrap();
        }
        store.flush_cache().unwrap();
        store.seal();
        store.apply(&CommitMark::default()).unwrap();
        store.put(&"b".to_owned(), Some(20)).unwrap();
        let mut rows = Vec::new();
        for row in store.all().unwrap() {
            let (key, value) = row.unwrap();
            store.delete(&key).unwrap();
            store.put(&"z".to_owned(), Some(0)).unwrap();
            rows.push((key, value));
        }
        let expected = [("a", 1), ("b", 20), ("c", 3)].map(|(key, value)| (key.to_owned(), value));
        assert_eq!(rows, expected);
        assert_eq!(store.all().unwrap().count(), 1);
    }
}

/// Refuses to write 13, and cannot stand 14.
struct Unlucky;

impl Codec<i64> for Unlucky {
    fn encode(&self, value: &i64, out: &mut Vec<u8>) -> Result<(), CodecError> {
        assert_ne!(*value, 14);
        if *value == 13 {
            return Err(CodecError::format("13"));
        }
        out.push(*value as u8);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<i64, CodecError> {
        match bytes {
            [value] => Ok(i64::from(*value)),
            _ => Err(CodecError::Length { expected: 1, found: bytes.len() }),
        }
    }

    fn encoded_len(&self, _: &i64) -> usize {
        1
    }
}

#[test]
fn after_a_flush_that_failed_nothing_is_committed() {
    let builder = Stores::timestamped_key_value_store_builder("unlucky", Serdes::string(), Serde::new(Unlucky))
        .with_caching_enabled();
    let mut store = build(&builder, 1 << 20);
    for (key, value) in [("a", 1), ("b", 13), ("c", 3)] {
        store.put_row(&key.to_owned(), Some(value), Timestamp(0), &Headers::new()).unwrap();
    }
    let mut origin = Origin::NONE;
    let error = store.next_dirty(false, &mut origin).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Production);
    assert_eq!(error.context().store.as_deref(), Some("unlucky"));
    let error = store.drain_changelog(&mut |_| Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Production, "a row is lost; a commit would hide that");
}

#[test]
fn after_a_panic_in_a_flush_nothing_is_committed() {
    let builder = Stores::timestamped_key_value_store_builder("unlucky", Serdes::string(), Serde::new(Unlucky));
    let mut store = build(&builder.with_caching_enabled(), 1 << 20);
    for (key, value) in [("a", 1), ("b", 14), ("c", 3)] {
        store.put_row(&key.to_owned(), Some(value), Timestamp(0), &Headers::new()).unwrap();
    }
    let mut origin = Origin::NONE;
    let flush = std::panic::AssertUnwindSafe(|| store.next_dirty(false, &mut origin).map(drop));
    assert!(std::panic::catch_unwind(flush).is_err());
    // Whoever goes on with other records does not get past it, either.
    assert_eq!(store.next_dirty(false, &mut origin).map(drop).unwrap_err().kind(), ErrorKind::Processing);
    let error = store.drain_changelog(&mut |_| Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Processing, "rows are lost; a commit would hide that");
    assert_eq!(error.context().store.as_deref(), Some("unlucky"));
}

#[test]
fn a_row_of_another_serde_is_corrupted_and_names_the_store() {
    let mut engine = MemoryEngine::new();
    engine.apply(&mut [(&b"k"[..], Some(&b"too long"[..]))].into_iter(), &CommitMark::default()).unwrap();
    let builder = Stores::key_value_store_builder("s", Serdes::string(), Serde::new(Unlucky));
    let env = StoreEnv::new(Box::new(engine));
    let mut store = builder.build_store(env).unwrap();
    for error in [store.get(&"k".to_owned()).unwrap_err(), store.all().unwrap().next().unwrap().unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Corrupted);
        assert_eq!(error.context().store.as_deref(), Some("s"));
    }
}

#[test]
fn windows_come_out_of_the_cache_with_their_bounds() {
    let supplier = Stores::persistent_timestamped_window_store("w", HOUR, Duration::from_millis(10), false);
    let builder =
        Stores::timestamped_window_store_builder(supplier, Serdes::string(), Serdes::long()).with_caching_enabled();
    let mut store = build(&builder, 1);
    enter(&mut store, 25);
    let put = store.put_row(&"k".to_owned(), Timestamp(20), Some(5), Timestamp(25), &Headers::new()).unwrap();
    assert!(put.is_over_budget && !put.is_expired);
    let mut origin = Origin::NONE;
    let evicted = store.next_evicted(true, &mut origin).unwrap().unwrap();
    let Windowed { key, window } = &evicted.key;
    assert_eq!((key.as_str(), window.start, window.end), ("k", Timestamp(20), Timestamp(30)));
    assert_eq!((evicted.new, evicted.old, evicted.timestamp), (Some(5), None, Timestamp(25)));
    assert_eq!(store.next_evicted(true, &mut origin).unwrap(), None);
    assert_eq!(store.fetch(&"k".to_owned(), Timestamp(20)).unwrap(), Some(ValueAndTimestamp::new(5, Timestamp(25))));
}

#[test]
fn an_expired_put_is_reported_and_logged_all_the_same() {
    let minute = Duration::from_secs(60);
    let supplier = Stores::in_memory_window_store("w", minute, minute, false);
    let builder = Stores::window_store_builder(supplier, Serdes::string(), Serdes::long());
    let mut store = build(&builder, 0);
    let key = "k".to_owned();
    assert!(!store.put(&key, Some(1), Timestamp(100_000)).unwrap().is_expired);
    assert!(!store.put(&key, Some(1), Timestamp(40_001)).unwrap().is_expired);
    assert!(store.put(&key, Some(1), Timestamp(40_000)).unwrap().is_expired);
    assert_eq!(drain(&mut store).len(), 3);
    assert_eq!(store.fetch(&key, Timestamp(40_000)).unwrap(), None);
    assert_eq!(store.fetch(&key, Timestamp(40_001)).unwrap(), Some(1));
    let error = store.put(&key, Some(1), Timestamp(-1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Production);
}

#[test]
fn retention_below_the_window_size_is_refused() {
    let supplier = Stores::persistent_window_store("w", Duration::from_millis(9), Duration::from_millis(10), false);
    let builder = Stores::window_store_builder(supplier, Serdes::string(), Serdes::long());
    let env = StoreEnv::new(Box::new(MemoryEngine::new()));
    let error = builder.into_factory().build(env).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Topology);
    assert!(error.message().contains('w') && error.message().contains("9 ms"));
}

#[test]
fn wiping_forgets_cache_overlay_and_engine() {
    let builder = Stores::key_value_store_builder("s", Serdes::string(), Serdes::long()).with_caching_enabled();
    let mut store = build(&builder, 1 << 20);
    for key in ["engine", "overlay", "cache"] {
        store.put(&key.to_owned(), Some(1)).unwrap();
        match key {
            "engine" => {
                store.flush_cache().unwrap();
                store.seal();
                store.apply(&CommitMark::default()).unwrap();
            }
            "overlay" => store.flush_cache().unwrap(),
            _ => {}
        }
    }
    assert!(store.uncommitted_bytes() > 0);
    store.wipe().unwrap();
    assert_eq!(store.all().unwrap().count(), 0);
    assert_eq!((store.uncommitted_bytes(), store.mark().unwrap()), (0, None));
    assert!(drain(&mut store).is_empty());
    assert!(store.get(&"cache".to_owned()).unwrap().is_none());
}

#[test]
fn a_read_of_a_standby_does_not_hide_what_is_restored_later() {
    let builder = Stores::key_value_store_builder("s", Serdes::string(), Serdes::long()).with_caching_enabled();
    let mut store = build(&builder, 1 << 20);
    let headers = Headers::new();
    for value in [1_i64, 2] {
        let bytes = value.to_be_bytes();
        let record = ChangelogRecord { key: b"k", value: Some(&bytes), timestamp: Timestamp(0), headers: &headers };
        let records = [RestoreRecord { offset: Offset(value), record }];
        store.restore(&records, &CommitMark::default()).unwrap();
        assert_eq!(store.get(&"k".to_owned()).unwrap(), Some(value));
    }
}

#[test]
fn a_crash_takes_whole_batches_back() {
    let mut lost = [0; 10];
    for seed in 0..200 {
        let engines = MemoryEngines::simulated_disk("id");
        let facts: StoreFacts = Stores::key_value_store_builder("s", Serdes::string(), Serdes::long()).facts().clone();
        let task = Some(TaskId { subtopology: 0, partition: 0 });
        let mut engine = engines.open(task, &facts).unwrap();
        for batch in 0..20u8 {
            let key = [batch % 3];
            let writes: [(&[u8], Option<&[u8]>); 2] =
                [(&key, (batch % 5 != 0).then_some(&[7][..])), (&[9], Some(&[batch]))];
            let mark = CommitMark { changelog_offset: Offset(batch.into()), ..CommitMark::default() };
            engine.apply(&mut writes.into_iter(), &mark).unwrap();
        }
        drop(engine);
        engines.crash(seed);
        let engine = engines.open(task, &facts).unwrap();
        let last = engine.mark().unwrap().unwrap().changelog_offset.0;
        lost[19 - last as usize] += 1;
        assert_eq!(engine.get(&[9]).unwrap(), Some(vec![last as u8]));
        let mut expected = [None, None, None];
        for batch in 0..=last as u8 {
            expected[usize::from(batch % 3)] = (batch % 5 != 0).then(|| vec![7]);
        }
        assert_eq!([0, 1, 2].map(|key| engine.get(&[key]).unwrap()), expected);
    }
    assert!(lost[..=8].iter().all(|count| *count > 0) && lost[9] == 0, "{lost:?}");
}

#[test]
fn sessions_keep_headers_in_rows_and_log_them_beside_the_value() {
    let session = Windowed { key: "k1".to_owned(), window: Window { start: Timestamp(5), end: Timestamp(9) } };
    let mut headers = Headers::new();
    headers.add("h", Some("x".into()));
    let found = |store: &mut SessionStoreWithHeaders<String, i64>| {
        store.fetch_session(&session.key, Timestamp(5), Timestamp(9)).unwrap()
    };
    for is_cached in [false, true] {
        let supplier = Stores::persistent_session_store_with_headers("s", HOUR);
        let builder = Stores::session_store_with_headers_builder(supplier, Serdes::string(), Serdes::long());
        let builder = if is_cached { builder.with_caching_enabled() } else { builder.with_caching_disabled() };
        let mut store = build(&builder, 1_000);
        enter(&mut store, 9);
        let row = AggregationWithHeaders { aggregation: 7, headers: headers.clone() };
        store.put(&session, Some(row.clone())).unwrap();
        store.flush_cache().unwrap();
        let key = format!("6b31{:016x}{:016x}", 9, 5);
        assert_eq!(drain(&mut store), [format!("{key} -> 0000000000000007 @9 #1")]);
        store.seal();
        store.apply(&CommitMark::default()).unwrap();
        assert_eq!(found(&mut store), Some(row.clone()));

        let (key_bytes, value) =
            ([b"k1", &9_i64.to_be_bytes()[..], &5_i64.to_be_bytes()].concat(), 7_i64.to_be_bytes());
        let (timestamp, record_headers) = (Timestamp(9), &headers);
        let record = ChangelogRecord { key: &key_bytes, value: Some(&value), timestamp, headers: record_headers };
        let mut restored = build(&builder, 0);
        restored.restore(&[RestoreRecord { offset: Offset(0), record }], &CommitMark::default()).unwrap();
        assert_eq!(found(&mut restored), Some(row));

        store.remove(&session).unwrap();
        store.flush_cache().unwrap();
        assert_eq!(drain(&mut store), [format!("{key} -> null @9 #0")]);
        assert_eq!(found(&mut store), None);
    }
}
