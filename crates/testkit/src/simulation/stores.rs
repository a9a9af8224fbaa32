//! The invariant of local state: what lies on a disk is the fold of its changelog, up to its mark.

use std::collections::BTreeMap;

use millstream_types::{RawRecord, TaskId};

use super::observer::View;
use super::plan::Plan;
use super::process::Machine;
use super::scenario::{ScenarioKind, changelog};

type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

/// Checks every store on a machine's disk.
pub(super) fn check(plan: &Plan, view: &View, machine: &Machine) -> Result<(), String> {
    if plan.scenario == ScenarioKind::Global {
        return check_global(plan, view, machine);
    }
    // Under at-least-once a zombie may write into the changelog behind the back of the owner.
    if !plan.is_exactly_once() {
        return Ok(());
    }
    let Some((store, has_timestamp)) = plan.scenario.store() else { return Ok(()) };
    let topic = changelog(store);
    for partition in 0..view.partition_count(&topic) {
        for task in tasks_of(partition) {
            let Some((pairs, Some(mark))) = machine.disk.content(Some(task), store) else { continue };
            let Some(seen) = view.partition(&topic, partition) else { continue };
            let mark = mark.changelog_offset.0;
            // Where the broker did not say how far it got, the data may be ahead of the mark.
            let may_be_ahead = plan.rates.duplicate > 0;
            if !seen.is_stable() && (mark >= seen.next || may_be_ahead) {
                continue;
            }
            let what = format!("{} {task} {store}", machine.name);
            if mark >= seen.end {
                return Err(format!("{what}: the mark says {mark}, the changelog ends at {}", seen.end));
            }
            let pairs: Pairs = pairs.into_iter().filter(|(key, _)| !key.is_empty()).collect();
            let marked = seen.records.partition_point(|record| record.offset.0 <= mark);
            let most = if may_be_ahead { seen.records.len() } else { marked };
            let is_fold = (marked..=most).any(|count| {
                let records = seen.records.get(..count).unwrap_or_default();
                fold(records, has_timestamp) == pairs
            });
            if !is_fold {
                let wanted = fold(seen.records.get(..marked).unwrap_or_default(), has_timestamp);
                return Err(format!(
                    "{what}: holds {}, by its mark {mark} it should be {}",
                    shown(&pairs),
                    shown(&wanted)
                ));
            }
        }
    }
    Ok(())
}

/// A global store is the fold of its topic up to the position in its mark.
fn check_global(plan: &Plan, view: &View, machine: &Machine) -> Result<(), String> {
    let Some((store, _)) = plan.scenario.store() else { return Ok(()) };
    let Some((pairs, Some(mark))) = machine.disk.content(None, store) else { return Ok(()) };
    let mut wanted = Pairs::new();
    for (partition, position) in &mark.position {
        let records = view.records(&partition.topic, partition.partition.0);
        let count = records.partition_point(|record| record.offset <= *position);
        wanted.extend(fold(records.get(..count).unwrap_or_default(), true));
    }
    let pairs: Pairs = pairs.into_iter().collect();
    if pairs == wanted {
        return Ok(());
    }
    let name = &machine.name;
    Err(format!(
        "{name} {store}: holds {}, by its mark {:?} it should be {}",
        shown(&pairs),
        mark.position,
        shown(&wanted)
    ))
}

/// At the end the owner of each task has everything.
pub(super) fn check_owners(
    plan: &Plan,
    view: &View,
    machines: &[Machine],
    owners: &[(usize, TaskId)],
) -> Result<(), String> {
    if !plan.is_exactly_once() {
        return Ok(());
    }
    let Some((store, has_timestamp)) = plan.scenario.store() else { return Ok(()) };
    let topic = changelog(store);
    for (number, task) in owners {
        let Some(machine) = machines.get(*number) else { continue };
        let Some((pairs, _)) = machine.disk.content(Some(*task), store) else { continue };
        let pairs: Pairs = pairs.into_iter().filter(|(key, _)| !key.is_empty()).collect();
        let wanted = fold(view.records(&topic, task.partition), has_timestamp);
        if pairs != wanted {
            let name = &machine.name;
            return Err(format!("{name} {task} {store}: ends as {}, should be {}", shown(&pairs), shown(&wanted)));
        }
    }
    Ok(())
}

fn tasks_of(partition: i32) -> impl Iterator<Item = TaskId> {
    (0..2).map(move |subtopology| TaskId { subtopology, partition })
}

/// The rows that a changelog makes; those with a timestamp have it in front, in 8 bytes.
fn fold(records: &[RawRecord], has_timestamp: bool) -> Pairs {
    let mut pairs = Pairs::new();
    for record in records {
        let key = record.key.as_deref().unwrap_or_default().to_vec();
        match &record.value {
            Some(value) if has_timestamp => {
                pairs.insert(key, [record.timestamp.0.to_be_bytes().as_slice(), value].concat());
            }
            Some(value) => {
                pairs.insert(key, value.to_vec());
            }
            None => {
                pairs.remove(&key);
            }
        }
    }
    pairs
}

fn shown(pairs: &Pairs) -> String {
    let rows = pairs.iter().map(|(key, value)| format!("{}={}", key.escape_ascii(), value.escape_ascii()));
    format!("[{}]", rows.collect::<Vec<_>>().join(", "))
}
