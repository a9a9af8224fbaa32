//! Joins of two tables.

use millstream_topology::TableJoined;

use super::options::{materialized, partitioner};
use super::table::{Cell, TableOf};
use super::{Build, Node, Types, as_table};
use crate::functions::{Join, join, key, want};
use crate::op::Op;
use crate::stop::{Stop, bad};
use crate::value::{Shown, Val};

impl Build {
    pub(super) fn join_tables(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let (left, right) = (as_table(self.input_at(op, 0)?)?, as_table(self.input_at(op, 1)?)?);
        want(left.types().key == right.types().key, "joinTT")?;
        let result = left.join(op, right)?;
        self.put(op, result)
    }
}

impl Build {
    pub(super) fn join_tables_on_foreign_key(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let (left, right) = (as_table(self.input_at(op, 0)?)?, as_table(self.input_at(op, 1)?)?);
        let result = left.join_on_foreign_key(op, right)?;
        self.put(op, result)
    }
}

/// Joins the rows of a table with those they refer to.
pub(super) fn foreign_key<K, V, VO>(op: Op<'_>, left: &TableOf<K, V>, right: &TableOf<Val, VO>) -> Result<Node, Stop>
where
    K: Cell + Into<Val>,
    V: Cell,
    VO: Cell,
    Val: From<Option<V>>,
{
    let select = key(op.text("fk")?, &left.types.key, &left.types.value)?;
    want(select.out == right.types.key, "joinFK")?;
    let Join { out, apply } = join(op.text("fn")?, &left.types.value, &right.types.value)?;
    let types = Types::new(left.types.key.clone(), out);
    let store = materialized(op, K::serde(&types.key)?, types.value.serde(), None)?;
    let store = store.unwrap_or_default();
    let mut how = TableJoined::default();
    if let Some(name) = op.optional("name") {
        how = how.with_name(name);
    }
    if let Some(spec) = op.optional("partitioner") {
        let (own, other) = (partitioner(spec)?, partitioner(spec)?);
        let one = |chosen: Option<Vec<i32>>| chosen.and_then(|chosen| chosen.first().copied());
        how = how
            .with_partitioner(move |topic, key: &K, count| one(own(topic, &key.val(), &Val::Null, count)))
            .with_other_partitioner(move |topic, key: &Val, count| one(other(topic, key, &Val::Null, count)));
    }
    let (table, other) = (&left.table, &right.table);
    let select = move |key: &K, value: &V| (select.apply)(&key.val(), &value.val());
    let table = match op.text("kind")? {
        "inner" => {
            let joiner = move |left: &V, right: &VO| apply(&Val::Null, &left.val(), &right.val());
            table.join_on_foreign_key_with(other, select, joiner, how, store)
        }
        "left" => {
            let joiner = move |left: &V, right: Option<&VO>| apply(&Val::Null, &left.val(), &shown(right));
            table.left_join_on_foreign_key_with(other, select, joiner, how, store)
        }
        kind => return Err(bad(format!("join kind {kind}"))),
    };
    Ok(Node::Table(Box::new(TableOf { table, types })))
}

/// Joins tables of the same key.
pub(super) fn same_key<K, V, VO>(op: Op<'_>, left: &TableOf<K, V>, right: &TableOf<K, VO>) -> Result<Node, Stop>
where
    K: Cell + Into<Val>,
    V: Cell,
    VO: Cell,
    Val: From<Option<V>>,
{
    let Join { out, apply } = join(op.text("fn")?, &left.types.value, &right.types.value)?;
    let types = Types::new(left.types.key.clone(), out);
    let materialized = materialized(op, K::serde(&types.key)?, types.value.serde(), None)?;
    let (table, other) = (left.named(op), &right.table);
    let both = {
        let apply = apply.clone();
        move |left: &V, right: &VO| apply(&Val::Null, &left.val(), &right.val())
    };
    let of_left = {
        let apply = apply.clone();
        move |left: &V, right: Option<&VO>| apply(&Val::Null, &left.val(), &shown(right))
    };
    let either = move |left: Option<&V>, right: Option<&VO>| apply(&Val::Null, &shown(left), &shown(right));
    let table = match (op.text("kind")?, materialized) {
        ("inner", None) => table.join(other, both),
        ("inner", Some(materialized)) => table.join_with(other, both, materialized),
        ("left", None) => table.left_join(other, of_left),
        ("left", Some(materialized)) => table.left_join_with(other, of_left, materialized),
        ("outer", None) => table.outer_join(other, either),
        ("outer", Some(materialized)) => table.outer_join_with(other, either, materialized),
        (kind, _) => return Err(bad(format!("join kind {kind}"))),
    };
    Ok(Node::Table(Box::new(TableOf { table, types })))
}

fn shown(row: Option<&impl Shown>) -> Val {
    row.map_or(Val::Null, Shown::val)
}
