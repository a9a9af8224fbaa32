//! `describe()`: a topology as people read it, in Kafka Streams' text to the byte.
//!
//! The text is the one of Kafka Streams 4.3 on Java 17, including the order of lists that Java
//! takes from hash tables ([`java_order`](super::java_order)).

mod parse;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::Topology;
use super::facts::{NodeFacts, NodeKind, SinkTopic, TopologyFacts};
use super::groups::node_groups;
use super::java_order::{TreeSet, compare, copied_set_order, set_order};

/// What a topology consists of. `Display` writes Kafka Streams' text, byte for byte.
///
/// ```
/// use millstream_topology::graph::{NodeFacts, NodeKind, SinkTopic, SourceFacts, TopologyFacts};
///
/// let source = SourceFacts { topics: vec!["words".into()], pattern: None, reset: None };
/// let facts = TopologyFacts {
///     nodes: vec![
///         NodeFacts { name: "in".into(), kind: NodeKind::Source(source), parents: vec![], is_global: false },
///         NodeFacts {
///             name: "out".into(),
///             kind: NodeKind::Sink { topic: SinkTopic::Fixed("loud-words".into()) },
///             parents: vec!["in".into()],
///             is_global: false,
///         },
///     ],
///     ..TopologyFacts::default()
/// };
/// let description = facts.describe();
///
/// assert_eq!(description.subtopologies().len(), 1);
/// assert_eq!(
///     description.to_string(),
///     "Topologies:\n   Sub-topology: 0\n    Source: in (topics: [words])\n      --> out\n    \
///      Sink: out (topic: loud-words)\n      <-- in\n\n"
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopologyDescription {
    subtopologies: Vec<SubtopologyDescription>,
    global_stores: Vec<GlobalStoreDescription>,
}

/// A sub-topology: nodes that run together in one task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubtopologyDescription {
    /// Its number. Global stores take numbers too.
    pub id: i32,
    /// Its nodes: those with the most nodes below them first, then by name.
    pub nodes: Vec<NodeDescription>,
}

/// A global store with the two nodes that fill it; no tasks are made from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalStoreDescription {
    /// Its number among the sub-topologies.
    pub id: i32,
    /// Reads the topic.
    pub source: NodeDescription,
    /// Writes the store.
    pub processor: NodeDescription,
}

/// A node with its neighbours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeDescription {
    /// Name.
    pub name: Arc<str>,
    /// What it is.
    pub kind: NodeDescriptionKind,
    /// Names of its parents.
    pub predecessors: Vec<Arc<str>>,
    /// Names of its children.
    pub successors: Vec<Arc<str>>,
}

/// What a described node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeDescriptionKind {
    /// Reads topics; internal ones stand without the application id.
    Source {
        /// The topics, in Java's order. Empty when there is a pattern.
        topics: Vec<Arc<str>>,
        /// A regular expression instead of topics.
        pattern: Option<String>,
    },
    /// Runs code.
    Processor {
        /// Names of its stores, in Java's order.
        stores: Vec<Arc<str>>,
    },
    /// Writes a topic.
    Sink {
        /// Where to.
        topic: SinkTopic,
    },
}

impl TopologyDescription {
    /// The sub-topologies by number, without global stores.
    pub fn subtopologies(&self) -> &[SubtopologyDescription] {
        &self.subtopologies
    }

    /// The global stores by number.
    pub fn global_stores(&self) -> &[GlobalStoreDescription] {
        &self.global_stores
    }
}

impl Topology {
    /// What the topology consists of. Costs about the square of the number of edges.
    pub fn describe(&self) -> TopologyDescription {
        self.facts().describe()
    }
}

impl TopologyFacts {
    /// What the topology consists of. Costs about the square of the number of edges. Parents that
    /// do not exist are left out.
    pub fn describe(&self) -> TopologyDescription {
        let mut description = TopologyDescription::default();
        for (group, id) in node_groups(self).iter().zip(0..) {
            let nodes: Vec<&NodeFacts> = group.iter().filter_map(|at| self.nodes.get(*at)).collect();
            if let Some(store) = global_store(&nodes, id) {
                description.global_stores.push(store);
            } else {
                let nodes = Wiring::of(&nodes).describe();
                description.subtopologies.push(SubtopologyDescription { id, nodes });
            }
        }
        description
    }
}

/// The global store of a group, if one of its sources feeds one: that source and, of the others,
/// the first in hash order (there is exactly one in a topology without problems).
fn global_store(nodes: &[&NodeFacts], id: i32) -> Option<GlobalStoreDescription> {
    let order = set_order(nodes.iter().map(|node| &*node.name));
    let in_order = || order.iter().filter_map(|name| nodes.iter().find(|node| *node.name == **name));
    let is_global_source = |node: &NodeFacts| node.is_global && matches!(node.kind, NodeKind::Source(_));
    let source = in_order().find(|node| is_global_source(node))?;
    let processor = in_order().find(|node| node.name != source.name)?;
    Some(GlobalStoreDescription {
        id,
        source: described(source, Vec::new(), vec![Arc::clone(&processor.name)]),
        processor: described(processor, vec![Arc::clone(&source.name)], Vec::new()),
    })
}

fn described(node: &NodeFacts, predecessors: Vec<Arc<str>>, successors: Vec<Arc<str>>) -> NodeDescription {
    let kind = match &node.kind {
        NodeKind::Source(source) => NodeDescriptionKind::Source {
            topics: owned(&copied_set_order(&borrowed(&source.topics))),
            pattern: source.pattern.clone(),
        },
        // Java keeps a set in the node and copies it into the description.
        NodeKind::Processor { stores } => {
            NodeDescriptionKind::Processor { stores: owned(&copied_set_order(&set_order(borrowed(stores)))) }
        }
        NodeKind::Sink { topic } => NodeDescriptionKind::Sink { topic: topic.clone() },
    };
    NodeDescription { name: Arc::clone(&node.name), kind, predecessors, successors }
}

fn borrowed(names: &[Arc<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

fn owned(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

/// The edges of a sub-topology while they are being connected, node by node as Java does it: the
/// lists sort by the sizes of that moment.
struct Wiring<'a> {
    nodes: &'a [&'a NodeFacts],
    /// 1 + the sizes of all children: a node reached on two ways counts twice.
    sizes: Vec<i64>,
    predecessors: Vec<TreeSet>,
    successors: Vec<TreeSet>,
}

impl<'a> Wiring<'a> {
    fn of(nodes: &'a [&'a NodeFacts]) -> Self {
        let none = vec![TreeSet::default(); nodes.len()];
        let mut wiring = Self { nodes, sizes: vec![1; nodes.len()], predecessors: none.clone(), successors: none };
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (at, node) in nodes.iter().enumerate() {
            places.entry(&*node.name).or_insert(at);
        }
        // A hash set of names becomes a hash map by name, whose values are visited.
        let order = set_order(set_order(nodes.iter().map(|node| &*node.name)));
        for at in order.iter().filter_map(|name| places.get(name)) {
            let parents = nodes.get(*at).map(|node| &*node.parents).unwrap_or_default();
            for parent in parents.iter().filter_map(|parent| places.get(&**parent)) {
                wiring.connect(*parent, *at);
            }
        }
        wiring
    }

    fn connect(&mut self, parent: usize, child: usize) {
        // The sets are taken out while they are searched: the order reads the sizes beside them.
        let mut predecessors = self.predecessors.get_mut(child).map(std::mem::take).unwrap_or_default();
        predecessors.insert(parent, |left, right| self.order(left, right));
        if let Some(slot) = self.predecessors.get_mut(child) {
            *slot = predecessors;
        }
        let mut successors = self.successors.get_mut(parent).map(std::mem::take).unwrap_or_default();
        successors.insert(child, |left, right| self.order(left, right));
        if let Some(slot) = self.successors.get_mut(parent) {
            *slot = successors;
        }
        self.grow(parent, self.size(child));
    }

    /// Adds to the size of a node, and to its ancestors once for every way down to it. Parents are
    /// written before their children, so one pass upwards sees every way without walking them all.
    fn grow(&mut self, at: usize, by: i64) {
        let mut growth = vec![0_i64; at.saturating_add(1)];
        if let Some(slot) = growth.get_mut(at) {
            *slot = by;
        }
        for at in (0..=at).rev() {
            let by = growth.get(at).copied().unwrap_or_default();
            if by == 0 {
                continue;
            }
            if let Some(size) = self.sizes.get_mut(at) {
                *size = size.saturating_add(by);
            }
            let Some(above) = self.predecessors.get(at) else { continue };
            for parent in above.unordered().filter(|parent| *parent < at) {
                if let Some(slot) = growth.get_mut(parent) {
                    *slot = slot.saturating_add(by);
                }
            }
        }
    }

    /// Larger nodes first, then by name.
    fn order(&self, left: usize, right: usize) -> Ordering {
        if left == right {
            return Ordering::Equal;
        }
        self.size(right).cmp(&self.size(left)).then_with(|| compare(self.name(left), self.name(right)))
    }

    fn size(&self, at: usize) -> i64 {
        self.sizes.get(at).copied().unwrap_or_default()
    }

    fn name(&self, at: usize) -> &str {
        self.nodes.get(at).map_or("", |node| &*node.name)
    }

    fn describe(&self) -> Vec<NodeDescription> {
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        order.sort_by(|left, right| self.order(*left, *right));
        let node = |at: usize| {
            let neighbours = |sets: &[TreeSet]| {
                let items = sets.get(at).map(TreeSet::items).unwrap_or_default();
                items.into_iter().filter_map(|at| self.nodes.get(at)).map(|node| Arc::clone(&node.name)).collect()
            };
            let facts = self.nodes.get(at)?;
            Some(described(facts, neighbours(&self.predecessors), neighbours(&self.successors)))
        };
        order.into_iter().filter_map(node).collect()
    }
}

impl fmt::Display for TopologyDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Topologies:\n ")?;
        let mut global_stores = self.global_stores.iter().peekable();
        for subtopology in &self.subtopologies {
            while let Some(store) = global_stores.next_if(|store| store.id < subtopology.id) {
                write!(f, "  {store}")?;
            }
            write!(f, "  {subtopology}")?;
        }
        global_stores.try_for_each(|store| write!(f, "  {store}"))
    }
}

impl fmt::Display for SubtopologyDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Sub-topology: {}", self.id)?;
        for node in &self.nodes {
            writeln!(f, "    {node}")?;
        }
        writeln!(f)
    }
}

impl fmt::Display for GlobalStoreDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Sub-topology: {} for global store (will not generate tasks)", self.id)?;
        writeln!(f, "    {}\n    {}", self.source, self.processor)
    }
}

impl fmt::Display for NodeDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, above, below) = (&self.name, Neighbours(&self.predecessors), Neighbours(&self.successors));
        match &self.kind {
            NodeDescriptionKind::Source { pattern: Some(pattern), .. } => {
                write!(f, "Source: {name} (topics: {pattern})\n      --> {below}")
            }
            NodeDescriptionKind::Source { topics, pattern: None } => {
                write!(f, "Source: {name} (topics: [{}])\n      --> {below}", topics.join(", "))
            }
            NodeDescriptionKind::Processor { stores } => {
                let stores = stores.join(", ");
                write!(f, "Processor: {name} (stores: [{stores}])\n      --> {below}\n      <-- {above}")
            }
            NodeDescriptionKind::Sink { topic: SinkTopic::Fixed(topic) } => {
                write!(f, "Sink: {name} (topic: {topic})\n      <-- {above}")
            }
            NodeDescriptionKind::Sink { topic: SinkTopic::Extracted(extractor) } => {
                write!(f, "Sink: {name} (extractor class: {extractor})\n      <-- {above}")
            }
        }
    }
}

/// Names with commas, or `none`.
struct Neighbours<'a>(&'a [Arc<str>]);

impl fmt::Display for Neighbours<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str("none") } else { f.write_str(&self.0.join(", ")) }
    }
}

#[cfg(test)]
mod tests;
