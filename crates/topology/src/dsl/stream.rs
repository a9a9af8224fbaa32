//! `KStream`: records one after the other. Here what looks at one record and keeps nothing.

use std::sync::Arc;

use millstream_types::Serde;

use super::draft::Shared;
use super::names::FILTER;
use super::options::Printed;
use super::options::Printing;
use super::repartition::JoinRepartition;
use crate::flow::{NodeFactory, ProcessorError};
use crate::operator::stateless;

/// A stream of records. Every operator gives a new stream; `for_each`, `print` and `to` end one.
///
/// Closures run once per record and must not block for long. What they panic with, and what their
/// fallible twins (`try_filter`, ...) return, goes to the processing exception handler.
///
/// Operators that build new values take the old ones by value: a record that no other operator
/// needs is moved, not cloned.
#[must_use = "a stream does nothing until it is written or used"]
pub struct KStream<K, V> {
    pub(crate) draft: Shared,
    /// Name of the node whose output this stream is.
    pub(crate) node: Arc<str>,
    pub(crate) key: Option<Serde<K>>,
    pub(crate) value: Option<Serde<V>>,
    /// Whether the key changed since the records were partitioned by it.
    pub(crate) is_rekeyed: bool,
    /// Source nodes the records come from: who must be co-partitioned in a join.
    pub(crate) sources: Vec<Arc<str>>,
    /// The repartition that joins of this stream share.
    pub(crate) join_repartition: JoinRepartition,
    pub(crate) name: Option<String>,
}

impl<K, V> Clone for KStream<K, V> {
    fn clone(&self) -> Self {
        Self {
            draft: self.draft.clone(),
            node: Arc::clone(&self.node),
            key: self.key.clone(),
            value: self.value.clone(),
            is_rekeyed: self.is_rekeyed,
            sources: self.sources.clone(),
            join_repartition: self.join_repartition.clone(),
            name: None,
        }
    }
}

impl<K, V> KStream<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    pub(crate) fn new(draft: &Shared, node: Arc<str>, key: Option<Serde<K>>, value: Option<Serde<V>>) -> Self {
        Self {
            draft: draft.clone(),
            node,
            key,
            value,
            is_rekeyed: false,
            sources: Vec::new(),
            join_repartition: JoinRepartition::default(),
            name: None,
        }
    }

    pub(crate) fn reading(mut self, source: Arc<str>) -> Self {
        self.sources = vec![source];
        self
    }

    /// Names the node of the next operator (Kafka Streams' `Named.as`).
    ///
    /// ```
    /// # let builder = millstream_topology::StreamsBuilder::new();
    /// # let words = builder.stream::<String, String>("words");
    /// let long = words.named("long-words").filter(|_, word| word.len() > 10);
    /// ```
    pub fn named(&self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self.clone() }
    }

    /// Keeps the records the predicate holds for. Key and serdes stay.
    pub fn filter(&self, predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        self.try_filter(move |key, value| Ok(predicate(key, value)))
    }

    /// [`filter`](Self::filter) with a predicate that may fail.
    pub fn try_filter(
        &self,
        predicate: impl Fn(&K, &V) -> Result<bool, ProcessorError> + Send + Sync + 'static,
    ) -> Self {
        self.same(FILTER, stateless::filter(predicate))
    }

    /// Drops the records the predicate holds for.
    pub fn filter_not(&self, predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        self.filter(move |key, value| !predicate(key, value))
    }

    /// Makes a new key and value of each record. The stream is repartitioned before the next
    /// operator that needs the key.
    pub fn map<K2, V2>(&self, mapper: impl Fn(K, V) -> (K2, V2) + Send + Sync + 'static) -> KStream<K2, V2>
    where
        K2: Clone + Send + 'static,
        V2: Clone + Send + 'static,
    {
        self.try_map(move |key, value| Ok(mapper(key, value)))
    }

    /// [`map`](Self::map) with a mapper that may fail.
    pub fn try_map<K2, V2>(
        &self,
        mapper: impl Fn(K, V) -> Result<(K2, V2), ProcessorError> + Send + Sync + 'static,
    ) -> KStream<K2, V2>
    where
        K2: Clone + Send + 'static,
        V2: Clone + Send + 'static,
    {
        self.next("KSTREAM-MAP-", stateless::map(mapper), None, None).with_changed_key()
    }

    /// Makes a new value of each record; null values reach the mapper, too.
    pub fn map_values<V2>(&self, mapper: impl Fn(V) -> V2 + Send + Sync + 'static) -> KStream<K, V2>
    where
        V2: Clone + Send + 'static,
    {
        self.try_map_values(move |_, value| Ok(mapper(value)))
    }

    /// [`map_values`](Self::map_values) that also sees the key.
    pub fn map_values_with_key<V2>(&self, mapper: impl Fn(&K, V) -> V2 + Send + Sync + 'static) -> KStream<K, V2>
    where
        V2: Clone + Send + 'static,
    {
        self.try_map_values(move |key, value| Ok(mapper(key, value)))
    }

    /// [`map_values_with_key`](Self::map_values_with_key) with a mapper that may fail.
    pub fn try_map_values<V2>(
        &self,
        mapper: impl Fn(&K, V) -> Result<V2, ProcessorError> + Send + Sync + 'static,
    ) -> KStream<K, V2>
    where
        V2: Clone + Send + 'static,
    {
        self.next("KSTREAM-MAPVALUES-", stateless::map_values(mapper), self.key.clone(), None).with_changed_value()
    }

    /// Makes any number of records of each one, in order.
    pub fn flat_map<K2, V2, I>(&self, mapper: impl Fn(K, V) -> I + Send + Sync + 'static) -> KStream<K2, V2>
    where
        K2: Clone + Send + 'static,
        V2: Clone + Send + 'static,
        I: IntoIterator<Item = (K2, V2)>,
    {
        self.try_flat_map(move |key, value| Ok(mapper(key, value)))
    }

    /// [`flat_map`](Self::flat_map) with a mapper that may fail.
    pub fn try_flat_map<K2, V2, I>(
        &self,
        mapper: impl Fn(K, V) -> Result<I, ProcessorError> + Send + Sync + 'static,
    ) -> KStream<K2, V2>
    where
        K2: Clone + Send + 'static,
        V2: Clone + Send + 'static,
        I: IntoIterator<Item = (K2, V2)>,
    {
        self.next("KSTREAM-FLATMAP-", stateless::flat_map(mapper), None, None).with_changed_key()
    }

    /// Makes any number of values of each one, in order, under the same key.
    pub fn flat_map_values<V2, I>(&self, mapper: impl Fn(V) -> I + Send + Sync + 'static) -> KStream<K, V2>
    where
        V2: Clone + Send + 'static,
        I: IntoIterator<Item = V2>,
    {
        self.try_flat_map_values(move |_, value| Ok(mapper(value)))
    }

    /// [`flat_map_values`](Self::flat_map_values) that also sees the key and may fail.
    pub fn try_flat_map_values<V2, I>(
        &self,
        mapper: impl Fn(&K, V) -> Result<I, ProcessorError> + Send + Sync + 'static,
    ) -> KStream<K, V2>
    where
        V2: Clone + Send + 'static,
        I: IntoIterator<Item = V2>,
    {
        self.next("KSTREAM-FLATMAPVALUES-", stateless::flat_map_values(mapper), self.key.clone(), None)
            .with_changed_value()
    }

    /// Gives each record a new key.
    pub fn select_key<K2>(&self, mapper: impl Fn(&K, &V) -> K2 + Send + Sync + 'static) -> KStream<K2, V>
    where
        K2: Clone + Send + 'static,
    {
        self.try_select_key(move |key, value| Ok(mapper(key, value)))
    }

    /// [`select_key`](Self::select_key) with a mapper that may fail.
    pub fn try_select_key<K2>(
        &self,
        mapper: impl Fn(&K, &V) -> Result<K2, ProcessorError> + Send + Sync + 'static,
    ) -> KStream<K2, V>
    where
        K2: Clone + Send + 'static,
    {
        self.next("KSTREAM-KEY-SELECT-", stateless::select_key(mapper), None, self.value.clone()).with_changed_key()
    }

    /// Calls `action` with each record and passes it on.
    pub fn peek(&self, action: impl Fn(&K, &V) + Send + Sync + 'static) -> Self {
        self.same("KSTREAM-PEEK-", stateless::peek(action))
    }

    /// Calls `action` with each record; the stream ends here.
    pub fn for_each(&self, action: impl Fn(&K, &V) + Send + Sync + 'static) {
        let _ = self.same("KSTREAM-FOREACH-", stateless::for_each::<K, V>(action));
    }

    /// Prints each record; the stream ends here.
    pub fn print(&self, printed: Printed<K, V>)
    where
        K: std::fmt::Debug,
        V: std::fmt::Debug,
    {
        let named = self.name.clone().or_else(|| printed.name.clone());
        let name = self.draft.borrow_mut().node_name(named, "KSTREAM-PRINTER-");
        let printing = Printing::new(printed, &self.node);
        let code = stateless::for_each(move |key, value| printing.print(key, value));
        self.draft.borrow_mut().then(&name, &[&self.node], &[], code);
    }

    /// A stream of the records of both, in no particular order between them.
    pub fn merge(&self, other: &Self) -> Self {
        let name = self.draft.borrow_mut().node_name(self.name.clone(), "KSTREAM-MERGE-");
        self.draft.borrow_mut().then(&name, &[&self.node, &other.node], &[], stateless::pass::<K, V>());
        let mut merged = Self::new(&self.draft, name.into(), None, None);
        merged.key = self.key.clone().or_else(|| other.key.clone());
        merged.value = self.value.clone().or_else(|| other.value.clone());
        merged.is_rekeyed = self.is_rekeyed || other.is_rekeyed;
        merged.sources = union(&self.sources, &other.sources);
        self.draft.borrow_mut().outline.merges.push(Arc::clone(&merged.node));
        merged
    }

    /// An operator that keeps the types.
    pub(crate) fn same(&self, prefix: &str, code: NodeFactory) -> Self {
        self.next(prefix, code, self.key.clone(), self.value.clone())
    }

    /// Adds an operator below this stream and gives its output.
    pub(crate) fn next<K2, V2>(
        &self,
        prefix: &str,
        code: NodeFactory,
        key: Option<Serde<K2>>,
        value: Option<Serde<V2>>,
    ) -> KStream<K2, V2>
    where
        K2: Clone + Send + 'static,
        V2: Clone + Send + 'static,
    {
        let name = self.draft.borrow_mut().node_name(self.name.clone(), prefix);
        self.draft.borrow_mut().then(&name, &[&self.node], &[], code);
        self.after(name, key, value)
    }

    /// The output of a node just written below this stream.
    pub(crate) fn after<K2, V2>(
        &self,
        node: String,
        key: Option<Serde<K2>>,
        value: Option<Serde<V2>>,
    ) -> KStream<K2, V2>
    where
        K2: Clone + Send + 'static,
        V2: Clone + Send + 'static,
    {
        KStream {
            is_rekeyed: self.is_rekeyed,
            sources: self.sources.clone(),
            ..KStream::new(&self.draft, node.into(), key, value)
        }
    }

    /// The output of an operator that changed the key.
    pub(crate) fn with_changed_key(self) -> Self {
        self.draft.borrow_mut().changes_key(&self.node);
        self.rekeyed()
    }

    /// The output of an operator that changed the value only.
    fn with_changed_value(self) -> Self {
        self.draft.borrow_mut().changes_value(&self.node);
        self
    }

    pub(crate) fn rekeyed(mut self) -> Self {
        self.is_rekeyed = true;
        self
    }
}

/// Both lists, each name once, in order.
pub(crate) fn union(one: &[Arc<str>], other: &[Arc<str>]) -> Vec<Arc<str>> {
    let mut all = one.to_vec();
    all.extend(other.iter().filter(|name| !one.contains(name)).cloned());
    all
}
