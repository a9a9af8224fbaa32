//! How entries leave: clean ones silently, dirty ones by way of whoever writes them.

use std::sync::Arc;

use millstream_types::{Headers, Offset, Partition, RawRecord, Timestamp};

use super::RecordCache;
use super::entry::{Entry, touched};
use crate::bytes::RowPlace;
use crate::key_hash::hash_of;

/// A dirty row that has to be written now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaving {
    slot: u32,
    /// Whether its entry stays, as a clean one.
    stays: bool,
}

/// What dropping clean entries has come to.
enum Room {
    Enough,
    /// This entry, the oldest, has to be written before it can go.
    BehindDirty(u32),
    /// This store has no more entries.
    None,
}

/// What a leaving row holds.
pub(crate) struct LeavingRow<'a, V> {
    pub(crate) key_bytes: &'a [u8],
    /// `None` is a deletion.
    pub(crate) value: Option<&'a V>,
    /// Timestamp of the value.
    pub(crate) timestamp: Timestamp,
    pub(crate) headers: Headers,
    /// Where the last write came from, as an [`Origin`](crate::Origin) says it.
    pub(crate) origin_topic: Option<&'a Arc<str>>,
    pub(crate) origin_partition: Partition,
    pub(crate) origin_offset: Offset,
    pub(crate) origin_timestamp: Timestamp,
    pub(crate) origin_raw: Option<&'a Arc<RawRecord>>,
    /// Where the row below the cache lay when it was last read or written.
    pub(crate) below: RowPlace,
}

impl<V> RecordCache<V> {
    /// Evicts until the thread's budget fits or this store has nothing left; then it gives none. A
    /// dirty entry comes out and has to be written, and after it all [others](Self::taken_along). What
    /// came out before was forwarded meanwhile, and counts no more.
    pub(crate) fn evict(&mut self) -> Option<Leaving> {
        self.settle();
        self.owes_eviction = false;
        let Room::BehindDirty(oldest) = self.drop_clean(0) else { return None };
        self.order.clean(oldest);
        self.taken_along = self.order.dirty_len();
        Some(Leaving { slot: oldest, stays: false })
    }

    /// Makes room for so many bytes more; whether there can be any. Where only dirty entries could go, they have to be
    /// evicted next.
    pub(crate) fn make_room(&mut self, bytes: usize) -> bool {
        let room = self.drop_clean(bytes);
        self.owes_eviction |= matches!(room, Room::BehindDirty(_));
        !matches!(room, Room::None)
    }

    /// Drops clean entries, oldest first, until the thread's budget has room for so many bytes more.
    fn drop_clean(&mut self, bytes: usize) -> Room {
        while self.budget.would_exceed(bytes) {
            let Some(oldest) = self.order.oldest_used() else { return Room::None };
            if self.order.is_dirty(oldest) {
                return Room::BehindDirty(oldest);
            }
            self.drop_oldest(oldest);
        }
        Room::Enough
    }

    /// Whether more than the budget was left, and dirty entries have to make room.
    pub(crate) fn owes_eviction(&self) -> bool {
        self.owes_eviction
    }

    /// How many dirty entries go along with an evicted one and are not yet taken.
    pub(crate) fn taken_along(&self) -> usize {
        self.taken_along
    }

    /// The next dirty entry, in the order of their last write. It becomes a clean one; a deletion leaves.
    pub(crate) fn next_dirty(&mut self) -> Option<Leaving> {
        let Some(slot) = self.order.oldest_written() else {
            self.taken_along = 0;
            return None;
        };
        self.taken_along = self.taken_along.saturating_sub(1);
        self.order.clean(slot);
        Some(Leaving { slot, stays: self.entry(slot).is_some_and(|entry| entry.lent().is_some()) })
    }

    /// Lends what is to be written.
    pub(crate) fn leaving(&self, leaving: Leaving) -> Option<LeavingRow<'_, V>> {
        let entry = self.entry(leaving.slot)?;
        let beside = self.order.beside(leaving.slot);
        let source = self.sources.get(leaving.slot, entry.value.source());
        Some(LeavingRow {
            key_bytes: &entry.key_bytes,
            value: entry.lent().map(|(value, _)| value),
            timestamp: entry.timestamp,
            headers: self.headers.get(leaving.slot as usize).cloned().unwrap_or_default(),
            origin_topic: source.topic.as_ref(),
            origin_partition: source.partition,
            origin_offset: entry.origin_offset,
            origin_timestamp: beside.origin_timestamp,
            origin_raw: self.sources.raw(leaving.slot),
            below: beside.below,
        })
    }

    /// A row is written, and lies there. If it does not stay, it counts until it was forwarded.
    pub(crate) fn left(&mut self, leaving: Leaving, below: RowPlace) {
        if !leaving.stays {
            self.leaving += self.remove(leaving.slot);
        } else if let Some(beside) = self.order.beside_mut(leaving.slot) {
            beside.below = below;
        }
    }

    /// What has left before was forwarded: it counts no more.
    pub(crate) fn settle(&mut self) {
        if self.leaving != 0 {
            self.budget.add(-std::mem::take(&mut self.leaving));
        }
    }

    /// Removes the entry that was used least recently, which is clean.
    pub(super) fn drop_oldest(&mut self, slot: u32) {
        // Those that will probably be dropped next lie far from each other.
        if let Some(slots) = self.order.upcoming_used() {
            self.touch(&slots);
            let entries = slots.iter().filter_map(|slot| self.entry(*slot));
            touched(entries.map(|entry| self.index.touch(hash_of(&entry.key_bytes)) as i64));
        }
        let size = self.remove(slot);
        self.budget.add(-size);
    }

    /// If the dirty entries touched before are taken, touches those that will be taken next, and gives
    /// their keys and where their rows lay.
    pub(crate) fn read_ahead_dirty(&mut self) -> impl Iterator<Item = (&[u8], RowPlace)> {
        let upcoming = self.order.upcoming_written();
        if let Some(slots) = &upcoming {
            self.touch(slots);
        }
        let dirty = upcoming.into_iter().flatten().filter(|slot| self.order.is_dirty(*slot));
        dirty.filter_map(|slot| Some((&*self.entry(slot)?.key_bytes, self.order.beside(slot).below)))
    }

    fn touch(&self, slots: &[u32]) {
        touched(slots.iter().map(|slot| self.order.touch(*slot)));
        touched(slots.iter().filter_map(|slot| self.entry(*slot)).map(Entry::touch));
    }
}
