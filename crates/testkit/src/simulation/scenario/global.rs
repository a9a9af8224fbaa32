//! A stream left-joined with a global table. Each instance has its own copy of the table, which runs
//! behind as it may: a record meets some version of its own key, and comes out once and in order.

use millstream_topology::dsl::{Consumed, GlobalKTable, KStream, Materialized, StreamsBuilder};
use millstream_topology::graph::Topology;
use millstream_types::{Result, Serdes};

use super::{compare, key_of, value_of};
use crate::simulation::observer::View;
use crate::simulation::plan::Plan;

pub(super) const STORE: &str = "global-table";

pub(super) fn topology() -> Result<Topology> {
    let builder = StreamsBuilder::new();
    let consumed = Consumed::with(Serdes::string(), Serdes::string());
    let table: GlobalKTable<String, String> = builder.global_table_with("side", consumed, Materialized::named(STORE));
    let input: KStream<String, String> = builder.stream("in");
    let joiner = |value: &String, row: Option<&String>| format!("{value}|{}", row.map_or("null", String::as_str));
    input.left_join_global(&table, |key, _| key.clone(), joiner).to("out");
    builder.build()
}

pub(super) fn check(plan: &Plan, view: &View) -> std::result::Result<(), String> {
    for partition in 0..plan.partitions {
        let side = view.records("side", partition);
        let consumed = view.consumed("in", partition).iter();
        let wanted: Vec<(String, String)> = consumed.map(|record| (key_of(record), value_of(record))).collect();
        let mut found = Vec::new();
        for record in view.records("out", partition) {
            let (key, joined) = (key_of(record), value_of(record));
            let (left, right) = joined.split_once('|').unwrap_or((&joined, "?"));
            let is_version = right == "null" || side.iter().any(|row| key_of(row) == key && value_of(row) == right);
            if !is_version {
                return Err(format!("out-{partition}: {key} was joined with {right}, which it never was"));
            }
            found.push((key, left.to_owned()));
        }
        compare(&format!("out-{partition}"), &found, &wanted, view.is_stable("out", partition))?;
    }
    Ok(())
}
