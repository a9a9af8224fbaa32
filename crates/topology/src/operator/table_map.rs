//! `filter` and `map_values` of a table: each row becomes another row or none.

use std::marker::PhantomData;
use std::sync::Arc;

use millstream_state::TimestampedKeyValueStore;

use super::change::Change;
use super::table_output::TableOutput;
use crate::dsl::Switch;
use crate::flow::{Context, Incoming, NodeFactory, Processor, ProcessorError};

/// Makes a row of a row, or none. Never called for a deleted row.
pub(crate) type RowMapper<K, V, R> = Arc<dyn Fn(&K, V) -> Option<R> + Send + Sync>;

/// What the operator is told when the topology is built.
pub(crate) struct TableMapSpec<K, V, R> {
    pub(crate) mapper: RowMapper<K, V, R>,
    /// Whether downstream wants old values.
    pub(crate) sends_old: Switch,
    /// Whether an update from nothing to nothing is left out (`filter`, where old values are known).
    pub(crate) skips_nothing: bool,
    /// The store, if the result has one of its own.
    pub(crate) output: Option<TableOutput<K, R, TimestampedKeyValueStore<K, R>>>,
}

impl<K, V, R> Clone for TableMapSpec<K, V, R> {
    fn clone(&self) -> Self {
        Self {
            mapper: Arc::clone(&self.mapper),
            sends_old: self.sends_old.clone(),
            skips_nothing: self.skips_nothing,
            output: self.output.clone(),
        }
    }
}

struct TableMap<K, V, R> {
    spec: TableMapSpec<K, V, R>,
    types: PhantomData<fn(K, V) -> R>,
}

pub(crate) fn table_map<K, V, R>(spec: TableMapSpec<K, V, R>) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    R: Clone + Send + 'static,
{
    let store = spec.output.as_ref().map(|output| Arc::clone(output.name()));
    let factory = NodeFactory::processor(move || TableMap { spec: spec.clone(), types: PhantomData });
    match store {
        Some(store) => factory.flushing(&store),
        None => factory,
    }
}

impl<K, V, R> Processor for TableMap<K, V, R>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    R: Clone + Send + 'static,
{
    type KeyIn = K;
    type ValueIn = Change<V>;
    type KeyOut = K;
    type ValueOut = Change<R>;

    fn init(&mut self, ctx: &mut Context<'_, K, Change<R>>) -> Result<(), ProcessorError> {
        if let Some(output) = &mut self.spec.output {
            output.init(ctx)?;
        }
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, K, Change<R>>,
        record: Incoming<'_, K, Change<V>>,
    ) -> Result<(), ProcessorError> {
        let (key, change, rest) = record.into_record().into_parts();
        let sends_old = self.spec.sends_old.is_on();
        let new = change.new.and_then(|value| (self.spec.mapper)(&key, value));
        let old = match &self.spec.output {
            Some(output) if sends_old => output.row(ctx, &key)?.map(|row| row.value),
            None if sends_old => change.old.and_then(|value| (self.spec.mapper)(&key, value)),
            _ => None,
        };
        if self.spec.skips_nothing && sends_old && new.is_none() && old.is_none() {
            return Ok(());
        }
        if let Some(output) = &self.spec.output {
            return output.put(ctx, rest.with_key(key), new, old);
        }
        ctx.forward(rest.with_key(key).with_value(Change { new, old, is_latest: change.is_latest }));
        Ok(())
    }

    fn flush(&mut self, ctx: &mut Context<'_, K, Change<R>>) -> Result<(), ProcessorError> {
        match &self.spec.output {
            Some(output) => output.flush(ctx),
            None => Ok(()),
        }
    }
}
