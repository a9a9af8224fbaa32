//! The last value of each key: processing a record twice changes nothing.

use std::collections::BTreeMap;

use millstream_state::{KeyValueStore, Stores};
use millstream_topology::flow::{SinkSpec, SourceSpec};
use millstream_topology::graph::Topology;
use millstream_topology::{Context, Incoming, Processor, ProcessorError, StoreHandle};
use millstream_types::{RawRecord, Serdes};

use super::{changelog, compare, key_of, last_by_key, value_of};
use crate::simulation::observer::View;
use crate::simulation::plan::Plan;

pub(super) const STORE: &str = "latest";

type Kept = (String, String, i64);

fn kept(records: &[RawRecord]) -> Vec<Kept> {
    records.iter().map(|record| (key_of(record), value_of(record), record.timestamp.0)).collect()
}

pub(super) fn topology() -> Topology {
    let mut topology = Topology::new();
    let store = Stores::key_value_store_builder(STORE, Serdes::string(), Serdes::string()).into_factory();
    topology
        .add_source("source", &["in"], SourceSpec::new(Serdes::string(), Serdes::string()))
        .add_processor("latest", Latest::default, &["source"])
        .add_state_store(store, &["latest"])
        .add_sink("sink", "out", SinkSpec::new(Serdes::string(), Serdes::string()), &["latest"]);
    topology
}

/// Keeps and forwards.
#[derive(Default)]
struct Latest(Option<StoreHandle<KeyValueStore<String, String>>>);

impl Processor for Latest {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn init(&mut self, ctx: &mut Context<'_, String, String>) -> Result<(), ProcessorError> {
        self.0 = Some(ctx.store_handle(STORE)?);
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, String, String>,
        record: Incoming<'_, String, String>,
    ) -> Result<(), ProcessorError> {
        let store = ctx.store(self.0.ok_or("not initialised")?);
        store.put(&record.key, Some(record.value.clone()))?;
        ctx.forward_incoming(record);
        Ok(())
    }
}

pub(super) fn check(plan: &Plan, view: &View) -> Result<(), String> {
    for partition in 0..plan.partitions {
        let wanted = kept(view.consumed("in", partition));
        for topic in ["out", changelog(STORE).as_str()] {
            let what = format!("{topic}-{partition}");
            let records = view.records(topic, partition);
            if plan.is_exactly_once() {
                compare(&what, &kept(records), &wanted, view.is_stable(topic, partition))?;
            } else {
                at_least_once(&what, view.records("in", partition), records, &wanted)?;
            }
        }
    }
    Ok(())
}

/// Nothing committed is missing, nothing is there that was never read, first occurrences keep their
/// order, and repetitions go back to where a commit left off.
fn at_least_once(what: &str, input: &[RawRecord], found: &[RawRecord], wanted: &[Kept]) -> Result<(), String> {
    let places: BTreeMap<String, usize> =
        input.iter().enumerate().map(|(place, record)| (value_of(record), place)).collect();
    let mut reached = 0;
    for record in found {
        let Some(place) = places.get(&value_of(record)).copied() else {
            return Err(format!("{what}: {} was never written to the input", value_of(record)));
        };
        if place > reached {
            return Err(format!("{what}: {} comes before the {place} records in front of it", value_of(record)));
        }
        reached = reached.max(place + 1);
    }
    if reached < wanted.len() {
        return Err(format!("{what}: {:?} is committed but missing", wanted.get(reached)));
    }
    Ok(())
}

/// At the end the last value of each key is that of the input, repeated or not.
pub(super) fn check_end(plan: &Plan, view: &View) -> Result<(), String> {
    for partition in 0..plan.partitions {
        let values = |topic: &str| -> BTreeMap<Vec<u8>, String> {
            let last = last_by_key(view.records(topic, partition));
            last.into_iter().map(|(key, record)| (key, value_of(&record))).collect()
        };
        let (found, wanted) = (values(&changelog(STORE)), values("in"));
        if found != wanted {
            return Err(format!("changelog-{partition} ends as {found:?}, should be {wanted:?}"));
        }
    }
    Ok(())
}
