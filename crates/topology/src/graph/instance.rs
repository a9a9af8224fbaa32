//! From a topology to the flow of one task.

use std::collections::HashMap;
use std::sync::Arc;

use millstream_state::{StoreEnv, StoreFactory, StoreKind};
use millstream_types::Result;

use super::facts::NodeKind;
use super::java_order::set_order;
use super::topology::{NodeCode, Topology};
use crate::flow::{Flow, FlowBuild, FlowNode, FlowOptions, FlushStep, NodeIndex};

/// Makes the flow of `nodes`; children stand in the order in which they were connected.
pub(super) fn flow(
    topology: &Topology,
    nodes: &[Arc<str>],
    build: FlowBuild,
    options: Arc<FlowOptions>,
    open: &mut dyn FnMut(&dyn StoreFactory) -> Result<StoreEnv>,
) -> Result<Flow> {
    let mut flow = Flow::new(build, options, topology.serdes.clone());
    let included: Vec<(&_, &NodeCode)> =
        topology.facts.nodes.iter().zip(&topology.code).filter(|(node, _)| nodes.contains(&node.name)).collect();
    let place: HashMap<&str, u32> = included.iter().zip(0..).map(|((node, _), at)| (&*node.name, at)).collect();
    let mut children: Vec<Vec<NodeIndex>> = vec![Vec::new(); included.len()];
    for ((node, _), at) in included.iter().zip(0..) {
        for parent in node.parents.iter().filter_map(|parent| place.get(&**parent)) {
            if let Some(children) = children.get_mut(*parent as usize) {
                children.push(NodeIndex(at));
            }
        }
    }
    let mut store_places: HashMap<Arc<str>, usize> = HashMap::new();
    let mut owners: HashMap<Arc<str>, NodeIndex> = HashMap::new();
    for (((node, code), children), at) in included.iter().zip(children).zip(0..) {
        let mut connected = Vec::new();
        if let NodeKind::Processor { stores } = &node.kind {
            // A hash set's order, as in Kafka Streams: it decides the order of flushes.
            for name in set_order(stores.iter().map(|store| &**store)) {
                let Some(name) = stores.iter().find(|store| ***store == *name) else { continue };
                if !store_places.contains_key(name) {
                    let Some(factory) = topology.stores.iter().find(|store| store.facts().name == *name) else {
                        continue;
                    };
                    let store = factory.build(open(&**factory)?)?;
                    store_places.insert(Arc::clone(name), flow.stores.len());
                    flow.stores.push(store);
                }
                connected.push((Arc::clone(name), store_places.get(name).copied().unwrap_or_default()));
            }
        }
        let (code, output) = match code {
            NodeCode::Source(source) => {
                flow.queue_heads.push((NodeIndex(at), Arc::clone(&source.head)));
                (None, Some(source.output))
            }
            NodeCode::Node(factory) => {
                if let Some(store) = &factory.flushes {
                    owners.insert(Arc::clone(store), NodeIndex(at));
                }
                (Some((factory.make)(&flow.build)), factory.output)
            }
        };
        let name = Arc::clone(&node.name);
        flow.nodes.push(FlowNode { name, code, output, children: children.into(), stores: connected });
    }
    flow.flush_order = flush_order(&flow, &owners);
    Ok(flow)
}

/// Stores in the order of the nodes that were written first, as Kafka Streams registers them; a
/// cached store that an operator listens to is flushed by that operator. A processor of the user's
/// flushes where its first store stands, or its own place if it has none. Buffers come last: what a
/// cache gives when it is flushed may end in one.
fn flush_order(flow: &Flow, owners: &HashMap<Arc<str>, NodeIndex>) -> Vec<FlushStep> {
    let mut order = Vec::new();
    let mut buffers = Vec::new();
    let mut done = vec![false; flow.stores.len()];
    for (node, at) in flow.nodes.iter().zip(0..) {
        for (name, store) in &node.stores {
            if std::mem::replace(done.get_mut(*store).unwrap_or(&mut false), true) {
                continue;
            }
            if flow.stores.get(*store).is_some_and(|store| store.facts().kind == StoreKind::ChangeBuffer) {
                buffers.push(FlushStep::Store(*store));
                continue;
            }
            order.push(owners.get(name).map_or(FlushStep::Store(*store), |owner| FlushStep::Node(*owner)));
        }
        let is_owner = owners.values().any(|owner| *owner == NodeIndex(at));
        if node.code.is_some() && !is_owner {
            order.push(FlushStep::Node(NodeIndex(at)));
        }
    }
    order.extend(buffers);
    order
}
