//! Repartitions that should have the name of another one: written under a name of their own until
//! it is known which repartitions are merged.

use std::sync::Arc;

use super::super::outline::Repartition;
use crate::graph::{NodeKind, Problem, SinkTopic, Topology};

/// Gives repartitions the names they should have. Where another one still has it, that is a problem.
pub(super) fn settle(topology: &mut Topology, repartitions: &mut [Repartition]) {
    for at in 0..repartitions.len() {
        let Some(wanted) = repartitions.get_mut(at).and_then(|repartition| repartition.wanted.take()) else { continue };
        let taken = repartitions.iter().find(|repartition| repartition.topic == wanted).cloned();
        let Some(repartition) = repartitions.get_mut(at) else { continue };
        match taken {
            Some(other) => {
                let (one, two) = (above(topology, &other), above(topology, repartition));
                topology.problems.push(Problem::Other(format!(
                    "two repartition topics would have the name {wanted}: those below {one} and below {two}; name them \
                     with Grouped, Joined, StreamJoined or Repartitioned"
                )));
            }
            None => rename(topology, repartition, &wanted),
        }
    }
}

/// The operators above a repartition.
fn above(topology: &Topology, repartition: &Repartition) -> String {
    topology.facts.node(&repartition.filter).map(|filter| filter.parents.join(", ")).unwrap_or_default()
}

fn rename(topology: &mut Topology, repartition: &mut Repartition, topic: &Arc<str>) {
    let named = |role: &str| Arc::<str>::from(format!("{topic}-{role}"));
    let names = [
        (std::mem::replace(&mut repartition.filter, named("filter")), named("filter")),
        (std::mem::replace(&mut repartition.sink, named("sink")), named("sink")),
        (std::mem::replace(&mut repartition.source, named("source")), named("source")),
        (std::mem::replace(&mut repartition.topic, Arc::clone(topic)), Arc::clone(topic)),
    ];
    let rename = |name: &mut Arc<str>| {
        if let Some((_, new)) = names.iter().find(|(old, _)| old == name) {
            *name = Arc::clone(new);
        }
    };
    for node in &mut topology.facts.nodes {
        rename(&mut node.name);
        node.parents.iter_mut().for_each(rename);
        match &mut node.kind {
            NodeKind::Source(source) => source.topics.iter_mut().for_each(rename),
            NodeKind::Sink { topic: SinkTopic::Fixed(topic) } => rename(topic),
            _ => {}
        }
    }
    topology.facts.repartition_topics.iter_mut().for_each(|topic| rename(&mut topic.name));
    topology.facts.copartitioned.iter_mut().flatten().for_each(rename);
}
