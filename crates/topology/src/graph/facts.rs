//! Facts of a topology: plain, comparable data.

use std::sync::Arc;

use millstream_state::StoreFacts;
use millstream_types::config::OffsetReset;

/// Everything about a topology that is not code, in the order in which it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopologyFacts {
    /// Nodes, parents before children.
    pub nodes: Vec<NodeFacts>,
    /// Stores, in the order they were added.
    pub stores: Vec<StoreFacts>,
    /// Repartition topics, in the order they were added.
    pub repartition_topics: Vec<RepartitionTopic>,
    /// Groups of source node names whose topics must have equal partition counts.
    pub copartitioned: Vec<Vec<Arc<str>>>,
    /// Stores whose changelog is an input topic instead of one of their own: (store, topic).
    pub source_changelogs: Vec<(Arc<str>, Arc<str>)>,
}

/// Facts of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// Name, unique in the topology.
    pub name: Arc<str>,
    /// What it is.
    pub kind: NodeKind,
    /// Names of its parents, in the order given. Empty for sources.
    pub parents: Vec<Arc<str>>,
    /// Whether it belongs to a global store (its sub-topology gets no tasks).
    pub is_global: bool,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// Reads topics.
    Source(SourceFacts),
    /// Runs code; lists the names of the stores it may use, in the order connected.
    Processor {
        /// Names of connected stores.
        stores: Vec<Arc<str>>,
    },
    /// Writes a topic.
    Sink {
        /// Where to.
        topic: SinkTopic,
    },
}

/// What a source reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFacts {
    /// Topics, in the order given. Internal ones stand without the application id.
    pub topics: Vec<Arc<str>>,
    /// A regular expression instead of topics.
    pub pattern: Option<String>,
    /// Where to start without a committed offset; `None` takes the configuration's.
    pub reset: Option<OffsetReset>,
}

/// Where a sink writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SinkTopic {
    /// One topic. Internal ones stand without the application id.
    Fixed(Arc<str>),
    /// Chosen for each record; the text names the extractor in `describe()`.
    Extracted(String),
}

/// A repartition topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepartitionTopic {
    /// Name without the application id, ending in `-repartition`.
    pub name: Arc<str>,
    /// Number of partitions if the user fixed it.
    pub partitions: Option<i32>,
}

impl TopologyFacts {
    /// The node of that name.
    pub fn node(&self, name: &str) -> Option<&NodeFacts> {
        self.nodes.iter().find(|node| &*node.name == name)
    }

    /// The store of that name.
    pub fn store(&self, name: &str) -> Option<&StoreFacts> {
        self.stores.iter().find(|store| &*store.name == name)
    }

    /// Whether that topic is one of the repartition topics.
    pub fn is_repartition_topic(&self, name: &str) -> bool {
        self.repartition_topics.iter().any(|topic| &*topic.name == name)
    }
}
