//! Joins of a stream with tables.

use millstream_topology::{Joined, KStream, KTable};

use super::options::ms;
use super::table::{Cell, Table, TableOf};
use super::{Build, Node, Types, as_stream, as_table, named};
use crate::functions::{Function, Join, join, key, want};
use crate::op::Op;
use crate::stop::{Stop, bad, unsupported};
use crate::value::{Shown, Val};

impl Build {
    pub(super) fn join_table(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let table = as_table(self.input_at(op, 1)?)?;
        let result = if let Node::Windows(stream, types) = self.input_at(op, 0)? {
            let (stream, types) = with_any_table(op, stream, types, table)?;
            Node::Windows(stream, types)
        } else {
            let (stream, types) = as_stream(self.input_at(op, 0)?)?;
            let (stream, types) = with_any_table(op, &stream, &types, table)?;
            Node::Stream(stream, types)
        };
        self.put(op, result)
    }

    pub(super) fn join_global(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let (stream, types) = as_stream(self.input_at(op, 0)?)?;
        let Node::Global(table, table_types) = self.input_at(op, 1)? else {
            return Err(bad("a global table is needed"));
        };
        let select: Function = key(op.text("key")?, &types.key, &types.value)?;
        want(select.out == table_types.key, "joinSG")?;
        let Join { out, apply } = join(op.text("fn")?, &types.value, &table_types.value)?;
        let stream = named(&stream, op);
        let select = move |key: &Val, value: &Val| (select.apply)(key, value);
        let result = if is_inner(op)? {
            stream.join_global_with_key(table, select, move |key, value, row| apply(key, value, row))
        } else {
            stream.left_join_global_with_key(table, select, move |key, value, row| {
                apply(key, value, row.unwrap_or(&Val::Null))
            })
        };
        self.put(op, Node::Stream(result, Types::new(types.key, out)))
    }
}

/// A join with a table of whatever values.
fn with_any_table<K: Cell>(
    op: Op<'_>,
    stream: &KStream<K, Val>,
    types: &Types,
    table: &dyn Table,
) -> Result<(KStream<K, Val>, Types), Stop> {
    want(types.key == table.types().key, "joinST")?;
    if let Some(table) = table.as_any().downcast_ref::<TableOf<K, Val>>() {
        with_table(op, stream, types, table)
    } else if let Some(table) = table.as_any().downcast_ref::<TableOf<K, i64>>() {
        with_table(op, stream, types, table)
    } else {
        Err(unsupported("joinST on windowed keys"))
    }
}

fn with_table<K: Cell, VT: Cell>(
    op: Op<'_>,
    stream: &KStream<K, Val>,
    types: &Types,
    right: &TableOf<K, VT>,
) -> Result<(KStream<K, Val>, Types), Stop> {
    let Join { out, apply } = join(op.text("fn")?, &types.value, &right.types.value)?;
    let mut how = Joined::with(K::serde(&types.key)?, types.value.serde(), VT::serde(&right.types.value)?);
    if let Some(name) = op.optional("name") {
        how = how.with_name(name);
    }
    if let Some(grace) = op.field("grace").and_then(serde_json::Value::as_i64) {
        how = how.with_grace_period(ms(grace));
    }
    let table: &KTable<K, VT> = &right.table;
    let result = if is_inner(op)? {
        stream.join_with(table, move |key, value, row| apply(&key.val(), value, &row.val()), how)
    } else {
        let joiner =
            move |key: &K, value: &Val, row: Option<&VT>| apply(&key.val(), value, &row.map_or(Val::Null, Shown::val));
        stream.left_join_with(table, joiner, how)
    };
    Ok((result, Types::new(types.key.clone(), out)))
}

fn is_inner(op: Op<'_>) -> Result<bool, Stop> {
    match op.text("kind")? {
        "inner" => Ok(true),
        "left" => Ok(false),
        kind => Err(bad(format!("join kind {kind}"))),
    }
}
