//! Which nodes run together: sub-topologies, numbered as Kafka Streams numbers them.

use std::collections::HashMap;

use super::facts::{NodeKind, TopologyFacts};

/// Positions of the nodes of each sub-topology, in the order written. Nodes belong together when
/// one is the other's parent or when they share a store; the group of the node written first comes
/// first, and a global store's group is one like the others.
pub(crate) fn node_groups(facts: &TopologyFacts) -> Vec<Vec<usize>> {
    let places = places(facts);
    let mut union = Union::new(facts.nodes.len());
    let mut users: HashMap<&str, usize> = HashMap::new();
    for (at, node) in facts.nodes.iter().enumerate() {
        for parent in node.parents.iter().filter_map(|parent| places.get(&**parent)) {
            union.unite(at, *parent);
        }
        if let NodeKind::Processor { stores } = &node.kind {
            for store in stores {
                let user = *users.entry(store).or_insert(at);
                union.unite(at, user);
            }
        }
    }
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut numbers: HashMap<usize, usize> = HashMap::new();
    for at in 0..facts.nodes.len() {
        let number = *numbers.entry(union.root(at)).or_insert(groups.len());
        match groups.get_mut(number) {
            Some(group) => group.push(at),
            None => groups.push(vec![at]),
        }
    }
    groups
}

/// Position of each node; of nodes with one name the first counts.
pub(crate) fn places(facts: &TopologyFacts) -> HashMap<&str, usize> {
    let mut places = HashMap::with_capacity(facts.nodes.len());
    for (at, node) in facts.nodes.iter().enumerate() {
        places.entry(&*node.name).or_insert(at);
    }
    places
}

/// Union-find with path halving.
struct Union(Vec<usize>);

impl Union {
    fn new(len: usize) -> Self {
        Self((0..len).collect())
    }

    fn above(&self, at: usize) -> usize {
        self.0.get(at).copied().unwrap_or(at)
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.above(at) != at {
            let grandparent = self.above(self.above(at));
            if let Some(slot) = self.0.get_mut(at) {
                *slot = grandparent;
            }
            at = grandparent;
        }
        at
    }

    fn unite(&mut self, left: usize, right: usize) {
        let (left, right) = (self.root(left), self.root(right));
        if let Some(slot) = self.0.get_mut(left) {
            *slot = right;
        }
    }
}
