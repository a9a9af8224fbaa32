//! `TimeWindowedKStream`: grouped records in tumbling or hopping windows.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use millstream_state::{DslWindowParams, Stores, TimestampedWindowStore};
use millstream_types::{Serde, Windowed};

use super::draft::Switch;
use super::grouped_stream::{AGGREGATE, Apply, Initial, Placed, REDUCE, aggregated, counted, reduced};
use super::options::Materialized;
use super::table_source::StoredOrigin;
use super::window::millis;
use super::{KGroupedStream, KTable, TimeWindows};
use crate::operator::aggregate::{Aggregation, Nulls};
use crate::operator::table_output::TableOutput;
use crate::operator::table_view::ViewSupplier;
use crate::operator::window_aggregate::window_aggregate;

/// A grouped stream in windows of time. A record goes into every window that holds its time and is
/// still open; for each closed one it counts as dropped. Records with a null key are dropped, null
/// values are aggregated.
#[must_use = "windows do nothing until they are aggregated"]
#[derive(Clone)]
pub struct TimeWindowedKStream<K, V> {
    pub(crate) grouped: KGroupedStream<K, V>,
    pub(crate) windows: TimeWindows,
}

impl<K, V> TimeWindowedKStream<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Names the node of the next aggregate (Kafka Streams' `Named.as`).
    pub fn named(&self, name: impl Into<String>) -> Self {
        Self { grouped: self.grouped.named(name), windows: self.windows }
    }

    /// Counts the records of each key and window.
    pub fn count(&self) -> KTable<Windowed<K>, i64> {
        self.count_into(None)
    }

    /// [`count`](Self::count) into a store.
    pub fn count_with(&self, materialized: Materialized<K, i64>) -> KTable<Windowed<K>, i64> {
        self.count_into(Some(materialized))
    }

    fn count_into(&self, materialized: Option<Materialized<K, i64>>) -> KTable<Windowed<K>, i64> {
        if materialized.as_ref().is_some_and(|materialized| materialized.name.is_none()) {
            self.grouped.stream.draft.borrow_mut().names.burn();
        }
        self.aggregated(AGGREGATE, Some(Arc::new(|| 0)), Arc::new(counted), materialized)
    }

    /// Combines the values of each key and window with `reducer(aggregate, value)`.
    pub fn reduce(&self, reducer: impl Fn(V, V) -> V + Send + Sync + 'static) -> KTable<Windowed<K>, V> {
        self.aggregated(REDUCE, None, Arc::new(reduced(reducer)), None)
    }

    /// [`reduce`](Self::reduce) into a store.
    pub fn reduce_with(
        &self,
        reducer: impl Fn(V, V) -> V + Send + Sync + 'static,
        materialized: Materialized<K, V>,
    ) -> KTable<Windowed<K>, V> {
        self.aggregated(REDUCE, None, Arc::new(reduced(reducer)), Some(materialized))
    }

    /// Aggregates the values of each key and window, starting from `initializer()`.
    pub fn aggregate<A>(
        &self,
        initializer: impl Fn() -> A + Send + Sync + 'static,
        aggregator: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> KTable<Windowed<K>, A>
    where
        A: Clone + Send + 'static,
    {
        self.aggregated(AGGREGATE, Some(Arc::new(initializer)), Arc::new(aggregated(aggregator)), None)
    }

    /// [`aggregate`](Self::aggregate) into a store.
    pub fn aggregate_with<A>(
        &self,
        initializer: impl Fn() -> A + Send + Sync + 'static,
        aggregator: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
        materialized: Materialized<K, A>,
    ) -> KTable<Windowed<K>, A>
    where
        A: Clone + Send + 'static,
    {
        self.aggregated(AGGREGATE, Some(Arc::new(initializer)), Arc::new(aggregated(aggregator)), Some(materialized))
    }

    fn aggregated<A>(
        &self,
        prefix: &str,
        initial: Option<Initial<A>>,
        apply: Apply<K, V, A>,
        materialized: Option<Materialized<K, A>>,
    ) -> KTable<Windowed<K>, A>
    where
        A: Clone + Send + 'static,
    {
        let materialized = materialized.unwrap_or_default();
        let is_named = materialized.name.is_some();
        let Placed { node, store, upstream } = self.grouped.place(prefix, &materialized);
        let draft = &upstream.draft;
        let key = materialized.key.clone().or_else(|| upstream.key.clone());
        let key = draft.borrow_mut().serde(key.as_ref(), None, "keys", &node);
        let value = draft.borrow_mut().serde(materialized.value.as_ref(), None, "aggregates", &node);
        let origin = StoredOrigin {
            view: ViewSupplier::of_store::<TimestampedWindowStore<K, A>>(&store),
            is_stored: Switch::on(),
            sends_old: Switch::default(),
        };
        let size = self.windows.size_ms();
        let retention = self.retention(&materialized, &store);
        if let (Some(key), Some(result)) = (key.clone(), value.clone()) {
            let nulls = Nulls { key: Some(key.clone()), value: None };
            let aggregation = Aggregation { initial, apply, nulls, result: result.clone() };
            let output = TableOutput::new(Arc::clone(&store), origin.sends_old.clone());
            let code = window_aggregate(self.windows, aggregation, output);
            let mut draft = draft.borrow_mut();
            let params = DslWindowParams::new(
                Arc::clone(&store),
                Duration::from_millis(retention.unsigned_abs()),
                Duration::from_millis(size.unsigned_abs()),
                draft.store_format,
            );
            if let Some(supplier) = draft.window_supplier(&materialized, &params) {
                let builder = Stores::timestamped_window_store_builder(supplier, key, result);
                draft.add_table_store(builder, &materialized);
            }
            draft.graces.insert(node.as_str().into(), self.windows.grace_period_ms());
            draft.then(&node, &[&upstream.node], &[Arc::clone(&store)], code);
        }
        KTable {
            draft: upstream.draft.clone(),
            node: node.into(),
            key: key.map(|key| Serde::time_windowed(key, size)),
            value,
            sources: upstream.sources,
            origin: Rc::new(origin),
            queryable: is_named.then_some(store),
            name: None,
        }
    }

    /// How long the store keeps windows, in ms; too short a wish is a problem of the topology.
    fn retention<A>(&self, materialized: &Materialized<K, A>, store: &str) -> i64 {
        let least = self.windows.size_ms().saturating_add(self.windows.grace_period_ms());
        let Some(wish) = materialized.retention.map(millis) else { return least };
        if wish < least {
            self.grouped.stream.draft.borrow_mut().problem(format!(
                "store {store} keeps its windows {wish} ms, less than their size plus grace of {least} ms"
            ));
        }
        wish.max(least)
    }
}
