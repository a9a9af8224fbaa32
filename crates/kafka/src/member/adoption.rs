//! Joining a group that was made with fewer topics than a pattern matches now.
//!
//! Brokers take no patterns for source topics (Kafka 4.3), and a group keeps the names of topics that it was made with.
//! A topic that appeared since and has no more partitions than the others makes no tasks of its own: those that there
//! are read it, and the group need not know. Its members join with the topics that it was made with.

use std::convert::identity;
use std::sync::Arc;

use millstream_log::{GroupTopology, MemberConfig, SubtopologyFacts};

use crate::client::Client;
use crate::group::describe;
use crate::protocol::ErrorCode;
use crate::protocol::messages::streams_group_describe::{StreamsGroupDescribeRequest, Subtopology, Topology};
use crate::tries::Tries;

/// The question what the group was made with, after it has refused a topology.
pub(super) struct Adoption {
    describe: Tries<StreamsGroupDescribeRequest>,
    /// What it answered.
    pub(super) code: ErrorCode,
    pub(super) detail: Option<String>,
}

impl Adoption {
    pub(super) fn new(code: ErrorCode, detail: Option<String>) -> Self {
        Self { describe: Tries::default(), code, detail }
    }

    /// The topology to join with, once it is known.
    ///
    /// # Errors
    /// Why there is none: what differs is more than topics that a pattern matches.
    pub(super) fn turn(
        &mut self,
        client: &mut Client,
        config: &MemberConfig,
        topology: &GroupTopology,
    ) -> Option<Result<GroupTopology, String>> {
        let groups = describe(&mut self.describe, client, &config.group, identity)?;
        let groups = match groups {
            Ok(groups) => groups,
            Err(failure) => return Some(Err(failure.to_string())),
        };
        let known = groups.into_iter().find_map(|group| group.topology);
        Some(known.ok_or_else(|| "the group has no topology".to_owned()).and_then(|known| adopted(topology, &known)))
    }

    pub(super) fn due_ms(&self) -> i64 {
        self.describe.due_ms()
    }
}

/// Our topology with the source topics of the group's.
fn adopted(ours: &GroupTopology, known: &Topology) -> Result<GroupTopology, String> {
    let known = known.subtopologies.as_deref().unwrap_or_default();
    let mut adopted = ours.clone();
    for facts in &mut adopted.subtopologies {
        let id = facts.id.to_string();
        let Some(known) = known.iter().find(|known| known.subtopology_id == id) else {
            return Err(format!("it has no sub-topology {id}"));
        };
        adopt(facts, known)?;
    }
    if adopted == *ours {
        return Err("it differs in more than topics that a pattern matches".to_owned());
    }
    Ok(adopted)
}

fn adopt(facts: &mut SubtopologyFacts, known: &Subtopology) -> Result<(), String> {
    let is_known = |topic: &Arc<str>| known.source_topics.iter().any(|other| **topic == **other);
    let is_ours = |topic: &String| facts.source_topics.iter().any(|other| **topic == **other);
    if let Some(gone) = known.source_topics.iter().find(|topic| !is_ours(topic)) {
        return Err(format!("it was made with topic {gone}, which is not a source any more"));
    }
    let matched = |topic: &Arc<str>| facts.matched_topics.iter().find(|(matched, _)| matched == topic);
    if let Some(new) = facts.source_topics.iter().find(|topic| !is_known(topic) && matched(topic).is_none()) {
        return Err(format!("topic {new} is a new source"));
    }
    let of_known = facts.matched_topics.iter().filter(|(topic, _)| is_known(topic)).map(|(_, partitions)| *partitions);
    let tasks = of_known.fold(facts.fixed_tasks, i32::max);
    if tasks < facts.tasks {
        let new = facts.matched_topics.iter().find(|(topic, partitions)| !is_known(topic) && *partitions > tasks);
        let (topic, partitions) = new.map_or(("?", facts.tasks), |(topic, partitions)| (topic, *partitions));
        return Err(format!(
            "a pattern matches topic {topic} now, whose {partitions} partitions are more than the group has tasks for \
             ({tasks})"
        ));
    }
    facts.source_topics.retain(|topic| known.source_topics.iter().any(|other| **topic == **other));
    let sources = &facts.source_topics;
    let repartition = &facts.repartition_sources;
    for group in &mut facts.copartition_groups {
        group.retain(|topic| sources.contains(topic) || repartition.iter().any(|own| own.name == *topic));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(fixed: &[&str], matched: &[(&str, i32)], fixed_tasks: i32) -> SubtopologyFacts {
        let matched: Vec<(Arc<str>, i32)> = matched.iter().map(|(topic, count)| ((*topic).into(), *count)).collect();
        SubtopologyFacts {
            id: 0,
            tasks: matched.iter().map(|(_, count)| *count).fold(fixed_tasks, i32::max),
            source_topics: fixed
                .iter()
                .map(|topic| Arc::from(*topic))
                .chain(matched.iter().map(|(topic, _)| topic.clone()))
                .collect(),
            matched_topics: matched,
            fixed_tasks,
            ..SubtopologyFacts::default()
        }
    }

    #[track_caller]
    fn check(facts: SubtopologyFacts, known: &[&str], expected: Result<&[&str], &str>) {
        let subtopology = Subtopology {
            subtopology_id: "0".to_owned(),
            source_topics: known.iter().map(|topic| (*topic).to_owned()).collect(),
            ..Subtopology::default()
        };
        let known = Topology { epoch: 0, subtopologies: Some(vec![subtopology]) };
        match (adopted(&GroupTopology { subtopologies: vec![facts] }, &known), expected) {
            (Ok(topology), Ok(expected)) => {
                let sources: Vec<&str> = topology.subtopologies[0].source_topics.iter().map(AsRef::as_ref).collect();
                assert_eq!(sources, expected);
            }
            (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
            (found, expected) => panic!("{found:?} and not {expected:?}"),
        }
    }

    #[test]
    fn topics_that_a_pattern_matches_may_appear() {
        let matched = [("a", 2), ("b", 4), ("c", 4)];
        check(facts(&[], &matched, 0), &["b"], Ok(&["b"]));
        check(facts(&["x"], &matched, 4), &["x", "a"], Ok(&["x", "a"]));
        check(facts(&[], &matched, 0), &["a"], Err("topic b now, whose 4 partitions are more"));
        check(facts(&[], &matched, 0), &["a", "b", "c"], Err("differs in more"));
    }

    #[test]
    fn other_topics_may_neither_come_nor_go() {
        check(facts(&["x"], &[("a", 2)], 4), &["a"], Err("topic x is a new source"));
        check(facts(&[], &[("a", 2)], 0), &["a", "gone"], Err("topic gone, which is not a source any more"));
    }
}
