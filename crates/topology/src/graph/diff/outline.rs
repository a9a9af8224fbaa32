//! A topology as a diff sees it: operators with their neighbours across internal topics, and the
//! resources they leave in the log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Keep, Operator};
use crate::graph::{NodeDescription, NodeDescriptionKind, SinkTopic, TopologyDescription};

const REPARTITION: &str = "-repartition";

/// What two topologies are compared by.
pub(super) struct Outline {
    /// Names of all nodes.
    pub(super) names: Vec<Arc<str>>,
    /// Stores and internal topics.
    pub(super) resources: Vec<Resource>,
    /// Input topics (or patterns).
    pub(super) inputs: BTreeMap<Arc<str>, Input>,
}

/// Who reads an input topic.
pub(super) struct Input {
    pub(super) subtopology: i32,
    pub(super) source: Operator,
}

/// Something in the log whose name decides whether a new version finds it.
pub(super) struct Resource {
    pub(super) role: ResourceRole,
    pub(super) name: Arc<str>,
    pub(super) subtopology: i32,
    /// Operators that use it, parents before children: a store's processors, an internal topic's
    /// readers.
    pub(super) operators: Vec<Arc<str>>,
    pub(super) lineage: Lineage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResourceRole {
    Store,
    InternalTopic,
}

/// What an operator is known by when its name is only a number: where its records come from and
/// where they go. Labels are names without numbers, counted.
#[derive(Default)]
pub(super) struct Lineage {
    pub(super) inputs: BTreeMap<Arc<str>, usize>,
    pub(super) above: BTreeMap<Arc<str>, usize>,
    pub(super) own: BTreeMap<Arc<str>, usize>,
    pub(super) below: BTreeMap<Arc<str>, usize>,
    pub(super) outputs: BTreeMap<Arc<str>, usize>,
}

/// A name without the number at its end, and the number.
pub(super) fn split_number(name: &str) -> Option<(&str, u64)> {
    let (_, digits) = name.rsplit_once('-')?;
    let is_number = digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| is_number)?;
    Some((name.strip_suffix(digits)?, number))
}

/// What a generated name says of an operator, or the user's own name.
fn label(name: &str) -> Arc<str> {
    split_number(name).map_or(name, |(label, _)| label).into()
}

/// The number inside a name that is generated from an operator's (`…-0000000004-store`), cut out.
pub(super) fn role_of(name: &str) -> Option<String> {
    let digits = name.as_bytes().windows(12).position(|part| {
        let (first, rest) = part.split_first().unwrap_or((&0, &[]));
        let (last, number) = rest.split_last().unwrap_or((&0, &[]));
        *first == b'-' && *last == b'-' && number.iter().all(u8::is_ascii_digit)
    });
    match (split_number(name), digits) {
        (Some((prefix, _)), _) => Some(prefix.to_owned()),
        (None, Some(at)) => Some(format!("{}{}", name.get(..=at)?, name.get(at + 11..)?)),
        (None, None) => None,
    }
}

impl Resource {
    /// The operator that stands for it.
    pub(super) fn operator(&self) -> Operator {
        let name = self.operators.first().cloned().unwrap_or_else(|| "nobody".into());
        Operator { name, inputs: self.lineage.inputs.keys().cloned().collect() }
    }

    /// What a generated name says; `None` for a name the user gave.
    pub(super) fn generated_role(&self) -> Option<String> {
        role_of(&self.name)
    }

    /// The call that gives a resource this name again.
    pub(super) fn keep(&self) -> Option<Keep> {
        let reader = self.operators.first().map(|name| label(name)).unwrap_or_default();
        let is = |part: &str| self.name.contains(part);
        match self.role {
            ResourceRole::Store => {
                if is("SUPPRESS-STATE-STORE") || is("FK-JOIN-SUBSCRIPTION") {
                    // What is given there gets a suffix that a generated name has not.
                    return None;
                }
                let is_join = ["JOINTHIS", "JOINOTHER", "OUTERTHIS", "OUTEROTHER"].iter().any(|part| is(part));
                let option = match (is_join, reader.starts_with("KSTREAM-") || reader.starts_with("KTABLE-")) {
                    (true, _) => "a store supplier in StreamJoined, named",
                    (false, true) => "Materialized::named",
                    // Aggregates named by the user, and processors with stores of their own.
                    (false, false) => "Materialized::named, or the store builder's name",
                };
                (!is("OUTERSHARED")).then(|| Keep { option, name: self.name.to_string() })
            }
            ResourceRole::InternalTopic => {
                let name = self.name.strip_suffix(REPARTITION)?;
                let is_aggregate =
                    reader.contains("AGGREGATE") || reader.contains("REDUCE") || reader.contains("COUNT");
                let is_join = reader.contains("JOIN") || reader.contains("WINDOWED");
                let (option, name) = match (is_aggregate, is_join) {
                    (true, _) => ("Grouped::named", name),
                    (false, true) => match name.strip_suffix("-left").or_else(|| name.strip_suffix("-right")) {
                        Some(name) => ("StreamJoined::with_name", name),
                        None if reader.contains("WINDOWED") => return None,
                        None => ("Joined::named", name),
                    },
                    (false, false) => ("Repartitioned::named", name),
                };
                Some(Keep { option, name: name.to_owned() })
            }
        }
    }
}

impl Outline {
    pub(super) fn of(description: &TopologyDescription) -> Self {
        let graph = Graph::of(description);
        let mut outline = Self {
            names: graph.nodes.iter().map(|(_, node)| Arc::clone(&node.name)).collect(),
            resources: Vec::new(),
            inputs: BTreeMap::new(),
        };
        for (id, node) in &graph.nodes {
            if let NodeDescriptionKind::Source { topics, pattern } = &node.kind {
                let pattern = pattern.as_deref().map(Arc::from);
                for topic in topics.iter().cloned().chain(pattern).filter(|topic| !graph.written.contains(topic)) {
                    let source = Operator { name: Arc::clone(&node.name), inputs: Vec::new() };
                    outline.inputs.insert(topic, Input { subtopology: *id, source });
                }
            }
        }
        outline.resources.extend(graph.stores());
        outline.resources.extend(graph.internal_topics());
        outline
    }
}

/// All nodes, with edges that also cross internal topics.
struct Graph<'a> {
    nodes: Vec<(i32, &'a NodeDescription)>,
    children: Vec<Vec<usize>>,
    parents: Vec<Vec<usize>>,
    /// Topics that the topology itself writes and reads.
    written: BTreeSet<Arc<str>>,
}

impl<'a> Graph<'a> {
    fn of(description: &'a TopologyDescription) -> Self {
        let mut nodes: Vec<(i32, &NodeDescription)> = Vec::new();
        for subtopology in description.subtopologies() {
            nodes.extend(subtopology.nodes.iter().map(|node| (subtopology.id, node)));
        }
        for store in description.global_stores() {
            nodes.extend([(store.id, &store.source), (store.id, &store.processor)]);
        }
        let places: BTreeMap<&str, usize> = nodes.iter().enumerate().map(|(at, (_, node))| (&*node.name, at)).collect();
        let mut graph = Self {
            children: vec![Vec::new(); nodes.len()],
            parents: vec![Vec::new(); nodes.len()],
            written: BTreeSet::new(),
            nodes,
        };
        let mut edges: Vec<(usize, usize)> = Vec::new();
        let mut readers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (at, (_, node)) in graph.nodes.iter().enumerate() {
            edges.extend(node.successors.iter().filter_map(|child| places.get(&**child)).map(|child| (at, *child)));
            if let NodeDescriptionKind::Source { topics, .. } = &node.kind {
                for topic in topics {
                    readers.entry(topic).or_default().push(at);
                }
            }
        }
        for (at, (_, node)) in graph.nodes.iter().enumerate() {
            let NodeDescriptionKind::Sink { topic: SinkTopic::Fixed(topic) } = &node.kind else { continue };
            if let Some(readers) = readers.get(&**topic) {
                graph.written.insert(Arc::clone(topic));
                edges.extend(readers.iter().map(|reader| (at, *reader)));
            }
        }
        for (from, to) in edges {
            graph.children.get_mut(from).into_iter().for_each(|children| children.push(to));
            graph.parents.get_mut(to).into_iter().for_each(|parents| parents.push(from));
        }
        graph
    }

    fn stores(&self) -> Vec<Resource> {
        let mut users: BTreeMap<&Arc<str>, Vec<usize>> = BTreeMap::new();
        for (at, (_, node)) in self.nodes.iter().enumerate() {
            if let NodeDescriptionKind::Processor { stores } = &node.kind {
                for store in stores {
                    users.entry(store).or_default().push(at);
                }
            }
        }
        users.into_iter().map(|(store, users)| self.resource(ResourceRole::Store, store, users)).collect()
    }

    /// Topics between sub-topologies that the library made: their names end as its names do.
    fn internal_topics(&self) -> Vec<Resource> {
        let is_internal = |topic: &&Arc<str>| {
            topic.ends_with(REPARTITION) || (topic.contains("FK-JOIN-SUBSCRIPTION") && topic.ends_with("-topic"))
        };
        let resource = |topic: &Arc<str>| {
            let reads = |at: &usize| match self.nodes.get(*at).map(|(_, node)| &node.kind) {
                Some(NodeDescriptionKind::Source { topics, .. }) => topics.contains(topic),
                _ => false,
            };
            let sources = (0..self.nodes.len()).filter(reads);
            let readers = sources.flat_map(|at| self.children.get(at).cloned().unwrap_or_default()).collect();
            self.resource(ResourceRole::InternalTopic, topic, readers)
        };
        self.written.iter().filter(is_internal).map(resource).collect()
    }

    fn resource(&self, role: ResourceRole, name: &Arc<str>, mut users: Vec<usize>) -> Resource {
        // The one with the most below it comes first: the others read what it writes.
        users.sort_by_key(|at| (std::cmp::Reverse(reached(&[*at], &self.children).len()), *at));
        let subtopology = users.first().and_then(|at| self.nodes.get(*at)).map_or(0, |(id, _)| *id);
        let operators =
            users.iter().filter_map(|at| self.nodes.get(*at)).map(|(_, node)| Arc::clone(&node.name)).collect();
        let mut lineage = Lineage::default();
        for at in reached(&users, &self.parents) {
            self.note(at, &mut lineage.above, &mut lineage.inputs);
        }
        for at in reached(&users, &self.children) {
            self.note(at, &mut lineage.below, &mut lineage.outputs);
        }
        for (_, node) in users.iter().filter_map(|at| self.nodes.get(*at)) {
            *lineage.own.entry(label(&node.name)).or_default() += 1;
        }
        Resource { role, name: Arc::clone(name), subtopology, operators, lineage }
    }

    /// Counts a node by its label and by its topics outside the application.
    fn note(&self, at: usize, labels: &mut BTreeMap<Arc<str>, usize>, topics: &mut BTreeMap<Arc<str>, usize>) {
        let Some((_, node)) = self.nodes.get(at) else { return };
        *labels.entry(label(&node.name)).or_default() += 1;
        let mut note_topic = |topic: &Arc<str>| {
            if !self.written.contains(topic) {
                *topics.entry(Arc::clone(topic)).or_default() += 1;
            }
        };
        match &node.kind {
            NodeDescriptionKind::Source { topics, pattern } => {
                topics.iter().for_each(&mut note_topic);
                if let Some(pattern) = pattern {
                    note_topic(&pattern.as_str().into());
                }
            }
            NodeDescriptionKind::Sink { topic: SinkTopic::Fixed(topic) } => note_topic(topic),
            NodeDescriptionKind::Sink { topic: SinkTopic::Extracted(_) } | NodeDescriptionKind::Processor { .. } => {}
        }
    }
}

/// Everything on the way from some nodes along the edges, themselves not counted.
fn reached(from: &[usize], edges: &[Vec<usize>]) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut open: Vec<usize> = from.to_vec();
    while let Some(at) = open.pop() {
        for next in edges.get(at).map(Vec::as_slice).unwrap_or_default() {
            if seen.insert(*next) {
                open.push(*next);
            }
        }
    }
    seen.retain(|at| !from.contains(at));
    seen
}
