//! Table-table joins: one operator for either side of any kind, the merge of both, and the rows of
//! a join that is not stored.

use std::sync::Arc;

use millstream_state::{TimestampedKeyValueStore, ValueAndTimestamp};
use millstream_types::{Result, Serde};

use super::change::Change;
use super::table_output::TableOutput;
use super::table_view::{TableView, ViewSupplier};
use crate::dsl::Switch;
use crate::flow::{Context, Incoming, NodeFactory, Processor, ProcessorError, StoreScope};

/// Joins what is there of two rows; `None` where they make no row.
pub(crate) type Combine<K, A, B, R> = Arc<dyn Fn(&K, Option<&A>, Option<&B>) -> Option<R> + Send + Sync>;

/// One side's operator, as it is told when the topology is built.
pub(crate) struct TableJoinSpec<K, V, VO, R> {
    /// The other side's rows.
    pub(crate) other: ViewSupplier<K, VO>,
    /// Whether nothing is to be joined without the other side's row.
    pub(crate) needs_other: bool,
    /// Own row first.
    pub(crate) combine: Combine<K, V, VO, R>,
    pub(crate) sends_old: Switch,
    /// Says which keys are null.
    pub(crate) key: Option<Serde<K>>,
    /// The table is versioned, and the join holds its newest rows only.
    pub(crate) skips_late: bool,
}

/// `KTABLE-JOINTHIS` and `KTABLE-JOINOTHER`.
struct TableJoin<K, V, VO, R> {
    other: Box<dyn TableView<K, VO>>,
    needs_other: bool,
    combine: Combine<K, V, VO, R>,
    sends_old: Switch,
    key: Option<Serde<K>>,
    skips_late: bool,
}

pub(crate) fn table_join<K, V, VO, R>(spec: TableJoinSpec<K, V, VO, R>) -> NodeFactory
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    VO: Clone + Send + 'static,
    R: Clone + Send + 'static,
{
    NodeFactory::processor(move || TableJoin {
        other: (spec.other.make)(),
        needs_other: spec.needs_other,
        combine: Arc::clone(&spec.combine),
        sends_old: spec.sends_old.clone(),
        key: spec.key.clone(),
        skips_late: spec.skips_late,
    })
}

impl<K, V, VO, R> Processor for TableJoin<K, V, VO, R>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
    VO: Clone + Send + 'static,
    R: Clone + Send + 'static,
{
    type KeyIn = K;
    type ValueIn = Change<V>;
    type KeyOut = K;
    type ValueOut = Change<R>;

    fn init(&mut self, ctx: &mut Context<'_, K, Change<R>>) -> Result<(), ProcessorError> {
        Ok(self.other.init(&mut ctx.scope())?)
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, K, Change<R>>,
        record: Incoming<'_, K, Change<V>>,
    ) -> Result<(), ProcessorError> {
        let has_null_key = self.key.as_ref().is_some_and(|serde| serde.is_null(&record.key));
        let is_latest = record.value.is_latest;
        if has_null_key || (self.skips_late && !is_latest) {
            ctx.drop_record("an update without key, or older than its row, is left out of the join");
            return Ok(());
        }
        let other = self.other.get(&mut ctx.scope(), &record.key)?;
        let is_nothing = record.value.new.is_none() && record.value.old.is_none();
        if other.is_none() && (self.needs_other || is_nothing) {
            return Ok(());
        }
        let (change, key) = (&record.value, &record.key);
        let row = other.as_ref().map(|row| &row.value);
        let new = (self.combine)(key, change.new.as_ref(), row);
        let old = if self.sends_old.is_on() { (self.combine)(key, change.old.as_ref(), row) } else { None };
        let timestamp = other.as_ref().map_or(record.timestamp, |row| row.timestamp.max(record.timestamp));
        let (key, _, rest) = record.into_record().into_parts();
        ctx.forward(rest.with_key(key).with_value(Change { new, old, is_latest }).with_timestamp(timestamp));
        Ok(())
    }
}

/// `KTABLE-MERGE` with a store: writes what either side has joined.
struct TableMerge<K, R> {
    output: TableOutput<K, R, TimestampedKeyValueStore<K, R>>,
}

pub(crate) fn table_merge<K, R>(output: TableOutput<K, R, TimestampedKeyValueStore<K, R>>) -> NodeFactory
where
    K: Clone + Send + 'static,
    R: Clone + Send + 'static,
{
    let store = Arc::clone(output.name());
    NodeFactory::processor(move || TableMerge { output: output.clone() }).flushing(&store)
}

impl<K, R> Processor for TableMerge<K, R>
where
    K: Clone + Send + 'static,
    R: Clone + Send + 'static,
{
    type KeyIn = K;
    type ValueIn = Change<R>;
    type KeyOut = K;
    type ValueOut = Change<R>;

    fn init(&mut self, ctx: &mut Context<'_, K, Change<R>>) -> Result<(), ProcessorError> {
        Ok(self.output.init(ctx)?)
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, K, Change<R>>,
        record: Incoming<'_, K, Change<R>>,
    ) -> Result<(), ProcessorError> {
        let (key, change, rest) = record.into_record().into_parts();
        self.output.put(ctx, rest.with_key(key), change.new, change.old)
    }

    fn flush(&mut self, ctx: &mut Context<'_, K, Change<R>>) -> Result<(), ProcessorError> {
        self.output.flush(ctx)
    }
}

/// The rows of a join, made of both sides' when they are asked for.
struct JoinedView<K, V, VO, R> {
    left: Box<dyn TableView<K, V>>,
    right: Box<dyn TableView<K, VO>>,
    combine: Combine<K, V, VO, R>,
}

impl<K, R> ViewSupplier<K, R>
where
    K: Clone + Send + 'static,
    R: Clone + Send + 'static,
{
    /// What two tables' rows make. As in Kafka Streams it is not versioned, even if both are.
    pub(crate) fn joined<V, VO>(
        left: &ViewSupplier<K, V>,
        right: &ViewSupplier<K, VO>,
        combine: Combine<K, V, VO, R>,
    ) -> Self
    where
        V: Clone + Send + 'static,
        VO: Clone + Send + 'static,
    {
        let mut stores = left.stores.clone();
        stores.extend(right.stores.iter().filter(|store| !left.stores.contains(store)).cloned());
        let (left, right) = (Arc::clone(&left.make), Arc::clone(&right.make));
        let make = move || {
            let view = JoinedView { left: left(), right: right(), combine: Arc::clone(&combine) };
            Box::new(view) as Box<dyn TableView<K, R>>
        };
        Self { stores, make: Arc::new(make), is_versioned: false }
    }
}

impl<K, V, VO, R> TableView<K, R> for JoinedView<K, V, VO, R> {
    fn init(&mut self, scope: &mut StoreScope<'_>) -> Result<()> {
        self.left.init(scope)?;
        self.right.init(scope)
    }

    fn get(&mut self, scope: &mut StoreScope<'_>, key: &K) -> Result<Option<ValueAndTimestamp<R>>> {
        let left = self.left.get(scope, key)?;
        let right = self.right.get(scope, key)?;
        let times = (left.as_ref().map(|row| row.timestamp), right.as_ref().map(|row| row.timestamp));
        let Some(timestamp) = times.0.max(times.1) else { return Ok(None) };
        let joined = (self.combine)(key, left.as_ref().map(|row| &row.value), right.as_ref().map(|row| &row.value));
        Ok(joined.map(|value| ValueAndTimestamp { value, timestamp }))
    }
}
