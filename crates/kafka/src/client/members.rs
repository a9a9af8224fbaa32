//! What the members of this process are to their groups.

use std::sync::Arc;

use super::Client;

/// A membership.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// The first epoch since it joined, and the present one.
    epochs: (i32, i32),
    /// Until when it may count on its tasks being its own, in ms, unless its group is heard of again.
    until_ms: i64,
}

impl Client {
    /// A member joined, or its epoch moved.
    pub(crate) fn set_member_epoch(&mut self, member: &Arc<str>, epoch: i32, has_joined: bool) {
        let known = self.members.entry(Arc::clone(member)).or_insert(Standing { epochs: (epoch, epoch), until_ms: 0 });
        known.epochs = if has_joined { (epoch, epoch) } else { (known.epochs.0, epoch) };
    }

    /// Until when a member may count on its tasks being its own, in ms.
    pub(crate) fn set_member_until(&mut self, member: &str, until_ms: i64) {
        if let Some(known) = self.members.get_mut(member) {
            known.until_ms = until_ms;
        }
    }

    /// Whether a member's tasks are its own, as far as can be known. Who never joined has nobody to fear.
    pub(crate) fn is_member(&self, member: &str) -> bool {
        self.members.get(member).is_none_or(|known| self.now.mono_ms() < known.until_ms)
    }

    /// The epoch that proves a membership now. Brokers move it at every rebalance; what a member
    /// wants to commit it may still commit, as long as it did not lose its tasks in between.
    pub(crate) fn member_epoch(&self, member: &str, epoch: i32) -> i32 {
        match self.members.get(member).map(|known| known.epochs) {
            // Groups that were made anew begin with small epochs: an old membership is none of these either.
            Some((since, now)) if (since..=now).contains(&epoch) => now,
            _ => epoch,
        }
    }
}
