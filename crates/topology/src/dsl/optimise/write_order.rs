//! The order in which nodes are written, which numbers sub-topologies and sorts children: the
//! order of the calls, but a node comes after all its parents, and one that a later call used again
//! comes as late as that call.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use super::super::outline::Outline;
use super::upstream::Upstream;
use crate::graph::Topology;

/// When a node is written, unless it has to wait for its parents: position of a call; before,
/// with or after that call's own node; and the order among those.
type Turn = (usize, Moment, usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Before,
    With,
    After,
}

/// Every node's turn.
pub(super) struct WriteOrder {
    turns: HashMap<Arc<str>, Turn>,
    /// Whether the nodes do not stand in that order already.
    is_changed: bool,
}

impl WriteOrder {
    pub(super) fn of_calls(topology: &Topology, outline: &Outline) -> Self {
        let mut turns = HashMap::new();
        for (position, node) in topology.facts.nodes.iter().enumerate() {
            let turn = match outline.written_late.get(&node.name) {
                Some(call) => (*call, Moment::Before, position),
                None => (position, Moment::With, 0),
            };
            turns.insert(Arc::clone(&node.name), turn);
        }
        Self { turns, is_changed: !outline.written_late.is_empty() }
    }

    /// Nodes that are new come directly after one that is there.
    pub(super) fn insert_after(&mut self, node: &str, new: &[Arc<str>]) {
        let position = self.turns.get(node).map_or(usize::MAX, |(position, ..)| *position);
        for (at, name) in new.iter().enumerate() {
            self.turns.insert(Arc::clone(name), (position, Moment::After, at));
        }
        self.is_changed = true;
    }

    /// Sorts the nodes of a topology.
    pub(super) fn apply(&self, topology: &mut Topology) {
        if !self.is_changed {
            return;
        }
        let order = self.order(topology);
        let mut nodes: Vec<_> = std::mem::take(&mut topology.facts.nodes).into_iter().map(Some).collect();
        let mut code: Vec<_> = std::mem::take(&mut topology.code).into_iter().map(Some).collect();
        for position in order {
            topology.facts.nodes.extend(nodes.get_mut(position).and_then(Option::take));
            topology.code.extend(code.get_mut(position).and_then(Option::take));
        }
        // What waits for a parent that never comes has its problem reported by the check.
        topology.facts.nodes.extend(nodes.into_iter().flatten());
        topology.code.extend(code.into_iter().flatten());
    }

    /// Positions in the order to write: of the nodes whose parents are written, the one whose turn
    /// is first.
    fn order(&self, topology: &Topology) -> Vec<usize> {
        let nodes = &topology.facts.nodes;
        let places: HashMap<&str, usize> = nodes.iter().enumerate().map(|(at, node)| (&*node.name, at)).collect();
        let upstream = Upstream::of(&topology.facts);
        let mut waits: Vec<usize> = vec![0; nodes.len()];
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
        for (at, node) in nodes.iter().enumerate() {
            for parent in upstream.parents(&node.name).iter().filter_map(|parent| places.get(parent)) {
                if let (Some(waits), Some(children)) = (waits.get_mut(at), children.get_mut(*parent)) {
                    *waits += 1;
                    children.push(at);
                }
            }
        }
        let turn = |at: usize| nodes.get(at).and_then(|node| self.turns.get(&node.name)).copied();
        let free = (0..nodes.len()).filter(|at| waits.get(*at) == Some(&0));
        let mut ready: BinaryHeap<_> = free.map(|at| Reverse((turn(at), at))).collect();
        let mut order = Vec::with_capacity(nodes.len());
        while let Some(Reverse((_, at))) = ready.pop() {
            order.push(at);
            for child in children.get(at).into_iter().flatten() {
                let Some(waits) = waits.get_mut(*child) else { continue };
                *waits -= 1;
                if *waits == 0 {
                    ready.push(Reverse((turn(*child), *child)));
                }
            }
        }
        order
    }
}
