//! The builder every topology of the DSL starts from.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use millstream_state::{DslStoreSuppliers, StoreFactory, StoreFormat, StoreType};
use millstream_types::config::{DslStoreChoice, DslStoreFormat};
use millstream_types::{Config, Result, Serde};

use super::draft::{Draft, Shared};
use super::names::{SOURCE, TABLE_SOURCE};
use super::options::{Consumed, Materialized};
use super::source::{SharedSource, Subscription};
use super::{GlobalKTable, KStream, KTable};
use crate::flow::{Processor, ProcessorSupplier, SourceSpec};
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
    pub fn set_dsl_store_suppliers(&self, suppliers: impl DslStoreSuppliers + 'static) -> &Self {
        self.draft.borrow_mut().store_suppliers = Arc::new(suppliers);
        self
    }

    /// Format of the rows of tables' stores on disk (`dsl.store.format`): with
    /// [`StoreFormat::Headers`] deletions carry headers into changelogs. As in Kafka Streams 4.3
    /// tables keep no headers of values themselves. Applies to calls made afterwards.
    pub fn set_dsl_store_format(&self, format: StoreFormat) -> &Self {
        self.draft.borrow_mut().store_format = format;
        self
    }

    /// Makes a serde the default for its type, and for an `Option` of it. Applies to calls made
    /// afterwards.
    pub fn register_serde<T: 'static>(&self, serde: Serde<T>) -> &Self {
        self.draft.borrow_mut().serdes.register(serde);
        self
    }

    /// A stream of the records of a topic, read with the default serdes of the types.
    pub fn stream<K, V>(&self, topic: &str) -> KStream<K, V>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        self.stream_with(&[topic], Consumed::default())
    }

    /// A stream of the records of several topics. Reading exactly the same topics twice gives the
    /// same source.
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
    /// ```
    /// # let builder = millstream_topology::StreamsBuilder::new();
    /// builder.stream_pattern::<String, String>("flights-[0-9]{4}").to("flights");
    /// let topology = builder.build()?;
    /// assert!(topology.describe().to_string().contains("(topics: flights-[0-9]{4})"));
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

    /// A table of the latest value of each key of a topic. A record without value deletes its key,
    /// one without key is dropped. Stored only if something downstream needs it.
    pub fn table<K, V>(&self, topic: &str) -> KTable<K, V>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        KTable::read(self, topic, Consumed::default(), None)
    }

    /// A table with given serdes and store; a named store is always kept and can be queried.
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
    pub fn global_table<K, V>(&self, topic: &str) -> GlobalKTable<K, V>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        GlobalKTable::read(self, topic, Consumed::default(), None)
    }

    /// A global table with given serdes and store.
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

    /// Adds a store for processors, to be named in [`KStream::process_with`].
    pub fn add_state_store(&self, store: impl Into<Arc<dyn StoreFactory>>) -> &Self {
        self.draft.borrow_mut().add_store(store.into());
        self
    }

    /// Adds a store that every instance holds whole and that a processor keeps in line with a topic:
    /// see [`Topology::add_global_store`]. A name in `consumed` is the processor's; its source gets
    /// `-source` behind it.
    pub fn add_global_store<K, V, P>(
        &self,
        store: impl Into<Arc<dyn StoreFactory>>,
        topic: &str,
        consumed: Consumed<K, V>,
        supplier: impl ProcessorSupplier<P>,
    ) -> &Self
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
        P: Processor<KeyIn = K, ValueIn = V>,
    {
        let mut draft = self.draft.borrow_mut();
        let source = draft.node_name(consumed.name.as_ref().map(|name| format!("{name}-source")), SOURCE);
        let processor = draft.node_name(consumed.name.clone(), TABLE_SOURCE);
        let key = draft.serde(consumed.key.as_ref(), None, "keys", &source);
        let value = draft.serde(consumed.value.as_ref(), None, "values", &source);
        if let Some((key, value)) = key.zip(value) {
            let spec = SourceSpec { key, value, timestamp_extractor: consumed.timestamp_extractor };
            draft.topology.add_global_store(store, &source, spec, topic, &processor, supplier);
        }
        drop(draft);
        self
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
        let key = draft.serde(consumed.key.as_ref(), None, "keys", &name);
        let value = draft.serde(consumed.value.as_ref(), None, "values", &name);
        let known = draft.sources.iter().find(|known| known.subscription == subscription).cloned();
        let source = if let Some(known) = known {
            if known.reset != consumed.reset {
                draft.problem(format!(
                    "{name} and {} read the same topics with different offset reset policies; give both the same",
                    known.node
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
