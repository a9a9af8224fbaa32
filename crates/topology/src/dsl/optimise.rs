//! What happens to a draft when it is built: rewritings that `topology.optimization` asks for, and
//! the order in which the nodes are written. Works on facts and code as they stand; every step
//! follows Kafka Streams' `InternalStreamsBuilder`, so that names, numbers and topics are the same.

mod merge_repartitions;
mod repartition_names;
mod self_joins;
mod upstream;
mod write_order;

use std::sync::Arc;

use millstream_types::config::Optimizations;

use super::outline::Outline;
use crate::graph::{Topology, TopologyFacts};
use upstream::Upstream;

/// Rewrites a topology whose nodes stand in the order of the calls.
pub(crate) fn optimise(topology: &mut Topology, outline: &Outline, optimizations: Optimizations) {
    if optimizations.reuse_ktable_source_topics {
        reuse_source_topics(topology, outline);
    }
    let mut repartitions = outline.repartitions.clone();
    let mut order = write_order::WriteOrder::of_calls(topology, outline);
    if optimizations.merge_repartition_topics {
        merge_repartitions::merge_repartitions(topology, outline, &mut repartitions, &mut order);
    }
    if optimizations.single_store_self_join {
        self_joins::merge_self_joins(topology, outline);
    }
    order.apply(topology);
    repartition_names::settle(topology, &mut repartitions);
    let upstream = Upstream::of(&topology.facts);
    for repartition in &repartitions {
        if outline.null_key_joins.iter().any(|join| upstream.is_below(&repartition.source, join)) {
            repartition.null_keys.turn_on();
        }
    }
}

/// The operator above `node` (itself included) whose new keys a repartition there is for: the first
/// that changes keys, unless one between them changes values, which cannot be moved below it.
pub(crate) fn changed_key_above(facts: &TopologyFacts, outline: &Outline, node: &str) -> Option<Arc<str>> {
    let upstream = Upstream::of(facts);
    let changes_key = |node: &str| outline.key_changers.iter().any(|changer| **changer == *node);
    let first = upstream.find(node, &|node| changes_key(node) || outline.value_changers.contains(node))?;
    changes_key(first).then(|| first.into())
}

/// Tables read from a topic take that topic as changelog.
fn reuse_source_topics(topology: &mut Topology, outline: &Outline) {
    for (store, topic) in &outline.source_tables {
        // A table that nothing needs stored has no store by now.
        if let Some(facts) = topology.facts.stores.iter_mut().find(|facts| facts.name == *store) {
            facts.is_logged = false;
            topology.facts.source_changelogs.push((Arc::clone(store), Arc::clone(topic)));
        }
    }
}

#[cfg(test)]
mod tests;
