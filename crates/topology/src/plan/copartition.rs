//! Topics that must have equally many partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Plan;

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
