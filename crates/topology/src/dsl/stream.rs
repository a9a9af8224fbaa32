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
    #[must_use]
    pub fn named(&self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self.clone() }
    }

    /// Keeps the records the predicate holds for. Key and serdes stay.
    ///
    /// State: none. Topics: none. Nulls: reach the predicate.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<i64, i64>("numbers").filter(|_, number| *number > 0).to("positive");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let numbers = driver.create_input_topic("numbers", Serdes::long(), Serdes::long());
    /// let positive = driver.create_output_topic("positive", Serdes::long(), Serdes::long());
    /// numbers.pipe_key_value_list([(1, 5), (2, -5)])?;
    /// assert_eq!(positive.read_key_values_to_list()?, [(1, 5)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    #[must_use]
    pub fn filter(&self, predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        self.try_filter(move |key, value| Ok(predicate(key, value)))
    }

    /// [`filter`](Self::filter) with a predicate that may fail.
    #[must_use]
    pub fn try_filter(
        &self,
        predicate: impl Fn(&K, &V) -> Result<bool, ProcessorError> + Send + Sync + 'static,
    ) -> Self {
        self.same(FILTER, stateless::filter(predicate))
    }

    /// Drops the records the predicate holds for.
    ///
    /// State: none. Topics: none. Nulls: reach the predicate.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<i64, i64>("numbers").filter_not(|_, number| *number > 0).to("others");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let numbers = driver.create_input_topic("numbers", Serdes::long(), Serdes::long());
    /// let others = driver.create_output_topic("others", Serdes::long(), Serdes::long());
    /// numbers.pipe_key_value_list([(1, 5), (2, -5)])?;
    /// assert_eq!(others.read_key_values_to_list()?, [(2, -5)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    #[must_use]
    pub fn filter_not(&self, predicate: impl Fn(&K, &V) -> bool + Send + Sync + 'static) -> Self {
        self.filter(move |key, value| !predicate(key, value))
    }

    /// Calls `action` with each record and passes the record on unchanged.
    ///
    /// State: none. Topics: none. Nulls: reach the action.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// # use std::sync::Arc;
    /// # use std::sync::atomic::{AtomicI64, Ordering};
    /// let seen = Arc::new(AtomicI64::new(0));
    /// let count = Arc::clone(&seen);
    /// let builder = StreamsBuilder::new();
    /// let add = move |_: &i64, number: &i64| {
    ///     count.fetch_add(*number, Ordering::Relaxed);
    /// };
    /// builder.stream::<i64, i64>("in").peek(add).to("out");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("in", Serdes::long(), Serdes::long()).pipe_input(1, 20)?;
    /// assert_eq!(seen.load(Ordering::Relaxed), 20);
    /// assert_eq!(driver.produced_count("out"), 1);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn peek(&self, action: impl Fn(&K, &V) + Send + Sync + 'static) -> Self {
        self.same("KSTREAM-PEEK-", stateless::peek(action))
    }

    /// Calls `action` with each record; the stream ends here. What it does outside is done at least once, under
    /// `exactly_once_v2`, too.
    ///
    /// State: none. Topics: none. Nulls: reach the action.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// # use std::sync::{Arc, Mutex};
    /// let seen = Arc::new(Mutex::new(Vec::new()));
    /// let list = Arc::clone(&seen);
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<i64, i64>("in").for_each(move |_, number| list.lock().unwrap().push(*number));
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("in", Serdes::long(), Serdes::long()).pipe_key_value_list([(1, 20), (1, 30)])?;
    /// assert_eq!(*seen.lock().unwrap(), [20, 30]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn for_each(&self, action: impl Fn(&K, &V) + Send + Sync + 'static) {
        self.same("KSTREAM-FOREACH-", stateless::for_each::<K, V>(action));
    }

    /// Prints each record as [`Printed`] says; the stream ends here.
    ///
    /// State: none. Topics: none. Nulls: printed as their type shows them.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{Printed, StreamsBuilder};
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let printed = Printed::to_sys_out().with_label("words");
    /// builder.stream::<i64, String>("words").print(printed);
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// // Prints `[words]: 1, "mill"`.
    /// driver.create_input_topic("words", Serdes::long(), Serdes::string()).pipe_input(1, "mill".to_owned())?;
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
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
    ///
    /// State: none. Topics: none. Nulls: pass.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let web = builder.stream::<i64, i64>("web");
    /// web.merge(&builder.stream("shop")).to("orders");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("web", Serdes::long(), Serdes::long()).pipe_input(1, 20)?;
    /// driver.create_input_topic("shop", Serdes::long(), Serdes::long()).pipe_input(2, 30)?;
    /// let orders = driver.create_output_topic("orders", Serdes::long(), Serdes::long());
    /// assert_eq!(orders.read_key_values_to_list()?, [(1, 20), (2, 30)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    #[must_use]
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
    pub(crate) fn with_changed_value(self) -> Self {
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
