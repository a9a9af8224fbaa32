//! Spreading tasks over weighted bins: first processes by their threads, then threads.

use std::collections::{BTreeMap, BTreeSet};

use millstream_types::TaskId;

use crate::Task;

/// What takes tasks.
pub(crate) struct Bin {
    /// Its share of the tasks, relative to the others.
    pub(crate) weight: usize,
    /// Tasks it has now; each task in one bin at most, and all of them exist.
    pub(crate) owned: Vec<TaskId>,
    /// Tasks it keeps a copy of.
    pub(crate) copies: BTreeSet<TaskId>,
}

/// Gives each task to one bin. Every bin gets its share, rounded down or up; as many tasks as
/// that allows stay. Lists are sorted.
pub(crate) fn spread(tasks: &BTreeMap<TaskId, Task>, bins: Vec<Bin>) -> Vec<Vec<TaskId>> {
    let quotas = quotas(tasks.len(), &bins);
    let mut free: BTreeSet<TaskId> = tasks.keys().copied().collect();
    let mut shares: Vec<Vec<TaskId>> = Vec::with_capacity(bins.len());
    let mut copies: Vec<BTreeSet<TaskId>> = Vec::with_capacity(bins.len());
    for (bin, quota) in bins.into_iter().zip(&quotas) {
        copies.push(bin.copies);
        let kept = keep(tasks, bin.owned, *quota);
        for task in &kept {
            free.remove(task);
        }
        shares.push(kept);
    }
    for task in free {
        // The bin with room that has a copy; of those, or of all, the one that has the fewest of this
        // sub-topology, so that one heavy sub-topology does not land on one thread; then the emptiest.
        let target = shares
            .iter()
            .enumerate()
            .zip(&quotas)
            .filter(|((_, share), quota)| share.len() < **quota)
            .min_by_key(|((index, share), quota)| {
                let alike = share.iter().filter(|other| other.subtopology == task.subtopology).count();
                // Relative to the quota, in thousandths, as bins differ in size.
                let is_cold = copies.get(*index).is_none_or(|copies| !copies.contains(&task));
                (is_cold, alike * 1000 / **quota, share.len() * 1000 / **quota, *index)
            })
            .map(|((index, _), _)| index);
        if let Some(share) = target.and_then(|index| shares.get_mut(index)) {
            share.push(task);
        }
    }
    for share in &mut shares {
        share.sort_unstable();
    }
    shares
}

/// How many tasks each bin gets. What is left after rounding down goes one each to the bins that
/// would otherwise have to give most away, then to those that lost most by rounding.
fn quotas(tasks: usize, bins: &[Bin]) -> Vec<usize> {
    let total: usize = bins.iter().map(|bin| bin.weight).sum();
    if total == 0 {
        return bins.iter().map(|_| 0).collect();
    }
    let mut quotas: Vec<usize> = bins.iter().map(|bin| tasks * bin.weight / total).collect();
    let left = tasks - quotas.iter().sum::<usize>();
    let mut order: Vec<usize> = (0..bins.len()).collect();
    order.sort_by_key(|index| {
        let (bin, quota) = (bins.get(*index), quotas.get(*index).copied().unwrap_or(0));
        let surplus = bin.map_or(0, |bin| bin.owned.len().saturating_sub(quota));
        let remainder = bin.map_or(0, |bin| tasks * bin.weight % total);
        // A bin whose share is whole gets nothing on top.
        (remainder == 0, surplus == 0, std::cmp::Reverse(remainder), *index)
    });
    for index in order.into_iter().take(left) {
        if let Some(quota) = quotas.get_mut(index) {
            *quota += 1;
        }
    }
    quotas
}

/// The tasks that stay, at most `quota`. Stateless ones go first; of the others, those of the
/// sub-topology that the bin has most of, so that what stays is mixed.
fn keep(tasks: &BTreeMap<TaskId, Task>, mut owned: Vec<TaskId>, quota: usize) -> Vec<TaskId> {
    owned.sort_unstable();
    while owned.len() > quota {
        let goes = owned
            .iter()
            .enumerate()
            .max_by_key(|(index, id)| {
                let is_stateless = tasks.get(id).is_none_or(|task| !task.is_stateful);
                let alike = owned.iter().filter(|other| other.subtopology == id.subtopology).count();
                (is_stateless, alike, *index)
            })
            .map_or(0, |(index, _)| index);
        owned.remove(goes);
    }
    owned
}
