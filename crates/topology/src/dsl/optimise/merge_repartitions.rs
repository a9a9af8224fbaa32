//! `merge.repartition.topics`: repartitions below one operator that changed the key become one,
//! directly below that operator, under the name of the first.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::outline::{Outline, Repartition};
use super::upstream::Upstream;
use super::write_order::WriteOrder;
use crate::graph::{NodeCode, NodeFacts, NodeKind, SinkTopic, SourceFacts, Topology};

/// A node below which repartitions become one, and which ones.
struct Group {
    below: Arc<str>,
    /// Positions in the list of repartitions.
    members: Vec<usize>,
}

pub(super) fn merge_repartitions(
    topology: &mut Topology,
    outline: &Outline,
    repartitions: &mut Vec<Repartition>,
    order: &mut WriteOrder,
) {
    for group in groups(topology, outline, repartitions) {
        merge(topology, &group, repartitions, order);
    }
    repartitions.retain(|repartition| topology.facts.node(&repartition.source).is_some());
}

/// By operator that changes keys. Where streams are merged between such operators and all their
/// repartitions, the merge stands for the operators.
fn groups(topology: &Topology, outline: &Outline, repartitions: &[Repartition]) -> Vec<Group> {
    let members = |changer: &Arc<str>| {
        let is_member = |repartition: &Repartition| repartition.key_changer.as_ref() == Some(changer);
        (0..repartitions.len()).filter(|at| repartitions.get(*at).is_some_and(is_member)).collect()
    };
    let of_changer = |changer: &Arc<str>| Group { below: Arc::clone(changer), members: members(changer) };
    let mut groups: Vec<Group> = outline.key_changers.iter().map(of_changer).collect();
    let upstream = Upstream::of(&topology.facts);
    let mut of_merges = Vec::new();
    let mut replaced: HashSet<Arc<str>> = HashSet::new();
    for merge in &outline.merges {
        let mut members = Vec::new();
        for group in &groups {
            let is_below = |at: &usize| {
                repartitions.get(*at).is_some_and(|repartition| upstream.is_below(merge, &repartition.filter))
            };
            if group.members.iter().all(is_below) && upstream.is_below(&group.below, merge) {
                replaced.insert(Arc::clone(&group.below));
                members.extend(group.members.iter().copied().filter(|at| !members.contains(at)).collect::<Vec<_>>());
            }
        }
        of_merges.push(Group { below: Arc::clone(merge), members });
    }
    groups.retain(|group| !replaced.contains(&group.below));
    groups.extend(of_merges);
    groups.retain(|group| !group.members.is_empty());
    groups
}

fn merge(topology: &mut Topology, group: &Group, repartitions: &mut Vec<Repartition>, order: &mut WriteOrder) {
    // Kafka Streams does not look at all ways up. Where streams are merged in between, it fails, or
    // lets records of the others pass without being repartitioned.
    let upstream = Upstream::of(&topology.facts);
    let members = group.members.iter().filter_map(|at| repartitions.get(*at));
    let members: Vec<Repartition> =
        members.filter(|member| upstream.is_always_below(&group.below, &member.filter)).cloned().collect();
    let Some(first) = members.first() else { return };
    let named = |role: &str| Arc::from(format!("{}-{role}", first.topic));
    let merged = Repartition {
        topic: Arc::clone(&first.topic),
        wanted: first.wanted.clone(),
        filter: named("filter"),
        sink: named("sink"),
        source: named("source"),
        key_changer: None,
        null_keys: first.null_keys.clone(),
    };
    let nodes = new_nodes(topology, &group.below, first, &merged);
    for member in &members {
        replace(topology, &group.below, member, &merged);
    }
    for (facts, code) in nodes {
        topology.facts.nodes.push(facts);
        topology.code.push(code);
    }
    order.insert_after(
        &group.below,
        &[Arc::clone(&merged.filter), Arc::clone(&merged.sink), Arc::clone(&merged.source)],
    );
    repartitions.push(merged);
}

/// Filter, sink and source of the merged repartition, with the code of the first one's.
fn new_nodes(
    topology: &Topology,
    below: &Arc<str>,
    first: &Repartition,
    merged: &Repartition,
) -> Vec<(NodeFacts, NodeCode)> {
    let source = SourceFacts { topics: vec![Arc::clone(&merged.topic)], pattern: None, reset: None };
    let sink = NodeKind::Sink { topic: SinkTopic::Fixed(Arc::clone(&merged.topic)) };
    let nodes = [
        (&first.filter, &merged.filter, NodeKind::Processor { stores: Vec::new() }, vec![Arc::clone(below)]),
        (&first.sink, &merged.sink, sink, vec![Arc::clone(&merged.filter)]),
        (&first.source, &merged.source, NodeKind::Source(source), Vec::new()),
    ];
    let code = |name: &Arc<str>| {
        let position = topology.facts.nodes.iter().position(|node| node.name == *name);
        position.and_then(|position| topology.code.get(position)).cloned()
    };
    let new = nodes.into_iter().filter_map(|(old, new, kind, parents)| {
        let facts = NodeFacts { name: Arc::clone(new), kind, parents, is_global: false };
        Some((facts, code(old)?))
    });
    new.collect()
}

/// Takes one repartition out: what stood between the operator and it now stands below the merged
/// one, and what stood below it follows directly.
fn replace(topology: &mut Topology, below: &Arc<str>, member: &Repartition, merged: &Repartition) {
    let upstream = Upstream::of(&topology.facts);
    // A member before may have moved the same child already.
    let is_child = |node: &str| [below, &merged.source].iter().any(|above| upstream.parents(node).contains(&&***above));
    let Some(child) = upstream.find(&member.filter, &is_child).map(Arc::<str>::from) else { return };
    // Found before anything moves: the merged source may have the name of this one.
    let is_after = |node: &&NodeFacts| node.parents.contains(&member.source);
    let after: Vec<Arc<str>> =
        topology.facts.nodes.iter().filter(is_after).map(|node| Arc::clone(&node.name)).collect();
    let nodes = &mut topology.facts.nodes;
    for node in nodes.iter_mut().filter(|node| node.name == child) {
        swap_parent(node, below, std::slice::from_ref(&merged.source));
    }
    let filter = nodes.iter().find(|node| node.name == member.filter);
    let parents = filter.map(|filter| filter.parents.clone()).unwrap_or_default();
    for node in nodes.iter_mut().filter(|node| after.contains(&node.name)) {
        swap_parent(node, &member.source, &parents);
    }
    let mut position = 0;
    topology.facts.nodes.retain(|node| {
        let is_kept = ![&member.filter, &member.sink, &member.source].contains(&&node.name);
        if is_kept {
            position += 1;
        } else if position < topology.code.len() {
            topology.code.remove(position);
        }
        is_kept
    });
    if member.topic != merged.topic {
        topology.facts.repartition_topics.retain(|topic| topic.name != member.topic);
    }
    for group in &mut topology.facts.copartitioned {
        for source in group.iter_mut().filter(|source| **source == member.source) {
            *source = Arc::clone(&merged.source);
        }
        let mut seen = HashSet::new();
        group.retain(|source| seen.insert(Arc::clone(source)));
    }
}

/// Puts others in the place of one of a node's parents, at the end, each once.
fn swap_parent(node: &mut NodeFacts, old: &Arc<str>, new: &[Arc<str>]) {
    let before = node.parents.len();
    node.parents.retain(|parent| parent != old);
    if node.parents.len() == before {
        return;
    }
    for parent in new {
        if !node.parents.contains(parent) {
            node.parents.push(Arc::clone(parent));
        }
    }
}
