//! The topology: facts and code, written by the DSL or by hand, read by the runtime.

use std::collections::BTreeSet;
use std::sync::Arc;

use millstream_state::{Engine, EngineProvider, StoreEnv, StoreFactory, StoreFacts};
use millstream_types::config::OffsetReset;
use millstream_types::{Error, Result, SerdeRegistry};

use super::facts::{NodeFacts, NodeKind, RepartitionTopic, SinkTopic, SourceFacts, TopologyFacts};
use super::global_store::{GlobalFactory, GlobalStore};
use super::instance;
use super::validate::{Problem, topology_error};
use crate::flow::{
    Flow, FlowBuild, FlowOptions, NodeFactory, Processor, ProcessorSupplier, SinkSpec, SourceFactory, SourceSpec,
};

/// A topology: what is written is checked as a whole by [`check`](Self::check), which lists every
/// problem at once. Cloning shares the code.
///
/// ```
/// use millstream_topology::{Context, Incoming, Processor, ProcessorError, SinkSpec, SourceSpec, Topology};
/// use millstream_types::Serdes;
///
/// struct Shout;
/// impl Processor for Shout {
///     type KeyIn = String;
///     type ValueIn = String;
///     type KeyOut = String;
///     type ValueOut = String;
///     fn process(
///         &mut self,
///         ctx: &mut Context<'_, String, String>,
///         record: Incoming<'_, String, String>,
///     ) -> Result<(), ProcessorError> {
///         let loud = record.value.to_uppercase();
///         ctx.forward(record.into_record().with_value(loud));
///         Ok(())
///     }
/// }
///
/// let mut topology = Topology::new();
/// topology
///     .add_source("in", &["words"], SourceSpec::new(Serdes::string(), Serdes::string()))
///     .add_processor("shout", || Shout, &["in"])
///     .add_sink("out", "loud-words", SinkSpec::new(Serdes::string(), Serdes::string()), &["shout"]);
/// topology.check()?;
/// assert!(topology.describe().to_string().contains("Processor: shout (stores: [])"));
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[derive(Clone)]
pub struct Topology {
    pub(crate) facts: TopologyFacts,
    /// Code of each node, in the order of `facts.nodes`.
    pub(crate) code: Vec<NodeCode>,
    /// Factory of each store, in the order of `facts.stores`.
    pub(crate) stores: Vec<Arc<dyn StoreFactory>>,
    pub(crate) globals: Vec<GlobalStore>,
    /// Default serdes, for processors that ask.
    pub(crate) serdes: SerdeRegistry,
    /// Found while writing; facts alone do not show them.
    pub(crate) problems: Vec<Problem>,
    /// Nodes and stores that one of those problems has kept from being written: that they are
    /// missed is no problem of its own.
    pub(crate) unwritten: BTreeSet<Arc<str>>,
}

/// The code of a node.
#[derive(Clone)]
pub(crate) enum NodeCode {
    Source(SourceFactory),
    Node(NodeFactory),
}

impl Topology {
    /// An empty topology.
    pub fn new() -> Self {
        Self {
            facts: TopologyFacts::default(),
            code: Vec::new(),
            stores: Vec::new(),
            globals: Vec::new(),
            serdes: SerdeRegistry::with_builtin(),
            problems: Vec::new(),
            unwritten: BTreeSet::new(),
        }
    }

    /// Adds a source that reads topics.
    ///
    /// State: none. Topics: those named, which must exist. Nulls: null for a plain type is a
    /// deserialisation error.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{SinkSpec, SourceSpec, Topology};
    /// # use millstream_types::Serdes;
    /// let mut topology = Topology::new();
    /// topology
    ///     .add_source("in", &["web", "shop"], SourceSpec::new(Serdes::long(), Serdes::string()))
    ///     .add_sink("out", "orders", SinkSpec::new(Serdes::long(), Serdes::string()), &["in"]);
    ///
    /// let driver = TopologyTestDriver::with_defaults(topology)?;
    /// driver.create_input_topic("shop", Serdes::long(), Serdes::string()).pipe_input(1, "bread".to_owned())?;
    /// let orders = driver.create_output_topic("orders", Serdes::long(), Serdes::string());
    /// assert_eq!(orders.read_key_value()?, (1, "bread".to_owned()));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn add_source<K, V>(&mut self, name: &str, topics: &[&str], spec: SourceSpec<K, V>) -> &mut Self
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        self.add_source_with_reset(name, topics, None, spec)
    }

    /// [`add_source`](Self::add_source) that starts where `reset` says when nothing was committed.
    pub fn add_source_with_reset<K, V>(
        &mut self,
        name: &str,
        topics: &[&str],
        reset: Option<OffsetReset>,
        spec: SourceSpec<K, V>,
    ) -> &mut Self
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        let topics = topics.iter().map(|topic| Arc::from(*topic)).collect();
        let kind = NodeKind::Source(SourceFacts { topics, pattern: None, reset });
        self.push(name, kind, &[], NodeCode::Source(SourceFactory::new(spec)));
        self
    }

    /// [`add_source`](Self::add_source) that reads every topic whose name matches a regular expression
    /// ([`TopicPattern`](super::TopicPattern)), also those that are created later.
    pub fn add_pattern_source<K, V>(
        &mut self,
        name: &str,
        pattern: &str,
        reset: Option<OffsetReset>,
        spec: SourceSpec<K, V>,
    ) -> &mut Self
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        let kind = NodeKind::Source(SourceFacts { topics: Vec::new(), pattern: Some(pattern.to_owned()), reset });
        self.push(name, kind, &[], NodeCode::Source(SourceFactory::new(spec)));
        self
    }

    /// Adds a processor below its parents.
    ///
    /// State: the stores its supplier brings along, and those connected to it
    /// ([`add_state_store`](Self::add_state_store)). Topics: their changelogs. Nulls: reach the processor.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{Context, Incoming, Processor, ProcessorError, SinkSpec, SourceSpec, Topology};
    /// # use millstream_types::Serdes;
    /// struct Double;
    ///
    /// impl Processor for Double {
    ///     # type KeyIn = i64;
    ///     # type ValueIn = i64;
    ///     # type KeyOut = i64;
    ///     # type ValueOut = i64;
    ///     fn process(
    ///         &mut self,
    ///         ctx: &mut Context<'_, i64, i64>,
    ///         record: Incoming<'_, i64, i64>,
    ///     ) -> Result<(), ProcessorError> {
    ///         let doubled = record.value * 2;
    ///         ctx.forward(record.into_record().with_value(doubled));
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let mut topology = Topology::new();
    /// topology
    ///     .add_source("in", &["numbers"], SourceSpec::new(Serdes::long(), Serdes::long()))
    ///     .add_processor("double", || Double, &["in"])
    ///     .add_sink("out", "doubled", SinkSpec::new(Serdes::long(), Serdes::long()), &["double"]);
    ///
    /// let driver = TopologyTestDriver::with_defaults(topology)?;
    /// driver.create_input_topic("numbers", Serdes::long(), Serdes::long()).pipe_input(1, 20)?;
    /// let doubled = driver.create_output_topic("doubled", Serdes::long(), Serdes::long());
    /// assert_eq!(doubled.read_key_value()?, (1, 40));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn add_processor<P: Processor>(
        &mut self,
        name: &str,
        supplier: impl ProcessorSupplier<P>,
        parents: &[&str],
    ) -> &mut Self {
        let kind = NodeKind::Processor { stores: Vec::new() };
        let stores = supplier.stores();
        self.push(name, kind, parents, NodeCode::Node(NodeFactory::processor(move || supplier.get())));
        self.connect_own_stores(name, stores);
        self
    }

    /// Adds a store that every instance holds whole and that a processor keeps in line with a topic; the
    /// processor must be the only one to write it. `source` and `processor` name the two nodes. Other
    /// processors read it with [`Context::global_value`](crate::Context::global_value).
    /// [`StreamsBuilder::add_global_store`](crate::StreamsBuilder::add_global_store) has an example.
    ///
    /// State: the store, on every instance. Topics: the one read; no changelog, and at every start of a
    /// store that is not on disk all of the topic goes through the processor again. Nulls: reach the
    /// processor.
    pub fn add_global_store<K, V, P>(
        &mut self,
        store: impl Into<Arc<dyn StoreFactory>>,
        source: &str,
        spec: SourceSpec<K, V>,
        topic: &str,
        processor: &str,
        supplier: impl ProcessorSupplier<P>,
    ) -> &mut Self
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
        P: Processor<KeyIn = K, ValueIn = V>,
    {
        let factory = GlobalFactory::new(store.into());
        let facts = factory.facts().clone();
        let name = Arc::clone(&facts.name);
        self.push_store(Arc::new(factory));
        // As in Kafka Streams global stores know no timestamp extractor.
        let head = SourceFactory::new(SourceSpec::new(spec.key.clone(), spec.value.clone()));
        self.add_source(source, &[topic], spec);
        self.add_processor(processor, supplier, &[source]);
        self.connect_processor_and_state_stores(processor, &[&name]);
        self.push_global(facts, source, topic, head);
        if let Some(global) = self.globals.last_mut() {
            global.processor = Some(processor.into());
        }
        self
    }

    /// Adds a store that a processor keeps in line with a topic, and that is rebuilt from that topic
    /// (KIP-813): other processors of the sub-topology may be connected to it, to read. `source` and
    /// `processor` name the two nodes; a restore puts the topic's records into the store as they are,
    /// so the processor must write them so, too.
    ///
    /// State: the store. Topics: the one read, from its beginning; no changelog. Nulls: reach the
    /// processor.
    ///
    /// ```
    /// # use millstream_state::{KeyValueStore, Stores};
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{Context, Incoming, Processor, ProcessorError, SourceSpec, Topology};
    /// # use millstream_types::Serdes;
    /// struct Keep;
    ///
    /// impl Processor for Keep {
    ///     # type KeyIn = i64;
    ///     # type ValueIn = i64;
    ///     # type KeyOut = ();
    ///     # type ValueOut = ();
    ///     fn process(
    ///         &mut self,
    ///         ctx: &mut Context<'_, (), ()>,
    ///         rate: Incoming<'_, i64, i64>,
    ///     ) -> Result<(), ProcessorError> {
    ///         let rates = ctx.store_handle::<KeyValueStore<i64, i64>>("rates")?;
    ///         ctx.store(rates).put(&rate.key, Some(rate.value))?;
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let mut topology = Topology::new();
    /// let rates = Stores::key_value_store_builder("rates", Serdes::long(), Serdes::long());
    /// let spec = SourceSpec::new(Serdes::long(), Serdes::long());
    /// topology.add_read_only_state_store(rates, "read", spec, "exchange-rates", "keep", || Keep);
    /// assert_eq!(&*topology.facts().source_changelogs[0].1, "exchange-rates");
    ///
    /// let driver = TopologyTestDriver::with_defaults(topology)?;
    /// driver.create_input_topic("exchange-rates", Serdes::long(), Serdes::long()).pipe_input(1, 20)?;
    /// assert_eq!(driver.key_value_store::<i64, i64>("rates")?.get(&1)?, Some(20));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn add_read_only_state_store<K, V, P>(
        &mut self,
        store: impl Into<Arc<dyn StoreFactory>>,
        source: &str,
        spec: SourceSpec<K, V>,
        topic: &str,
        processor: &str,
        supplier: impl ProcessorSupplier<P>,
    ) -> &mut Self
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
        P: Processor<KeyIn = K, ValueIn = V>,
    {
        let store = store.into();
        let name = Arc::clone(&store.facts().name);
        self.add_source_with_reset(source, &[topic], Some(OffsetReset::Earliest), spec);
        self.add_processor(processor, supplier, &[source]);
        self.add_state_store(store, &[processor]);
        // The topic holds all that a changelog would.
        if let Some(facts) = self.facts.stores.iter_mut().find(|facts| facts.name == name) {
            facts.is_logged = false;
        }
        self.facts.source_changelogs.push((name, topic.into()));
        self
    }

    /// Adds the stores that a processor's supplier brings along, unless it is there already.
    pub(crate) fn connect_own_stores(&mut self, processor: &str, stores: Vec<Arc<dyn StoreFactory>>) {
        for store in stores {
            let name = Arc::clone(&store.facts().name);
            // The same store may come with several suppliers; another one under its name is a problem.
            if !self.stores.iter().any(|known| Arc::ptr_eq(known, &store)) {
                self.push_store(store);
            }
            self.connect_processor_and_state_stores(processor, &[&name]);
        }
    }

    /// Adds a sink that writes a topic; [`add_source`](Self::add_source) has an example.
    ///
    /// State: none. Topics: the one named, which must exist. Nulls: written as null.
    pub fn add_sink<K, V>(&mut self, name: &str, topic: &str, spec: SinkSpec<K, V>, parents: &[&str]) -> &mut Self
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        let fixed: Arc<str> = topic.into();
        let topic = match &spec.extractor {
            None => SinkTopic::Fixed(Arc::clone(&fixed)),
            Some(_) => SinkTopic::Extracted("topic name extractor".to_owned()),
        };
        self.push(name, NodeKind::Sink { topic }, parents, NodeCode::Node(NodeFactory::sink(fixed, spec)));
        self
    }

    /// Adds a store and connects it to processors, which then find it by its name
    /// ([`Context`](crate::Context) has an example).
    ///
    /// State: the store, from its description by [`Stores`](millstream_state::Stores). Topics: its
    /// changelog, unless it has none.
    pub fn add_state_store(&mut self, store: impl Into<Arc<dyn StoreFactory>>, processors: &[&str]) -> &mut Self {
        let store = store.into();
        let name = Arc::clone(&store.facts().name);
        self.push_store(store);
        for processor in processors {
            self.connect_processor_and_state_stores(processor, &[&name]);
        }
        self
    }

    /// Connects stores that were added to a processor, so that it may use them; as
    /// [`add_state_store`](Self::add_state_store) does.
    pub fn connect_processor_and_state_stores(&mut self, processor: &str, names: &[&str]) -> &mut Self {
        let node = self.facts.nodes.iter_mut().find(|node| *node.name == *processor);
        if let Some(NodeKind::Processor { stores }) = node.map(|node| &mut node.kind) {
            for name in names {
                if !stores.iter().any(|store| **store == **name) {
                    stores.push(Arc::from(*name));
                }
            }
        } else {
            let text = format!("stores {} are connected to {processor}, which is no processor", names.join(", "));
            self.problems.push(Problem::Other(text));
        }
        self
    }

    /// Everything about the topology that is not code.
    pub fn facts(&self) -> &TopologyFacts {
        &self.facts
    }

    /// The global stores, in the order they were added.
    pub fn global_stores(&self) -> &[GlobalStore] {
        &self.globals
    }

    /// Opens the engine of a global store.
    ///
    /// # Errors
    /// What opening gives.
    pub fn open_global_engine(&self, store: &StoreFacts, engines: &dyn EngineProvider) -> Result<Box<dyn Engine>> {
        match self.stores.iter().find(|factory| factory.facts().name == store.name) {
            Some(factory) => factory.open_engine(None, engines),
            None => engines.open(None, store),
        }
    }

    /// Checks the whole topology.
    ///
    /// # Errors
    /// One `Topology` error that lists every problem, a line each.
    pub fn check(&self) -> Result<()> {
        let mut problems = self.problems.clone();
        let is_consequence = |problem: &Problem| match problem {
            Problem::UnknownParent { parent: missing, .. } | Problem::UnknownStore { store: missing, .. } => {
                self.unwritten.contains(missing)
            }
            _ => false,
        };
        problems.extend(self.facts.problems().into_iter().filter(|problem| !is_consequence(problem)));
        problems.extend(self.type_problems());
        if problems.is_empty() { Ok(()) } else { Err(topology_error(&problems)) }
    }

    /// Makes the runnable flow of some nodes (a sub-topology) for one task. `open` opens the
    /// engine of each of its stores.
    ///
    /// # Errors
    /// What `open` or a store's factory gives.
    pub fn flow(
        &self,
        nodes: &[Arc<str>],
        build: FlowBuild,
        options: Arc<FlowOptions>,
        open: &mut dyn FnMut(&dyn StoreFactory) -> Result<StoreEnv>,
    ) -> Result<Flow> {
        instance::flow(self, nodes, build, options, open)
    }

    /// The repartition topics, without the application id.
    pub fn internal_topics(&self) -> Arc<BTreeSet<Arc<str>>> {
        Arc::new(self.facts.repartition_topics.iter().map(|topic| Arc::clone(&topic.name)).collect())
    }

    pub(crate) fn push(&mut self, name: &str, kind: NodeKind, parents: &[&str], code: NodeCode) {
        // A node below the same parent twice (a stream merged with itself) is its child once.
        let mut distinct: Vec<Arc<str>> = Vec::with_capacity(parents.len());
        for parent in parents {
            if !distinct.iter().any(|known| **known == **parent) {
                distinct.push(Arc::from(*parent));
            }
        }
        let parents = distinct;
        self.facts.nodes.push(NodeFacts { name: name.into(), kind, parents, is_global: false });
        self.code.push(code);
    }

    pub(crate) fn push_store(&mut self, store: Arc<dyn StoreFactory>) {
        self.facts.stores.push(store.facts().clone());
        self.stores.push(store);
    }

    pub(crate) fn push_global(&mut self, store: StoreFacts, source: &str, topic: &str, head: SourceFactory) {
        for node in &mut self.facts.nodes {
            if *node.name == *source || node.parents.iter().any(|parent| **parent == *source) {
                node.is_global = true;
            }
        }
        self.globals.push(GlobalStore { store, source: source.into(), topic: topic.into(), processor: None, head });
    }

    pub(crate) fn push_repartition_topic(&mut self, name: &str, partitions: Option<i32>) {
        self.facts.repartition_topics.push(RepartitionTopic { name: name.into(), partitions });
    }

    pub(crate) fn push_copartitioned(&mut self, sources: Vec<Arc<str>>) {
        self.facts.copartitioned.push(sources);
    }
}

impl Default for Topology {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Topology {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topology").field("facts", &self.facts).finish_non_exhaustive()
    }
}

/// A topology that cannot run, as one error.
impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        topology_error(&[problem])
    }
}
