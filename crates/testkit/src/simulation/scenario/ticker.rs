//! Counts that a punctuator forwards and deletes. When it fires depends on how records come in, so
//! the reference is a sum: what was forwarded and what still lies in the store is what came in.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_state::{KeyValueStore, Stores};
use millstream_topology::flow::{SinkSpec, SourceSpec};
use millstream_topology::graph::Topology;
use millstream_topology::{Context, Incoming, Processor, ProcessorError, PunctuationType, StoreHandle, Timer};
use millstream_types::{Record, Serdes, Timestamp};

use super::{changelog, key_of, last_by_key, number_of, text};
use crate::simulation::observer::View;
use crate::simulation::plan::Plan;

pub(super) const STORE: &str = "open-counts";

pub(super) fn topology() -> Topology {
    let mut topology = Topology::new();
    let store = Stores::key_value_store_builder(STORE, Serdes::string(), Serdes::long()).into_factory();
    topology
        .add_source("source", &["in"], SourceSpec::new(Serdes::string(), Serdes::string()))
        .add_processor("ticker", Ticker::default, &["source"])
        .add_state_store(store, &["ticker"])
        .add_sink("sink", "out", SinkSpec::new(Serdes::string(), Serdes::long()), &["ticker"]);
    topology
}

/// Counts; forwards and deletes the counts every 50 ms of stream time.
#[derive(Default)]
struct Ticker(Option<StoreHandle<KeyValueStore<String, i64>>>);

impl Processor for Ticker {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = i64;

    fn init(&mut self, ctx: &mut Context<'_, String, i64>) -> Result<(), ProcessorError> {
        self.0 = Some(ctx.store_handle(STORE)?);
        ctx.schedule(Duration::from_millis(50), PunctuationType::StreamTime);
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, String, i64>,
        record: Incoming<'_, String, String>,
    ) -> Result<(), ProcessorError> {
        let store = ctx.store(self.0.ok_or("not initialised")?);
        let count = store.get(&record.key)?.unwrap_or(0) + 1;
        store.put(&record.key, Some(count))?;
        Ok(())
    }

    fn punctuate(
        &mut self,
        ctx: &mut Context<'_, String, i64>,
        _: Timer,
        time: Timestamp,
    ) -> Result<(), ProcessorError> {
        let handle = self.0.ok_or("not initialised")?;
        for row in ctx.store(handle).all()? {
            let (key, count) = row?;
            ctx.store(handle).delete(&key)?;
            ctx.forward(Record::new(key, count, time));
        }
        Ok(())
    }
}

pub(super) fn check(plan: &Plan, view: &View) -> Result<(), String> {
    for partition in 0..plan.partitions {
        let mut wanted: BTreeMap<String, i64> = BTreeMap::new();
        for record in view.consumed("in", partition) {
            *wanted.entry(key_of(record)).or_default() += 1;
        }
        let mut found: BTreeMap<String, i64> = BTreeMap::new();
        for record in view.records("out", partition) {
            *found.entry(key_of(record)).or_default() += number_of(record).unwrap_or(0);
        }
        let changelog = changelog(STORE);
        let is_stable = view.is_stable("out", partition) && view.is_stable(&changelog, partition);
        if is_stable {
            for (key, record) in last_by_key(view.records(&changelog, partition)) {
                *found.entry(text(Some(&key))).or_default() += number_of(&record).unwrap_or(0);
            }
            if found != wanted {
                return Err(format!("partition {partition}: forwarded and kept {found:?}, should be {wanted:?}"));
            }
        } else if let Some((key, sum)) = found.iter().find(|(key, sum)| *sum > wanted.get(*key).unwrap_or(&0)) {
            return Err(format!("partition {partition}: {key} was forwarded {sum} times, should be {wanted:?}"));
        }
    }
    Ok(())
}
