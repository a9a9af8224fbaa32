//! The orders in which slots were last used and last written, exactly, without neighbours to look up.

use super::AHEAD;

/// Most outdated places that are kept before the log is rewritten, besides those per slot.
const OUTDATED_MAX: usize = 1024;

/// No slot.
pub(super) const NO_SLOT: u32 = u32::MAX;

/// Length of the log per slot at which it is rewritten. Two places of a slot can count at most.
const PLACES_PER_SLOT_MAX: usize = 4;

/// Slots by their last use, and the dirty ones among them by their last write.
///
/// One log of touches: each touch is appended, and only a slot's last use and last write count.
/// Unlike in a linked list no neighbours are written, which in a large cache would all be cache
/// misses. A write that follows the read of its key shares its place. The log is rewritten when it
/// has grown to a multiple of the slots, so a touch costs a constant on average.
///
/// Beside a slot's places lies what its user wants to have near with them.
#[derive(Default)]
pub(super) struct Order<B> {
    /// Slots in order of their touches, the oldest first; outdated ones among them.
    log: Vec<u32>,
    /// Where the oldest use that may still count stands.
    used_start: usize,
    /// Where the oldest write that may still count stands.
    written_start: usize,
    /// Up to where the slots of the oldest uses and writes were brought near.
    used_near: usize,
    written_near: usize,
    /// By slot.
    places: Vec<Places<B>>,
    used_len: usize,
    written_len: usize,
}

/// One past a slot's places in the log; 0 where it has none. A write is a use, so `used` is never the
/// smaller one.
#[derive(Clone, Copy, Default)]
struct Places<B> {
    used: u32,
    written: u32,
    beside: B,
}

impl<B: Copy + Default> Order<B> {
    /// What lies beside a slot's places.
    pub(super) fn beside(&self, slot: u32) -> B {
        self.places.get(slot as usize).map(|places| places.beside).unwrap_or_default()
    }

    /// The same, to be changed; of a slot that was used.
    pub(super) fn beside_mut(&mut self, slot: u32) -> Option<&mut B> {
        self.places.get_mut(slot as usize).map(|places| &mut places.beside)
    }

    /// Number of dirty slots.
    pub(super) fn dirty_len(&self) -> usize {
        self.written_len
    }

    /// Whether a slot is dirty.
    pub(super) fn is_dirty(&self, slot: u32) -> bool {
        self.places.get(slot as usize).is_some_and(|places| places.written != 0)
    }

    /// Reads what a use or write of the slot will need, and gives something that depends on it.
    pub(super) fn touch(&self, slot: u32) -> i64 {
        self.places.get(slot as usize).map_or(0, |places| i64::from(places.used))
    }

    /// Makes a slot the one used last.
    pub(super) fn note_use(&mut self, slot: u32) {
        let at = slot as usize;
        if self.places.len() <= at {
            self.places.resize(at + 1, Places::default());
        }
        let Some(places) = self.places.get_mut(at) else { return };
        if places.used as usize == self.log.len() && places.used != 0 {
            return;
        }
        if places.used == 0 {
            self.used_len += 1;
            // Room for all touches until the next rewrite: one of a known slot never allocates.
            let room = PLACES_PER_SLOT_MAX * self.used_len + OUTDATED_MAX + 1;
            self.log.reserve(room.saturating_sub(self.log.len()));
        }
        self.log.push(slot);
        places.used = self.log.len() as u32;
        if self.log.len() > PLACES_PER_SLOT_MAX * self.used_len + OUTDATED_MAX {
            self.rewrite();
        }
    }

    /// Makes a slot the one used and written last.
    pub(super) fn note_write(&mut self, slot: u32) {
        self.note_use(slot);
        let Some(places) = self.places.get_mut(slot as usize) else { return };
        self.written_len += usize::from(places.written == 0);
        places.written = places.used;
        // Its place may be a use that a search for dirty slots has passed.
        self.written_start = self.written_start.min(self.log.len().saturating_sub(1));
    }

    /// A slot is not dirty any more.
    pub(super) fn clean(&mut self, slot: u32) {
        if let Some(places) = self.places.get_mut(slot as usize) {
            self.written_len -= usize::from(places.written != 0);
            places.written = 0;
        }
        if self.written_len == 0 {
            self.written_start = self.log.len();
        }
    }

    /// Takes a slot out of both orders.
    pub(super) fn remove(&mut self, slot: u32) {
        self.clean(slot);
        if let Some(places) = self.places.get_mut(slot as usize) {
            self.used_len -= usize::from(places.used != 0);
            places.used = 0;
        }
        if self.used_len == 0 {
            self.log.clear();
            self.restart();
        }
    }

    fn restart(&mut self) {
        self.used_start = 0;
        self.written_start = 0;
        self.used_near = 0;
        self.written_near = 0;
    }

    /// The slot whose last use is the oldest.
    pub(super) fn oldest_used(&mut self) -> Option<u32> {
        let is_place = |places: &Places<B>, place| places.used as usize == place;
        oldest(&self.log, &self.places, &mut self.used_start, is_place)
    }

    /// The dirty slot whose last write is the oldest.
    pub(super) fn oldest_written(&mut self) -> Option<u32> {
        if self.written_len == 0 {
            return None;
        }
        let is_place = |places: &Places<B>, place| places.written as usize == place;
        oldest(&self.log, &self.places, &mut self.written_start, is_place)
    }

    /// The slots of the next oldest places of uses, outdated ones and [none](NO_SLOT) among them, if those
    /// given before are passed.
    pub(super) fn upcoming_used(&mut self) -> Option<[u32; AHEAD]> {
        upcoming(&self.log, self.used_start, &mut self.used_near)
    }

    /// The same of writes.
    pub(super) fn upcoming_written(&mut self) -> Option<[u32; AHEAD]> {
        upcoming(&self.log, self.written_start, &mut self.written_near)
    }

    /// Leaves out what is outdated.
    #[cold]
    fn rewrite(&mut self) {
        let mut kept = 0;
        for at in self.used_start.min(self.written_start)..self.log.len() {
            let Some(slot) = self.log.get(at).copied() else { break };
            let Some(places) = self.places.get_mut(slot as usize) else { continue };
            let is_used = places.used as usize == at + 1;
            let is_written = places.written as usize == at + 1;
            if !is_used && !is_written {
                continue;
            }
            if let Some(moved) = self.log.get_mut(kept) {
                *moved = slot;
            }
            kept += 1;
            if is_used {
                places.used = kept as u32;
            }
            if is_written {
                places.written = kept as u32;
            }
        }
        self.log.truncate(kept);
        self.restart();
    }
}

fn upcoming(log: &[u32], start: usize, near: &mut usize) -> Option<[u32; AHEAD]> {
    if start < *near {
        return None;
    }
    *near = start + AHEAD;
    let mut slots = [NO_SLOT; AHEAD];
    slots.iter_mut().zip(log.get(start..)?).for_each(|(slot, logged)| *slot = *logged);
    Some(slots)
}

/// The slot of the first place from `start` on that still counts; `start` stands there then.
fn oldest<B>(
    log: &[u32],
    places: &[Places<B>],
    start: &mut usize,
    is_place: impl Fn(&Places<B>, usize) -> bool,
) -> Option<u32> {
    while let Some(slot) = log.get(*start) {
        if places.get(*slot as usize).is_some_and(|places| is_place(places, *start + 1)) {
            return Some(*slot);
        }
        *start += 1;
    }
    None
}
