//! Checks of a topology before anything runs: all problems at once, in the user's words.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use millstream_types::{Error, ErrorKind};

use super::facts::{NodeFacts, NodeKind, SinkTopic, TopologyFacts};
use super::groups::places;

/// Most nodes on a path from a source to the last node below it. A record is pushed through them
/// by nested calls on the stream thread's stack.
pub const DEPTH_MAX: usize = 512;

/// Longest name of a topic or store, in characters.
pub const NAME_LENGTH_MAX: usize = 249;

/// Something wrong with a topology. Displays as a sentence that says what to change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Several nodes have one name.
    DuplicateNode {
        /// The name.
        node: Arc<str>,
    },
    /// A node below a source is needed to get records.
    NoParent {
        /// The node.
        node: Arc<str>,
    },
    /// A parent that does not exist.
    UnknownParent {
        /// The node.
        node: Arc<str>,
        /// The name given as its parent.
        parent: Arc<str>,
    },
    /// A parent that is added after its child.
    ParentAfterChild {
        /// The node.
        node: Arc<str>,
        /// Its parent.
        parent: Arc<str>,
    },
    /// Nodes that are below themselves.
    Cycle {
        /// The nodes of the cycle, each a parent of the next, the last of the first.
        nodes: Vec<Arc<str>>,
    },
    /// A sink as a parent.
    SinkAsParent {
        /// The node.
        node: Arc<str>,
        /// The sink.
        sink: Arc<str>,
    },
    /// A node outside a global store that depends on one's nodes.
    BelowGlobalStore {
        /// The node.
        node: Arc<str>,
        /// Its parent.
        parent: Arc<str>,
    },
    /// A path of more than [`DEPTH_MAX`] nodes.
    TooDeep {
        /// The first node that is too deep.
        node: Arc<str>,
        /// How many nodes the longest path to the deepest node has.
        depth: usize,
    },
    /// A source that reads nothing.
    NoTopic {
        /// The source.
        node: Arc<str>,
    },
    /// A source with topics and a pattern.
    TopicsAndPattern {
        /// The source.
        node: Arc<str>,
    },
    /// A topic that several sources read.
    TopicReadTwice {
        /// The topic.
        topic: Arc<str>,
        /// The sources; one name twice if it lists the topic twice.
        sources: Vec<Arc<str>>,
    },
    /// A topic pattern that cannot be used.
    BadPattern {
        /// The source.
        node: Arc<str>,
        /// What is wrong with it.
        why: String,
    },
    /// A topic that one source reads by its name and another by a pattern.
    TopicMatchesPattern {
        /// The topic.
        topic: Arc<str>,
        /// The source that names it.
        node: Arc<str>,
        /// The pattern.
        pattern: Arc<str>,
        /// The source with the pattern.
        pattern_node: Arc<str>,
    },
    /// Several stores have one name.
    DuplicateStore {
        /// The name.
        store: Arc<str>,
    },
    /// A connected store that was not added.
    UnknownStore {
        /// The node that wants it.
        node: Arc<str>,
        /// The store.
        store: Arc<str>,
    },
    /// A global store that is connected like others.
    GlobalStoreConnected {
        /// The node.
        node: Arc<str>,
        /// The store.
        store: Arc<str>,
    },
    /// A name with characters that are not allowed, empty, or too long.
    IllegalName {
        /// What it names: `node`, `topic` or `store`.
        what: &'static str,
        /// The name.
        name: Arc<str>,
    },
    /// A number of partitions below one.
    NoPartitions {
        /// The repartition topic.
        topic: Arc<str>,
        /// The number.
        partitions: i32,
    },
    /// Repartition topics that must have equally many partitions were given different numbers.
    NotCopartitioned {
        /// The topics and their numbers, by name.
        topics: Vec<(Arc<str>, i32)>,
    },
    /// Anything that is found while the topology is written.
    Other(String),
}

/// All problems as one error of kind `Topology`, a line each.
///
/// ```
/// use millstream_topology::graph::{Problem, topology_error};
///
/// let problems = [Problem::DuplicateNode { node: "a".into() }, Problem::NoTopic { node: "b".into() }];
/// let error = topology_error(&problems);
/// assert_eq!(
///     error.message(),
///     "the topology has 2 problems:\n- node a is added more than once; give each node its own name\n\
///      - source b has no topics; give it at least one"
/// );
/// ```
pub fn topology_error(problems: &[Problem]) -> Error {
    let mut text = match problems.len() {
        1 => "the topology has a problem:".to_owned(),
        count => format!("the topology has {count} problems:"),
    };
    for problem in problems {
        text.push_str("\n- ");
        text.push_str(&problem.to_string());
    }
    Error::new(ErrorKind::Topology, text)
}

/// Whether Kafka takes it as the name of a topic: letters, digits, `.`, `_` and `-`, at most
/// [`NAME_LENGTH_MAX`], not `.` or `..`.
pub fn is_legal_name(name: &str) -> bool {
    let is_legal = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    !matches!(name, "" | "." | "..") && name.len() <= NAME_LENGTH_MAX && name.chars().all(is_legal)
}

impl TopologyFacts {
    /// Everything wrong with the topology, in the order in which it was written. Empty if it can
    /// run. Whether types fit is checked elsewhere.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.check_nodes(&mut problems);
        self.check_shape(&mut problems);
        self.check_sources(&mut problems);
        self.check_stores(&mut problems);
        self.check_topics(&mut problems);
        problems
    }

    fn check_nodes(&self, problems: &mut Vec<Problem>) {
        let places = places(self);
        let mut reported = HashSet::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let name = &node.name;
            if places.get(&**name) != Some(&at) && reported.insert(&**name) {
                problems.push(Problem::DuplicateNode { node: Arc::clone(name) });
            }
            if node.parents.is_empty() && !matches!(node.kind, NodeKind::Source(_)) {
                problems.push(Problem::NoParent { node: Arc::clone(name) });
            }
            for parent in &node.parents {
                self.check_parent(node, parent, problems);
            }
        }
    }

    fn check_parent(&self, node: &NodeFacts, parent: &Arc<str>, problems: &mut Vec<Problem>) {
        let (name, parent) = (Arc::clone(&node.name), Arc::clone(parent));
        match self.node(&parent) {
            None => problems.push(Problem::UnknownParent { node: name, parent }),
            Some(above) if matches!(above.kind, NodeKind::Sink { .. }) => {
                problems.push(Problem::SinkAsParent { node: name, sink: parent });
            }
            Some(above) if above.is_global && !node.is_global => {
                problems.push(Problem::BelowGlobalStore { node: name, parent });
            }
            Some(_) => {}
        }
    }

    /// Cycles, parents after children, and depth.
    fn check_shape(&self, problems: &mut Vec<Problem>) {
        let places = places(self);
        let cycle = self.cycle(&places);
        let mut depths = vec![1_usize; self.nodes.len()];
        let mut too_deep: Option<(Arc<str>, usize)> = None;
        for (at, node) in self.nodes.iter().enumerate() {
            let mut depth = 1;
            for parent in &node.parents {
                let Some(above) = places.get(&**parent) else { continue };
                if *above < at {
                    depth = depth.max(depths.get(*above).map_or(1, |above| above + 1));
                } else if cycle.is_none() {
                    let (node, parent) = (Arc::clone(&node.name), Arc::clone(parent));
                    problems.push(Problem::ParentAfterChild { node, parent });
                }
            }
            if let Some(slot) = depths.get_mut(at) {
                *slot = depth;
            }
            if depth > DEPTH_MAX {
                let first = too_deep.take().map_or_else(|| Arc::clone(&node.name), |(first, _)| first);
                too_deep = Some((first, depths.iter().copied().max().unwrap_or(depth)));
            }
        }
        problems.extend(cycle.map(|nodes| Problem::Cycle { nodes }));
        problems.extend(too_deep.map(|(node, depth)| Problem::TooDeep { node, depth }));
    }

    /// A cycle, if there is one: what is left when nodes without parents are taken away again and
    /// again has a parent each, so going upwards from any of them must return.
    fn cycle(&self, places: &HashMap<&str, usize>) -> Option<Vec<Arc<str>>> {
        let parents_of = |node: &NodeFacts| -> Vec<usize> {
            node.parents.iter().filter_map(|parent| places.get(&**parent).copied()).collect()
        };
        let parents: Vec<Vec<usize>> = self.nodes.iter().map(parents_of).collect();
        let mut children = vec![Vec::new(); parents.len()];
        let mut open: Vec<usize> = parents.iter().map(Vec::len).collect();
        for (at, above) in parents.iter().enumerate() {
            for parent in above {
                children.get_mut(*parent)?.push(at);
            }
        }
        let mut free: Vec<usize> = (0..open.len()).filter(|at| open.get(*at) == Some(&0)).collect();
        while let Some(at) = free.pop() {
            for child in children.get(at)? {
                let left = open.get_mut(*child)?;
                *left -= 1;
                if *left == 0 {
                    free.push(*child);
                }
            }
        }
        let is_left = |at: &usize| open.get(*at).is_some_and(|left| *left > 0);
        let mut path: Vec<usize> = Vec::new();
        let mut at = (0..open.len()).find(is_left)?;
        while !path.contains(&at) {
            path.push(at);
            at = parents.get(at)?.iter().copied().find(is_left)?;
        }
        let start = path.iter().position(|other| *other == at)?;
        let around = path.iter().skip(start).rev();
        Some(around.filter_map(|at| self.nodes.get(*at)).map(|node| Arc::clone(&node.name)).collect())
    }

    fn check_stores(&self, problems: &mut Vec<Problem>) {
        let mut names: HashMap<&str, usize> = HashMap::new();
        for store in &self.stores {
            let count = names.entry(&store.name).or_default();
            *count += 1;
            if *count == 2 {
                problems.push(Problem::DuplicateStore { store: Arc::clone(&store.name) });
            }
            check_name("store", &store.name, problems);
        }
        let mut global: HashMap<&str, &str> = HashMap::new();
        for (node, store) in self.connections().filter(|(node, _)| node.is_global) {
            let owner = *global.entry(store).or_insert(&node.name);
            if owner != &*node.name {
                problems.push(Problem::DuplicateStore { store: Arc::clone(store) });
            }
        }
        for (node, store) in self.connections().filter(|(node, _)| !node.is_global) {
            let (name, connected) = (Arc::clone(&node.name), Arc::clone(store));
            if global.contains_key(&**store) {
                problems.push(Problem::GlobalStoreConnected { node: name, store: connected });
            } else if !names.contains_key(&**store) {
                problems.push(Problem::UnknownStore { node: name, store: connected });
            }
        }
    }

    /// Every node with each of its stores.
    fn connections(&self) -> impl Iterator<Item = (&NodeFacts, &Arc<str>)> {
        self.nodes.iter().flat_map(|node| {
            let stores = match &node.kind {
                NodeKind::Processor { stores } => &**stores,
                _ => &[],
            };
            stores.iter().map(move |store| (node, store))
        })
    }

    fn check_topics(&self, problems: &mut Vec<Problem>) {
        let mut checked = HashSet::new();
        for node in &self.nodes {
            let topics = match &node.kind {
                NodeKind::Source(source) => &*source.topics,
                NodeKind::Sink { topic: SinkTopic::Fixed(topic) } => std::slice::from_ref(topic),
                _ => &[],
            };
            for topic in topics.iter().filter(|topic| checked.insert(&***topic)) {
                check_name("topic", topic, problems);
            }
        }
        for topic in &self.repartition_topics {
            if let Some(partitions) = topic.partitions.filter(|partitions| *partitions < 1) {
                problems.push(Problem::NoPartitions { topic: Arc::clone(&topic.name), partitions });
            }
        }
        self.check_copartitioned(problems);
    }

    /// Groups of repartition topics only, each with a number given by the user: the numbers must
    /// be equal. All other groups are checked when the input topics are known.
    fn check_copartitioned(&self, problems: &mut Vec<Problem>) {
        for group in &self.copartitioned {
            let mut counts: BTreeMap<Arc<str>, Option<i32>> = BTreeMap::new();
            for node in group.iter().filter_map(|name| self.node(name)) {
                let NodeKind::Source(source) = &node.kind else { continue };
                for topic in &source.topics {
                    let fixed = self.repartition_topics.iter().find(|other| other.name == *topic);
                    counts.insert(Arc::clone(topic), fixed.and_then(|topic| topic.partitions));
                }
            }
            let topics: Option<Vec<_>> = counts.into_iter().map(|(topic, count)| Some((topic, count?))).collect();
            let Some(topics) = topics else { continue };
            if topics.windows(2).any(|pair| matches!(pair, [left, right] if left.1 != right.1)) {
                problems.push(Problem::NotCopartitioned { topics });
            }
        }
    }
}

fn check_name(what: &'static str, name: &Arc<str>, problems: &mut Vec<Problem>) {
    if !is_legal_name(name) {
        problems.push(Problem::IllegalName { what, name: Arc::clone(name) });
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateNode { node } => {
                write!(f, "node {node} is added more than once; give each node its own name")
            }
            Self::NoParent { node } => write!(f, "node {node} has no parent; name at least one"),
            Self::UnknownParent { node, parent } => write!(f, "parent {parent} of node {node} does not exist"),
            Self::ParentAfterChild { node, parent } => {
                write!(f, "parent {parent} of node {node} is added after it; add {parent} first")
            }
            Self::Cycle { nodes } => match nodes.first() {
                Some(first) if nodes.len() == 1 => write!(f, "node {first} is its own parent"),
                first => {
                    let first = first.map(|name| &**name).unwrap_or_default();
                    write!(f, "nodes form a cycle: {} -> {first}", nodes.join(" -> "))
                }
            },
            Self::SinkAsParent { node, sink } => {
                write!(f, "sink {sink} cannot be a parent of node {node}; read its topic with a source instead")
            }
            Self::BelowGlobalStore { node, parent } => write!(
                f,
                "node {node} cannot stand below {parent}, which feeds a global store; look the rows up in the store"
            ),
            Self::TooDeep { node, depth } => write!(
                f,
                "a path of {depth} nodes passes the limit of {DEPTH_MAX} at node {node}; split it with a repartition"
            ),
            Self::NoTopic { node } => write!(f, "source {node} has no topics; give it at least one"),
            Self::TopicsAndPattern { node } => {
                write!(f, "source {node} has topics and a pattern; give it one of them")
            }
            Self::TopicReadTwice { topic, sources } => write!(
                f,
                "topic {topic} is read by more than one source ({}); read it once and use that twice",
                sources.join(", ")
            ),
            Self::BadPattern { node, why } => write!(f, "source {node} cannot be read: {why}"),
            Self::TopicMatchesPattern { topic, node, pattern, pattern_node } => write!(
                f,
                "topic {topic} of source {node} also matches the pattern {pattern} of source {pattern_node}; no topic \
                 may be read by two sources"
            ),
            Self::DuplicateStore { store } => {
                write!(f, "store {store} is added more than once; give each store its own name")
            }
            Self::UnknownStore { node, store } => {
                write!(f, "store {store} of node {node} was not added to the topology")
            }
            Self::GlobalStoreConnected { node, store } => {
                write!(f, "global store {store} can be used by node {node} without being connected; do not connect it")
            }
            Self::IllegalName { what, name } => write!(
                f,
                "{what} name {name:?} is not allowed: 1 to {NAME_LENGTH_MAX} letters, digits, '.', '_' and '-', \
                 but not '.' or '..'"
            ),
            Self::NoPartitions { topic, partitions } => {
                write!(f, "repartition topic {topic} needs at least 1 partition, not {partitions}")
            }
            Self::NotCopartitioned { topics } => {
                let counts: Vec<_> = topics.iter().map(|(topic, count)| format!("{topic} has {count}")).collect();
                write!(f, "joined topics must have equally many partitions, but {}", counts.join(", "))
            }
            Self::Other(text) => f.write_str(text),
        }
    }
}

mod sources;
#[cfg(test)]
mod tests;
