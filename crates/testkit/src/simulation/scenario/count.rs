//! Records counted by key.

use std::collections::BTreeMap;

use millstream_topology::dsl::{Grouped, KStream, Materialized, StreamsBuilder};
use millstream_topology::graph::Topology;
use millstream_types::{RawRecord, Result, Serdes};

use super::{changelog, compare, compare_growing, key_of, number_of};
use crate::simulation::observer::View;
use crate::simulation::plan::Plan;

pub(super) const STORE: &str = "counts";

/// A key, its count and the timestamp it should have.
type Counted = (String, Option<i64>, i64);

/// The reference: every update of every count.
fn fold(records: &[RawRecord]) -> Vec<Counted> {
    let mut counts: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let step = |record: &RawRecord| {
        let (count, time) = counts.entry(key_of(record)).or_default();
        *count += 1;
        *time = (*time).max(record.timestamp.0);
        (key_of(record), Some(*count), *time)
    };
    records.iter().map(step).collect()
}

fn updates(records: &[RawRecord]) -> Vec<Counted> {
    records.iter().map(|record| (key_of(record), number_of(record), record.timestamp.0)).collect()
}

pub(super) fn topology(plan: &Plan) -> Result<Topology> {
    let builder = StreamsBuilder::new();
    let input: KStream<String, String> = builder.stream("in");
    let store = Materialized::named(STORE);
    let store = if plan.is_cached { store.with_caching_enabled() } else { store.with_caching_disabled() };
    input.group_by_key_with(Grouped::with(Serdes::string(), Serdes::string())).count_with(store).to_stream().to("out");
    builder.build()
}

pub(super) fn check(plan: &Plan, view: &View) -> Result<(), String> {
    for partition in 0..plan.partitions {
        let wanted = fold(view.consumed("in", partition));
        for topic in ["out", changelog(STORE).as_str()] {
            let what = format!("{topic}-{partition}");
            let found = updates(view.records(topic, partition));
            let is_stable = view.is_stable(topic, partition);
            if plan.is_cached {
                let totals = wanted.iter().map(|(key, count, _)| (key.clone(), count.unwrap_or(0))).collect();
                let growing = found.into_iter().map(|(key, count, _)| (key, count.unwrap_or(0)));
                compare_growing(&what, growing, &totals, is_stable)?;
            } else {
                compare(&what, &found, &wanted, is_stable)?;
            }
        }
    }
    Ok(())
}
