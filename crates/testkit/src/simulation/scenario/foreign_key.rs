//! A table left-joined with another one on a foreign key, over two internal topics. What is told on the
//! way depends on how the topics come in; the last result of each key does not.

use std::collections::BTreeMap;

use millstream_topology::dsl::{Consumed, KTable, Materialized, StreamsBuilder};
use millstream_topology::graph::Topology;
use millstream_types::{RawRecord, Result};

use super::{key_of, value_of};
use crate::simulation::observer::View;
use crate::simulation::plan::Plan;

pub(super) const STORE: &str = "orders";

/// The key that a row refers to: its value, `v<number>`, by sevenths.
fn referred(value: &str) -> String {
    let number: u32 = value.get(1..).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    format!("k{}", number % 7)
}

pub(super) fn topology(plan: &Plan) -> Result<Topology> {
    let builder = StreamsBuilder::new();
    let store = Materialized::named(STORE);
    let store = if plan.is_cached { store.with_caching_enabled() } else { store.with_caching_disabled() };
    let left: KTable<String, String> = builder.table_with("in", Consumed::default(), store);
    let right: KTable<String, String> = builder.table("side");
    let joiner = |left: &String, right: Option<&String>| format!("{left}|{}", right.map_or("null", String::as_str));
    left.left_join_on_foreign_key(&right, |value| referred(value), joiner).to_stream().to("out");
    builder.build()
}

/// The last value of each key of a topic.
fn rows<'a>(view: &'a View, topic: &str, partitions: i32) -> BTreeMap<String, String> {
    let records = (0..partitions).flat_map(|partition| view.records(topic, partition));
    records.map(|record: &'a RawRecord| (key_of(record), value_of(record))).collect()
}

pub(super) fn check(plan: &Plan, view: &View) -> std::result::Result<(), String> {
    for partition in 0..plan.partitions {
        for record in view.records("out", partition) {
            let (key, joined) = (key_of(record), value_of(record));
            let (left, right) = joined.split_once('|').unwrap_or((&joined, "?"));
            let was = |topic: &str, key: &str, value: &str| {
                let mut records = (0..plan.partitions).flat_map(|partition| view.records(topic, partition));
                records.any(|row| key_of(row) == key && value_of(row) == value)
            };
            if !was("in", &key, left) || (right != "null" && !was("side", &referred(left), right)) {
                return Err(format!("out-{partition}: {key} was never {joined}"));
            }
        }
    }
    Ok(())
}

pub(super) fn check_end(plan: &Plan, view: &View) -> std::result::Result<(), String> {
    let right = rows(view, "side", plan.partitions);
    let wanted: BTreeMap<String, String> = rows(view, "in", plan.partitions)
        .into_iter()
        .map(|(key, value)| {
            let row = right.get(&referred(&value)).map_or("null", String::as_str);
            (key, format!("{value}|{row}"))
        })
        .collect();
    let found = rows(view, "out", plan.partitions);
    if found == wanted { Ok(()) } else { Err(format!("the join ends as {found:?}, should be {wanted:?}")) }
}
