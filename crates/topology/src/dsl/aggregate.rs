//! The one path of all aggregates of grouped streams: counts, reduces and aggregates, of one stream
//! or several, without windows or in any.

use std::rc::Rc;
use std::sync::Arc;

use millstream_types::{Serde, Serdes};

use super::KTable;
use super::aggregate_shape::{Operator, Shape};
use super::draft::{Shared, Switch};
use super::options::Materialized;
use super::table_source::StoredOrigin;
use super::{KGroupedStream, KStream};
use crate::operator::aggregate::Aggregation;
use crate::operator::nulls::Nulls;
use crate::operator::table_output::TableOutput;

/// The aggregate before the first value.
pub(crate) type Initial<A> = Arc<dyn Fn() -> A + Send + Sync>;
/// The next aggregate; gets `None` where there is none and no initial one.
pub(crate) type Apply<K, V, A> = Arc<dyn Fn(&K, V, Option<A>) -> A + Send + Sync>;

/// What an aggregate does with values.
pub(crate) struct How<K, V, A> {
    /// Beginning of generated names.
    pub(crate) prefix: &'static str,
    /// `None` for a reduce, where the first value is the first aggregate.
    pub(crate) initial: Option<Initial<A>>,
    pub(crate) apply: Apply<K, V, A>,
    /// Whether it is a count: one into a store without a name takes one number more.
    is_count: bool,
    /// The aggregates' serde where the store is given none, from that of the values.
    inherits: fn(Option<Serde<V>>) -> Option<Serde<A>>,
}

impl<K, V> How<K, V, i64> {
    /// One more for each value.
    pub(crate) fn count() -> Self {
        let apply = Arc::new(|_: &K, _: V, count: Option<i64>| count.unwrap_or(0).wrapping_add(1));
        Self {
            prefix: "KSTREAM-AGGREGATE-",
            initial: Some(Arc::new(|| 0)),
            apply,
            is_count: true,
            inherits: |_| Some(Serdes::long()),
        }
    }
}

impl<K: 'static, T: 'static> How<K, T, T> {
    /// The value alone, or combined with what is there.
    pub(crate) fn reduce(reducer: impl Fn(T, T) -> T + Send + Sync + 'static) -> Self {
        let apply = Arc::new(move |_: &K, value: T, aggregate: Option<T>| match aggregate {
            Some(aggregate) => reducer(aggregate, value),
            None => value,
        });
        Self { prefix: "KSTREAM-REDUCE-", initial: None, apply, is_count: false, inherits: |values| values }
    }
}

impl<K: 'static, V: 'static, A: 'static> How<K, V, A> {
    /// The user's aggregator over the initial or last aggregate.
    pub(crate) fn aggregate(
        initializer: impl Fn() -> A + Send + Sync + 'static,
        aggregator: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
    ) -> Self {
        let (initial, apply) = (Some(Arc::new(initializer) as Initial<A>), always(aggregator));
        Self { prefix: "KSTREAM-AGGREGATE-", initial, apply, is_count: false, inherits: |_| None }
    }
}

/// The user's aggregator, where there is an aggregate in any case.
pub(crate) fn always<K: 'static, V: 'static, A: 'static>(
    aggregator: impl Fn(&K, V, A) -> A + Send + Sync + 'static,
) -> Apply<K, V, A> {
    #[expect(clippy::expect_used, reason = "an aggregate with an initializer is never without one")]
    Arc::new(move |key, value, aggregate| aggregator(key, value, aggregate.expect("the initial aggregate")))
}

impl<K, V> KGroupedStream<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Writes store, repartition and operator of an aggregate.
    pub(crate) fn aggregated<A, S>(
        &self,
        shape: &S,
        how: How<K, V, A>,
        materialized: Option<Materialized<K, A>>,
    ) -> KTable<S::Key, A>
    where
        A: Clone + Send + 'static,
        S: Shape<K, A>,
    {
        let is_unnamed = materialized.as_ref().is_some_and(|materialized| materialized.name.is_none());
        if how.is_count && is_unnamed && shape.burns_number() {
            self.stream.draft.borrow_mut().names.burn();
        }
        let materialized = materialized.unwrap_or_default();
        let (store, node) = {
            let mut draft = self.stream.draft.borrow_mut();
            let store = draft.store_name(&materialized, &format!("{}STATE-STORE-", how.prefix));
            let node = draft.node_name(self.stream.name.clone(), how.prefix);
            (store, node)
        };
        let place = if materialized.name.is_some() {
            format!("{node} (in store {store})")
        } else {
            self.stream.draft.borrow().place(&node, &[&self.stream.sources])
        };
        let upstream = self.repartition(&store, materialized.name.is_some());
        let inherited = (upstream.key.clone(), (how.inherits)(upstream.value.clone()));
        let target = Target::new(&self.stream.draft, shape, store, &place, materialized, inherited);
        target.write_store();
        if let Some(ready) = target.ready() {
            ready.write_node(&node, &upstream, how.initial, how.apply);
        }
        target.into_table(node, upstream.sources)
    }
}

/// A table that aggregates go into: its store, serdes, and who wants what of it.
pub(crate) struct Target<'a, K, A, S: Shape<K, A>> {
    draft: Shared,
    shape: &'a S,
    store: Arc<str>,
    materialized: Materialized<K, A>,
    key: Option<Serde<K>>,
    value: Option<Serde<A>>,
    origin: StoredOrigin<S::Key, A>,
}

/// All that an input of an aggregate must know of where it goes.
pub(crate) struct Ready<K, A> {
    draft: Shared,
    store: Arc<str>,
    key: Serde<K>,
    result: Serde<A>,
    skips_null_values: bool,
    grace_ms: Option<i64>,
    operator: Operator<K, A>,
}

impl<'a, K, A, S> Target<'a, K, A, S>
where
    K: Clone + Send + 'static,
    A: Clone + Send + 'static,
    S: Shape<K, A>,
{
    /// `place` names the aggregate in messages; keys and aggregates have the given serdes, else the
    /// inherited ones.
    pub(crate) fn new(
        draft: &Shared,
        shape: &'a S,
        store: Arc<str>,
        place: &str,
        mut materialized: Materialized<K, A>,
        (key, value): (Option<Serde<K>>, Option<Serde<A>>),
    ) -> Self {
        materialized.is_cached &= shape.is_cacheable();
        let (key, value) = {
            let mut draft = draft.borrow_mut();
            let key = draft.serde(materialized.key.as_ref(), key.as_ref(), "keys", place);
            let value = draft.serde(materialized.value.as_ref(), value.as_ref(), "aggregates", place);
            (key, value)
        };
        let origin = StoredOrigin::of::<S::Store>(&store, materialized.is_versioned(), Switch::on());
        Self { draft: draft.clone(), shape, store, materialized, key, value, origin }
    }

    pub(crate) fn write_store(&self) {
        if let Some(serdes) = self.serdes() {
            self.shape.add_store(&mut self.draft.borrow_mut(), &self.store, &self.materialized, serdes);
        }
    }

    /// What an input needs; `None` without serdes, which is a problem that was told already.
    pub(crate) fn ready(&self) -> Option<Ready<K, A>> {
        let (key, result) = self.serdes()?;
        Some(Ready {
            draft: self.draft.clone(),
            store: Arc::clone(&self.store),
            key,
            result,
            skips_null_values: self.shape.skips_null_values(),
            grace_ms: self.shape.grace_ms(),
            operator: self.shape.operator(self.output()),
        })
    }

    /// The serdes of keys and aggregates.
    pub(crate) fn serdes(&self) -> Option<(Serde<K>, Serde<A>)> {
        self.key.clone().zip(self.value.clone())
    }

    /// Where the operator writes its results.
    pub(crate) fn output(&self) -> TableOutput<S::Key, A, S::Store> {
        TableOutput::new(Arc::clone(&self.store), self.origin.sends_old.clone())
    }

    /// The table whose updates a node sends.
    pub(crate) fn into_table(self, node: String, sources: Vec<Arc<str>>) -> KTable<S::Key, A> {
        KTable {
            draft: self.draft,
            node: node.into(),
            key: self.key.map(|key| self.shape.key_serde(key)),
            value: self.value,
            sources,
            origin: Rc::new(self.origin),
            queryable: self.materialized.name.is_some().then_some(self.store),
            name: None,
        }
    }
}

impl<K, A> Ready<K, A>
where
    K: Clone + Send + 'static,
    A: Clone + Send + 'static,
{
    /// Writes the operator of one input.
    pub(crate) fn write_node<V>(
        self,
        node: &str,
        upstream: &KStream<K, V>,
        initial: Option<Initial<A>>,
        apply: Apply<K, V, A>,
    ) where
        V: Clone + Send + 'static,
    {
        let value = if self.skips_null_values { upstream.value_serde() } else { None };
        let nulls = Nulls { key: Some(self.key), value };
        let code = self.operator.code(Aggregation { initial, apply, nulls, result: self.result });
        let mut draft = self.draft.borrow_mut();
        if let Some(grace_ms) = self.grace_ms {
            draft.graces.insert(node.into(), grace_ms);
        }
        draft.then(node, &[&upstream.node], &[self.store], code);
    }
}
