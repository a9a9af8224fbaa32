//! Topics that must have equally many partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Plan;
use crate::graph::{copied_order_by_hash, hash_code, set_order};

/// Merges groups that share a topic, so that no topic is in two groups.
pub(super) fn merged(groups: impl Iterator<Item = Vec<Arc<str>>>) -> Vec<Vec<Arc<str>>> {
    let mut merged: Vec<Vec<Arc<str>>> = Vec::new();
    for mut group in groups {
        let (joined, apart): (Vec<_>, Vec<_>) =
            merged.into_iter().partition(|other| other.iter().any(|topic| group.contains(topic)));
        group.extend(joined.into_iter().flatten());
        group.sort();
        group.dedup();
        merged = apart;
        merged.push(group);
    }
    merged.retain(|group| group.len() > 1);
    merged
}

/// The groups as Kafka Streams tells them to brokers, in its order, which brokers compare: a group of sources joins the
/// first earlier group that has one of its topics, and groups of one topic count.
pub(super) fn as_told(groups: impl Iterator<Item = Vec<Arc<str>>>) -> Vec<Vec<Arc<str>>> {
    let mut told: Vec<Vec<Arc<str>>> = Vec::new();
    // The topics in the order in which they were met, and the group that counts for each.
    let mut group_of: Vec<(Arc<str>, usize)> = Vec::new();
    for topics in groups {
        let topics = in_set_order(&topics);
        let mut known = topics.iter().filter_map(|topic| group_of.iter().find(|(other, _)| other == topic));
        let at = known.next().map_or(told.len(), |(_, at)| *at);
        if at == told.len() {
            told.push(Vec::new());
        }
        for topic in topics {
            match group_of.iter_mut().find(|(other, _)| *other == topic) {
                Some((_, group)) => *group = at,
                None => group_of.push((Arc::clone(&topic), at)),
            }
            if let Some(group) = told.get_mut(at).filter(|group| !group.contains(&topic)) {
                group.push(topic);
            }
        }
    }
    let group = |(_, at): &(Arc<str>, usize)| {
        let group = in_set_order(told.get(*at).map_or(&[], Vec::as_slice));
        let hash = group.iter().fold(0_i32, |sum, topic| sum.wrapping_add(hash_code(topic)));
        (hash, group)
    };
    copied_order_by_hash(&group_of.iter().map(group).collect::<Vec<_>>())
}

fn in_set_order(topics: &[Arc<str>]) -> Vec<Arc<str>> {
    set_order(topics.iter().map(|topic| &**topic)).into_iter().map(Arc::from).collect()
}

/// Gives repartition topics the number of partitions of what they are joined with, or says why
/// that is not possible.
pub(super) fn enforce(plan: &Plan, counts: &mut BTreeMap<Arc<str>, i32>, problems: &mut Vec<String>) {
    for group in &plan.copartitioned {
        match agreed(plan, group, counts) {
            Ok(Some(partitions)) => {
                for topic in group.iter().filter(|topic| plan.is_repartition_topic(topic)) {
                    counts.insert(Arc::clone(topic), partitions);
                }
            }
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
    }
}

/// The number for a group: that of the user's topics, else the number given to a repartition
/// topic, else the largest.
fn agreed(plan: &Plan, group: &[Arc<str>], counts: &BTreeMap<Arc<str>, i32>) -> Result<Option<i32>, String> {
    let known: Vec<(&Arc<str>, i32)> =
        group.iter().filter_map(|topic| Some((topic, counts.get(topic).copied()?))).collect();
    let is_fixed = |topic: &str| plan.repartition_topics.get(topic).is_none_or(Option::is_some);
    let external = known.iter().find(|(topic, _)| !plan.is_repartition_topic(topic));
    let leader = external.or_else(|| known.iter().find(|(topic, _)| is_fixed(topic)));
    let Some((_, leading)) = leader else { return Ok(known.iter().map(|(_, count)| *count).max()) };
    if known.iter().all(|(topic, count)| count == leading || !is_fixed(topic)) {
        return Ok(Some(*leading));
    }
    let fixed = known.iter().filter(|(topic, _)| is_fixed(topic));
    let counts: Vec<_> = fixed.map(|(topic, count)| format!("{topic} has {count}")).collect();
    Err(format!(
        "topics that are joined need equally many partitions, but {}; use repartition() for one of them or create \
         them alike",
        counts.join(", ")
    ))
}
