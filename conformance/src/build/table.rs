//! Operators on tables, whatever the types of their keys and values in Rust are.

use std::any::Any;

use millstream_topology::{KStream, KTable, StrictBufferConfig, Suppressed};
use millstream_types::{Serde, Serdes, Windowed};

use super::options::{grouped, materialized};
use super::stream::{key_and_value, needs_key};
use super::suppress::suppressed;
use super::{Build, Node, Types, as_table, table_join};
use crate::functions::{Function, boom, key, predicate, value};
use crate::op::Op;
use crate::stop::{Stop, bad, unsupported};
use crate::transformer::Transformer;
use crate::value::{Shown, Type, Val, windowed};

/// A type that a table's keys or values may have, with its serde.
pub(crate) trait Cell: Shown {
    fn serde(of: &Type) -> Result<Serde<Self>, Stop>;

    /// Suppression until the window of a key closes; counts are no keys.
    fn until_window_closes(_: StrictBufferConfig) -> Option<Suppressed<Self>> {
        None
    }
}

impl Cell for Val {
    fn serde(of: &Type) -> Result<Serde<Self>, Stop> {
        Ok(of.serde())
    }

    /// A stream of windowed keys that is grouped again has windows in its keys, too. Where it has not,
    /// that is found with the first record, as in Kafka Streams.
    fn until_window_closes(buffer: StrictBufferConfig) -> Option<Suppressed<Self>> {
        let end = |key: &Val| match windowed(key) {
            Some(key) => key.window.end,
            None => boom("a key without window"),
        };
        Some(Suppressed::until_window_closes_at(end, buffer))
    }
}

impl Cell for i64 {
    fn serde(of: &Type) -> Result<Serde<Self>, Stop> {
        if *of == Type::I64 { Ok(Serdes::long()) } else { Err(bad("counts are of type i64")) }
    }
}

impl Cell for Windowed<Val> {
    fn serde(of: &Type) -> Result<Serde<Self>, Stop> {
        match of {
            Type::Time(inner, size) => Ok(Serde::time_windowed(inner.serde(), *size)),
            Type::Session(inner) => Ok(Serde::session_windowed(inner.serde())),
            _ => Err(bad("keys in windows are needed")),
        }
    }

    fn until_window_closes(buffer: StrictBufferConfig) -> Option<Suppressed<Self>> {
        Some(Suppressed::until_window_closes(buffer))
    }
}

/// A table of some Rust types.
pub(crate) struct TableOf<K, V> {
    pub(crate) table: KTable<K, V>,
    pub(crate) types: Types,
}

/// A table, its types erased.
pub(crate) trait Table: Any {
    fn filter(&self, op: Op<'_>, is_not: bool) -> Result<Node, Stop>;
    fn map_values(&self, op: Op<'_>) -> Result<Node, Stop>;
    fn group_by(&self, op: Op<'_>) -> Result<Node, Stop>;
    /// `is_joined` with a table of windows, for which the keys must keep their type.
    fn to_stream(&self, op: Op<'_>, is_joined: bool) -> Result<Node, Stop>;
    fn suppress(&self, op: Op<'_>) -> Result<Node, Stop>;
    fn join(&self, op: Op<'_>, other: &dyn Table) -> Result<Node, Stop>;
    fn transform_values(&self, op: Op<'_>) -> Result<Node, Stop>;
    fn join_on_foreign_key(&self, op: Op<'_>, other: &dyn Table) -> Result<Node, Stop>;
    fn types(&self) -> &Types;
    fn as_any(&self) -> &dyn Any;
}

impl<K, V> TableOf<K, V>
where
    K: Cell + Into<Val>,
    V: Cell,
    Val: From<Option<V>>,
{
    pub(super) fn named(&self, op: Op<'_>) -> KTable<K, V> {
        match op.optional("name") {
            Some(name) => self.table.named(name),
            None => self.table.clone(),
        }
    }
}

impl<K, V> Table for TableOf<K, V>
where
    K: Cell + Into<Val>,
    V: Cell,
    Val: From<Option<V>>,
{
    fn filter(&self, op: Op<'_>, is_not: bool) -> Result<Node, Stop> {
        let keep = predicate(op.text("fn")?, &self.types.value)?;
        let keep = move |key: &K, value: &V| keep(&key.val(), &value.val());
        let (input, types) = (self.named(op), self.types.clone());
        let table = match (materialized(op, K::serde(&types.key)?, V::serde(&types.value)?, None)?, is_not) {
            (None, false) => input.filter(keep),
            (None, true) => input.filter_not(keep),
            (Some(materialized), false) => input.filter_with(keep, materialized),
            (Some(materialized), true) => input.filter_not_with(keep, materialized),
        };
        Ok(Node::Table(Box::new(TableOf { table, types })))
    }

    fn map_values(&self, op: Op<'_>) -> Result<Node, Stop> {
        let spec = op.text("fn")?;
        let Function { out, apply } = value(spec, &self.types.value)?;
        let types = Types::new(self.types.key.clone(), out);
        let input = self.named(op);
        let with_key = move |key: &K, value: V| apply(&key.val(), &value.val());
        let table = match materialized(op, K::serde(&types.key)?, types.value.serde(), None)? {
            Some(materialized) => input.map_values_with(with_key, materialized),
            None if needs_key(spec) => input.map_values_with_key(with_key),
            None => {
                let apply = value(spec, &self.types.value)?.apply;
                input.map_values(move |value| apply(&Val::Null, &value.val()))
            }
        };
        Ok(Node::Table(Box::new(TableOf { table, types })))
    }

    fn join(&self, op: Op<'_>, other: &dyn Table) -> Result<Node, Stop> {
        if let Some(other) = other.as_any().downcast_ref::<TableOf<K, Val>>() {
            table_join::same_key(op, self, other)
        } else if let Some(other) = other.as_any().downcast_ref::<TableOf<K, i64>>() {
            table_join::same_key(op, self, other)
        } else {
            Err(unsupported("joinTT on windowed keys"))
        }
    }

    fn join_on_foreign_key(&self, op: Op<'_>, other: &dyn Table) -> Result<Node, Stop> {
        if let Some(other) = other.as_any().downcast_ref::<TableOf<Val, Val>>() {
            table_join::foreign_key(op, self, other)
        } else if let Some(other) = other.as_any().downcast_ref::<TableOf<Val, i64>>() {
            table_join::foreign_key(op, self, other)
        } else {
            Err(unsupported("joinFK with windowed keys on the right"))
        }
    }

    fn group_by(&self, op: Op<'_>) -> Result<Node, Stop> {
        let (keys, values) = key_and_value(op, &self.types)?;
        let types = Types::new(keys.out, values.out);
        let (keys, values) = (keys.apply, values.apply);
        let select = move |key: &K, value: &V| {
            let (key, value) = (key.val(), value.val());
            (keys(&key, &value), values(&key, &value))
        };
        let result = self.table.group_by_with(select, grouped(op, &types));
        Ok(Node::GroupedTable(result, types))
    }

    fn to_stream(&self, op: Op<'_>, is_joined: bool) -> Result<Node, Stop> {
        let windows = self.as_any().downcast_ref::<TableOf<Windowed<Val>, V>>().filter(|_| is_joined);
        if let Some(windows) = windows {
            return Ok(Node::Windows(windows.named(op).to_stream_as(), self.types.clone()));
        }
        let stream: KStream<Val, Val> = self.named(op).to_stream_as();
        let Some(spec) = op.optional("fn") else { return Ok(Node::Stream(stream, self.types.clone())) };
        let Function { out, apply } = key(spec, &self.types.key, &self.types.value)?;
        let stream = stream.select_key(move |key, value| apply(key, value));
        Ok(Node::Stream(stream, Types::new(out, self.types.value.clone())))
    }

    fn suppress(&self, op: Op<'_>) -> Result<Node, Stop> {
        let table = self.table.suppress(suppressed(op)?);
        Ok(Node::Table(Box::new(TableOf { table, types: self.types.clone() })))
    }

    fn transform_values(&self, op: Op<'_>) -> Result<Node, Stop> {
        let types = Types::new(self.types.key.clone(), Type::Str);
        let how = materialized(op, K::serde(&types.key)?, types.value.serde(), None)?;
        let stores = op.list("stores");
        let supplier = Transformer::<K, V>::supplier(op.text("proc")?, stores.first().copied())?;
        let table = self.named(op).transform_values_with(supplier, how, &stores);
        Ok(Node::Table(Box::new(TableOf { table, types })))
    }

    fn types(&self) -> &Types {
        &self.types
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Build {
    pub(super) fn stream_of_table(&mut self, op: Op<'_>) -> Result<(), Stop> {
        let is_joined = !op.has("fn") && op.optional("id").is_some_and(|id| self.meets_windows(id));
        let result = as_table(self.input(op)?)?.to_stream(op, is_joined)?;
        self.put(op, result)
    }

    /// Whether a stream will be joined with a table of windows that there is already.
    fn meets_windows(&self, stream: &str) -> bool {
        let tables = self.joined.iter().filter(|(joined, _)| joined == stream);
        tables.filter_map(|(_, table)| as_table(self.node(table).ok()?).ok()).any(|table| {
            table.as_any().is::<TableOf<Windowed<Val>, Val>>() || table.as_any().is::<TableOf<Windowed<Val>, i64>>()
        })
    }
}
