//! `single.store.self.join` (KIP-862): the join of a stream with itself keeps its records once.

use super::super::outline::{Outline, StreamJoinNodes};
use crate::graph::{NodeCode, NodeKind, Topology};

/// Rewrites each join whose streams come from one node: the node where its results came together
/// becomes the join, below the first of the nodes that keep records; the others go, with their stores.
pub(super) fn merge_self_joins(topology: &mut Topology, outline: &Outline) {
    for join in &outline.stream_joins {
        if is_self_join(topology, join) {
            merge(topology, join);
        }
    }
}

fn is_self_join(topology: &Topology, join: &StreamJoinNodes) -> bool {
    let parents = |name| topology.facts.node(name).map(|node| &node.parents);
    let (this, other) = (parents(&join.this_windowed), parents(&join.other_windowed));
    this.is_some_and(|parents| parents.len() == 1) && this == other
}

fn merge(topology: &mut Topology, join: &StreamJoinNodes) {
    let nodes = std::mem::take(&mut topology.facts.nodes).into_iter().zip(std::mem::take(&mut topology.code));
    for (mut node, mut code) in nodes {
        if node.name == join.other_windowed || join.sides.contains(&node.name) {
            continue;
        }
        if node.name == join.merge {
            node.kind = NodeKind::Processor { stores: vec![join.this_store.clone()] };
            node.parents = vec![join.this_windowed.clone()];
            code = NodeCode::Node(join.self_join.clone());
        }
        topology.facts.nodes.push(node);
        topology.code.push(code);
    }
    topology.facts.stores.retain(|store| !join.other_stores.contains(&store.name));
    topology.stores.retain(|store| !join.other_stores.contains(&store.facts().name));
}
