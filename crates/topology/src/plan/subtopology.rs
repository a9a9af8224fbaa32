//! A sub-topology of a plan: nodes, topics and stores that run together.

use std::sync::Arc;

use millstream_state::StoreFacts;

use millstream_types::config::OffsetReset;

/// Nodes that run together, one task for each partition of their input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subtopology {
    /// Its number, the first half of a [`TaskId`](millstream_types::TaskId).
    pub id: i32,
    /// Whether it fills a global store; it gets no tasks then.
    pub is_global: bool,
    /// Names of its nodes in the order written, parents first.
    pub nodes: Vec<Arc<str>>,
    /// Its sources, in the order written.
    pub sources: Vec<PlannedSource>,
    /// Its sinks to fixed topics, in the order written.
    pub sinks: Vec<PlannedSink>,
    /// Its stores in the order in which Kafka Streams builds and flushes them: node by node in the
    /// order written, a node's stores in the order of a Java hash set.
    pub stores_in_order: Vec<PlannedStore>,
}

/// A source and the topics it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedSource {
    /// Name of the node.
    pub node: Arc<str>,
    /// Names of its topics in the log.
    pub topics: Vec<Arc<str>>,
    /// A regular expression that the topics match.
    pub pattern: Option<String>,
    /// Where to start without a committed offset; `None` takes the configuration's.
    pub reset: Option<OffsetReset>,
}

/// A sink and the topic it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedSink {
    /// Name of the node.
    pub node: Arc<str>,
    /// Name of its topic in the log.
    pub topic: Arc<str>,
    /// Whether the topic is a repartition topic of the application.
    pub is_repartition: bool,
}

/// A store of a sub-topology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedStore {
    /// Name.
    pub name: Arc<str>,
    /// Facts; `None` for a global store that is not among the topology's stores.
    pub facts: Option<StoreFacts>,
    /// Where its changes are kept; `None` if they are not, and for global stores.
    pub changelog: Option<Changelog>,
}

/// The topic a store is restored from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changelog {
    /// Name of the topic in the log.
    pub topic: Arc<str>,
    /// Whether it is an input topic that serves as changelog: nothing is written to it then, it is
    /// not created, and restoring stops at the committed offset.
    pub is_source: bool,
}

/// A global store and the topic that feeds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalStorePlan {
    /// Name of the store.
    pub store: Arc<str>,
    /// Name of the source node.
    pub source: Arc<str>,
    /// Name of the node that writes the store.
    pub processor: Arc<str>,
    /// Name of the topic in the log.
    pub topic: Arc<str>,
}

impl Subtopology {
    /// The topics it reads, source by source.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.sources.iter().flat_map(|source| &source.topics)
    }

    /// The source that reads a topic.
    pub fn source_of(&self, topic: &str) -> Option<&PlannedSource> {
        self.sources.iter().find(|source| source.topics.iter().any(|other| **other == *topic))
    }

    /// The store of that name.
    pub fn store(&self, name: &str) -> Option<&PlannedStore> {
        self.stores_in_order.iter().find(|store| *store.name == *name)
    }

    pub(super) fn global_store(&self) -> Option<GlobalStorePlan> {
        let source = self.sources.first().filter(|_| self.is_global)?;
        Some(GlobalStorePlan {
            store: Arc::clone(&self.stores_in_order.first()?.name),
            source: Arc::clone(&source.node),
            processor: Arc::clone(self.nodes.iter().find(|node| **node != source.node)?),
            topic: Arc::clone(source.topics.first()?),
        })
    }
}
