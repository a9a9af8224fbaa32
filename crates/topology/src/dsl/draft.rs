//! The draft behind a builder: the topology as far as it is written, and what the calls share.

use std::any::type_name;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use millstream_state::{DslStoreSuppliers, StoreFactory, StoreFormat, StoreType};
use millstream_types::Serde;
use millstream_types::config::Optimizations;

use super::names::{Names, problem_with};
use super::optimise::{changed_key_above, optimise};
use super::outline::{Outline, Repartition, Unnamed};
use super::source::SharedSource;
use crate::flow::{NodeFactory, SinkSpec};
use crate::graph::{NodeCode, NodeKind, Problem, SinkTopic, Topology};

/// Shared by a builder and all streams and tables made from it.
pub(crate) type Shared = Rc<RefCell<Draft>>;

/// A switch that later calls may turn on while operators made earlier already hold it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Switch(Arc<AtomicBool>);

impl Switch {
    pub(crate) fn on() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }

    pub(crate) fn turn_on(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

pub(crate) struct Draft {
    pub(crate) topology: Topology,
    pub(crate) names: Names,
    /// Which stores tables get, and the format of their rows.
    pub(crate) store_suppliers: Arc<dyn DslStoreSuppliers>,
    pub(crate) store_format: StoreFormat,
    pub(crate) optimizations: Optimizations,
    /// Whether every internal store and topic must have a name of the user's.
    pub(crate) wants_all_names: bool,
    pub(crate) outline: Outline,
    /// Sources that streams of the same topics share.
    pub(crate) sources: Vec<SharedSource>,
    /// Stores that are only kept if something turned their switch on.
    pub(crate) optional_stores: Vec<(Arc<str>, Switch)>,
    /// What is wrong if something turned its switch on.
    optional_problems: Vec<(Switch, String)>,
    /// Stores of tables, written or not.
    pub(crate) table_stores: Vec<Arc<str>>,
    /// Grace periods of the nodes that aggregate in windows, in ms.
    pub(crate) graces: BTreeMap<Arc<str>, i64>,
}

impl Draft {
    pub(crate) fn new() -> Self {
        Self {
            topology: Topology::new(),
            names: Names::default(),
            store_suppliers: Arc::new(StoreType::Persistent),
            store_format: StoreFormat::Timestamped,
            optimizations: Optimizations::default(),
            wants_all_names: false,
            outline: Outline::default(),
            sources: Vec::new(),
            optional_stores: Vec::new(),
            optional_problems: Vec::new(),
            table_stores: Vec::new(),
            graces: BTreeMap::new(),
        }
    }

    /// Adds a processor node: the one way every operator of the DSL is written.
    pub(crate) fn then(&mut self, name: &str, parents: &[&str], stores: &[Arc<str>], code: NodeFactory) {
        let kind = NodeKind::Processor { stores: stores.to_vec() };
        self.topology.push(name, kind, parents, NodeCode::Node(code));
    }

    /// Notes that an operator gives records other keys.
    pub(crate) fn changes_key(&mut self, node: &Arc<str>) {
        self.outline.key_changers.push(Arc::clone(node));
    }

    /// Notes that an operator gives records other values and leaves the keys.
    pub(crate) fn changes_value(&mut self, node: &Arc<str>) {
        self.outline.value_changers.insert(Arc::clone(node));
    }

    /// Notes that a join takes records with null keys, so that no repartition above drops them.
    pub(crate) fn takes_null_keys(&mut self, join: &str) {
        self.outline.null_key_joins.insert(join.into());
    }

    /// Notes an internal store or topic whose name is generated.
    pub(crate) fn unnamed(&mut self, unnamed: Unnamed) {
        self.outline.unnamed.push(unnamed);
    }

    /// Notes a repartition below `parent`. One that `is_mergeable` may become one with others.
    pub(crate) fn repartitions(&mut self, parent: &str, mut repartition: Repartition, is_mergeable: bool) {
        if is_mergeable {
            repartition.key_changer = changed_key_above(&self.topology.facts, &self.outline, parent);
        }
        self.outline.repartitions.push(repartition);
    }

    /// Whether a repartition has that topic already.
    pub(crate) fn has_repartition(&self, topic: &str) -> bool {
        self.outline.repartitions.iter().any(|repartition| *repartition.topic == *topic)
    }

    /// Notes that a repartition is used once more: its nodes are written with this call.
    pub(crate) fn reuses_repartition(&mut self, source: &Arc<str>) {
        let now = self.topology.facts.nodes.len();
        let found = self.outline.repartitions.iter().find(|repartition| repartition.source == *source);
        for node in found.into_iter().flat_map(|found| [&found.filter, &found.sink, &found.source]) {
            self.outline.written_late.insert(Arc::clone(node), now);
        }
    }

    /// Gives a node written earlier other code of the same types.
    pub(crate) fn replace(&mut self, name: &str, code: NodeFactory) {
        let position = self.topology.facts.nodes.iter().position(|node| *node.name == *name);
        if let Some(slot) = position.and_then(|position| self.topology.code.get_mut(position)) {
            *slot = NodeCode::Node(code);
        }
    }

    /// Adds a sink to a fixed topic, or a sink whose spec chooses it.
    pub(crate) fn sink<K, V>(&mut self, name: &str, parents: &[&str], topic: Option<&str>, spec: SinkSpec<K, V>)
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        let fixed: Arc<str> = topic.unwrap_or_default().into();
        let to = match topic {
            Some(_) => SinkTopic::Fixed(Arc::clone(&fixed)),
            None => SinkTopic::Extracted("topic name extractor".to_owned()),
        };
        let code = NodeCode::Node(NodeFactory::sink(fixed, spec));
        self.topology.push(name, NodeKind::Sink { topic: to }, parents, code);
    }

    pub(crate) fn add_store(&mut self, store: Arc<dyn StoreFactory>) {
        self.topology.push_store(store);
    }

    /// The given serde, the stream's, or the default for the type. Without any, a problem that
    /// names the type and the place.
    pub(crate) fn serde<T: 'static>(
        &mut self,
        given: Option<&Serde<T>>,
        inherited: Option<&Serde<T>>,
        what: &str,
        place: &str,
    ) -> Option<Serde<T>> {
        let found = given.or(inherited).cloned().or_else(|| self.topology.serdes.get::<T>());
        if found.is_none() {
            self.problem(missing_serde::<T>(what, place));
        }
        found
    }

    /// A node as messages call it: with the topics that its records come from, since its name may be
    /// generated.
    pub(crate) fn place(&self, node: &str, sources: &[&[Arc<str>]]) -> String {
        let mut topics: Vec<&str> = Vec::new();
        for source in sources.iter().copied().flatten() {
            let Some(NodeKind::Source(facts)) = self.topology.facts.node(source).map(|node| &node.kind) else {
                continue;
            };
            let read = facts.topics.iter().map(|topic| &**topic).chain(facts.pattern.as_deref());
            topics.extend(read.filter(|topic| !topics.contains(topic)).collect::<Vec<_>>());
        }
        match topics.as_slice() {
            [] => node.to_owned(),
            [topic] => format!("{node} (of topic {topic})"),
            topics => format!("{node} (of topics {})", topics.join(", ")),
        }
    }

    /// As [`serde`](Self::serde), for something that is needed only if a switch is on in the end.
    pub(crate) fn serde_if_needed<T: 'static>(
        &mut self,
        given: Option<&Serde<T>>,
        (needed, what, place): (&Switch, &str, &str),
    ) -> Option<Serde<T>> {
        let found = given.cloned().or_else(|| self.topology.serdes.get::<T>());
        if found.is_none() {
            self.optional_problems.push((needed.clone(), missing_serde::<T>(what, place)));
        }
        found
    }

    pub(crate) fn problem(&mut self, text: String) {
        self.topology.problems.push(Problem::Other(text));
    }

    /// A user's name for a node, or a generated one.
    pub(crate) fn node_name(&mut self, named: Option<String>, prefix: &str) -> String {
        self.check_name(named.as_deref());
        self.names.named_or(named, prefix)
    }

    pub(crate) fn check_name(&mut self, name: Option<&str>) {
        if let Some(problem) = name.and_then(problem_with) {
            self.topology.problems.push(problem);
        }
    }

    /// The topology without the stores nobody needed, rewritten as the configuration has it.
    pub(crate) fn finish(&self) -> Topology {
        let mut topology = self.without_unused_stores();
        if !topology.problems.is_empty() {
            topology.unwritten = self.unwritten();
        }
        let needed = self.optional_problems.iter().filter(|(needed, _)| needed.is_on());
        topology.problems.extend(needed.map(|(_, text)| Problem::Other(text.clone())));
        optimise(&mut topology, &self.outline, self.optimizations);
        if self.wants_all_names {
            topology.problems.extend(self.outline.unnamed_problems().into_iter().map(Problem::Other));
        }
        topology
    }

    /// Nodes and stores that a missing serde has kept from being written. The library names all
    /// parents, so one that is missing was to be written.
    fn unwritten(&self) -> BTreeSet<Arc<str>> {
        let facts = &self.topology.facts;
        let parents = facts.nodes.iter().flat_map(|node| &node.parents).filter(|parent| facts.node(parent).is_none());
        let stores = self.table_stores.iter().filter(|store| facts.store(store).is_none());
        parents.chain(stores).cloned().collect()
    }

    fn without_unused_stores(&self) -> Topology {
        let mut topology = self.topology.clone();
        for (name, needed) in &self.optional_stores {
            if needed.is_on() {
                continue;
            }
            if let Some(position) = topology.facts.stores.iter().position(|store| store.name == *name) {
                topology.facts.stores.remove(position);
                topology.stores.remove(position);
            }
            for node in &mut topology.facts.nodes {
                if let NodeKind::Processor { stores } = &mut node.kind {
                    stores.retain(|store| store != name);
                }
            }
        }
        topology
    }
}

/// What to say where a type has no serde.
fn missing_serde<T>(what: &str, place: &str) -> String {
    format!(
        "{place} needs a serde for its {what} of type {}: give one with the call, or register a default \
         with StreamsBuilder::register_serde",
        type_name::<T>()
    )
}
