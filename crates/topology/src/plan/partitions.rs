//! A plan with numbers: partitions of topics, tasks of sub-topologies, what each task reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_types::{Error, ErrorKind, Result, TaskId, TopicPartition};

use super::internal_topic::{InternalTopic, InternalTopicDefaults, InternalTopicKind, NewInternalTopic};
use super::{Plan, Subtopology, copartition};

/// How many partitions and tasks there are. Made by [`Plan::partitions`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionPlan {
    plan: Plan,
    /// Partitions of all source topics.
    counts: BTreeMap<Arc<str>, i32>,
}

/// An input partition of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputPartition {
    /// Name of the source node that reads it.
    pub source: Arc<str>,
    /// The partition.
    pub partition: TopicPartition,
}

/// The changelog partition of a task's store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangelogPartition {
    /// Name of the store.
    pub store: Arc<str>,
    /// The partition.
    pub partition: TopicPartition,
    /// Whether it is an input partition that serves as changelog.
    pub is_source: bool,
}

impl Plan {
    /// Adds numbers: `external` gives the partitions of a topic of the user's, `None` if it does
    /// not exist. Repartition topics take the number the user fixed, or the largest of the topics
    /// upstream of them, or that of the topics they are joined with.
    ///
    /// # Errors
    /// `Configuration` when source topics are missing, all of them named; `Topology` when topics
    /// that are joined have different numbers of partitions, or a repartition topic's number cannot
    /// be found out.
    pub fn partitions(&self, external: &dyn Fn(&str) -> Option<i32>) -> Result<PartitionPlan> {
        let mut counts = self.external_counts(external)?;
        self.derive_counts(&mut counts)?;
        let mut problems = Vec::new();
        copartition::enforce(self, &mut counts, &mut problems);
        if !problems.is_empty() {
            return Err(Error::new(ErrorKind::Topology, problems.join("\n")));
        }
        Ok(PartitionPlan { plan: self.clone(), counts })
    }

    fn external_counts(&self, external: &dyn Fn(&str) -> Option<i32>) -> Result<BTreeMap<Arc<str>, i32>> {
        let mut counts = BTreeMap::new();
        let mut missing: Vec<String> = Vec::new();
        for topic in self.external_topics() {
            match external(&topic).filter(|count| *count > 0) {
                Some(count) => {
                    counts.insert(topic, count);
                }
                None => missing.push(match self.subtopology_of_topic(&topic) {
                    Some(subtopology) if subtopology.is_global => format!("{topic} (of a global store)"),
                    Some(subtopology) => format!("{topic} (of sub-topology {})", subtopology.id),
                    None => topic.to_string(),
                }),
            }
        }
        if missing.is_empty() {
            return Ok(counts);
        }
        let text =
            format!("source topics do not exist; create them before the application starts: {}", missing.join(", "));
        Err(Error::new(ErrorKind::Configuration, text))
    }

    /// Numbers of repartition topics. A topic whose upstream topics are all known comes first; in a
    /// loop of topics what is known has to do.
    fn derive_counts(&self, counts: &mut BTreeMap<Arc<str>, i32>) -> Result<()> {
        for (topic, fixed) in &self.repartition_topics {
            if let Some(partitions) = fixed {
                counts.insert(Arc::clone(topic), *partitions);
            }
        }
        loop {
            let open: Vec<&Arc<str>> = self
                .repartition_topics
                .keys()
                .filter(|topic| self.is_read(topic) && !counts.contains_key(*topic))
                .collect();
            if open.is_empty() {
                return Ok(());
            }
            let known = |is_partial: bool| {
                open.iter()
                    .find_map(|topic| Some((Arc::clone(topic), self.largest_upstream(topic, counts, is_partial)?)))
            };
            let Some((topic, partitions)) = known(false).or_else(|| known(true)) else {
                let open: Vec<&str> = open.iter().map(|topic| &***topic).collect();
                let text = format!(
                    "the number of partitions of {} cannot be found out: nothing with a known number of partitions \
                     writes there; give the number to repartition()",
                    open.join(", ")
                );
                return Err(Error::new(ErrorKind::Topology, text));
            };
            counts.insert(topic, partitions);
        }
    }

    fn is_read(&self, topic: &str) -> bool {
        self.subtopology_of_topic(topic).is_some()
    }

    /// The largest number among the topics read by the sub-topologies that write `topic`.
    fn largest_upstream(&self, topic: &str, counts: &BTreeMap<Arc<str>, i32>, is_partial: bool) -> Option<i32> {
        let writes = |subtopology: &&Subtopology| subtopology.sinks.iter().any(|sink| *sink.topic == *topic);
        let upstream: Vec<Option<i32>> = self
            .subtopologies
            .iter()
            .filter(writes)
            .flat_map(Subtopology::topics)
            .map(|topic| counts.get(topic).copied())
            .collect();
        if !is_partial && upstream.iter().any(Option::is_none) {
            return None;
        }
        upstream.into_iter().flatten().max()
    }
}

impl PartitionPlan {
    /// The plan behind it.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Partitions of a source topic or repartition topic.
    pub fn partitions_of(&self, topic: &str) -> Option<i32> {
        self.counts.get(topic).copied()
    }

    /// Number of tasks of a sub-topology: the largest number of partitions among its topics, 0 for
    /// global stores.
    pub fn tasks_of(&self, subtopology: i32) -> i32 {
        let counts =
            |subtopology: &Subtopology| subtopology.topics().filter_map(|topic| self.partitions_of(topic)).max();
        self.plan
            .subtopology(subtopology)
            .filter(|subtopology| !subtopology.is_global)
            .and_then(counts)
            .unwrap_or_default()
    }

    /// All tasks, by sub-topology and partition.
    pub fn tasks(&self) -> Vec<TaskId> {
        let ids = self.plan.subtopologies().iter().map(|subtopology| subtopology.id);
        ids.flat_map(|subtopology| {
            (0..self.tasks_of(subtopology)).map(move |partition| TaskId { subtopology, partition })
        })
        .collect()
    }

    /// What a task reads: the partition of its number of each topic that has one, source by source.
    pub fn inputs(&self, task: TaskId) -> Vec<InputPartition> {
        let Some(subtopology) = self.plan.subtopology(task.subtopology).filter(|found| !found.is_global) else {
            return Vec::new();
        };
        let sources = subtopology.sources.iter();
        let topics = sources.flat_map(|source| source.topics.iter().map(move |topic| (source, topic)));
        topics
            .filter(|(_, topic)| self.partitions_of(topic).is_some_and(|count| task.partition < count))
            .map(|(source, topic)| InputPartition {
                source: Arc::clone(&source.node),
                partition: TopicPartition::new(Arc::clone(topic), task.partition),
            })
            .collect()
    }

    /// Where the stores of a task keep their changes, in the order of its stores. Stores without
    /// changelog are left out.
    pub fn changelogs(&self, task: TaskId) -> Vec<ChangelogPartition> {
        let subtopology = self.plan.subtopology(task.subtopology);
        let stores = subtopology.into_iter().flat_map(|subtopology| &subtopology.stores_in_order);
        let of_store = |store: &super::PlannedStore| {
            let changelog = store.changelog.as_ref()?;
            Some(ChangelogPartition {
                store: Arc::clone(&store.name),
                partition: TopicPartition::new(Arc::clone(&changelog.topic), task.partition),
                is_source: changelog.is_source,
            })
        };
        stores.filter_map(of_store).collect()
    }

    /// The topics to create, repartition topics first, each sorted by name. A changelog has as many
    /// partitions as its sub-topology has tasks.
    pub fn internal_topics(&self, defaults: &InternalTopicDefaults) -> Vec<NewInternalTopic> {
        let mut topics: Vec<(InternalTopic, i32)> = Vec::new();
        for name in self.plan.repartition_topics() {
            let topic = InternalTopic { name: Arc::clone(name), kind: InternalTopicKind::Repartition };
            topics.extend(self.partitions_of(name).map(|partitions| (topic, partitions)));
        }
        let mut changelogs: Vec<(InternalTopic, i32)> = Vec::new();
        for subtopology in self.plan.subtopologies() {
            let partitions = self.tasks_of(subtopology.id);
            for store in &subtopology.stores_in_order {
                let (Some(changelog), Some(facts)) = (&store.changelog, &store.facts) else { continue };
                if changelog.is_source || partitions == 0 {
                    continue;
                }
                let kind = InternalTopicKind::Changelog(facts.clone());
                changelogs.push((InternalTopic { name: Arc::clone(&changelog.topic), kind }, partitions));
            }
        }
        changelogs.sort_by(|left, right| left.0.name.cmp(&right.0.name));
        topics.extend(changelogs);
        let new = |(topic, partitions): (InternalTopic, i32)| NewInternalTopic {
            configs: topic.configs(defaults),
            name: topic.name,
            partitions,
        };
        topics.into_iter().map(new).collect()
    }
}
