//! Windows, and count, reduce and aggregate of what was grouped.

use millstream_topology::{KGroupedStream, KGroupedTable, KTable, TimeWindowedKStream, TimeWindows};
use millstream_types::{Serdes, Windowed};

use super::options::{materialized, ms};
use super::table::TableOf;
use super::{Build, Node, Types, Windows};
use crate::functions::{aggregate, reducer};
use crate::op::Op;
use crate::stop::{Stop, bad, refused, unsupported};
use crate::value::{Type, Val};

impl Build {
    pub(super) fn windowed_by(&mut self, op: Op<'_>) -> Result<(), Stop> {
        if op.optional("emit") == Some("final") {
            return Err(unsupported("emit final"));
        }
        let Node::Grouped(grouped, types) = self.input(op)? else { return Err(bad("a grouped stream is needed")) };
        let window = op.field("window").map(Op).ok_or_else(|| bad("windowedBy without window"))?;
        let kind = window.text("type")?;
        if !matches!(kind, "tumbling" | "hopping") {
            return Err(unsupported(format!("window {kind}")));
        }
        let (size, grace) = (window.number("size", 0), window.number("grace", 0));
        if size < 0 || grace < 0 || window.number("advance", 0) < 0 {
            // A `Duration` cannot say it, so Millstream never gets to refuse it.
            return Err(unsupported("a negative duration"));
        }
        let windows = if window.has("grace") {
            TimeWindows::of_size_and_grace(ms(size), ms(grace))
        } else {
            TimeWindows::of_size_with_no_grace(ms(size))
        };
        let windows = match window.field("advance") {
            Some(_) => windows.and_then(|windows| windows.advance_by(ms(window.number("advance", 0)))),
            None => windows,
        };
        let windows = windows.map_err(refused)?;
        let result = grouped.windowed_by(windows);
        let node = Node::Windowed(result, types.clone(), Windows { size, floor: size.saturating_add(grace) });
        self.put(op, node)
    }

    pub(super) fn aggregate(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let result = match self.input(op)? {
            Node::Grouped(grouped, types) => of_stream(op, grouped, types)?,
            Node::GroupedTable(grouped, types) => of_table(op, grouped, types)?,
            Node::Windowed(windowed, types, windows) => of_windows(op, windowed, types, *windows)?,
            _ => return Err(bad("something grouped is needed")),
        };
        self.put(op, result)
    }
}

/// A table of values as an output.
fn values(table: KTable<Val, Val>, key: &Type, value: Type) -> Node {
    Node::Table(Box::new(TableOf { table, types: Types::new(key.clone(), value) }))
}

/// A table of counts as an output.
fn counts(table: KTable<Val, i64>, key: &Type) -> Node {
    Node::Table(Box::new(TableOf { table, types: Types::new(key.clone(), Type::I64) }))
}

fn of_stream(op: Op<'_>, grouped: &KGroupedStream<Val, Val>, types: &Types) -> Result<Node, Stop> {
    let grouped = match op.optional("name") {
        Some(name) => grouped.named(name),
        None => grouped.clone(),
    };
    let key = &types.key;
    match op.text("op")? {
        "count" => {
            let table = match materialized(op, key.serde(), Serdes::long(), None)? {
                Some(materialized) => grouped.count_with(materialized),
                None => grouped.count(),
            };
            Ok(counts(table, key))
        }
        "reduce" => {
            let reduce = reducer(op.text("fn")?, &types.value)?;
            let reduce = move |old: Val, new: Val| reduce(&old, &new);
            let table = match materialized(op, key.serde(), types.value.serde(), None)? {
                Some(materialized) => grouped.reduce_with(reduce, materialized),
                None => grouped.reduce(reduce),
            };
            Ok(values(table, key, types.value.clone()))
        }
        _ => {
            let how = aggregate(op.text("fn")?, &types.value)?;
            let (initial, add) = (how.initial, how.add);
            let initial = move || initial.clone();
            let add = move |key: &Val, value: Val, all: Val| add(key, &value, &all);
            let table = match materialized(op, key.serde(), how.out.serde(), None)? {
                Some(materialized) => grouped.aggregate_with(initial, add, materialized),
                None => grouped.aggregate(initial, add),
            };
            Ok(values(table, key, how.out))
        }
    }
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
            Ok(counts(table, key))
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
            Ok(values(table, key, types.value.clone()))
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
            Ok(values(table, key, how.out))
        }
    }
}

fn of_windows(
    op: Op<'_>,
    windowed: &TimeWindowedKStream<Val, Val>,
    types: &Types,
    windows: Windows,
) -> Result<Node, Stop> {
    let windowed = match op.optional("name") {
        Some(name) => windowed.named(name),
        None => windowed.clone(),
    };
    let key = &types.key;
    let windowed_key = Type::Time(Box::new(key.clone()), windows.size);
    let values = |table: KTable<Windowed<Val>, Val>, value: Type| {
        Node::Table(Box::new(TableOf { table, types: Types::new(windowed_key.clone(), value) }))
    };
    match op.text("op")? {
        "count" => {
            let table = match materialized(op, key.serde(), Serdes::long(), Some(windows))? {
                Some(materialized) => windowed.count_with(materialized),
                None => windowed.count(),
            };
            Ok(Node::Table(Box::new(TableOf { table, types: Types::new(windowed_key, Type::I64) })))
        }
        "reduce" => {
            let reduce = reducer(op.text("fn")?, &types.value)?;
            let reduce = move |old: Val, new: Val| reduce(&old, &new);
            let table = match materialized(op, key.serde(), types.value.serde(), Some(windows))? {
                Some(materialized) => windowed.reduce_with(reduce, materialized),
                None => windowed.reduce(reduce),
            };
            Ok(values(table, types.value.clone()))
        }
        _ => {
            let how = aggregate(op.text("fn")?, &types.value)?;
            let (initial, add) = (how.initial, how.add);
            let initial = move || initial.clone();
            let add = move |key: &Val, value: Val, all: Val| add(key, &value, &all);
            let table = match materialized(op, key.serde(), how.out.serde(), Some(windows))? {
                Some(materialized) => windowed.aggregate_with(initial, add, materialized),
                None => windowed.aggregate(initial, add),
            };
            Ok(values(table, how.out))
        }
    }
}
