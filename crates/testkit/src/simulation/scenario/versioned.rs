//! A stream left-joined with a versioned table: each record meets the row of its own time, as far as the
//! table has come, which never goes back.

use std::collections::BTreeMap;

use millstream_state::Stores;
use millstream_topology::dsl::{Consumed, KStream, KTable, Materialized, StreamsBuilder};
use millstream_topology::graph::Topology;
use millstream_types::{RawRecord, Result};

use super::{NEVER, changelog, compare, key_of, value_of};
use crate::simulation::observer::View;
use crate::simulation::plan::Plan;

const STORE: &str = "versions";

pub(super) fn topology() -> Result<Topology> {
    let builder = StreamsBuilder::new();
    let store = Materialized::of_supplier(Stores::persistent_versioned_key_value_store(STORE, NEVER));
    let table: KTable<String, String> = builder.table_with("side", Consumed::default(), store);
    let input: KStream<String, String> = builder.stream("in");
    input
        .left_join(&table, |value, row: Option<&String>| format!("{value}|{}", row.map_or("null", String::as_str)))
        .to("out");
    builder.build()
}

/// The row of a key at a time: of those that are not newer the newest, and of these the last.
fn as_of(records: &[RawRecord], key: &str, time: i64) -> String {
    let rows = records.iter().filter(|record| key_of(record) == key && record.timestamp.0 <= time);
    rows.max_by_key(|record| record.timestamp).map_or("null".to_owned(), value_of)
}

pub(super) fn check(plan: &Plan, view: &View) -> std::result::Result<(), String> {
    for partition in 0..plan.partitions {
        let rows = |records: &[RawRecord]| -> Vec<(String, String, i64)> {
            records.iter().map(|record| (key_of(record), value_of(record), record.timestamp.0)).collect()
        };
        let (table, changelog) = (view.consumed("side", partition), changelog(STORE));
        let found = rows(view.records(&changelog, partition));
        compare(&format!("{changelog}-{partition}"), &found, &rows(table), view.is_stable(&changelog, partition))?;

        let mut found = Vec::new();
        let mut reached: BTreeMap<String, usize> = BTreeMap::new();
        for record in view.records("out", partition) {
            let (key, joined) = (key_of(record), value_of(record));
            let (left, right) = joined.split_once('|').unwrap_or((&joined, "?"));
            let before = reached.get(&key).copied().unwrap_or(0);
            let is_met =
                |count: &usize| as_of(table.get(..*count).unwrap_or_default(), &key, record.timestamp.0) == right;
            let Some(count) = (before..=table.len()).find(is_met) else {
                return Err(format!(
                    "out-{partition}: {joined} of {key} at {} met no row of its time",
                    record.timestamp
                ));
            };
            reached.insert(key.clone(), count);
            found.push((key, left.to_owned(), record.timestamp.0));
        }
        compare(
            &format!("out-{partition}"),
            &found,
            &rows(view.consumed("in", partition)),
            view.is_stable("out", partition),
        )?;
    }
    Ok(())
}
