//! Records re-keyed through a repartition topic and counted by key and tumbling window.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use millstream_topology::dsl::{Grouped, KStream, Materialized, StreamsBuilder, TimeWindows};
use millstream_topology::graph::Topology;
use millstream_types::{RawRecord, Result, partition_for_key};

use super::{changelog, compare, compare_growing, key_of, number_of, value_of};
use crate::simulation::observer::View;
use crate::simulation::plan::Plan;

pub(super) const STORE: &str = "window-counts";
const GROUP: &str = "by-group";
const REPARTITION: &str = "by-group-repartition";
const WINDOW_MS: i64 = 100;

/// The key that a record is counted under: its value, `v<number>`, by thirds.
fn group_of(value: &str) -> String {
    let number: u32 = value.get(1..).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    format!("g{}", number % 3)
}

/// The topic between the two halves.
pub(super) fn repartition_topic() -> String {
    format!("{}-{REPARTITION}", super::APPLICATION)
}

/// Key and window start, the count, and the timestamp it should have.
type Counted = ((String, i64), Option<i64>, i64);

fn fold(records: &[RawRecord]) -> Vec<Counted> {
    let mut counts: BTreeMap<(String, i64), (i64, i64)> = BTreeMap::new();
    let step = |record: &RawRecord| {
        let start = record.timestamp.0.div_euclid(WINDOW_MS) * WINDOW_MS;
        let key = (key_of(record), start);
        let (count, time) = counts.entry(key.clone()).or_default();
        *count += 1;
        *time = (*time).max(record.timestamp.0);
        (key, Some(*count), *time)
    };
    records.iter().map(step).collect()
}

/// A record under a windowed key: the key's bytes, then the window start in 8 bytes.
fn update(record: &RawRecord) -> Counted {
    let bytes = record.key.as_deref().unwrap_or_default();
    let (key, start) =
        bytes.split_last_chunk::<8>().map_or((bytes, -1), |(key, start)| (key, i64::from_be_bytes(*start)));
    ((String::from_utf8_lossy(key).into_owned(), start), number_of(record), record.timestamp.0)
}

pub(super) fn topology(plan: &Plan) -> Result<Topology> {
    let builder = StreamsBuilder::new();
    let input: KStream<String, String> = builder.stream("in");
    let store = Materialized::named(STORE);
    let store = if plan.is_cached { store.with_caching_enabled() } else { store.with_caching_disabled() };
    // Nothing comes too late: what an operator has seen of time is not kept over a restart.
    let windows = TimeWindows::of_size_and_grace(Duration::from_millis(WINDOW_MS as u64), Duration::from_secs(86_400))?;
    input
        .group_by_with(|_, value| group_of(value), Grouped::named(GROUP))
        .windowed_by(windows)
        .count_with(store)
        .to_stream()
        .to("out");
    builder.build()
}

pub(super) fn check(plan: &Plan, view: &View) -> Result<(), String> {
    let repartition = repartition_topic();
    check_repartition(plan, view, &repartition)?;
    let out_partitions = view.partition_count("out").max(1);
    let counted: Vec<Vec<Counted>> =
        (0..view.partition_count(&repartition)).map(|partition| fold(view.consumed(&repartition, partition))).collect();
    for partition in 0..out_partitions {
        // The same key, windowed or not, goes to the same partition of equally many.
        let wanted = counted.get(partition as usize).cloned().unwrap_or_default();
        let found: Vec<Counted> = view.records("out", partition).iter().map(update).collect();
        let what = format!("out-{partition}");
        let is_stable = view.is_stable("out", partition);
        if plan.is_cached {
            let name = |(key, start): &(String, i64)| format!("{key}@{start}");
            let totals = wanted.iter().map(|(key, count, _)| (name(key), count.unwrap_or(0))).collect();
            let growing = found.iter().map(|(key, count, _)| (name(key), count.unwrap_or(0)));
            compare_growing(&what, growing, &totals, is_stable)?;
        } else {
            compare(&what, &found, &wanted, is_stable)?;
        }
    }
    let changelog = changelog(STORE);
    for partition in 0..view.partition_count(&changelog) {
        let wanted = counted.get(partition as usize).map_or(0, Vec::len);
        let found = view.records(&changelog, partition).len();
        let is_right = if plan.is_cached { found <= wanted } else { found == wanted };
        if view.is_stable(&changelog, partition) && !is_right {
            return Err(format!("{changelog}-{partition}: {found} changes, should be {wanted}"));
        }
    }
    Ok(())
}

/// Every consumed input record lies in the repartition topic once, under its new key, in the order
/// of its source partition.
fn check_repartition(plan: &Plan, view: &View, repartition: &str) -> Result<(), String> {
    let count = view.partition_count(repartition);
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    let mut place: BTreeMap<String, (i32, i64)> = BTreeMap::new();
    for partition in 0..plan.partitions {
        for record in view.consumed("in", partition) {
            wanted.insert(value_of(record));
            place.insert(value_of(record), (partition, record.offset.0));
        }
    }
    let mut is_stable = true;
    for partition in 0..count {
        is_stable &= view.is_stable(repartition, partition);
        let mut reached: BTreeMap<i32, i64> = BTreeMap::new();
        for record in view.records(repartition, partition) {
            let value = value_of(record);
            let Some((source, offset)) = place.get(&value).copied() else {
                return Err(format!("{repartition}-{partition}: {value} is not of the consumed input"));
            };
            if !wanted.remove(&value) {
                return Err(format!("{repartition}-{partition}: {value} is there twice"));
            }
            if key_of(record) != group_of(&value) || partition_for_key(key_of(record).as_bytes(), count) != partition {
                return Err(format!("{repartition}-{partition}: {value} lies under the wrong key {}", key_of(record)));
            }
            let before = reached.insert(source, offset).unwrap_or(-1);
            if offset <= before {
                return Err(format!("{repartition}-{partition}: {value} is out of the order of its source"));
            }
        }
    }
    match wanted.first() {
        Some(value) if is_stable => Err(format!("{repartition}: {value} is consumed but missing")),
        _ => Ok(()),
    }
}
