//! Puts a wrapper around the processors of a topology.

use std::sync::Arc;

use super::facts::NodeKind;
use super::topology::{NodeCode, Topology};
use crate::flow::ProcessorWrapper;

impl Topology {
    /// Puts a wrapper around every processor that the topology has now, save those that keep global stores;
    /// sources and sinks are not wrapped. [`ProcessorWrapper`] has an example. A second wrapper goes around
    /// the first.
    ///
    /// In place of Kafka Streams' `processor.wrapper.class`, which names a class and must be known before the
    /// topology is written.
    pub fn wrap_processors(&mut self, wrapper: impl ProcessorWrapper) -> &mut Self {
        let wrapper: Arc<dyn ProcessorWrapper> = Arc::new(wrapper);
        let mut wrapped = Vec::new();
        for (node, code) in self.facts.nodes.iter().zip(&mut self.code) {
            let (NodeKind::Processor { .. }, NodeCode::Node(factory), false) = (&node.kind, code, node.is_global)
            else {
                continue;
            };
            factory.wrap(Arc::clone(&node.name), Arc::clone(&wrapper));
            wrapped.push(Arc::clone(&node.name));
        }
        for name in wrapped {
            self.connect_own_stores(&name, wrapper.stores(&name));
        }
        self
    }
}
