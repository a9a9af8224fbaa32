//! The plan of the topology in the terms of the runtime: which tasks read, write and restore what.

use std::sync::Arc;

use millstream_log::{InternalTopicFacts, SubtopologyFacts};
use millstream_topology::plan::{InternalTopic, InternalTopicDefaults, InternalTopicKind, PartitionPlan};
use millstream_types::config::OffsetReset;
use millstream_types::{TaskId, TopicPartition};

use crate::task::StoreChangelog;

/// One sub-topology that has tasks.
#[derive(Clone, Debug)]
pub(crate) struct Subtopology {
    pub(crate) id: i32,
    /// Its nodes, in the order they were written.
    pub(crate) nodes: Vec<Arc<str>>,
    /// Topics it reads, with the application id where they are internal.
    pub(crate) inputs: Vec<Input>,
    /// Changelogs of its stores; stores without one are left out.
    pub(crate) changelogs: Vec<StoreChangelog>,
    /// Topics its sinks write, as far as they are fixed.
    pub(crate) outputs: Vec<Arc<str>>,
    /// What the group must know of it.
    pub(crate) facts: SubtopologyFacts,
}

/// A topic that a sub-topology reads.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) topic: Arc<str>,
    /// Source node.
    pub(crate) source: Arc<str>,
    pub(crate) reset: Option<OffsetReset>,
    pub(crate) is_repartition: bool,
    /// Whether a pattern matches it.
    pub(crate) is_matched: bool,
    pub(crate) partitions: i32,
}

/// What the configuration says of internal topics.
#[derive(Clone, Debug)]
pub(crate) struct InternalTopicSettings {
    pub(crate) defaults: InternalTopicDefaults,
    /// -1 takes the broker's default.
    pub(crate) replication_factor: i16,
}

/// All sub-topologies that have tasks, ascending by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    pub(crate) subtopologies: Vec<Subtopology>,
    /// Whether topics that are created later may belong to it.
    pub(crate) has_patterns: bool,
}

impl Layout {
    /// The layout of a plan whose numbers of partitions are known.
    pub(crate) fn of_plan(partitions: &PartitionPlan, internal: &InternalTopicSettings) -> Self {
        let plan = partitions.plan();
        let subtopology = |planned: &millstream_topology::plan::Subtopology| {
            let sources = planned.sources.iter();
            let topics = sources.flat_map(|source| source.topics.iter().map(move |topic| (source, topic)));
            let input = |(source, topic): (&millstream_topology::plan::PlannedSource, &Arc<str>)| Input {
                topic: Arc::clone(topic),
                source: Arc::clone(&source.node),
                reset: source.reset,
                is_repartition: plan.is_repartition_topic(topic),
                is_matched: source.pattern.is_some(),
                partitions: partitions.partitions_of(topic).unwrap_or_default(),
            };
            let changelog = |store: &millstream_topology::plan::PlannedStore| {
                let changelog = store.changelog.as_ref()?;
                Some(StoreChangelog {
                    store: Arc::clone(&store.name),
                    topic: Arc::clone(&changelog.topic),
                    is_source: changelog.is_source,
                    // Known once the topic was asked for.
                    retention_ms: None,
                })
            };
            Subtopology {
                id: planned.id,
                nodes: planned.nodes.clone(),
                inputs: topics.map(input).collect(),
                changelogs: planned.stores_in_order.iter().filter_map(changelog).collect(),
                outputs: planned.sinks.iter().map(|sink| Arc::clone(&sink.topic)).collect(),
                facts: facts(planned, partitions, internal),
            }
        };
        let planned = plan.subtopologies().iter().filter(|planned| !planned.is_global);
        Self { subtopologies: planned.map(subtopology).collect(), has_patterns: plan.has_patterns() }
    }

    /// Whether a topic is read because a pattern matches it.
    pub(crate) fn is_matched(&self, topic: &str) -> bool {
        let mut inputs = self.subtopologies.iter().flat_map(|subtopology| &subtopology.inputs);
        inputs.any(|input| input.is_matched && *input.topic == *topic)
    }

    /// The user's topics that tasks read, sorted by name.
    pub(crate) fn external_topics(&self) -> Vec<Arc<str>> {
        let inputs = self.subtopologies.iter().flat_map(|subtopology| &subtopology.inputs);
        let mut topics: Vec<Arc<str>> =
            inputs.filter(|input| !input.is_repartition).map(|input| Arc::clone(&input.topic)).collect();
        topics.sort();
        topics.dedup();
        topics
    }

    /// Whether there is such a task, as far as topics are known.
    pub(crate) fn has(&self, task: TaskId) -> bool {
        self.of(task).is_some_and(|subtopology| task.partition < subtopology.facts.tasks)
    }

    /// The sub-topology of a task; `None` when the group knows another topology than we do.
    pub(crate) fn of(&self, task: TaskId) -> Option<&Subtopology> {
        self.subtopologies.iter().find(|subtopology| subtopology.id == task.subtopology)
    }
}

impl Subtopology {
    /// The input partitions of a task, with the topic's facts.
    pub(crate) fn partitions(&self, task: TaskId) -> impl Iterator<Item = (TopicPartition, &Input)> {
        let has_partition = move |input: &&Input| task.partition < input.partitions;
        self.inputs
            .iter()
            .filter(has_partition)
            .map(move |input| (TopicPartition::new(Arc::clone(&input.topic), task.partition), input))
    }
}

/// What the group must know of a sub-topology.
fn facts(
    planned: &millstream_topology::plan::Subtopology,
    partitions: &PartitionPlan,
    internal: &InternalTopicSettings,
) -> SubtopologyFacts {
    let plan = partitions.plan();
    let topic = |topic: InternalTopic| InternalTopicFacts {
        configs: topic.configs(&internal.defaults),
        partitions: plan.fixed_partitions(&topic.name),
        replication_factor: internal.replication_factor,
        name: topic.name,
    };
    let (own, external): (Vec<&Arc<str>>, Vec<&Arc<str>>) =
        planned.topics().partition(|topic| plan.is_repartition_topic(topic));
    let repartition =
        |name: &Arc<str>| topic(InternalTopic { name: Arc::clone(name), kind: InternalTopicKind::Repartition });
    let count = |topic: &Arc<str>| partitions.partitions_of(topic).unwrap_or_default();
    let matched = || planned.sources.iter().filter(|source| source.pattern.is_some()).flat_map(|source| &source.topics);
    let fixed = planned.topics().filter(|topic| matched().all(|other| other != *topic));
    let repartition_sinks = planned.sinks.iter().filter(|sink| sink.is_repartition);
    SubtopologyFacts {
        id: planned.id,
        tasks: partitions.tasks_of(planned.id),
        stateful: !planned.stores_in_order.is_empty(),
        source_topics: external.into_iter().cloned().collect(),
        matched_topics: matched().map(|topic| (Arc::clone(topic), count(topic))).collect(),
        fixed_tasks: fixed.map(count).max().unwrap_or_default(),
        repartition_sources: own.into_iter().map(repartition).collect(),
        repartition_sinks: repartition_sinks.map(|sink| Arc::clone(&sink.topic)).collect(),
        changelogs: plan.changelog_topics(planned.id).into_iter().map(topic).collect(),
        copartition_groups: plan.copartition_groups(planned.id),
    }
}
