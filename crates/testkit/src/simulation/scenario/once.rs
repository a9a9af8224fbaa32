//! What `at_most_once` promises, whatever is processed: no record has its effect twice, and none has any
//! before its offset is committed. What is lost is lost.

use std::collections::{BTreeMap, BTreeSet};

use millstream_types::RawRecord;

use super::{ScenarioKind, changelog, key_of, number_of, value_of};
use crate::simulation::observer::View;
use crate::simulation::plan::Plan;

pub(super) fn check(kind: ScenarioKind, plan: &Plan, view: &View) -> Result<(), String> {
    let store = changelog(kind.store().map_or("", |(store, _)| store));
    match kind {
        ScenarioKind::Latest => {
            passed_once(view, "in", "out")?;
            passed_once(view, "in", &store)
        }
        ScenarioKind::Windows => {
            let repartition = super::windows::repartition_topic();
            passed_once(view, "in", &repartition)?;
            counted_once(plan, view, &repartition, &store)?;
            counted_once(plan, view, &repartition, "out")
        }
        _ => {
            counted_once(plan, view, "in", &store)?;
            counted_once(plan, view, "in", "out")
        }
    }
}

/// Without faults nothing is lost either.
pub(super) fn check_end(kind: ScenarioKind, plan: &Plan, view: &View) -> Result<(), String> {
    let is_calm = plan.strikes.is_empty() && plan.rates == crate::simulation::FaultRates::default();
    if !is_calm || kind == ScenarioKind::Count && plan.is_cached {
        return Ok(());
    }
    let through = match kind {
        ScenarioKind::Windows => super::windows::repartition_topic(),
        _ => "out".to_owned(),
    };
    let count = |topic: &str| all(view, topic).count();
    let (came, went) = (count("in"), count(&through));
    if came == went { Ok(()) } else { Err(format!("{came} records came in and {went} went to {through}")) }
}

fn all<'a>(view: &'a View, topic: &'a str) -> impl Iterator<Item = &'a RawRecord> {
    (0..view.partition_count(topic)).flat_map(move |partition| view.records(topic, partition))
}

fn consumed<'a>(view: &'a View, topic: &'a str) -> impl Iterator<Item = &'a RawRecord> {
    (0..view.partition_count(topic)).flat_map(move |partition| view.consumed(topic, partition))
}

/// Every value, unlike any other, comes out at most once, and not before it was committed.
fn passed_once(view: &View, from: &str, to: &str) -> Result<(), String> {
    let mut left: BTreeSet<String> = consumed(view, from).map(value_of).collect();
    match all(view, to).map(value_of).find(|value| !left.remove(value)) {
        Some(value) => Err(format!("{to}: {value} is there twice, or before its offset was committed")),
        None => Ok(()),
    }
}

/// No count is larger than the number of records that were committed for its key; windowed or not.
fn counted_once(plan: &Plan, view: &View, from: &str, counts: &str) -> Result<(), String> {
    let mut most: BTreeMap<String, i64> = BTreeMap::new();
    for record in consumed(view, from) {
        *most.entry(key_of(record)).or_default() += 1;
    }
    for record in all(view, counts) {
        let (key, count) = (key_of(record), number_of(record).unwrap_or(0));
        // A windowed key is the key and 8 bytes.
        let is_of = |(known, most): (&String, &i64)| key.starts_with(known.as_str()) && count <= *most;
        if !most.iter().any(is_of) {
            return Err(format!("{counts}: {key} is counted to {count} (seed {}), committed are {most:?}", plan.seed));
        }
    }
    Ok(())
}
