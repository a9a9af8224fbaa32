//! `KGroupedStream`: records grouped by key, about to be aggregated.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use millstream_state::TimestampedKeyValueStore;

use super::draft::Switch;
use super::options::Materialized;
use super::repartition::TopicPrefix;
use super::table_source::StoredOrigin;
use super::{KStream, KTable, TimeWindowedKStream, TimeWindows};
use crate::operator::aggregate::{Aggregation, Nulls, aggregate};
use crate::operator::table_output::TableOutput;
use crate::operator::table_view::ViewSupplier;

pub(crate) const AGGREGATE: &str = "KSTREAM-AGGREGATE-";
pub(crate) const REDUCE: &str = "KSTREAM-REDUCE-";

/// A stream grouped by key. Records with a null key or value are left out of aggregates and counted
/// as dropped.
#[must_use = "a grouping does nothing until it is aggregated"]
pub struct KGroupedStream<K, V> {
    pub(crate) stream: KStream<K, V>,
    /// The user's name for the repartition topic.
    pub(crate) name: Option<String>,
    /// What lies behind the repartition topic, once it is written; shared only under a user's name.
    pub(crate) repartitioned: Rc<RefCell<Option<KStream<K, V>>>>,
}

impl<K, V> Clone for KGroupedStream<K, V> {
    fn clone(&self) -> Self {
        Self { stream: self.stream.clone(), name: self.name.clone(), repartitioned: Rc::clone(&self.repartitioned) }
    }
}

impl<K, V> KGroupedStream<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Names the node of the next aggregate (Kafka Streams' `Named.as`).
    pub fn named(&self, name: impl Into<String>) -> Self {
        Self { stream: self.stream.named(name), ..self.clone() }
    }

    /// Counts the records of each key.
    pub fn count(&self) -> KTable<K, i64> {
        self.count_into(None)
    }

    /// [`count`](Self::count) into a store.
    pub fn count_with(&self, materialized: Materialized<K, i64>) -> KTable<K, i64> {
        self.count_into(Some(materialized))
    }

    fn count_into(&self, materialized: Option<Materialized<K, i64>>) -> KTable<K, i64> {
        if materialized.as_ref().is_some_and(|materialized| materialized.name.is_none()) {
            // Kafka Streams takes a number here that it does not use.
            self.stream.draft.borrow_mut().names.burn();
        }
        self.aggregated(AGGREGATE, Some(Arc::new(|| 0)), Arc::new(counted), materialized)
    }

    /// Combines the values of each key: the first value is the first aggregate, then
    /// `reducer(aggregate, value)`. A null result deletes the row.
    pub fn reduce(&self, reducer: impl Fn(V, V) -> V + Send + Sync + 'static) -> KTable<K, V> {
        self.aggregated(REDUCE, None, Arc::new(reduced(reducer)), None)
    }

    /// [`reduce`](Self::reduce) into a store.
    pub fn reduce_with(
        &self,
        reducer: impl Fn(V, V) -> V + Send + Sync + 'static,
        materialized: Materialized<K, V>,
    ) -> KTable<K, V> {
        self.aggregated(REDUCE, None, Arc::new(reduced(reducer)), Some(materialized))
    }

    /// Aggregates the values of each key, starting from `initializer()`. A null result deletes the
    /// row; the next record starts anew.
    pub fn aggregate<A>(
        &self,
        initializer: impl Fn() -> A + Send + Sync + 'static,
        aggregator: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> KTable<K, A>
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
    ) -> KTable<K, A>
    where
        A: Clone + Send + 'static,
    {
        self.aggregated(AGGREGATE, Some(Arc::new(initializer)), Arc::new(aggregated(aggregator)), Some(materialized))
    }

    /// Aggregates in tumbling or hopping windows.
    pub fn windowed_by(&self, windows: TimeWindows) -> TimeWindowedKStream<K, V> {
        TimeWindowedKStream { grouped: self.clone(), windows }
    }

    fn aggregated<A>(
        &self,
        prefix: &str,
        initial: Option<Initial<A>>,
        apply: Apply<K, V, A>,
        materialized: Option<Materialized<K, A>>,
    ) -> KTable<K, A>
    where
        A: Clone + Send + 'static,
    {
        let materialized = materialized.unwrap_or_default();
        let is_named = materialized.name.is_some();
        let Placed { node, store, upstream } = self.place(prefix, &materialized);
        let key = materialized.key.clone().or_else(|| upstream.key.clone());
        let (key, value) = {
            let mut draft = self.stream.draft.borrow_mut();
            let key = draft.serde(key.as_ref(), None, "keys", &node);
            let value = draft.serde(materialized.value.as_ref(), None, "aggregates", &node);
            (key, value)
        };
        let origin = StoredOrigin {
            view: ViewSupplier::of_store::<TimestampedKeyValueStore<K, A>>(&store)
                .versioned(materialized.is_versioned()),
            is_stored: Switch::on(),
            sends_old: Switch::default(),
        };
        if let (Some(key), Some(result)) = (key.clone(), value.clone()) {
            let nulls = Nulls { key: Some(key.clone()), value: upstream.value_serde() };
            let aggregation = Aggregation { initial, apply, nulls, result: result.clone() };
            let code = aggregate(aggregation, TableOutput::new(Arc::clone(&store), origin.sends_old.clone()));
            let mut draft = self.stream.draft.borrow_mut();
            draft.add_key_value_store(&store, &materialized, key, result);
            draft.then(&node, &[&upstream.node], &[Arc::clone(&store)], code);
        }
        KTable {
            draft: self.stream.draft.clone(),
            node: node.into(),
            key,
            value,
            sources: upstream.sources,
            origin: Rc::new(origin),
            queryable: is_named.then_some(store),
            name: None,
        }
    }

    /// Names store and node and repartitions where the key changed: what all aggregates of a
    /// grouped stream begin with.
    pub(crate) fn place<A>(&self, prefix: &str, materialized: &Materialized<K, A>) -> Placed<K, V> {
        let (store, node) = {
            let mut draft = self.stream.draft.borrow_mut();
            let store = draft.store_name(materialized, &format!("{prefix}STATE-STORE-"));
            let node = draft.node_name(self.stream.name.clone(), prefix);
            (store, node)
        };
        let upstream = self.repartition(&store, materialized.name.is_some());
        Placed { node, store, upstream }
    }

    fn repartition(&self, store: &str, is_store_named: bool) -> KStream<K, V> {
        if !self.stream.is_rekeyed {
            return self.stream.clone();
        }
        if let Some(shared) = self.repartitioned.borrow().as_ref() {
            let mut draft = self.stream.draft.borrow_mut();
            // The names are taken again even though the nodes are shared.
            for _ in 0..3 {
                draft.names.burn();
            }
            draft.reuses_repartition(&shared.node);
            return shared.clone();
        }
        let prefix = TopicPrefix {
            text: self.name.clone().unwrap_or_else(|| store.to_owned()),
            is_given: self.name.is_some() || is_store_named,
        };
        let stream = self.stream.through(prefix, self.stream.key.clone(), self.stream.value.clone());
        if self.name.is_some() {
            *self.repartitioned.borrow_mut() = Some(stream.clone());
        }
        stream
    }
}

/// Where an aggregate goes: its node's name, its store's name, and the stream it reads.
pub(crate) struct Placed<K, V> {
    pub(crate) node: String,
    pub(crate) store: Arc<str>,
    pub(crate) upstream: KStream<K, V>,
}

pub(crate) type Initial<A> = Arc<dyn Fn() -> A + Send + Sync>;
pub(crate) type Apply<K, V, A> = Arc<dyn Fn(&K, V, Option<A>) -> A + Send + Sync>;

/// One more.
pub(crate) fn counted<K, V>(_: &K, _: V, count: Option<i64>) -> i64 {
    count.unwrap_or(0).wrapping_add(1)
}

/// The value alone, or combined with what is there.
pub(crate) fn reduced<K, V>(reducer: impl Fn(V, V) -> V) -> impl Fn(&K, V, Option<V>) -> V {
    move |_, value, aggregate| match aggregate {
        Some(aggregate) => reducer(aggregate, value),
        None => value,
    }
}

/// The user's aggregator over the initial or last aggregate, which is always there.
pub(crate) fn aggregated<K, V, A>(aggregator: impl Fn(&K, V, A) -> A) -> impl Fn(&K, V, Option<A>) -> A {
    #[expect(clippy::expect_used, reason = "an aggregate with an initializer is never without one")]
    move |key, value, aggregate| aggregator(key, value, aggregate.expect("the initial aggregate"))
}
