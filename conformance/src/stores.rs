//! What stores hold at the end, and queries.

use millstream_state::{
    JoinSide, KeyValueStore, LeftOrRight, OuterJoinStore, SessionStore, StateStore, StoreFormat, StoreIterator,
    StoreKind, TimestampedKeyValueStore, TimestampedWindowStore, TimestampedWindowStoreWithHeaders, ValueAndTimestamp,
    VersionedKeyValueStore, VersionedRecord, WindowStore,
};
use std::collections::{BTreeMap, BTreeSet};

use millstream_testkit::TopologyTestDriver;
use millstream_topology::Topology;
use millstream_types::{Error, ErrorKind, Result, Timestamp, Windowed};
use serde_json::{Map, Value as Json, json};

use crate::build::Types;
use crate::op::Op;
use crate::stop::{Stop, bad, unsupported};
use crate::value::{Shown, Type, Val};

/// A value as a store gives it.
trait Stored {
    fn members(&self) -> (Val, Option<i64>);
}

impl Stored for Val {
    fn members(&self) -> (Val, Option<i64>) {
        (self.clone(), None)
    }
}

impl<V: Shown> Stored for ValueAndTimestamp<V> {
    fn members(&self) -> (Val, Option<i64>) {
        (self.value.val(), Some(self.timestamp.0))
    }
}

impl<V: Shown> Stored for VersionedRecord<V> {
    fn members(&self) -> (Val, Option<i64>) {
        (self.value.val(), Some(self.timestamp.0))
    }
}

/// `{"k", "v", "t"}`; without what is not there.
fn entry(key: Option<(&str, Json)>, value: &impl Stored) -> Json {
    let (value, time) = value.members();
    let mut entry = Map::new();
    if let Some((name, key)) = key {
        entry.insert(name.to_owned(), key);
    }
    entry.insert("v".to_owned(), value.json());
    if let Some(time) = time {
        entry.insert("t".to_owned(), json!(time));
    }
    Json::Object(entry)
}

fn rows<K: Shown>(rows: impl Iterator<Item = Result<(K, impl Stored)>>) -> Result<Json> {
    rows.map(|row| row.map(|(key, value)| entry(Some(("k", key.val().json())), &value))).collect()
}

fn times(rows: impl Iterator<Item = Result<(Timestamp, impl Stored)>>) -> Result<Json> {
    rows.map(|row| row.map(|(start, value)| entry(Some(("s", json!(start.0))), &value))).collect()
}

/// A query of a step, or everything a store holds.
pub(crate) struct Query<'a> {
    pub(crate) name: &'a str,
    key: Val,
    key_type: Type,
    from: Option<Val>,
    to: Option<Val>,
    times: (Timestamp, Timestamp),
    as_of: Option<Timestamp>,
}

impl<'a> Query<'a> {
    fn all(name: &'a str) -> Self {
        let times = (Timestamp(0), Timestamp(i64::MAX));
        Self { name, key: Val::Null, key_type: Type::Str, from: None, to: None, times, as_of: None }
    }

    pub(crate) fn of(step: Op<'a>) -> std::result::Result<Self, Stop> {
        let key_type = step.optional("key").map_or(Ok(Type::Str), Type::parse)?;
        let end = |name| {
            let end = key_type.read(step.field(name))?;
            Ok::<_, Stop>((!end.is_null()).then_some(end))
        };
        Ok(Self {
            name: step.text("query")?,
            key: key_type.read(step.field("k"))?,
            from: end("from")?,
            to: end("to")?,
            times: (Timestamp(step.number("t0", 0)), Timestamp(step.number("t1", 0))),
            as_of: step.field("asOf").and_then(Json::as_i64).map(Timestamp),
            key_type,
        })
    }

    fn prefix(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A key that has no bytes has no prefix either.
        let _ = self.key_type.serde().encode(&self.key, &mut bytes);
        bytes
    }
}

/// Answers a query of a store, whatever its Rust type is; `None` if the query does not fit it.
fn answer(driver: &TopologyTestDriver, name: &str, kind: StoreKind, query: &Query<'_>) -> Result<Option<Json>> {
    match kind {
        StoreKind::KeyValue => driver.key_value_store(name)?.with(|store| key_value(store, query)),
        StoreKind::TimestampedKeyValue => {
            if let Ok(store) = driver.timestamped_key_value_store::<Val, Val>(name) {
                store.with(|store| timestamped(store, query))
            } else if let Ok(store) = driver.timestamped_key_value_store::<Val, i64>(name) {
                store.with(|store| timestamped(store, query))
            } else if let Ok(store) = driver.timestamped_key_value_store::<Windowed<Val>, Val>(name) {
                store.with(|store| windowed_rows(store, query))
            } else {
                let store = driver.timestamped_key_value_store::<Windowed<Val>, i64>(name)?;
                store.with(|store| windowed_rows(store, query))
            }
        }
        StoreKind::Window => driver.window_store(name)?.with(|store| window(store, query)),
        StoreKind::TimestampedWindow => match driver.timestamped_window_store::<Val, Val>(name) {
            Ok(store) => store.with(|store| timestamped_window(store, query)),
            Err(_) => driver.timestamped_window_store::<Val, i64>(name)?.with(|store| timestamped_window(store, query)),
        },
        StoreKind::Session => match driver.session_store::<Val, Val>(name) {
            Ok(store) => store.with(|store| sessions(store, query)),
            Err(_) => driver.session_store::<Val, i64>(name)?.with(|store| sessions(store, query)),
        },
        StoreKind::Versioned => match driver.versioned_key_value_store::<Val, Val>(name) {
            Ok(store) => store.with(|store| versioned(store, query)),
            Err(_) => driver.versioned_key_value_store::<Val, i64>(name)?.with(|store| versioned(store, query)),
        },
        StoreKind::TimestampedWindowWithHeaders => {
            let format = driver.timestamped_window_store_with_headers::<Val, Val>(name)?;
            format.with(|store| headed_window(store, query))
        }
        StoreKind::OuterJoin => driver.outer_join_store(name)?.with(|store| unmatched(store, query)),
        _ => Ok(None),
    }
}

fn versioned<V: Shown>(store: &mut VersionedKeyValueStore<Val, V>, query: &Query<'_>) -> Result<Option<Json>> {
    Ok(Some(match query.name {
        "verGet" => {
            let found = match query.as_of {
                Some(time) => store.get_as_of(&query.key, time)?,
                None => store.get(&query.key)?,
            };
            // Kafka Streams' stores lose the end of a version on the way; Millstream's do not.
            found.map_or(Json::Null, |found| json!({"v": found.value.val().json(), "t": found.timestamp.0, "to": null}))
        }
        "all" => rows(store.all()?)?,
        _ => return Ok(None),
    }))
}

/// Rows show the time and the headers that the store keeps.
fn headed_window(store: &mut TimestampedWindowStoreWithHeaders<Val, Val>, query: &Query<'_>) -> Result<Option<Json>> {
    if query.name != "all" && query.name != "windowAll" {
        return Ok(None);
    }
    let format = store.facts().format;
    let mut entries = Vec::new();
    for row in store.all()? {
        let (key, row) = row?;
        let mut shown = serde_json::Map::new();
        shown.insert("k".to_owned(), key.val().json());
        shown.insert("v".to_owned(), row.value.json());
        if format != StoreFormat::Plain {
            shown.insert("t".to_owned(), json!(row.timestamp.0));
        }
        if format == StoreFormat::Headers && !row.headers.is_empty() {
            let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
            let headers = row.headers.iter().map(|header| json!([&*header.key, header.value.as_deref().map(text)]));
            shown.insert("h".to_owned(), headers.collect());
        }
        entries.push(Json::Object(shown));
    }
    Ok(Some(Json::Array(entries)))
}

/// What waits in a stream-stream join.
fn unmatched(store: &mut OuterJoinStore<Val, Val, Val>, query: &Query<'_>) -> Result<Option<Json>> {
    if query.name != "all" {
        return Ok(None);
    }
    let mut entries = Vec::new();
    for row in store.rows()? {
        let row = row?;
        let (key, side) = (row.key()?.json(), if row.side() == JoinSide::Left { "left" } else { "right" });
        for value in row.values()? {
            let (LeftOrRight::Left(value) | LeftOrRight::Right(value)) = value;
            entries.push(json!({"side": side, "t": row.time().0, "k": key, "v": value.json()}));
        }
    }
    Ok(Some(Json::Array(entries)))
}

fn sessions<V: Shown>(store: &mut SessionStore<Val, V>, query: &Query<'_>) -> Result<Option<Json>> {
    let (from, to) = query.times;
    // Values have no time of their own.
    let rows =
        |found: StoreIterator<(Windowed<Val>, V)>| rows(found.map(|row| row.map(|(key, value)| (key, value.val()))));
    Ok(Some(match query.name {
        "sessionFetch" => rows(store.fetch(&query.key)?)?,
        "sessionBackward" => rows(store.backward_fetch(&query.key)?)?,
        "sessionRange" => rows(store.fetch_keys(query.from.as_ref(), query.to.as_ref())?)?,
        "findSessions" => rows(store.find_sessions(&query.key, from, to)?)?,
        "sessionGet" => match store.fetch_session(&query.key, from, to)? {
            Some(value) => value.val().json(),
            None => Json::Null,
        },
        "all" => rows(store.fetch_keys(None, None)?)?,
        _ => return Ok(None),
    }))
}

/// Queries of the two kinds of key-value stores.
macro_rules! key_value_queries {
    ($function:ident, $store:ty $(, $value:ident)?) => {
        fn $function$(<$value: Shown>)?(store: &mut $store, query: &Query<'_>) -> Result<Option<Json>> {
            let (from, to) = (query.from.as_ref(), query.to.as_ref());
            Ok(Some(match query.name {
                "get" => match store.get(&query.key)? {
                    Some(value) => entry(Some(("k", query.key.json())), &value),
                    None => Json::Null,
                },
                "range" => rows(store.range(from, to)?)?,
                "reverseRange" => rows(store.reverse_range(from, to)?)?,
                "all" => rows(store.all()?)?,
                "reverseAll" => rows(store.reverse_all()?)?,
                "prefix" => rows(store.prefix_scan(&query.prefix())?)?,
                "count" => json!(store.approximate_num_entries()?),
                _ => return Ok(None),
            }))
        }
    };
}

key_value_queries!(key_value, KeyValueStore<Val, Val>);
key_value_queries!(timestamped, TimestampedKeyValueStore<Val, V>, V);

fn windowed_rows<V: Shown>(
    store: &mut TimestampedKeyValueStore<Windowed<Val>, V>,
    query: &Query<'_>,
) -> Result<Option<Json>> {
    if query.name == "all" { rows(store.all()?).map(Some) } else { Ok(None) }
}

/// Queries of the two kinds of window stores.
macro_rules! window_queries {
    ($function:ident, $store:ty $(, $value:ident)?) => {
        fn $function$(<$value: Shown>)?(store: &mut $store, query: &Query<'_>) -> Result<Option<Json>> {
            let (from, to) = query.times;
            Ok(Some(match query.name {
                "windowGet" => match store.fetch(&query.key, from)? {
                    Some(value) => entry(Some(("k", query.key.json())), &value),
                    None => Json::Null,
                },
                "windowFetch" => times(store.fetch_range(&query.key, from, to)?)?,
                "windowBackward" => times(store.backward_fetch(&query.key, from, to)?)?,
                "windowRange" => rows(store.fetch_keys(query.from.as_ref(), query.to.as_ref(), from, to)?)?,
                "windowFetchAll" => rows(store.fetch_all(from, to)?)?,
                "windowAll" | "all" => rows(store.all()?)?,
                _ => return Ok(None),
            }))
        }
    };
}

window_queries!(window, WindowStore<Val, Val>);
window_queries!(timestamped_window, TimestampedWindowStore<Val, V>, V);

/// Whether a store holds the subscriptions of a foreign-key join, by the name such stores have.
fn is_of_foreign_key(store: &str) -> bool {
    store.contains("-SUBSCRIPTION-STATE-STORE-") || store.ends_with("-subscription-store")
}

/// The stores of a driver, with what the topology says about them.
pub(crate) struct Dumped<'a> {
    pub(crate) driver: &'a TopologyTestDriver,
    pub(crate) topology: &'a Topology,
    /// Types of the rows of global tables, by topic.
    pub(crate) globals: &'a BTreeMap<String, Types>,
    /// Stores whose rows are not shown.
    pub(crate) unlisted: &'a BTreeSet<String>,
}

impl Dumped<'_> {
    /// The answer to a query step.
    pub(crate) fn query(&self, step: Op<'_>) -> std::result::Result<Result<Json>, Stop> {
        let (name, query) = (step.text("store")?, Query::of(step)?);
        let facts = self.topology.facts().store(name).ok_or_else(|| bad(format!("no store {name}")))?;
        let found = match self.global(name) {
            Some(types) => self.query_global(name, types, &query),
            None => answer(self.driver, name, facts.kind, &query),
        };
        match found {
            Ok(Some(answer)) => Ok(Ok(answer)),
            // Kafka Streams' store throws: what it cannot answer is not compared.
            Ok(None) => Ok(Err(Error::new(ErrorKind::State, format!("store {name} has no query {}", query.name)))),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Everything all stores hold.
    pub(crate) fn all(&self) -> std::result::Result<Json, Stop> {
        let mut stores = Map::new();
        for name in self.driver.store_names() {
            let Some(facts) = self.topology.facts().store(&name) else { continue };
            let counted = match facts.kind {
                StoreKind::ChangeBuffer | StoreKind::StreamBuffer => Some("buffer"),
                StoreKind::TimestampedKeyValueWithHeaders if is_of_foreign_key(&name) => Some("subscription"),
                _ => None,
            };
            if let Some(kind) = counted {
                let store = match self.driver.row_count(&name) {
                    Ok(count) => json!({"kind": kind, "n": count}),
                    Err(error) => json!({"kind": kind, "error": error.to_string()}),
                };
                stores.insert(name, store);
                continue;
            }
            let kind = match facts.kind {
                StoreKind::KeyValue => "kv",
                StoreKind::TimestampedKeyValue => "tskv",
                StoreKind::Window | StoreKind::TimestampedWindow | StoreKind::TimestampedWindowWithHeaders => "window",
                StoreKind::Session => "session",
                StoreKind::Versioned => "versioned",
                StoreKind::OuterJoin => "outer",
                _ => return Err(unsupported(format!("store {name}"))),
            };
            let query = Query::all("all");
            let entries = match self.global(&name) {
                Some(types) => self.query_global(&name, types, &query),
                None if self.unlisted.contains(&*name) => Ok(Some(json!([]))),
                None => answer(self.driver, &name, facts.kind, &query),
            };
            let store = match entries {
                Ok(entries) => json!({"kind": kind, "entries": entries}),
                Err(error) => json!({"kind": kind, "error": error.to_string()}),
            };
            stores.insert(name, store);
        }
        Ok(Json::Object(stores))
    }

    /// Types of the rows, if it is a global store.
    fn global(&self, name: &str) -> Option<&Types> {
        let store = self.topology.global_stores().iter().find(|global| *global.store.name == *name)?;
        self.globals.get(&*store.topic)
    }

    fn query_global(&self, name: &str, types: &Types, query: &Query<'_>) -> Result<Option<Json>> {
        let store = self.driver.global_store(name, types.key.serde(), types.value.serde())?;
        Ok(Some(match query.name {
            "get" => match store.get(&query.key)? {
                Some(value) => entry(Some(("k", query.key.json())), &value),
                None => Json::Null,
            },
            "count" => json!(store.approximate_num_entries()?),
            "all" | "reverseAll" | "range" | "reverseRange" | "prefix" => {
                let bytes = |key: &Val| {
                    let mut bytes = Vec::new();
                    types.key.serde().encode(key, &mut bytes).map(|_| bytes).unwrap_or_default()
                };
                let (from, to) = (query.from.as_ref().map(bytes), query.to.as_ref().map(bytes));
                let prefix = (query.name == "prefix").then(|| query.prefix());
                let mut found: Vec<_> = store.all()?.into_iter().collect();
                found.retain(|(key, _)| {
                    let key = bytes(key);
                    from.as_ref().is_none_or(|from| *from <= key)
                        && to.as_ref().is_none_or(|to| key <= *to)
                        && prefix.as_ref().is_none_or(|prefix| key.starts_with(prefix))
                });
                if query.name.starts_with("reverse") {
                    found.reverse();
                }
                rows(found.into_iter().map(Ok))?
            }
            _ => return Ok(None),
        }))
    }
}
