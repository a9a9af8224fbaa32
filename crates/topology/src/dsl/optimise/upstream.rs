//! The way up from a node: through its parents, and through repartition topics to those who write
//! them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::graph::{NodeKind, SinkTopic, TopologyFacts};

/// Parents of each node; those of a source behind a repartition topic are the topic's sinks.
pub(super) struct Upstream<'a> {
    parents: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> Upstream<'a> {
    pub(super) fn of(facts: &'a TopologyFacts) -> Self {
        let mut sinks: HashMap<&str, Vec<&str>> = HashMap::new();
        for node in &facts.nodes {
            if let NodeKind::Sink { topic: SinkTopic::Fixed(topic) } = &node.kind {
                sinks.entry(topic).or_default().push(&node.name);
            }
        }
        let parents = |kind: &NodeKind, parents: &'a [Arc<str>]| -> Vec<&'a str> {
            let NodeKind::Source(source) = kind else { return parents.iter().map(|parent| &**parent).collect() };
            let internal = source.topics.iter().filter(|topic| facts.is_repartition_topic(topic));
            internal.filter_map(|topic| sinks.get(&**topic)).flatten().copied().collect()
        };
        let parents = facts.nodes.iter().map(|node| (&*node.name, parents(&node.kind, &node.parents))).collect();
        Self { parents }
    }

    pub(super) fn parents(&self, node: &str) -> &[&'a str] {
        self.parents.get(node).map_or(&[], Vec::as_slice)
    }

    /// The first node, going up from `start` depth first, that `matches`; `start` counts.
    pub(super) fn find(&self, start: &str, matches: &dyn Fn(&str) -> bool) -> Option<&'a str> {
        let (start, _) = self.parents.get_key_value(start)?;
        let mut seen = HashSet::new();
        let mut open = vec![*start];
        while let Some(node) = open.pop() {
            if !seen.insert(node) {
                continue;
            }
            if matches(node) {
                return Some(node);
            }
            open.extend(self.parents(node).iter().rev());
        }
        None
    }

    /// Whether records of `upper` reach `lower`, another node.
    pub(super) fn is_below(&self, upper: &str, lower: &str) -> bool {
        self.find(lower, &|node| self.parents(node).contains(&upper)).is_some()
    }

    /// Whether every way up from `lower` passes `upper`.
    pub(super) fn is_always_below(&self, upper: &str, lower: &str) -> bool {
        let mut seen = HashSet::new();
        let mut open: Vec<&str> = self.parents(lower).to_vec();
        while let Some(node) = open.pop() {
            if node == upper || !seen.insert(node) {
                continue;
            }
            if self.parents(node).is_empty() {
                return false;
            }
            open.extend(self.parents(node));
        }
        true
    }
}
