//! The option objects of the DSL: how topics are read and written, and where tables are stored.

use std::sync::Arc;
use std::time::Duration;

use millstream_state::{StoreSupplier, StoreType, Stores};
use millstream_topology::{
    Consumed, Grouped, Materialized, OffsetReset, Partitioner, Produced, TimestampExtraction, TimestampExtractor,
    flow::ExtractorFn,
};
use millstream_types::{Record, Serde, Timestamp};

use super::Types;
use super::table::Cell;
use super::windows::Windows;
use crate::functions::{BOOM, name_of, number, parse_long};
use crate::op::Op;
use crate::stop::{Stop, bad, unsupported};
use crate::value::Val;

pub(super) fn consumed(op: Op<'_>, types: &Types) -> Result<Consumed<Val, Val>, Stop> {
    let mut consumed = Consumed::with(types.key.serde(), types.value.serde());
    if let Some(spec) = op.optional("ts") {
        consumed = consumed.with_timestamp_extractor(timestamp_extractor(spec)?);
    }
    if let Some(reset) = op.optional("reset") {
        let reset = if reset == "latest" { OffsetReset::Latest } else { OffsetReset::Earliest };
        consumed = consumed.with_offset_reset_policy(reset);
    }
    if let Some(name) = op.optional("name") {
        consumed = consumed.with_name(name);
    }
    Ok(consumed)
}

fn timestamp_extractor(spec: &str) -> Result<TimestampExtractor<Val, Val>, Stop> {
    let custom = |extract: ExtractorFn<Val, Val>| Ok(TimestampExtractor::Custom(extract));
    match name_of(spec) {
        "fail" => Ok(TimestampExtractor::BuiltIn(TimestampExtraction::FailOnInvalidTimestamp)),
        "logskip" => Ok(TimestampExtractor::BuiltIn(TimestampExtraction::LogAndSkipOnInvalidTimestamp)),
        "usepart" => Ok(TimestampExtractor::BuiltIn(TimestampExtraction::UsePartitionTimeOnInvalidTimestamp)),
        "value" => custom(Arc::new(|record: &Record<Val, Val>, _| {
            Ok(record.value.as_i64().map_or(record.timestamp, Timestamp))
        })),
        "vparse" => custom(Arc::new(|record: &Record<Val, Val>, _| {
            let time = record.value.as_str().map_or(Val::Null, parse_long);
            Ok(time.as_i64().map_or(record.timestamp, Timestamp))
        })),
        "offset" => {
            let by = number(spec)?;
            custom(Arc::new(move |record: &Record<Val, Val>, _| Ok(Timestamp(record.timestamp.0.wrapping_add(by)))))
        }
        "const" => {
            let time = number(spec)?;
            custom(Arc::new(move |_: &Record<Val, Val>, _| Ok(Timestamp(time))))
        }
        "partition" => custom(Arc::new(|_: &Record<Val, Val>, partition_time| Ok(partition_time))),
        "boom" => custom(Arc::new(|_: &Record<Val, Val>, _| Err(BOOM.into()))),
        _ => Err(unsupported(format!("extractor {spec}"))),
    }
}

pub(super) fn partitioner(spec: &str) -> Result<Partitioner<Val, Val>, Stop> {
    let is_even = |value: &Val| value.as_i64().is_some_and(|long| long & 1 == 0);
    Ok(match name_of(spec) {
        "zero" => Arc::new(|_, _, _, _| Some(vec![0])),
        "none" => Arc::new(|_, _, _, _| None),
        "drop" => Arc::new(|_, _, _, _| Some(Vec::new())),
        "dropEven" => Arc::new(move |_, _, value, _| Some(if is_even(value) { Vec::new() } else { vec![0] })),
        "hash" => Arc::new(|_, key, _, count| Some(vec![(key.hash() % count.max(1) as u64) as i32])),
        "all" => Arc::new(|_, _, _, count| Some((0..count).collect())),
        "bad" => Arc::new(|_, _, _, count| Some(vec![count + 7])),
        _ => return Err(unsupported(format!("partitioner {spec}"))),
    })
}

pub(super) fn produced<K: Cell>(op: Op<'_>, types: &Types) -> Result<Produced<K, Val>, Stop> {
    let mut produced = Produced::with(K::serde(&types.key)?, types.value.serde());
    if let Some(spec) = op.optional("partitioner") {
        let choose = partitioner(spec)?;
        let choose = move |topic: &str, key: &K, value: &Val, count| choose(topic, &key.val(), value, count);
        produced = produced.with_stream_partitioner(Arc::new(choose));
    }
    if let Some(name) = op.optional("name") {
        produced = produced.with_name(name);
    }
    Ok(produced)
}

pub(super) fn grouped(op: Op<'_>, types: &Types) -> Grouped<Val, Val> {
    let grouped = Grouped::with(types.key.serde(), types.value.serde());
    match op.optional("name") {
        Some(name) => grouped.with_name(name),
        None => grouped,
    }
}

/// The store of a table; `None` where the operator has no `mat`.
pub(super) fn materialized<K, V>(
    op: Op<'_>,
    key: Serde<K>,
    value: Serde<V>,
    windows: Option<Windows>,
) -> Result<Option<Materialized<K, V>>, Stop> {
    let Some(mat) = op.field("mat").map(Op) else { return Ok(None) };
    let store = mat.optional("store").unwrap_or("default");
    let retention = mat.field("retention").and_then(serde_json::Value::as_i64);
    let mut materialized = match (store, mat.optional("name")) {
        ("default" | "memory" | "rocks", Some(name)) => Materialized::named(name),
        ("default" | "memory" | "rocks", None) => Materialized::default(),
        (_, Some(name)) => Materialized::of_supplier(supplier(store, name, windows, retention)?),
        (_, None) => return Err(bad("this store needs a name")),
    };
    materialized = materialized.with_key_serde(key).with_value_serde(value);
    materialized = match store {
        "memory" => materialized.with_store_type(StoreType::InMemory),
        "rocks" => materialized.with_store_type(StoreType::Persistent),
        _ => materialized,
    };
    if let Some(is_cached) = mat.flag("caching") {
        materialized =
            if is_cached { materialized.with_caching_enabled() } else { materialized.with_caching_disabled() };
    }
    if let Some(is_logged) = mat.flag("logging") {
        materialized =
            if is_logged { materialized.with_logging_enabled([]) } else { materialized.with_logging_disabled() };
    }
    if let Some(retention) = retention.filter(|_| matches!(store, "default" | "memory" | "rocks")) {
        materialized = materialized.with_retention(ms(retention));
    }
    Ok(Some(materialized))
}

/// An explicit supplier of a named store.
fn supplier(store: &str, name: &str, windows: Option<Windows>, retention: Option<i64>) -> Result<StoreSupplier, Stop> {
    // Where a store of keys is given for windows, the library is to refuse it.
    let windows = windows.filter(|_| !matches!(name_of(store), "lru" | "versioned"));
    let Some(windows) = windows else {
        return Ok(match name_of(store) {
            "supplierMemory" => Stores::in_memory_key_value_store(name),
            "supplierRocks" => Stores::persistent_timestamped_key_value_store(name),
            "supplierPlain" => Stores::persistent_key_value_store(name),
            "lru" => Stores::lru_map(name, usize::try_from(number(store)?).unwrap_or_default()),
            "versioned" => {
                let history = ms(number(store)?);
                return Ok(Stores::persistent_versioned_key_value_store(name, history).into());
            }
            _ => return Err(unsupported(format!("store {store}"))),
        }
        .into());
    };
    let kept = ms(retention.unwrap_or(windows.floor));
    if windows.are_sessions {
        return Ok(match store {
            "supplierMemory" => Stores::in_memory_session_store(name, kept),
            "supplierRocks" | "supplierPlain" => Stores::persistent_session_store(name, kept),
            _ => return Err(unsupported(format!("store {store}"))),
        }
        .into());
    }
    let make = match store {
        "supplierMemory" => Stores::in_memory_window_store,
        "supplierRocks" => Stores::persistent_timestamped_window_store,
        "supplierPlain" => Stores::persistent_window_store,
        _ => return Err(unsupported(format!("store {store}"))),
    };
    Ok(make(name, kept, ms(windows.size), false).into())
}

pub(super) fn ms(time: i64) -> Duration {
    Duration::from_millis(u64::try_from(time).unwrap_or(0))
}
