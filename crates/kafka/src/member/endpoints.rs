//! Who has what, as heartbeats tell it.

use std::collections::BTreeMap;

use millstream_log::EndpointPartitions;
use millstream_types::TopicPartition;
use millstream_types::config::HostPort;

use crate::protocol::messages::streams_group_heartbeat::{
    EndpointToPartitions, RequestEndpoint, TopicPartition as TopicPartitions,
};

/// In a request.
pub(super) fn told(endpoint: &HostPort) -> RequestEndpoint {
    RequestEndpoint { host: endpoint.host.clone(), port: endpoint.port }
}

/// In a response, which has each member of a process for itself. It is made of what other members say.
pub(super) fn heard(told: Vec<EndpointToPartitions>) -> Vec<EndpointPartitions> {
    let mut by_endpoint: BTreeMap<HostPort, (Vec<TopicPartition>, Vec<TopicPartition>)> = BTreeMap::new();
    for member in told {
        let endpoint = HostPort { host: member.user_endpoint.host, port: member.user_endpoint.port };
        let (active, standby) = by_endpoint.entry(endpoint).or_default();
        active.extend(partitions(&member.active_partitions));
        standby.extend(partitions(&member.standby_partitions));
    }
    let sorted = |mut partitions: Vec<TopicPartition>| {
        partitions.sort();
        partitions.dedup();
        partitions
    };
    let endpoint = |(endpoint, (active, standby))| EndpointPartitions {
        endpoint,
        active: sorted(active),
        standby: sorted(standby),
    };
    by_endpoint.into_iter().map(endpoint).collect()
}

fn partitions(told: &[TopicPartitions]) -> impl Iterator<Item = TopicPartition> {
    told.iter().flat_map(|topic| {
        let numbers = topic.partitions.iter().filter(|partition| **partition >= 0);
        numbers.map(|partition| TopicPartition::new(topic.topic.as_str(), *partition))
    })
}
