//! `filter`, `map_values` and `transform_values` of a table: each row becomes another row or none.

use std::sync::Arc;

use millstream_state::{TimestampedKeyValueStore, ValueAndTimestamp};
use millstream_types::Serde;

use super::change::Change;
use super::table_output::TableOutput;
use crate::dsl::Switch;
use crate::flow::{Context, Incoming, NodeFactory, Processor, ProcessorError, StoreScope};

/// Makes a row of a row, or none. One belongs to one operator, or one view of its result, of one
/// task.
pub(crate) trait MapRow<K, V, R>: Send {
    fn init(&mut self, _scope: &mut StoreScope<'_>) -> Result<(), ProcessorError> {
        Ok(())
    }

    /// The new row of a row in an update; `None` is a deleted row.
    fn map(&mut self, scope: &mut StoreScope<'_>, key: &K, row: Option<V>) -> Result<Option<R>, ProcessorError>;

    /// The new row of a row that is looked up.
    fn map_found(
        &mut self,
        scope: &mut StoreScope<'_>,
        key: &K,
        row: Option<ValueAndTimestamp<V>>,
    ) -> Result<Option<ValueAndTimestamp<R>>, ProcessorError>;

    fn close(&mut self) {}
}

/// Makes mappers.
pub(crate) type RowMapper<K, V, R> = Arc<dyn Fn() -> Box<dyn MapRow<K, V, R>> + Send + Sync>;

/// A closure as mapper; it is not called for deleted rows.
pub(crate) fn row_mapper<K, V, R>(map: impl Fn(&K, V) -> Option<R> + Send + Sync + 'static) -> RowMapper<K, V, R>
where
    K: 'static,
    V: 'static,
    R: 'static,
{
    let map = Arc::new(map);
    Arc::new(move || Box::new(MapClosure(Arc::clone(&map))))
}

struct MapClosure<F>(Arc<F>);

impl<K, V, R, F: Fn(&K, V) -> Option<R> + Send + Sync> MapRow<K, V, R> for MapClosure<F> {
    fn map(&mut self, _: &mut StoreScope<'_>, key: &K, row: Option<V>) -> Result<Option<R>, ProcessorError> {
        Ok(row.and_then(|row| (self.0)(key, row)))
    }

    fn map_found(
        &mut self,
        _: &mut StoreScope<'_>,
        key: &K,
        row: Option<ValueAndTimestamp<V>>,
    ) -> Result<Option<ValueAndTimestamp<R>>, ProcessorError> {
        let mapped = |row: ValueAndTimestamp<V>| {
            let value = (self.0)(key, row.value)?;
            Some(ValueAndTimestamp { value, timestamp: row.timestamp })
        };
        Ok(row.and_then(mapped))
    }
}

/// A mapper whose rows that are null by their serde are no rows.
pub(crate) fn without_nulls<K, V, R>(mapper: RowMapper<K, V, R>, serde: Serde<R>) -> RowMapper<K, V, R>
where
    K: 'static,
    V: 'static,
    R: 'static,
{
    Arc::new(move || Box::new(WithoutNulls { mapper: mapper(), serde: serde.clone() }))
}

struct WithoutNulls<K, V, R> {
    mapper: Box<dyn MapRow<K, V, R>>,
    serde: Serde<R>,
}

impl<K, V, R> MapRow<K, V, R> for WithoutNulls<K, V, R> {
    fn init(&mut self, scope: &mut StoreScope<'_>) -> Result<(), ProcessorError> {
        self.mapper.init(scope)
    }

    fn map(&mut self, scope: &mut StoreScope<'_>, key: &K, row: Option<V>) -> Result<Option<R>, ProcessorError> {
        let mapped = self.mapper.map(scope, key, row)?;
        Ok(mapped.filter(|row| !self.serde.is_null(row)))
    }

    fn map_found(
        &mut self,
        scope: &mut StoreScope<'_>,
        key: &K,
        row: Option<ValueAndTimestamp<V>>,
    ) -> Result<Option<ValueAndTimestamp<R>>, ProcessorError> {
        let mapped = self.mapper.map_found(scope, key, row)?;
        Ok(mapped.filter(|row| !self.serde.is_null(&row.value)))
    }

    fn close(&mut self) {
        self.mapper.close();
    }
}

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
    mapper: Box<dyn MapRow<K, V, R>>,
}

pub(crate) fn table_map<K, V, R>(spec: TableMapSpec<K, V, R>) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    R: Clone + Send + 'static,
{
    let store = spec.output.as_ref().map(|output| Arc::clone(output.name()));
    let factory = NodeFactory::processor(move || TableMap { mapper: (spec.mapper)(), spec: spec.clone() });
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
        self.mapper.init(&mut ctx.scope())?;
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
        let new = self.mapper.map(&mut ctx.scope(), &key, change.new)?;
        let old = match &self.spec.output {
            Some(output) if sends_old => output.row(ctx, &key)?.map(|row| row.value),
            None if sends_old => self.mapper.map(&mut ctx.scope(), &key, change.old)?,
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

    fn close(&mut self) {
        self.mapper.close();
    }
}
