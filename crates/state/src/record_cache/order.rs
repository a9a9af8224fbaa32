//! The order in which slots were last used or written, exactly, without neighbours to look up.

/// Most outdated places that are kept before the log is rewritten, besides one per slot.
const OUTDATED_MAX: usize = 1024;

/// Slots by their last touch.
///
/// A log of touches: each touch is appended, and only a slot's last place counts. Unlike in a linked
/// list no neighbours are written, which in a large cache would all be cache misses. The log is
/// rewritten when more than half of it is outdated, so a touch costs a constant on average.
#[derive(Default)]
pub(super) struct Order {
    /// Slots in order of their touches, the oldest first; outdated ones among them.
    log: Vec<u32>,
    /// Where the oldest touch that may still count stands.
    start: usize,
    /// By slot: one past its place in the log; 0 when it is not in the order.
    places: Vec<u32>,
    len: usize,
}

impl Order {
    /// Number of slots in the order.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Makes a slot the newest.
    pub(super) fn touch(&mut self, slot: u32) {
        let at = slot as usize;
        if self.places.len() <= at {
            self.places.resize(at + 1, 0);
        }
        let Some(place) = self.places.get_mut(at) else { return };
        if *place as usize == self.log.len() && *place != 0 {
            return;
        }
        if *place == 0 {
            self.len += 1;
            // Room for all touches until the next rewrite: one of a known slot never allocates.
            self.log.reserve((2 * self.len + OUTDATED_MAX + 1).saturating_sub(self.log.len()));
        }
        self.log.push(slot);
        *place = self.log.len() as u32;
        if self.log.len() > 2 * self.len + OUTDATED_MAX {
            self.rewrite();
        }
    }

    /// Takes a slot out of the order.
    pub(super) fn remove(&mut self, slot: u32) {
        if let Some(place) = self.places.get_mut(slot as usize) {
            self.len -= usize::from(*place != 0);
            *place = 0;
        }
        if self.len == 0 {
            self.log.clear();
            self.start = 0;
        }
    }

    /// The slot whose last touch is the oldest.
    pub(super) fn oldest(&mut self) -> Option<u32> {
        while let Some(slot) = self.log.get(self.start) {
            self.start += 1;
            if self.places.get(*slot as usize).is_some_and(|place| *place as usize == self.start) {
                // It still counts: the next call begins here again.
                self.start -= 1;
                return Some(*slot);
            }
        }
        None
    }

    /// Leaves out what is outdated.
    #[cold]
    fn rewrite(&mut self) {
        let mut kept = 0;
        for at in self.start..self.log.len() {
            let Some(slot) = self.log.get(at).copied() else { break };
            let Some(place) = self.places.get_mut(slot as usize) else { continue };
            if *place as usize != at + 1 {
                continue;
            }
            if let Some(moved) = self.log.get_mut(kept) {
                *moved = slot;
            }
            kept += 1;
            *place = kept as u32;
        }
        self.log.truncate(kept);
        self.start = 0;
    }
}
