//! The builder every topology of the DSL starts from.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use millstream_state::{DslStoreSuppliers, StoreFormat, StoreType};
use millstream_types::config::{DslStoreChoice, DslStoreFormat};
use millstream_types::{Config, Result, Serde};

use super::draft::{Draft, Shared};
use super::names::SOURCE;
use super::options::{Consumed, Materialized};
use super::source::{SharedSource, Subscription};
use super::{GlobalKTable, KStream, KTable};
use crate::graph::Topology;

/// Builds a topology from streams and tables.
///
/// ```
/// use millstream_topology::StreamsBuilder;
///
/// let builder = StreamsBuilder::new();
/// builder
///     .stream::<String, String>("lines")
///     .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
///     .group_by(|_, word| word.clone())
///     .count()
///     .to_stream()
///     .to("words");
/// let topology = builder.build()?;
/// assert!(topology.describe().to_string().starts_with("Topologies:"));
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[derive(Clone)]
pub struct StreamsBuilder {
    draft: Shared,
}

impl StreamsBuilder {
    /// A builder without streams, with the defaults of the configuration.
    pub fn new() -> Self {
        Self { draft: Rc::new(RefCell::new(Draft::new())) }
    }

    /// A builder that follows a configuration (Kafka Streams' `new StreamsBuilder(new
    /// TopologyConfig(config))`, and `build(config)`): `topology.optimization`,
    /// `dsl.store.suppliers.class` and `ensure.explicit.internal.resource.naming`. A builder made by
    /// [`new`](Self::new) has their defaults, whatever configuration the application runs with.
    ///
    /// ```
    /// use millstream_topology::StreamsBuilder;
    /// use millstream_types::Config;
    ///
    /// let config =
    ///     Config::builder().application_id("cities").bootstrap_servers("memory:").topology_optimization("all").build()?;
    /// let builder = StreamsBuilder::with_config(&config);
    /// let cities = builder.table::<String, String>("cities");
    /// builder.stream::<String, String>("visits").join(&cities, |visit, city| format!("{visit} {city}")).to("named");
    /// let topology = builder.build()?;
    ///
    /// // The table needs no changelog of its own.
    /// assert_eq!(&*topology.facts().source_changelogs[0].1, "cities");
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn with_config(config: &Config) -> Self {
        let mut draft = Draft::new();
        draft.store_suppliers = Arc::new(match config.dsl_store() {
            DslStoreChoice::Persistent => StoreType::Persistent,
            DslStoreChoice::InMemory => StoreType::InMemory,
        });
        draft.store_format = match config.dsl_store_format() {
            DslStoreFormat::Default => StoreFormat::Timestamped,
            DslStoreFormat::Headers => StoreFormat::Headers,
        };
        draft.optimizations = config.topology_optimization();
        draft.wants_all_names = config.ensure_explicit_internal_resource_naming();
        Self { draft: Rc::new(RefCell::new(draft)) }
    }

    /// Where stores keep their data unless `Materialized` says (`dsl.store.suppliers.class`): a
    /// [`StoreType`](millstream_state::StoreType), or suppliers of one's own. Applies to calls made
    /// afterwards.
    ///
    /// ```
    /// # use millstream_state::StoreType;
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.set_dsl_store_suppliers(StoreType::InMemory);
    /// builder.stream::<i64, i64>("in").group_by_key().count();
    /// let topology = builder.build()?;
    /// assert!(!topology.facts().stores[0].is_persistent);
    /// # drop(TopologyTestDriver::with_defaults(topology)?);
    /// # let _ = Serdes::long();
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn set_dsl_store_suppliers(&self, suppliers: impl DslStoreSuppliers + 'static) -> &Self {
        self.draft.borrow_mut().store_suppliers = Arc::new(suppliers);
        self
    }

    /// Format of the rows of tables' stores on disk (`dsl.store.format`): with
    /// [`StoreFormat::Headers`] deletions carry headers into changelogs. As in Kafka Streams 4.3
    /// tables keep no headers of values themselves. Applies to calls made afterwards.
    ///
    /// ```
    /// use millstream_state::StoreFormat;
    /// use millstream_topology::StreamsBuilder;
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.set_dsl_store_format(StoreFormat::Headers);
    /// builder.stream::<i64, i64>("in").group_by_key().count();
    /// assert!(builder.build()?.facts().stores[0].logs_headers);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn set_dsl_store_format(&self, format: StoreFormat) -> &Self {
        self.draft.borrow_mut().store_format = format;
        self
    }

    /// Makes a serde the default for its type, and for an `Option` of it. Applies to calls made
    /// afterwards.
    ///
    /// ```
    /// use millstream_topology::StreamsBuilder;
    /// use millstream_types::Serdes;
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.register_serde(Serdes::list(Serdes::long()));
    /// builder.stream::<i64, Vec<i64>>("lists").flat_map_values(|list| list).to("numbers");
    /// builder.build()?;
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn register_serde<T: 'static>(&self, serde: Serde<T>) -> &Self {
        self.draft.borrow_mut().topology.serdes.register(serde);
        self
    }

    /// A stream of the records of a topic, read with the default serdes of the types.
    ///
    /// State: none. Topics: the one read, which must exist. Nulls: null for a plain type is a
    /// deserialisation error; for `Option<T>` it is `None`.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<i64, Option<i64>>("in").map_values(|number| number.unwrap_or(0)).to("out");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let input = driver.create_input_topic("in", Serdes::long(), Serdes::long().optional());
    /// input.pipe_key_value_list([(1, Some(20)), (1, None)])?;
    /// let out = driver.create_output_topic("out", Serdes::long(), Serdes::long());
    /// assert_eq!(out.read_values_to_list()?, [20, 0]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn stream<K, V>(&self, topic: &str) -> KStream<K, V>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        self.stream_with(&[topic], Consumed::default())
    }

    /// A stream of the records of several topics, with serdes, name, extractor or reset policy. Reading
    /// exactly the same topics twice gives the same source.
    ///
    /// State: none. Topics: those read, which must exist. Nulls: as for [`stream`](Self::stream).
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{Consumed, StreamsBuilder};
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let consumed = Consumed::with(Serdes::long(), Serdes::string()).with_name("orders");
    /// builder.stream_with(&["web", "shop"], consumed).to("orders");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("shop", Serdes::long(), Serdes::string()).pipe_input(1, "bread".to_owned())?;
    /// let orders = driver.create_output_topic("orders", Serdes::long(), Serdes::string());
    /// assert_eq!(orders.read_key_value()?, (1, "bread".to_owned()));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn stream_with<K, V>(&self, topics: &[&str], consumed: Consumed<K, V>) -> KStream<K, V>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        self.shared_source(Subscription::topics(topics), consumed)
    }

    /// A stream of the records of all topics whose name matches a regular expression as a whole,
    /// read with the default serdes of the types. Topics that are created later join while the
    /// application runs (looked for every `metadata.max.age.ms`).
    ///
    /// The dialect is that of [`TopicPattern`](crate::graph::TopicPattern); one that is not
    /// supported is a problem of the topology, and so is a topic that another source names. Reading
    /// the same pattern twice gives the same source.
    ///
    /// State: none. Topics: those that match. Nulls: as for [`stream`](Self::stream).
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.stream_pattern::<i64, i64>("flights-[0-9]{4}").to("flights");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("flights-2013", Serdes::long(), Serdes::long()).pipe_input(1, 20)?;
    /// assert_eq!(driver.produced_count("flights"), 1);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn stream_pattern<K, V>(&self, pattern: &str) -> KStream<K, V>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        self.stream_pattern_with(pattern, Consumed::default())
    }

    /// [`stream_pattern`](Self::stream_pattern) with serdes, name, extractor or reset policy.
    pub fn stream_pattern_with<K, V>(&self, pattern: &str, consumed: Consumed<K, V>) -> KStream<K, V>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        self.shared_source(Subscription::Pattern(pattern.to_owned()), consumed)
    }

    /// A table of the latest value of each key of a topic.
    ///
    /// State: a key-value store of the rows, if something downstream needs them. Topics: its changelog, or
    /// the topic itself with `topology.optimization`. Nulls: a null value deletes its row; a record with a
    /// null key is dropped and counted. Late records: replace newer rows all the same, with a warning; not
    /// so in a versioned store.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.table::<i64, i64>("prices").to_stream().to("changes");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let prices = driver.create_input_topic("prices", Serdes::long(), Serdes::long().optional());
    /// prices.pipe_key_value_list([(1, Some(20)), (1, None)])?;
    /// let changes = driver.create_output_topic("changes", Serdes::long(), Serdes::long().optional());
    /// assert_eq!(changes.read_key_values_to_list()?, [(1, Some(20)), (1, None)]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn table<K, V>(&self, topic: &str) -> KTable<K, V>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        KTable::read(self, topic, Consumed::default(), None)
    }

    /// [`table`](Self::table) with given serdes and store; a named store is always kept and can be queried.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{Consumed, Materialized, StreamsBuilder};
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.table_with::<i64, i64>("prices", Consumed::default(), Materialized::named("prices"));
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("prices", Serdes::long(), Serdes::long()).pipe_input(1, 20)?;
    /// let prices = driver.timestamped_key_value_store::<i64, i64>("prices")?;
    /// assert_eq!(prices.get(&1)?.map(|row| row.value), Some(20));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn table_with<K, V>(
        &self,
        topic: &str,
        consumed: Consumed<K, V>,
        materialized: Materialized<K, V>,
    ) -> KTable<K, V>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        KTable::read(self, topic, consumed, Some(materialized))
    }

    /// A table that every instance holds whole, for joins that need no co-partitioning. It is
    /// loaded to the end before the first record is processed.
    ///
    /// State: a key-value store of all rows, on every instance. Topics: the one read; no changelog. Nulls:
    /// a null value deletes its row; a record with a null key is left out. Late records: replace newer rows
    /// all the same.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let names = builder.global_table::<i64, String>("names");
    /// builder.stream::<i64, i64>("in").join_global(&names, |id, _| *id, |_, name| name.clone()).to("out");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("names", Serdes::long(), Serdes::string()).pipe_input(1, "Ada".to_owned())?;
    /// driver.create_input_topic("in", Serdes::long(), Serdes::long()).pipe_input(1, 20)?;
    /// let out = driver.create_output_topic("out", Serdes::long(), Serdes::string());
    /// assert_eq!(out.read_key_value()?, (1, "Ada".to_owned()));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn global_table<K, V>(&self, topic: &str) -> GlobalKTable<K, V>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        GlobalKTable::read(self, topic, Consumed::default(), None)
    }

    /// [`global_table`](Self::global_table) with given serdes and store.
    pub fn global_table_with<K, V>(
        &self,
        topic: &str,
        consumed: Consumed<K, V>,
        materialized: Materialized<K, V>,
    ) -> GlobalKTable<K, V>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        GlobalKTable::read(self, topic, consumed, Some(materialized))
    }

    /// The topology.
    ///
    /// # Errors
    /// One `Topology` error that lists every problem.
    pub fn build(&self) -> Result<Topology> {
        let topology = self.draft.borrow().finish();
        topology.check()?;
        Ok(topology)
    }

    pub(crate) fn draft(&self) -> &Shared {
        &self.draft
    }

    /// A stream of a source; several streams of the same topics have one.
    fn shared_source<K, V>(&self, subscription: Subscription, consumed: Consumed<K, V>) -> KStream<K, V>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        let mut draft = self.draft.borrow_mut();
        let name = draft.node_name(consumed.name.clone(), SOURCE);
        let place = format!("{name} (of {subscription})");
        let key = draft.serde(consumed.key.as_ref(), None, "keys", &place);
        let value = draft.serde(consumed.value.as_ref(), None, "values", &place);
        let known = draft.sources.iter().find(|known| known.subscription == subscription).cloned();
        let source = if let Some(known) = known {
            if known.reset != consumed.reset {
                draft.problem(format!(
                    "{subscription} is read with different offset reset policies; give each call the same"
                ));
            }
            known.node
        } else {
            let node: Arc<str> = name.into();
            let reset = consumed.reset;
            draft.sources.push(SharedSource { subscription: subscription.clone(), node: Arc::clone(&node), reset });
            if let Some((key, value)) = key.clone().zip(value.clone()) {
                draft.source(&node, subscription, consumed, key, value);
            }
            node
        };
        drop(draft);
        KStream::new(&self.draft, Arc::clone(&source), key, value).reading(source)
    }
}

impl Default for StreamsBuilder {
    fn default() -> Self {
        Self::new()
    }
}
