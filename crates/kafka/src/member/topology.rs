//! A topology as heartbeats tell it. The broker compares it byte by byte with what the group was made with.

use std::sync::Arc;

use millstream_log::{GroupTopology, SubtopologyFacts};

use crate::protocol::messages::streams_group_heartbeat::{Subtopology, TopicInfo, Topology};

pub(super) fn topology(topology: &GroupTopology) -> Topology {
    Topology { epoch: 0, subtopologies: topology.subtopologies.iter().map(subtopology).collect() }
}

fn subtopology(facts: &SubtopologyFacts) -> Subtopology {
    let sorted = |names: &[Arc<str>]| {
        let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
        names.sort();
        names
    };
    let topic = |(name, partitions): (&Arc<str>, i32)| TopicInfo {
        name: name.to_string(),
        partitions,
        replication_factor: 0,
        topic_configs: Vec::new(),
    };
    let mut repartitions: Vec<TopicInfo> =
        facts.repartition_sources.iter().map(|(name, partitions)| topic((name, *partitions))).collect();
    // The number of a changelog's partitions is the broker's to derive.
    let mut changelogs: Vec<TopicInfo> = facts.changelogs.iter().map(|name| topic((name, 0))).collect();
    repartitions.sort_by(|left, right| left.name.cmp(&right.name));
    changelogs.sort_by(|left, right| left.name.cmp(&right.name));
    Subtopology {
        subtopology_id: facts.id.to_string(),
        source_topics: sorted(&facts.source_topics),
        source_topic_regex: Vec::new(),
        state_changelog_topics: changelogs,
        repartition_sink_topics: sorted(&facts.repartition_sinks),
        repartition_source_topics: repartitions,
        copartition_groups: Vec::new(),
    }
}
