//! Which instance has which state: for questions that one instance asks another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millstream_log::EndpointPartitions;
use millstream_topology::graph::{NodeFacts, NodeKind, TopicPattern, TopologyFacts};
use millstream_types::config::HostPort;
use millstream_types::{Error, ErrorKind, Partition, Result, Serde, TopicPartition, partition_for_key};

use super::Streams;

/// What an instance has: Kafka Streams' `StreamsMetadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamsMetadata {
    /// Its `application.server`.
    pub host: HostPort,
    /// Stores of its active tasks, and global stores.
    pub state_store_names: BTreeSet<Arc<str>>,
    /// Source partitions of its active tasks, internal topics among them.
    pub topic_partitions: BTreeSet<TopicPartition>,
    /// Stores of its standby tasks.
    pub standby_state_store_names: BTreeSet<Arc<str>>,
    /// Source partitions of its standby tasks.
    pub standby_topic_partitions: BTreeSet<TopicPartition>,
}

/// Where a key is: Kafka Streams' `KeyQueryMetadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyQueryMetadata {
    /// Who has the key's active task.
    pub active_host: HostPort,
    /// Who has a copy.
    pub standby_hosts: BTreeSet<HostPort>,
    /// The key's partition; `None` in a global store, which every instance has whole.
    pub partition: Option<i32>,
}

impl Streams {
    /// What each instance of the application has that gives an `application.server`, by host. As the brokers
    /// know it (`group.protocol=streams`); on the embedded log nothing, since all instances are in this process.
    pub fn metadata_for_all_streams_clients(&self) -> Vec<StreamsMetadata> {
        let shared = self.supervisor.instance.shared();
        let endpoints = shared.endpoints.read();
        endpoints
            .iter()
            .map(|endpoint| Places::of(shared.topology.facts(), &shared.application_id).metadata(endpoint))
            .collect()
    }

    /// The instances that have the store or a copy of it.
    pub fn streams_metadata_for_store(&self, store: &str) -> Vec<StreamsMetadata> {
        let mut all = self.metadata_for_all_streams_clients();
        all.retain(|host| host.state_store_names.contains(store) || host.standby_state_store_names.contains(store));
        all
    }

    /// Which instance has the key, for records that are partitioned by Kafka's own rule. `None` while it is not
    /// known, and for a store that there is not.
    ///
    /// # Errors
    /// `Production` when the key cannot be serialised.
    pub fn query_metadata_for_key<K>(
        &self,
        store: &str,
        key: &K,
        serde: &Serde<K>,
    ) -> Result<Option<KeyQueryMetadata>> {
        let mut bytes = Vec::new();
        serde.encode(key, &mut bytes).map_err(|error| {
            let message = format!("the key to look for in store {store} cannot be serialised");
            Error::new(ErrorKind::Production, message).with_source(error)
        })?;
        Ok(self.query_metadata_for_partition(store, |count| partition_for_key(&bytes, count)))
    }

    /// As [`query_metadata_for_key`](Self::query_metadata_for_key) for a key whose partition, of so many, follows
    /// from a rule of one's own.
    pub fn query_metadata_for_partition(
        &self,
        store: &str,
        partition: impl FnOnce(i32) -> i32,
    ) -> Option<KeyQueryMetadata> {
        let shared = self.supervisor.instance.shared();
        let endpoints = shared.endpoints.read();
        let places = Places::of(shared.topology.facts(), &shared.application_id);
        if places.global.contains(store) {
            let own = shared.config.application_server();
            let active_host = own.or_else(|| endpoints.first().map(|endpoint| &endpoint.endpoint))?.clone();
            return Some(KeyQueryMetadata { active_host, standby_hosts: BTreeSet::new(), partition: None });
        }
        places.host_of(store, &endpoints, partition)
    }
}

/// Which topics the stores of a topology come from.
struct Places {
    sources: BTreeMap<Arc<str>, Vec<Origin>>,
    global: BTreeSet<Arc<str>>,
}

enum Origin {
    Topic(Arc<str>),
    Pattern(TopicPattern),
}

impl Origin {
    fn has(&self, partition: &TopicPartition) -> bool {
        match self {
            Self::Topic(topic) => *topic == partition.topic,
            Self::Pattern(pattern) => pattern.matches(&partition.topic),
        }
    }
}

impl Places {
    fn of(facts: &TopologyFacts, application_id: &str) -> Self {
        let mut places = Self { sources: BTreeMap::new(), global: BTreeSet::new() };
        for node in &facts.nodes {
            let NodeKind::Processor { stores } = &node.kind else { continue };
            for store in stores {
                if node.is_global {
                    places.global.insert(Arc::clone(store));
                } else {
                    places.sources.entry(Arc::clone(store)).or_default().extend(origins(facts, node, application_id));
                }
            }
        }
        places
    }

    fn stores(&self, partitions: &[TopicPartition]) -> BTreeSet<Arc<str>> {
        let is_there = |origins: &[Origin]| partitions.iter().any(|at| origins.iter().any(|origin| origin.has(at)));
        self.sources.iter().filter(|(_, origins)| is_there(origins)).map(|(store, _)| Arc::clone(store)).collect()
    }

    fn metadata(&self, endpoint: &EndpointPartitions) -> StreamsMetadata {
        let mut state_store_names = self.stores(&endpoint.active);
        state_store_names.extend(self.global.iter().cloned());
        StreamsMetadata {
            host: endpoint.endpoint.clone(),
            state_store_names,
            topic_partitions: endpoint.active.iter().cloned().collect(),
            standby_state_store_names: self.stores(&endpoint.standby),
            standby_topic_partitions: endpoint.standby.iter().cloned().collect(),
        }
    }

    fn host_of(
        &self,
        store: &str,
        endpoints: &[EndpointPartitions],
        partition: impl FnOnce(i32) -> i32,
    ) -> Option<KeyQueryMetadata> {
        let origins = self.sources.get(store)?;
        let is_origin = |at: &&TopicPartition| origins.iter().any(|origin| origin.has(at));
        let all = endpoints.iter().flat_map(|endpoint| endpoint.active.iter().chain(&endpoint.standby));
        let count = all.filter(is_origin).map(|at| at.partition.0.saturating_add(1)).max()?;
        let partition = Partition(partition(count));
        let has = |held: &[TopicPartition]| held.iter().any(|at| at.partition == partition && is_origin(&at));
        let active = endpoints.iter().find(|endpoint| has(&endpoint.active))?;
        let standby = endpoints.iter().filter(|endpoint| has(&endpoint.standby));
        Some(KeyQueryMetadata {
            active_host: active.endpoint.clone(),
            standby_hosts: standby.map(|endpoint| endpoint.endpoint.clone()).collect(),
            partition: Some(partition.0),
        })
    }
}

/// What the sources above a node read.
fn origins(facts: &TopologyFacts, node: &NodeFacts, application_id: &str) -> Vec<Origin> {
    let mut above: Vec<&NodeFacts> = vec![node];
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    while let Some(node) = above.pop() {
        if !seen.insert(&node.name) {
            continue;
        }
        if let NodeKind::Source(source) = &node.kind {
            found.extend(source.topics.iter().map(|topic| {
                let is_own = facts.is_repartition_topic(topic);
                Origin::Topic(if is_own { format!("{application_id}-{topic}").into() } else { Arc::clone(topic) })
            }));
            let pattern = source.pattern.as_deref().and_then(|text| TopicPattern::parse(text).ok());
            found.extend(pattern.map(Origin::Pattern));
        }
        above.extend(node.parents.iter().filter_map(|name| facts.nodes.iter().find(|node| node.name == *name)));
    }
    found
}

#[cfg(test)]
mod tests {
    use millstream_topology::{Grouped, Materialized, StreamsBuilder};

    use super::*;

    fn host(port: u16) -> HostPort {
        HostPort { host: "h".to_owned(), port }
    }

    fn endpoint(port: u16, active: &[(&str, i32)], standby: &[(&str, i32)]) -> EndpointPartitions {
        let partitions =
            |list: &[(&str, i32)]| list.iter().map(|(topic, at)| TopicPartition::new(*topic, *at)).collect();
        EndpointPartitions { endpoint: host(port), active: partitions(active), standby: partitions(standby) }
    }

    fn places() -> Places {
        let builder = StreamsBuilder::new();
        let words = builder.stream::<String, String>("words");
        words.group_by_key().count_with(Materialized::named("raw"));
        words
            .select_key(|_, word| word.clone())
            .group_by_key_with(Grouped::named("by-word"))
            .count_with(Materialized::named("counts"));
        Places::of(builder.build().unwrap().facts(), "app")
    }

    #[test]
    fn a_store_is_where_the_topics_above_it_are_read() {
        let repartition = "app-by-word-repartition";
        let metadata = places().metadata(&endpoint(1, &[(repartition, 0)], &[("words", 1)]));
        assert_eq!(metadata.state_store_names, ["counts".into()].into());
        assert_eq!(metadata.standby_state_store_names, ["raw".into()].into());
        assert_eq!(metadata.topic_partitions, [TopicPartition::new(repartition, 0)].into());
    }

    #[test]
    fn a_key_is_with_the_active_task_of_its_partition_and_with_its_copies() {
        let endpoints = [endpoint(1, &[("words", 0)], &[("words", 1)]), endpoint(2, &[("words", 1)], &[("words", 0)])];
        let found = places().host_of("raw", &endpoints, |count| count - 1).unwrap();
        let expected = KeyQueryMetadata { active_host: host(2), standby_hosts: [host(1)].into(), partition: Some(1) };
        assert_eq!(found, expected);
        assert_eq!(places().host_of("counts", &endpoints, |_| 0), None, "nobody reads its topic");
        assert_eq!(places().host_of("other", &endpoints, |_| 0), None);
    }

    #[test]
    fn a_partition_that_no_topic_has_is_no_reason_to_stop() {
        for partition in [i32::MAX, -1, i32::MIN] {
            let endpoints = [endpoint(1, &[("words", partition)], &[])];
            assert_eq!(places().host_of("raw", &endpoints, |count| partition_for_key(b"key", count)), None);
        }
    }
}
