//! Which resource of one topology is which of another: by the user's name, else by what its operator
//! does, where its records come from and where they go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::outline::{Lineage, Outline, Resource, split_number};

/// Likeness of equal lineages.
const LIKE: usize = 10_000;
/// Under this, two operators have too little in common to be one.
const LIKE_MIN: usize = LIKE / 2;

/// Counterparts of resources, both ways.
pub(super) struct Pairs {
    after: BTreeMap<usize, usize>,
    before: BTreeMap<usize, usize>,
}

impl Pairs {
    pub(super) fn of(before: &Outline, after: &Outline) -> Self {
        let mut pairs = Self { after: BTreeMap::new(), before: BTreeMap::new() };
        for (at, old) in before.resources.iter().enumerate().filter(|(_, old)| old.generated_role().is_none()) {
            let is_same = |new: &Resource| new.role == old.role && new.name == old.name;
            if let Some(other) = after.resources.iter().position(is_same) {
                pairs.join(at, other);
            }
        }
        let mut candidates: Vec<(usize, usize, usize, usize)> = Vec::new();
        for (at, old) in before.resources.iter().enumerate() {
            for (other, new) in after.resources.iter().enumerate() {
                let Some(likeness) = likeness(old, new).filter(|likeness| *likeness >= LIKE_MIN) else { continue };
                // Among equals the same name is the same thing, then the order in which they stand.
                let distance = if old.name == new.name { 0 } else { 1 + at.abs_diff(other) };
                candidates.push((LIKE.saturating_sub(likeness), distance, at, other));
            }
        }
        candidates.sort_unstable();
        for (_, _, at, other) in candidates {
            pairs.join(at, other);
        }
        pairs
    }

    fn join(&mut self, before: usize, after: usize) {
        if !self.after.contains_key(&before) && !self.before.contains_key(&after) {
            self.after.insert(before, after);
            self.before.insert(after, before);
        }
    }

    pub(super) fn after(&self, before: usize) -> Option<usize> {
        self.after.get(&before).copied()
    }

    pub(super) fn before(&self, after: usize) -> Option<usize> {
        self.before.get(&after).copied()
    }
}

/// How alike two resources are, of 10,000; `None` when they cannot be the same.
fn likeness(old: &Resource, new: &Resource) -> Option<usize> {
    if old.role != new.role {
        return None;
    }
    match (old.generated_role(), new.generated_role()) {
        (Some(before), Some(after)) if before != after => return None,
        (Some(_), Some(_)) => {}
        // One was named by the user: only the same kind of operator, or one named likewise, is meant.
        _ if old.lineage.own.keys().any(|label| new.lineage.own.contains_key(label)) => {}
        _ => return None,
    }
    let (before, after): (&Lineage, &Lineage) = (&old.lineage, &new.lineage);
    // Where records come from says more than what was put on the way.
    let parts = [
        (4, overlap(&before.inputs, &after.inputs)),
        (2, overlap(&before.above, &after.above)),
        (1, overlap(&before.own, &after.own)),
        (1, overlap(&before.below, &after.below)),
        (2, overlap(&before.outputs, &after.outputs)),
    ];
    Some(parts.iter().map(|(weight, overlap)| weight * overlap).sum::<usize>() / 10)
}

/// What two bags share, of 10,000; two empty ones are equal.
fn overlap(left: &BTreeMap<Arc<str>, usize>, right: &BTreeMap<Arc<str>, usize>) -> usize {
    let labels: BTreeSet<&Arc<str>> = left.keys().chain(right.keys()).collect();
    let count = |bag: &BTreeMap<Arc<str>, usize>, label: &Arc<str>| bag.get(label).copied().unwrap_or(0);
    let (mut shared, mut all) = (0, 0);
    for label in labels {
        shared += count(left, label).min(count(right, label));
        all += count(left, label).max(count(right, label));
    }
    (shared * LIKE).checked_div(all).unwrap_or(LIKE)
}

/// Generated names that only the second, and only the first outline has, counted by what they say: the
/// longest common sequence of operators in the order written stays.
pub(super) fn inserted(before: &Outline, after: &Outline) -> (Vec<Arc<str>>, Vec<Arc<str>>) {
    let (old, new) = (numbered(before), numbered(after));
    // Lengths of the longest common sequences of the ends.
    let mut lengths = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    let at = |lengths: &[Vec<u32>], row: usize, column: usize| {
        lengths.get(row).and_then(|row| row.get(column)).copied().unwrap_or(0)
    };
    for (row, (left, _)) in old.iter().enumerate().rev() {
        for (column, (right, _)) in new.iter().enumerate().rev() {
            let length = if left == right {
                at(&lengths, row + 1, column + 1) + 1
            } else {
                at(&lengths, row + 1, column).max(at(&lengths, row, column + 1))
            };
            if let Some(slot) = lengths.get_mut(row).and_then(|row| row.get_mut(column)) {
                *slot = length;
            }
        }
    }
    let (mut inserted, mut deleted) = (Vec::new(), Vec::new());
    let (mut row, mut column) = (0, 0);
    loop {
        match (old.get(row), new.get(column)) {
            (Some((left, _)), Some((right, _))) if left == right => (row, column) = (row + 1, column + 1),
            (Some((_, name)), right)
                if right.is_none() || at(&lengths, row + 1, column) >= at(&lengths, row, column + 1) =>
            {
                deleted.push(Arc::clone(name));
                row += 1;
            }
            (_, Some((_, name))) => {
                inserted.push(Arc::clone(name));
                column += 1;
            }
            _ => return (inserted, deleted),
        }
    }
}

/// Generated names of nodes in the order of their numbers, each with what it says.
fn numbered(outline: &Outline) -> Vec<(&str, &Arc<str>)> {
    let mut nodes: Vec<(u64, &str, &Arc<str>)> = outline
        .names
        .iter()
        .filter_map(|name| split_number(name).map(|(label, number)| (number, label, name)))
        .collect();
    nodes.sort_unstable();
    nodes.into_iter().map(|(_, label, name)| (label, name)).collect()
}
