//! A stream left-joined with a table. Which version of the table a record meets depends on how the
//! two topics come in; that it meets exactly one, of its own key and never an older one than before,
//! does not.

use std::collections::BTreeMap;

use millstream_topology::dsl::{Consumed, KStream, KTable, Materialized, StreamsBuilder};
use millstream_topology::graph::Topology;
use millstream_types::{RawRecord, Result};

use super::{changelog, compare, key_of, value_of};
use crate::simulation::observer::View;
use crate::simulation::plan::Plan;

pub(super) const STORE: &str = "side-table";

pub(super) fn topology(plan: &Plan) -> Result<Topology> {
    let builder = StreamsBuilder::new();
    let store = Materialized::named(STORE);
    let store = if plan.is_cached { store.with_caching_enabled() } else { store.with_caching_disabled() };
    let table: KTable<String, String> = builder.table_with("side", Consumed::default(), store);
    let input: KStream<String, String> = builder.stream("in");
    input
        .left_join(&table, |value, row: Option<&String>| format!("{value}|{}", row.map_or("null", String::as_str)))
        .to("out");
    builder.build()
}

pub(super) fn check(plan: &Plan, view: &View) -> Result<(), String> {
    for partition in 0..plan.partitions {
        let changes = |records: &[RawRecord]| -> Vec<(String, String, i64)> {
            records.iter().map(|record| (key_of(record), value_of(record), record.timestamp.0)).collect()
        };
        let changelog = changelog(STORE);
        let table = changes(view.consumed("side", partition));
        if !plan.is_cached {
            let found = changes(view.records(&changelog, partition));
            compare(&format!("{changelog}-{partition}"), &found, &table, view.is_stable(&changelog, partition))?;
        }
        let wanted: Vec<(String, String)> =
            view.consumed("in", partition).iter().map(|record| (key_of(record), value_of(record))).collect();
        let mut found = Vec::new();
        let mut reached: BTreeMap<String, usize> = BTreeMap::new();
        for record in view.records("out", partition) {
            let (key, joined) = (key_of(record), value_of(record));
            let (left, right) = joined.split_once('|').unwrap_or((&joined, "?"));
            let place = match right {
                "null" => 0,
                right => match table.iter().position(|(of, value, _)| *of == key && value == right) {
                    Some(place) => place + 1,
                    None => return Err(format!("out-{partition}: {key} was joined with {right}, which it never was")),
                },
            };
            let before = reached.insert(key.clone(), place).unwrap_or(0);
            if place < before {
                return Err(format!("out-{partition}: {joined} of {key} met an older version than the record before"));
            }
            found.push((key, left.to_owned()));
        }
        compare(&format!("out-{partition}"), &found, &wanted, view.is_stable("out", partition))?;
    }
    Ok(())
}
