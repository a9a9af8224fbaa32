//! Counts held back for a time: whatever is not told yet is still in the buffer.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_topology::dsl::{BufferConfig, Grouped, KStream, Materialized, StreamsBuilder, Suppressed};
use millstream_topology::graph::Topology;
use millstream_types::{RawRecord, Result, Serdes};

use super::{changelog, compare_growing, key_of, last_by_key, number_of, text};
use crate::simulation::observer::View;
use crate::simulation::plan::Plan;

pub(super) const STORE: &str = "held-counts";
const BUFFER: &str = "hold-store";

pub(super) fn topology(plan: &Plan) -> Result<Topology> {
    let builder = StreamsBuilder::new();
    let input: KStream<String, String> = builder.stream("in");
    let store = Materialized::named(STORE);
    let store = if plan.is_cached { store.with_caching_enabled() } else { store.with_caching_disabled() };
    let hold = Suppressed::until_time_limit(Duration::from_millis(50), BufferConfig::unbounded()).with_name("hold");
    input
        .group_by_key_with(Grouped::with(Serdes::string(), Serdes::string()))
        .count_with(store)
        .suppress(hold)
        .to_stream()
        .to("out");
    builder.build()
}

/// The count in a row of the buffer's changelog: the last value, before the 8 bytes of its time.
fn held(record: &RawRecord) -> Option<i64> {
    let value = record.value.as_deref()?;
    let (rest, _) = value.split_last_chunk::<8>()?;
    rest.split_last_chunk::<8>().map(|(_, count)| i64::from_be_bytes(*count))
}

pub(super) fn check(plan: &Plan, view: &View) -> std::result::Result<(), String> {
    for partition in 0..plan.partitions {
        let mut wanted: BTreeMap<String, i64> = BTreeMap::new();
        for record in view.consumed("in", partition) {
            *wanted.entry(key_of(record)).or_default() += 1;
        }
        let out = view.records("out", partition);
        let told = out.iter().map(|record| (key_of(record), number_of(record).unwrap_or(0)));
        compare_growing(&format!("out-{partition}"), told.clone(), &wanted, false)?;
        let changelog = changelog(BUFFER);
        if !view.is_stable("out", partition) || !view.is_stable(&changelog, partition) {
            continue;
        }
        let mut found: BTreeMap<String, i64> = told.collect();
        let rows = last_by_key(view.records(&changelog, partition));
        found.extend(rows.iter().map(|(key, record)| (text(Some(key)), held(record).unwrap_or(0))));
        if found != wanted {
            return Err(format!("partition {partition}: told or held {found:?}, should be {wanted:?}"));
        }
    }
    Ok(())
}
