//! The draft behind a builder: the topology as far as it is written, and what the calls share.

use std::any::type_name;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use millstream_state::{DslStoreSuppliers, StoreFactory, StoreFormat, StoreType};
use millstream_types::{Serde, SerdeRegistry};

use super::names::{Names, problem_with};
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
    pub(crate) serdes: SerdeRegistry,
    /// Which stores tables get, and the format of their rows.
    pub(crate) store_suppliers: Arc<dyn DslStoreSuppliers>,
    pub(crate) store_format: StoreFormat,
    pub(crate) sources: Vec<(Vec<Arc<str>>, Arc<str>)>,
    /// Stores that are only kept if something turned their switch on.
    pub(crate) optional_stores: Vec<(Arc<str>, Switch)>,
}

impl Draft {
    pub(crate) fn new() -> Self {
        Self {
            topology: Topology::new(),
            names: Names::default(),
            serdes: SerdeRegistry::with_builtin(),
            store_suppliers: Arc::new(StoreType::Persistent),
            store_format: StoreFormat::Timestamped,
            sources: Vec::new(),
            optional_stores: Vec::new(),
        }
    }

    /// Adds a processor node: the one way every operator of the DSL is written.
    pub(crate) fn then(&mut self, name: &str, parents: &[&str], stores: &[Arc<str>], code: NodeFactory) {
        let kind = NodeKind::Processor { stores: stores.to_vec() };
        self.topology.push(name, kind, parents, NodeCode::Node(code));
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
        let found = given.or(inherited).cloned().or_else(|| self.serdes.get::<T>());
        if found.is_none() {
            self.problem(format!(
                "{place} needs a serde for its {what} of type {}: give one with the call, or register a default \
                 with StreamsBuilder::register_serde",
                type_name::<T>()
            ));
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

    /// The topology without the stores nobody needed.
    pub(crate) fn finish(&self) -> Topology {
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
