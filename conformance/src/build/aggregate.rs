//! Count, reduce and aggregate of what was grouped.

use std::sync::Arc;

use millstream_topology::{
    CogroupedKStream, KGroupedStream, KGroupedTable, KTable, SessionWindowedCogroupedKStream, SessionWindowedKStream,
    TimeWindowedCogroupedKStream, TimeWindowedKStream,
};
use millstream_types::{Serdes, Windowed};

use super::options::materialized;
use super::table::{Table, TableOf};
use super::windows::{Cogroup, Windows};
use super::{Build, Node, Types};
use crate::functions::{Aggregate, aggregate, reducer};
use crate::op::Op;
use crate::stop::{Stop, bad};
use crate::value::{Type, Val};

impl Build {
    pub(super) fn aggregate(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let result = match self.input(op)? {
            Node::Grouped(grouped, types) => of_stream(op, grouped, types, None)?,
            Node::GroupedTable(grouped, types) => of_table(op, grouped, types)?,
            Node::Windowed(windowed, types, windows) => of_windows(op, windowed, types, Some(*windows))?,
            Node::Sessions(windowed, types, windows) => of_sessions(op, windowed, types, Some(*windows))?,
            Node::Cogrouped(cogrouped, cogroup) => of_cogroup(op, cogrouped, cogroup, None)?,
            Node::WindowedCogroup(windowed, cogroup, windows) => {
                of_windowed_cogroup(op, windowed, cogroup, Some(*windows))?
            }
            Node::SessionCogroup(windowed, cogroup, windows) => {
                of_session_cogroup(op, windowed, cogroup, Some(*windows))?
            }
            _ => return Err(bad("something grouped is needed")),
        };
        self.put(op, result)
    }
}

/// A table of values as an output.
fn values<K>(table: KTable<K, Val>, key: Type, value: Type) -> Node
where
    TableOf<K, Val>: Table,
{
    Node::Table(Box::new(TableOf { table, types: Types::new(key, value) }))
}

/// A table of counts as an output.
fn counts<K>(table: KTable<K, i64>, key: Type) -> Node
where
    TableOf<K, i64>: Table,
{
    Node::Table(Box::new(TableOf { table, types: Types::new(key, Type::I64) }))
}

/// Count, reduce and aggregate of something grouped, whatever its Rust type. `$merge` is what
/// sessions need besides.
macro_rules! results {
    ($function:ident, $grouped:ident, $key:ty $(, $merge:ident)?) => {
        fn $function(
            op: Op<'_>,
            grouped: &$grouped<Val, Val>,
            types: &Types,
            windows: Option<Windows>,
        ) -> Result<Node, Stop> {
            let grouped = match op.optional("name") {
                Some(name) => grouped.named(name),
                None => grouped.clone(),
            };
            let key = types.key.serde();
            let table_key = windows.map_or_else(|| types.key.clone(), |windows| windows.key(&types.key));
            match op.text("op")? {
                "count" => {
                    let table = match materialized(op, key, Serdes::long(), windows)? {
                        Some(materialized) => grouped.count_with(materialized),
                        None => grouped.count(),
                    };
                    Ok(counts(table, table_key))
                }
                "reduce" => {
                    let reduce = reducer(op.text("fn")?, &types.value)?;
                    let reduce = move |old: Val, new: Val| reduce(&old, &new);
                    let table = match materialized(op, key, types.value.serde(), windows)? {
                        Some(materialized) => grouped.reduce_with(reduce, materialized),
                        None => grouped.reduce(reduce),
                    };
                    Ok(values(table, table_key, types.value.clone()))
                }
                _ => {
                    let how = aggregate(op.text("fn")?, &types.value)?;
                    let (initial, add) = (how.initial.clone(), how.add.clone());
                    let initial = move || initial.clone();
                    let add = move |key: &Val, value: Val, all: Val| add(key, &value, &all);
                    $(let $merge = merger(&how);)?
                    let table: KTable<$key, Val> = match materialized(op, key, how.out.serde(), windows)? {
                        Some(materialized) => grouped.aggregate_with(initial, add $(, $merge)?, materialized),
                        None => grouped.aggregate(initial, add $(, $merge)?),
                    };
                    Ok(values(table, table_key, how.out))
                }
            }
        }
    };
}

results!(of_stream, KGroupedStream, Val);
results!(of_windows, TimeWindowedKStream, Windowed<Val>);
results!(of_sessions, SessionWindowedKStream, Windowed<Val>, merge);

/// An aggregate of a cogroup, in the same way.
macro_rules! cogroup_results {
    ($function:ident, $cogrouped:ident, $key:ty $(, $merge:ident)?) => {
        fn $function(
            op: Op<'_>,
            cogrouped: &$cogrouped<Val, Val>,
            Cogroup { key, how }: &Cogroup,
            windows: Option<Windows>,
        ) -> Result<Node, Stop> {
            let named = op.optional("name").map(|name| cogrouped.named(name));
            let cogrouped = named.as_ref().unwrap_or(cogrouped);
            let table_key = windows.map_or_else(|| key.clone(), |windows| windows.key(key));
            let initial = how.initial.clone();
            let initial = move || initial.clone();
            $(let $merge = merger(how);)?
            let table: KTable<$key, Val> = match materialized(op, key.serde(), how.out.serde(), windows)? {
                Some(materialized) => cogrouped.aggregate_with(initial $(, $merge)?, materialized),
                None => cogrouped.aggregate(initial $(, $merge)?),
            };
            Ok(values(table, table_key, how.out.clone()))
        }
    };
}

cogroup_results!(of_cogroup, CogroupedKStream, Val);
cogroup_results!(of_windowed_cogroup, TimeWindowedCogroupedKStream, Windowed<Val>);
cogroup_results!(of_session_cogroup, SessionWindowedCogroupedKStream, Windowed<Val>, merge);

fn merger(how: &Aggregate) -> impl Fn(&Val, Val, Val) -> Val + Send + Sync + 'static {
    let merge = Arc::clone(&how.merge);
    move |key: &Val, one: Val, two: Val| merge(key, &one, &two)
}

fn of_table(op: Op<'_>, grouped: &KGroupedTable<Val, Val>, types: &Types) -> Result<Node, Stop> {
    let grouped = match op.optional("name") {
        Some(name) => grouped.clone().named(name),
        None => grouped.clone(),
    };
    let key = &types.key;
    match op.text("op")? {
        "count" => {
            let table = match materialized(op, key.serde(), Serdes::long(), None)? {
                Some(materialized) => grouped.count_with(materialized),
                None => grouped.count(),
            };
            Ok(counts(table, key.clone()))
        }
        "reduce" => {
            let add = reducer(op.text("fn")?, &types.value)?;
            let subtract = reducer(op.text("sub")?, &types.value)?;
            let add = move |old: Val, new: Val| add(&old, &new);
            let subtract = move |old: Val, new: Val| subtract(&old, &new);
            let table = match materialized(op, key.serde(), types.value.serde(), None)? {
                Some(materialized) => grouped.reduce_with(add, subtract, materialized),
                None => grouped.reduce(add, subtract),
            };
            Ok(values(table, key.clone(), types.value.clone()))
        }
        _ => {
            let how = aggregate(op.text("fn")?, &types.value)?;
            let (initial, add, subtract) = (how.initial, how.add, how.subtract);
            let initial = move || initial.clone();
            let add = move |key: &Val, value: Val, all: Val| add(key, &value, &all);
            let subtract = move |key: &Val, value: Val, all: Val| subtract(key, &value, &all);
            let table = match materialized(op, key.serde(), how.out.serde(), None)? {
                Some(materialized) => grouped.aggregate_with(initial, add, subtract, materialized),
                None => grouped.aggregate(initial, add, subtract),
            };
            Ok(values(table, key.clone(), how.out))
        }
    }
}
