//! Whom to ask what every broker knows.

use std::collections::BTreeSet;

use super::{Client, Lane, Node};

impl Client {
    /// A broker that can be asked anything: one that is connected, else any.
    pub(crate) fn any_node(&self) -> Node {
        let now_ms = self.now.mono_ms();
        let ranked = self.cluster.brokers().keys().filter_map(|id| {
            let node = Node::Broker(*id, Lane::CONTROL);
            let link = self.links.get(&node);
            let is_ready = link.is_some_and(|link| link.is_ready(now_ms));
            let failures = link.map_or(0, |link| link.failures);
            // A machine that is gone may swallow what is sent to it: those come first that are there for sure.
            let rank = (!self.is_there(*id), self.doubted.contains(id), !is_ready, failures);
            link.is_none_or(|link| link.is_willing(now_ms)).then_some((rank, node))
        });
        let best = ranked.min_by_key(|(rank, _)| *rank).map(|(_, node)| node);
        let waiting = || match self.options.rebootstrap_trigger_ms {
            // Those of `bootstrap.servers` are not to be asked once others are known.
            None => self.cluster.brokers().keys().next().map(|id| Node::Broker(*id, Lane::CONTROL)),
            Some(_) => None,
        };
        let bootstrap = || Node::Bootstrap(self.next_bootstrap % self.options.bootstrap.len().max(1));
        best.or_else(waiting).unwrap_or_else(bootstrap)
    }

    /// Whether there is a connection to this broker, on whichever lane.
    fn is_there(&self, id: i32) -> bool {
        let now_ms = self.now.mono_ms();
        let lanes = Node::Broker(id, Lane(0))..=Node::Broker(id, Lane(u32::MAX));
        self.links.range(lanes).any(|(_, link)| link.is_ready(now_ms))
    }

    /// What this broker told led nowhere: of those that are there, others are asked before it.
    pub(super) fn doubt(&mut self, node: Option<Node>) {
        let Some(Node::Broker(id, _)) = node else { return };
        self.doubted.insert(id);
        if self.cluster.brokers().keys().all(|id| self.doubted.contains(id)) {
            self.doubted = BTreeSet::from([id]);
        }
    }
}
