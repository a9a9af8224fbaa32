//! Records of changelog topics, restored into stores of every kind, which are then read whole.
//!
//! ```text
//! input   record*
//! record  key, value: length (1), 255 for null, bytes | timestamp (8) | version header (1), 255 for none
//! ```

use std::time::Duration;

use bytes::Bytes;
use millstream_state::{
    ChangelogRecord, CommitMark, EngineProvider, JoinSide, LeftOrRight, MemoryEngines, Origin, RestoreRecord,
    StateStore, StoreBuilder, StoreEnv, StoreFactory, Stores, ValueAndTimestamp,
};
use millstream_types::{Headers, Offset, Partition, Result, Serdes, TaskId, Timestamp, Window, Windowed};

use super::Target;
use crate::input::{Input, put};

const MEMORY_MAX: u64 = 48 << 20;
const TASK: TaskId = TaskId { subtopology: 0, partition: 0 };
const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

macro_rules! target {
    ($name:literal, $builder:expr, $fill:expr, $read:expr) => {{
        let right = vec![filled(&$builder, $fill)];
        let run = |bytes: &[u8]| restored(&$builder, bytes, $read);
        Target { name: $name, right, run, memory_max: MEMORY_MAX }
    }};
}

pub(super) fn key_value() -> Target {
    target!(
        "key-value-stores",
        Stores::timestamped_key_value_store_with_headers_builder(
            Stores::persistent_timestamped_key_value_store_with_headers("s"),
            Serdes::string(),
            Serdes::long()
        ),
        |store| {
            let mut headers = Headers::new();
            headers.add("h", Some(Bytes::from_static(b"1")));
            headers.add("n", None);
            let row = millstream_state::ValueTimestampHeaders { value: 7, timestamp: Timestamp(5), headers };
            store.put(&"key".to_owned(), Some(row))?;
            store.put(&"gone".to_owned(), None)
        },
        |store| {
            store.get(&"key".to_owned())?;
            store.all()?.for_each(drop);
            store.prefix_scan(b"k")?.for_each(drop);
            Ok(())
        }
    )
}

pub(super) fn window() -> Target {
    target!(
        "window-stores",
        Stores::timestamped_window_store_builder(
            Stores::persistent_timestamped_window_store("s", HOUR, MINUTE, false),
            Serdes::string(),
            Serdes::long()
        ),
        |store| {
            for start in [0, 60_000, 7_200_000] {
                store.put(&"key".to_owned(), Some(ValueAndTimestamp::new(7, Timestamp(start))), Timestamp(start))?;
            }
            Ok(())
        },
        |store| {
            store.fetch(&"key".to_owned(), Timestamp(60_000))?;
            store.all()?.for_each(drop);
            store.fetch_all(Timestamp(i64::MIN), Timestamp(i64::MAX))?.for_each(drop);
            Ok(())
        }
    )
}

pub(super) fn session() -> Target {
    target!(
        "session-stores",
        Stores::session_store_builder(
            Stores::persistent_session_store_with_headers("s", HOUR),
            Serdes::string(),
            Serdes::long()
        ),
        |store| {
            for start in [0, 60_000, 7_200_000] {
                let window = Window { start: Timestamp(start), end: Timestamp(start + 10) };
                store.put(&Windowed { key: "key".to_owned(), window }, Some(7))?;
            }
            Ok(())
        },
        |store| {
            store.fetch(&"key".to_owned())?.for_each(drop);
            store.fetch_keys(None, None)?.for_each(drop);
            store.find_sessions_by_end(Timestamp(i64::MIN), Timestamp(i64::MAX))?.for_each(drop);
            Ok(())
        }
    )
}

pub(super) fn versioned() -> Target {
    target!(
        "versioned-stores",
        Stores::versioned_key_value_store_builder(
            Stores::persistent_versioned_key_value_store("s", HOUR),
            Serdes::string(),
            Serdes::long()
        ),
        |store| {
            for (value, time) in
                [(Some(1), 5), (Some(2), 60_000), (None, 70_000), (Some(3), 7_000), (Some(4), 9_000_000)]
            {
                store.put(&"key".to_owned(), value, Timestamp(time))?;
            }
            Ok(())
        },
        |store| {
            for time in [i64::MIN, -1, 0, 5, 65_000, i64::MAX] {
                store.get_as_of(&"key".to_owned(), Timestamp(time))?;
            }
            store.all()?.for_each(drop);
            Ok(())
        }
    )
}

pub(super) fn outer_join() -> Target {
    target!(
        "outer-join-stores",
        Stores::outer_join_store_builder(
            Stores::persistent_key_value_store("s"),
            Serdes::string(),
            Serdes::string(),
            Serdes::long()
        ),
        |store| {
            store.put(&"key".to_owned(), Timestamp(5), LeftOrRight::Left(&"left".to_owned()))?;
            store.put(&"key".to_owned(), Timestamp(5), LeftOrRight::Left(&"more".to_owned()))?;
            store.put(&"key".to_owned(), Timestamp(5), LeftOrRight::Right(&7))?;
            store.remove_if_present(&"key".to_owned(), Timestamp(6), JoinSide::Left)
        },
        |store| {
            let rows: Vec<_> = store.rows()?.collect();
            for row in rows {
                let row = row?;
                drop((row.key(), row.values(), row.side(), row.time()));
                store.remove(&row);
            }
            store.put(&"key".to_owned(), Timestamp(5), LeftOrRight::Right(&7))
        }
    )
}

pub(super) fn change_buffer() -> Target {
    target!(
        "change-buffers",
        Stores::change_buffer_builder("s", Serdes::string(), Serdes::long()),
        |store| {
            let mut headers = Headers::new();
            headers.add("h", Some(Bytes::from_static(b"1")));
            store.put(Timestamp(5), &"key".to_owned(), None, Some(&7), &headers)?;
            store.put(Timestamp(6), &"key".to_owned(), Some(&7), Some(&8), &headers)?;
            store.put(Timestamp(7), &"other".to_owned(), Some(&1), None, &Headers::new())
        },
        |store| {
            store.prior_value(&"key".to_owned())?;
            while store.first_time().is_some() {
                drop(store.first());
                store.remove_first();
            }
            Ok(())
        }
    )
}

pub(super) fn stream_buffer() -> Target {
    target!(
        "stream-buffers",
        Stores::stream_buffer_builder("s", Serdes::string(), Serdes::long()),
        |store| {
            store.put(&"key".to_owned(), &7, &Headers::new(), 100)?;
            store.put(&"key".to_owned(), &8, &Headers::new(), 100).map(drop)
        },
        |store| {
            for due in store.due(i64::MIN)? {
                drop(store.remove(due));
            }
            for due in store.due(0)? {
                drop(store.remove(due));
            }
            store.record_count().map(drop)
        }
    )
}

fn opened<S: StateStore>(builder: &StoreBuilder<S>) -> Result<S> {
    let engine = MemoryEngines::new("fuzz").open(Some(TASK), builder.facts())?;
    let mut store = builder.build_store(StoreEnv::new(engine))?;
    let (topic, partition) = (Some("in".into()), Partition(0));
    let origin = Origin { topic, partition, offset: Offset(3), timestamp: Timestamp(5), ..Origin::NONE };
    store.enter(&origin, &Headers::new());
    Ok(store)
}

/// What a store logs when it is written, as an input.
fn filled<S: StateStore>(builder: &StoreBuilder<S>, fill: fn(&mut S) -> Result<()>) -> Vec<u8> {
    let mut out = Vec::new();
    let logged = opened(builder).and_then(|mut store| {
        fill(&mut store)?;
        store.flush_cache()?;
        store.drain_changelog(&mut |record| {
            put(&mut out, Some(record.key));
            put(&mut out, record.value);
            out.extend_from_slice(&record.timestamp.0.to_be_bytes());
            let version = record.headers.last("v").and_then(|header| header.value.as_ref()?.first().copied());
            out.push(version.unwrap_or(255));
            Ok(())
        })
    });
    assert!(logged.is_ok() && !out.is_empty(), "a store that logs: {logged:?}");
    out
}

/// Restores an input and reads the store; errors are as they should be.
fn restored<S: StateStore>(builder: &StoreBuilder<S>, bytes: &[u8], read: fn(&mut S) -> Result<()>) -> bool {
    let Ok(mut store) = opened(builder) else { return false };
    let mut input = Input(bytes);
    let mut offset = Offset(0);
    while !input.is_empty() {
        let (key, value) = (input.bytes().unwrap_or_default(), input.bytes());
        let (timestamp, version) = (Timestamp(input.i64()), input.byte());
        let mut headers = Headers::new();
        if version != 255 {
            headers.add("v", Some(Bytes::copy_from_slice(&[version])));
        }
        let record = ChangelogRecord { key, value, timestamp, headers: &headers };
        let mark = CommitMark { changelog_offset: offset, ..CommitMark::default() };
        if store.restore(&[RestoreRecord { offset, record }], &mark).is_err() {
            return false;
        }
        offset.0 += 1;
    }
    drop(store.row_count());
    let is_read = read(&mut store).is_ok();
    drop(store.drain_changelog(&mut |_| Ok(())));
    store.seal();
    is_read && store.apply(&CommitMark::default()).is_ok()
}
