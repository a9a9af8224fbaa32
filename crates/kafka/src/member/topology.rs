//! A topology as heartbeats tell it. The broker compares all of it, orders too, with what the group was made with; so
//! it is told as Kafka Streams tells it.

use std::sync::Arc;

use millstream_log::{GroupTopology, InternalTopicFacts, SubtopologyFacts};

use crate::protocol::messages::streams_group_heartbeat::{
    CopartitionGroup, KeyValue, Subtopology, TopicInfo, Topology,
};

pub(super) fn topology(topology: &GroupTopology) -> Topology {
    let mut subtopologies: Vec<Subtopology> = topology.subtopologies.iter().map(subtopology).collect();
    // By name: "10" stands before "2".
    subtopologies.sort_by(|left, right| left.subtopology_id.cmp(&right.subtopology_id));
    Topology { epoch: 0, subtopologies }
}

fn subtopology(facts: &SubtopologyFacts) -> Subtopology {
    let source_topics = sorted(&facts.source_topics);
    let repartition_source_topics = topics(&facts.repartition_sources, |topic| topic.partitions.unwrap_or_default());
    let group = |group: &Vec<Arc<str>>| {
        let places = |find: &dyn Fn(&str) -> Option<usize>| {
            group.iter().filter_map(|topic| i16::try_from(find(topic)?).ok()).collect::<Vec<_>>()
        };
        CopartitionGroup {
            source_topics: places(&|topic| source_topics.iter().position(|other| *other == *topic)),
            source_topic_regex: Vec::new(),
            repartition_source_topics: places(&|topic| {
                repartition_source_topics.iter().position(|other| *other.name == *topic)
            }),
        }
    };
    Subtopology {
        subtopology_id: facts.id.to_string(),
        copartition_groups: facts.copartition_groups.iter().map(group).collect(),
        // The number of a changelog's partitions is the broker's to derive.
        state_changelog_topics: topics(&facts.changelogs, |_| 0),
        repartition_sink_topics: sorted(&facts.repartition_sinks),
        source_topic_regex: Vec::new(),
        source_topics,
        repartition_source_topics,
    }
}

fn sorted(names: &[Arc<str>]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.sort();
    names.dedup();
    names
}

fn topics(facts: &[InternalTopicFacts], partitions: impl Fn(&InternalTopicFacts) -> i32) -> Vec<TopicInfo> {
    let setting = |(key, value): &(String, String)| KeyValue { key: key.clone(), value: value.clone() };
    let topic = |facts: &InternalTopicFacts| TopicInfo {
        name: facts.name.to_string(),
        partitions: partitions(facts),
        replication_factor: facts.replication_factor,
        topic_configs: facts.configs.iter().map(setting).collect(),
    };
    let mut topics: Vec<TopicInfo> = facts.iter().map(topic).collect();
    topics.sort_by(|left, right| left.name.cmp(&right.name));
    topics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_order_and_copartitioned_topics_are_told_by_their_places() {
        let own = |name: &str, partitions| InternalTopicFacts {
            name: name.into(),
            partitions,
            replication_factor: -1,
            configs: vec![("cleanup.policy".to_owned(), "delete".to_owned())],
        };
        let facts = |id| SubtopologyFacts {
            id,
            source_topics: vec!["b".into(), "a".into(), "c".into()],
            repartition_sources: vec![own("y", Some(3)), own("x", None)],
            changelogs: vec![own("log", Some(9))],
            copartition_groups: vec![vec!["c".into(), "y".into(), "a".into()]],
            ..SubtopologyFacts::default()
        };
        let told = topology(&GroupTopology { subtopologies: vec![facts(2), facts(10)] });
        let ids: Vec<&str> = told.subtopologies.iter().map(|told| told.subtopology_id.as_str()).collect();
        assert_eq!(ids, ["10", "2"]);
        let told = &told.subtopologies[0];
        assert_eq!(told.source_topics, ["a", "b", "c"]);
        let repartitions: Vec<_> =
            told.repartition_source_topics.iter().map(|topic| (topic.name.as_str(), topic.partitions)).collect();
        assert_eq!(repartitions, [("x", 0), ("y", 3)]);
        assert_eq!(
            (told.state_changelog_topics[0].partitions, told.state_changelog_topics[0].replication_factor),
            (0, -1)
        );
        let group = &told.copartition_groups[0];
        assert_eq!(
            (group.source_topics.as_slice(), group.repartition_source_topics.as_slice()),
            (&[2, 0][..], &[1][..])
        );
    }
}
