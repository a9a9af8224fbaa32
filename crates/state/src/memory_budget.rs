//! The memory that all stores of a process share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that the stores of a process may hold together: record caches, writes that engines have not
/// taken yet, what engines keep, and, in all the room that is left, rows at hand. Clones share it.
///
/// What is needed is always granted: uncommitted writes are bounded by commits, an engine's by its own
/// settings. What is spare is given up for it.
#[derive(Clone, Debug)]
pub struct MemoryBudget(Arc<Held>);

#[derive(Debug)]
struct Held {
    bytes_max: usize,
    needed: AtomicUsize,
    spare: AtomicUsize,
    /// How many shares may have something to spare.
    sharers: AtomicUsize,
}

/// What one holder has of a budget. Dropped, it gives all back.
#[derive(Debug)]
pub(crate) struct MemoryShare {
    budget: MemoryBudget,
    needed: usize,
    spare: usize,
    has_spare: bool,
}

impl MemoryBudget {
    /// A budget of that many bytes.
    pub fn new(bytes_max: usize) -> Self {
        let zero = || AtomicUsize::new(0);
        Self(Arc::new(Held { bytes_max, needed: zero(), spare: zero(), sharers: zero() }))
    }

    /// Most bytes that may be held.
    pub fn bytes_max(&self) -> usize {
        self.0.bytes_max
    }

    /// Bytes that are held now.
    pub fn bytes(&self) -> usize {
        self.0.needed.load(Ordering::Relaxed) + self.0.spare.load(Ordering::Relaxed)
    }

    /// Sets bytes aside for as long as the budget is in use.
    pub fn reserve(&self, bytes: usize) {
        self.0.needed.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A share, of which nothing is held yet.
    pub(crate) fn share(&self, has_spare: bool) -> MemoryShare {
        self.0.sharers.fetch_add(usize::from(has_spare), Ordering::Relaxed);
        MemoryShare { budget: self.clone(), needed: 0, spare: 0, has_spare }
    }
}

impl MemoryShare {
    /// Tells what is held: bytes that must be, and bytes that could be given up.
    pub(crate) fn set(&mut self, needed: usize, spare: usize) {
        let held = &self.budget.0;
        for (total, (before, now)) in [(&held.needed, (self.needed, needed)), (&held.spare, (self.spare, spare))] {
            // Wraps around for less than before, and by that comes out right.
            total.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
        }
        (self.needed, self.spare) = (needed, spare);
    }

    /// Spare bytes that this share may hold: as long as there is room all of it, else what is an
    /// equal part for everybody.
    pub(crate) fn spare_max(&self) -> usize {
        if !self.has_spare {
            return 0;
        }
        let held = &self.budget.0;
        let left = held.bytes_max.saturating_sub(held.needed.load(Ordering::Relaxed));
        let others = held.spare.load(Ordering::Relaxed).saturating_sub(self.spare);
        left.saturating_sub(others).max(left / held.sharers.load(Ordering::Relaxed).max(1))
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.set(0, 0);
        self.budget.0.sharers.fetch_sub(usize::from(self.has_spare), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_takes_from_what_is_spare() {
        let budget = MemoryBudget::new(100);
        budget.reserve(20);
        let mut one = budget.share(true);
        assert_eq!(one.spare_max(), 80);
        one.set(10, 60);
        assert_eq!((budget.bytes(), one.spare_max()), (90, 70));
        let mut needy = budget.share(false);
        needy.set(40, 0);
        assert_eq!((one.spare_max(), needy.spare_max()), (30, 0));
        drop(needy);
        assert_eq!(one.spare_max(), 70);
    }

    #[test]
    fn one_that_comes_late_gets_an_equal_part() {
        let budget = MemoryBudget::new(100);
        let mut early = budget.share(true);
        early.set(0, 100);
        let mut late = budget.share(true);
        assert_eq!(late.spare_max(), 50);
        late.set(0, 40);
        assert_eq!(early.spare_max(), 60, "what the other does not use");
        drop(early);
        assert_eq!((late.spare_max(), budget.bytes()), (100, 40));
    }
}
