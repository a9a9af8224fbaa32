//! Operators on streams that keep nothing, and grouping.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use millstream_topology::{Branched, KStream, ProcessorSupplier, Repartitioned};
use serde_json::Value as Json;

use super::options::{grouped, materialized, partitioner};
use super::table::TableOf;
use super::{Build, Node, Types, as_stream, named};
use crate::functions::{Function, Of2, expansion, key, predicate, value, want};
use crate::op::Op;
use crate::processors::{Logic, outputs};
use crate::stop::Stop;
use crate::value::Val;

/// Key and value function of `map` and a table's `groupBy`.
pub(super) fn key_and_value(op: Op<'_>, types: &Types) -> Result<(Function, Function), Stop> {
    Ok((key(op.text("k")?, &types.key, &types.value)?, value(op.text("v")?, &types.value)?))
}

impl Build {
    pub(super) fn filter(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let is_not = op.text("op")? == "filterNot";
        if let Node::Table(table) = self.input(op)? {
            let result = table.filter(op, is_not)?;
            return self.put(op, result);
        }
        let (stream, types) = self.input_stream(op)?;
        let keep = predicate(op.text("fn")?, &types.value)?;
        let result = if is_not {
            stream.filter_not(move |key, value| keep(key, value))
        } else {
            stream.filter(move |key, value| keep(key, value))
        };
        self.put(op, Node::Stream(result, types))
    }

    pub(super) fn map(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let (stream, types) = self.input_stream(op)?;
        let (keys, values) = key_and_value(op, &types)?;
        let types = Types::new(keys.out, values.out);
        let (keys, values) = (keys.apply, values.apply);
        let result = stream.map(move |key, value| (keys(&key, &value), values(&key, &value)));
        self.put(op, Node::Stream(result, types))
    }

    pub(super) fn map_values(&mut self, op: Op<'_>) -> Result<(), Stop> {
        if let Node::Table(table) = self.input(op)? {
            let result = table.map_values(op)?;
            return self.put(op, result);
        }
        let (stream, types) = self.input_stream(op)?;
        let spec = op.text("fn")?;
        let Function { out, apply } = value(spec, &types.value)?;
        let result = if needs_key(spec) {
            stream.map_values_with_key(move |key, value| apply(key, &value))
        } else {
            stream.map_values(move |value| apply(&Val::Null, &value))
        };
        self.put(op, Node::Stream(result, Types::new(types.key, out)))
    }

    pub(super) fn flat_map(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let (stream, types) = self.input_stream(op)?;
        let mut outputs: Vec<(Of2<Val>, Of2<Val>)> = Vec::new();
        let mut out: Option<Types> = None;
        for fan in op.items("fan") {
            let (keys, values) = key_and_value(Op(fan), &types)?;
            let these = Types::new(keys.out, values.out);
            want(out.as_ref().is_none_or(|out| *out == these), "flatMap")?;
            out = Some(these);
            outputs.push((keys.apply, values.apply));
        }
        let result = stream.flat_map(move |key, value| {
            outputs.iter().map(|(keys, values)| (keys(&key, &value), values(&key, &value))).collect::<Vec<_>>()
        });
        self.put(op, Node::Stream(result, out.unwrap_or(types)))
    }

    pub(super) fn flat_map_values(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let (stream, types) = self.input_stream(op)?;
        let (out, expand) = expansion(op.text("fn")?, &types.value)?;
        let result = stream.flat_map_values(move |value| expand(&value));
        self.put(op, Node::Stream(result, Types::new(types.key, out)))
    }

    pub(super) fn select_key(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let (stream, types) = self.input_stream(op)?;
        let Function { out, apply } = key(op.text("fn")?, &types.key, &types.value)?;
        let result = stream.select_key(move |key, value| apply(key, value));
        self.put(op, Node::Stream(result, Types::new(out, types.value)))
    }

    pub(super) fn peek(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let (stream, types) = self.input_stream(op)?;
        let (peeked, id) = (self.peeked.clone(), op.text("id")?.to_owned());
        let see = move |key: &Val, value: &Val| peeked.see(&id, key, value);
        if op.text("op")? == "foreach" {
            stream.for_each(see);
            return Ok(());
        }
        let result = stream.peek(see);
        self.put(op, Node::Stream(result, types))
    }

    pub(super) fn merge(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let (left, types) = as_stream(self.input_at(op, 0)?)?;
        let (right, other) = as_stream(self.input_at(op, 1)?)?;
        want(types == other, "merge")?;
        let result = named(&left, op).merge(&right);
        self.put(op, Node::Stream(result, types))
    }

    pub(super) fn split(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let (stream, types) = self.input_stream(op)?;
        let id = op.text("id")?.to_owned();
        let outputs: Rc<RefCell<Vec<(String, KStream<Val, Val>)>>> = Rc::default();
        let branched = |id: String, name: Option<&str>| {
            let outputs = Rc::clone(&outputs);
            let branched = Branched::with_function(move |stream: KStream<Val, Val>| {
                outputs.borrow_mut().push((id, stream.clone()));
                stream
            });
            match name {
                Some(name) => branched.with_name(name),
                None => branched,
            }
        };
        let mut split = stream.split();
        for (position, branch) in op.items("branches").iter().map(Op).enumerate() {
            let keep = predicate(branch.text("fn")?, &types.value)?;
            let branched = branched(format!("{id}.{position}"), branch.optional("name"));
            split = split.branch_with(move |key, value| keep(key, value), branched);
        }
        let streams = match op.field("default") {
            None | Some(Json::Bool(false)) => split.no_default_branch(),
            Some(default) => split.default_branch_with(branched(format!("{id}.d"), default.as_str())),
        };
        self.branches.insert(id, streams.into_keys().collect());
        for (id, stream) in outputs.take() {
            self.nodes.insert(id, Node::Stream(stream, types.clone()));
        }
        Ok(())
    }

    pub(super) fn repartition(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let (stream, types) = as_stream(self.input(op)?)?;
        let mut how = Repartitioned::with(types.key.serde(), types.value.serde());
        if let Some(name) = op.optional("name") {
            how = how.with_name(name);
        }
        if op.has("partitions") {
            how = how.with_number_of_partitions(op.number("partitions", 1) as i32);
        }
        if let Some(spec) = op.optional("partitioner") {
            how = how.with_stream_partitioner(partitioner(spec)?);
        }
        let result = stream.repartition_with(how);
        self.put(op, Node::Stream(result, types))
    }

    pub(super) fn table_of_stream(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let (stream, types) = self.input_stream(op)?;
        let table = match materialized(op, types.key.serde(), types.value.serde(), None)? {
            Some(materialized) => stream.to_table_with::<Val>(materialized),
            None => stream.to_table::<Val>(),
        };
        self.put(op, Node::Table(Box::new(TableOf { table, types })))
    }

    pub(super) fn process(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let (stream, types) = self.input_stream(op)?;
        let keeps_key = op.text("op")? == "processValues";
        let spec = op.text("proc")?;
        let out = outputs(spec, &types, keeps_key)?;
        let stores = op.list("stores");
        let own = op.items("ownStores").iter().map(|store| self.store_factory(Op(store)));
        let own = own.collect::<Result<Vec<_>, Stop>>()?;
        let kind = stores.first().map(|name| (*name, self.stores.get(*name).map(String::as_str)));
        let logic = Arc::new(Logic::new(spec, kind)?);
        let supplier = move || logic.processor();
        let result = match (keeps_key, own.is_empty()) {
            (true, _) => stream.process_values_with(supplier, &stores),
            (false, true) => stream.process_with(supplier, &stores),
            (false, false) => stream.process(supplier.with_stores(own)),
        };
        self.put(op, Node::Stream(result, out))
    }

    pub(super) fn group_by_key(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let (stream, types) = as_stream(self.input(op)?)?;
        let result = stream.group_by_key_with(grouped(op, &types));
        self.put(op, Node::Grouped(result, types))
    }

    pub(super) fn group_by(&mut self, op: Op<'_>) -> Result<(), Stop> {
        if let Node::Table(table) = self.input(op)? {
            let result = table.group_by(op)?;
            return self.put(op, result);
        }
        let (stream, types) = as_stream(self.input(op)?)?;
        let Function { out, apply } = key(op.text("fn")?, &types.key, &types.value)?;
        let types = Types::new(out, types.value);
        let result = stream.group_by_with(move |key, value| apply(key, value), grouped(op, &types));
        self.put(op, Node::Grouped(result, types))
    }
}

/// Functions that are given to the overload that sees the key.
pub(super) fn needs_key(spec: &str) -> bool {
    matches!(spec, "kv" | "kvnn")
}
