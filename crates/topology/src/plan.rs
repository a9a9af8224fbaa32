//! The plan: what a topology needs from the log and how it is cut into tasks.
//!
//! Pure: [`Plan::of`] reads the graph's facts, [`Plan::partitions`] adds what the log knows of the
//! input topics, and the runtime creates topics and tasks from the result.
//!
//! ```
//! use millstream_topology::graph::{NodeFacts, NodeKind, SourceFacts, TopologyFacts};
//! use millstream_topology::plan::Plan;
//! use millstream_types::TaskId;
//!
//! let source = SourceFacts { topics: vec!["words".into()], pattern: None, reset: None };
//! let facts = TopologyFacts {
//!     nodes: vec![NodeFacts {
//!         name: "in".into(),
//!         kind: NodeKind::Source(source),
//!         parents: vec![],
//!         is_global: false,
//!     }],
//!     ..TopologyFacts::default()
//! };
//! let plan = Plan::of(&facts, "app");
//! let partitions = plan.partitions(&|topic| (topic == "words").then_some(3))?;
//!
//! assert_eq!(partitions.tasks_of(0), 3);
//! let input = partitions.inputs(TaskId { subtopology: 0, partition: 2 });
//! assert_eq!(input[0].partition.to_string(), "words-2");
//! # Ok::<(), millstream_types::Error>(())
//! ```

mod copartition;
mod internal_topic;
mod partitions;
mod subtopology;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use internal_topic::{InternalTopic, InternalTopicDefaults, InternalTopicKind, NewInternalTopic};
pub use partitions::{ChangelogPartition, InputPartition, PartitionPlan};
pub use subtopology::{Changelog, GlobalStorePlan, PlannedSink, PlannedSource, PlannedStore, Subtopology};

use millstream_types::{Error, ErrorKind, Result};

use crate::graph::{NodeKind, SinkTopic, SourceFacts, TopicPattern, TopologyFacts, node_groups, set_order};

/// What a topology needs from the log: sub-topologies with their topics and stores. All topic
/// names are the log's, with the application id in front of internal ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    application_id: Arc<str>,
    subtopologies: Vec<Subtopology>,
    /// All sub-topologies' repartition topics by name, with the number the user fixed.
    repartition_topics: BTreeMap<Arc<str>, Option<i32>>,
    /// Groups of sources whose topics must have equally many partitions.
    copartitioned_sources: Vec<Vec<Arc<str>>>,
    /// Groups of such topics. No topic is in two of them.
    copartitioned: Vec<Vec<Arc<str>>>,
}

impl Plan {
    /// The plan of a topology for an application. The facts should be without
    /// [problems](TopologyFacts::problems); what does not exist is left out.
    pub fn of(facts: &TopologyFacts, application_id: &str) -> Self {
        let names = Names { facts, application_id };
        let groups = node_groups(facts);
        let subtopologies = groups.iter().zip(0..).map(|(group, id)| names.subtopology(group, id)).collect();
        let repartition_topics =
            facts.repartition_topics.iter().map(|topic| (names.internal(&topic.name), topic.partitions)).collect();
        let mut plan = Self {
            application_id: application_id.into(),
            subtopologies,
            repartition_topics,
            copartitioned_sources: facts.copartitioned.clone(),
            copartitioned: Vec::new(),
        };
        plan.group_copartitioned();
        plan
    }

    /// Whether a source reads the topics that match a regular expression.
    pub fn has_patterns(&self) -> bool {
        self.sources().any(|source| source.pattern.is_some())
    }

    /// The plan with the topics that patterns stand for at the moment, of those that exist in the
    /// log. Without this a pattern source has no topics. The application's internal topics and those
    /// of the log itself (`__...`) match no pattern.
    ///
    /// # Errors
    /// `Topology` for patterns that are none, and when a topic matches the patterns of two sources.
    pub fn with_matched_topics(mut self, existing: &[Arc<str>]) -> Result<Self> {
        let is_own = |topic: &Arc<str>| self.is_repartition_topic(topic) || self.is_changelog(topic);
        let open: Vec<&Arc<str>> = existing.iter().filter(|topic| !topic.starts_with("__") && !is_own(topic)).collect();
        let mut matched: BTreeMap<Arc<str>, Vec<Arc<str>>> = BTreeMap::new();
        let mut readers: BTreeMap<&Arc<str>, &Arc<str>> = BTreeMap::new();
        for source in self.sources() {
            let Some(text) = &source.pattern else { continue };
            let pattern = TopicPattern::parse(text)?;
            let topics: Vec<&Arc<str>> = open.iter().copied().filter(|topic| pattern.matches(topic)).collect();
            for topic in &topics {
                if let Some(other) = readers.insert(topic, &source.node) {
                    let message = format!(
                        "topic {topic} matches the patterns of two sources, {other} and {}; make one narrower",
                        source.node
                    );
                    return Err(Error::new(ErrorKind::Topology, message));
                }
            }
            let topics = topics.into_iter().cloned().collect();
            matched.insert(Arc::clone(&source.node), topics);
        }
        for source in self.subtopologies.iter_mut().flat_map(|subtopology| &mut subtopology.sources) {
            if let Some(topics) = matched.remove(&source.node) {
                source.topics = topics;
            }
        }
        self.group_copartitioned();
        Ok(self)
    }

    fn group_copartitioned(&mut self) {
        self.copartitioned = copartition::merged(self.copartitioned_topics());
    }

    /// Topics of each group of sources whose topics must have equally many partitions.
    fn copartitioned_topics(&self) -> impl Iterator<Item = Vec<Arc<str>>> {
        self.copartitioned_sources.iter().map(|group| {
            let sources = group.iter().filter_map(|node| self.sources().find(|source| source.node == *node));
            sources.flat_map(|source| source.topics.iter().cloned()).collect()
        })
    }

    /// Groups of topics of a sub-topology that must have equally many partitions, as Kafka Streams tells them to
    /// brokers (KIP-1071), in its order.
    pub fn copartition_groups(&self, subtopology: i32) -> Vec<Vec<Arc<str>>> {
        let Some(subtopology) = self.subtopology(subtopology) else { return Vec::new() };
        let is_within = |group: &Vec<Arc<str>>| group.iter().all(|topic| subtopology.topics().any(|own| own == topic));
        copartition::as_told(self.copartitioned_topics()).into_iter().filter(is_within).collect()
    }

    /// The changelogs of a sub-topology's stores, input topics that serve as one among them, each once.
    pub fn changelog_topics(&self, subtopology: i32) -> Vec<InternalTopic> {
        let mut topics: Vec<InternalTopic> = Vec::new();
        for store in self.subtopology(subtopology).into_iter().flat_map(|subtopology| &subtopology.stores_in_order) {
            let (Some(changelog), Some(facts)) = (&store.changelog, &store.facts) else { continue };
            if topics.iter().all(|known| known.name != changelog.topic) {
                let kind = InternalTopicKind::Changelog(facts.clone());
                topics.push(InternalTopic { name: Arc::clone(&changelog.topic), kind });
            }
        }
        topics
    }

    /// The number of partitions that the user fixed for a repartition topic.
    pub fn fixed_partitions(&self, topic: &str) -> Option<i32> {
        self.repartition_topics.get(topic).copied().flatten()
    }

    /// Sources of all sub-topologies that have tasks.
    fn sources(&self) -> impl Iterator<Item = &PlannedSource> {
        self.subtopologies.iter().filter(|subtopology| !subtopology.is_global).flat_map(|known| &known.sources)
    }

    fn is_changelog(&self, topic: &str) -> bool {
        let stores = self.subtopologies.iter().flat_map(|subtopology| &subtopology.stores_in_order);
        let mut changelogs = stores.filter_map(|store| store.changelog.as_ref());
        changelogs.any(|changelog| !changelog.is_source && *changelog.topic == *topic)
    }

    /// The application.
    pub fn application_id(&self) -> &Arc<str> {
        &self.application_id
    }

    /// All sub-topologies by number, global stores included (they get no tasks).
    pub fn subtopologies(&self) -> &[Subtopology] {
        &self.subtopologies
    }

    /// The sub-topology of that number.
    pub fn subtopology(&self, id: i32) -> Option<&Subtopology> {
        self.subtopologies.get(usize::try_from(id).ok()?)
    }

    /// The global stores with the topics that feed them.
    pub fn global_stores(&self) -> impl Iterator<Item = GlobalStorePlan> {
        self.subtopologies.iter().filter_map(Subtopology::global_store)
    }

    /// Whether that is one of the repartition topics: those are emptied up to the committed offset.
    pub fn is_repartition_topic(&self, topic: &str) -> bool {
        self.repartition_topics.contains_key(topic)
    }

    /// The repartition topics, sorted by name.
    pub fn repartition_topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.repartition_topics.keys()
    }

    /// The user's topics that must exist, sorted by name: inputs and those that feed global stores.
    pub fn external_topics(&self) -> Vec<Arc<str>> {
        let topics = self.subtopologies.iter().flat_map(Subtopology::topics);
        let mut topics: Vec<_> = topics.filter(|topic| !self.is_repartition_topic(topic)).cloned().collect();
        topics.sort();
        topics.dedup();
        topics
    }

    /// The sub-topology that a source topic belongs to.
    pub fn subtopology_of_topic(&self, topic: &str) -> Option<&Subtopology> {
        self.subtopologies.iter().find(|subtopology| subtopology.topics().any(|other| **other == *topic))
    }
}

/// From names in the facts to names in the log.
struct Names<'a> {
    facts: &'a TopologyFacts,
    application_id: &'a str,
}

impl Names<'_> {
    fn internal(&self, topic: &str) -> Arc<str> {
        format!("{}-{topic}", self.application_id).into()
    }

    fn topic(&self, topic: &Arc<str>) -> Arc<str> {
        if self.facts.is_repartition_topic(topic) { self.internal(topic) } else { Arc::clone(topic) }
    }

    fn subtopology(&self, group: &[usize], id: i32) -> Subtopology {
        let mut plan = Subtopology { id, ..Subtopology::default() };
        for node in group.iter().filter_map(|at| self.facts.nodes.get(*at)) {
            plan.nodes.push(Arc::clone(&node.name));
            plan.is_global |= node.is_global;
            match &node.kind {
                NodeKind::Source(source) => plan.sources.push(self.source(&node.name, source)),
                NodeKind::Sink { topic: SinkTopic::Fixed(topic) } => {
                    let is_repartition = self.facts.is_repartition_topic(topic);
                    plan.sinks.push(PlannedSink {
                        node: Arc::clone(&node.name),
                        topic: self.topic(topic),
                        is_repartition,
                    });
                }
                NodeKind::Sink { topic: SinkTopic::Extracted(_) } => {}
                NodeKind::Processor { stores } => {
                    for store in set_order(stores.iter().map(|store| &**store)) {
                        if plan.stores_in_order.iter().all(|known| *known.name != *store) {
                            plan.stores_in_order.push(self.store(store, node.is_global));
                        }
                    }
                }
            }
        }
        plan
    }

    fn source(&self, node: &Arc<str>, source: &SourceFacts) -> PlannedSource {
        PlannedSource {
            node: Arc::clone(node),
            topics: source.topics.iter().map(|topic| self.topic(topic)).collect(),
            pattern: source.pattern.clone(),
            reset: source.reset,
        }
    }

    /// A global store has its source topic as changelog, whatever its facts say of logging.
    fn store(&self, name: &str, is_global: bool) -> PlannedStore {
        let facts = self.facts.store(name).cloned();
        let source = self.facts.source_changelogs.iter().find(|(store, _)| **store == *name);
        let changelog = match (source, &facts) {
            _ if is_global => None,
            (Some((_, topic)), _) => Some(Changelog { topic: self.topic(topic), is_source: true }),
            (None, Some(facts)) if facts.is_logged => {
                Some(Changelog { topic: self.internal(&format!("{name}-changelog")), is_source: false })
            }
            _ => None,
        };
        PlannedStore { name: name.into(), facts, changelog }
    }
}

#[cfg(test)]
mod tests;
