//! The record cache of one store: typed values on their way to changelog and overlay.
//!
//! Order and eviction are those of Kafka Streams' `NamedCache`: least recently used goes first,
//! dirty entries are flushed in the order of their last write, and an evicted dirty entry takes all
//! other dirty entries along, itself first. All stores of a thread share one [`CacheBudget`]. What
//! leaves dirty counts until it has been forwarded: stores downstream make room for it meanwhile.

mod entry;
mod leave;
mod order;
mod peek;
mod sources;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use millstream_types::{Headers, Timestamp};

use crate::bytes::{ByteRange, RowPlace};
use crate::index::Index;
use crate::key_hash::{HashedKey, hash_of};
use crate::{CacheBudget, Origin};
pub(crate) use entry::Lent;
use entry::{Beside, Entry, Held, touched};
pub(crate) use leave::{Leaving, LeavingRow};
use order::{NO_SLOT, Order};
use sources::Sources;

/// Scans after which the entries are also kept in key order.
const SCANS_UNTIL_ORDERED: u32 = 8;

/// Entries from which on it pays to touch them before they are read: fewer are near anyway.
const READ_AHEAD_FROM: usize = 1024;

/// Entries that are brought near at once.
pub(crate) const AHEAD: usize = 16;

/// Number of an entry's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(u32);

/// Entries by key bytes, in order of use, and the dirty ones in order of writing.
pub(crate) struct RecordCache<V> {
    budget: CacheBudget,
    index: Index,
    entries: Vec<Option<Entry<V>>>,
    /// Headers of the last writes, by slot; none until a record has some.
    headers: Vec<Headers>,
    free: Vec<u32>,
    sources: Sources,
    /// All entries in order of use, the dirty ones in order of their last write.
    order: Order<Beside>,
    /// The slot found last: the write that follows a read of its key need not look it up again.
    last: u32,
    /// Where the row below was whose read the cache did not keep: a write of it mostly follows.
    read_below: RowPlace,
    scan_count: u32,
    ordered: Option<BTreeMap<Box<[u8]>, u32>>,
    /// Bytes that have left and still count.
    leaving: i64,
    /// Dirty entries that the evicted one takes along and that are not yet taken.
    taken_along: usize,
    /// Whether more came in than clean entries made room for, and nobody has evicted since.
    owes_eviction: bool,
}

impl<V> RecordCache<V> {
    pub(crate) fn new(budget: CacheBudget) -> Self {
        Self {
            budget,
            index: Index::default(),
            entries: Vec::new(),
            headers: Vec::new(),
            free: Vec::new(),
            sources: Sources::default(),
            order: Order::default(),
            last: 0,
            read_below: RowPlace::NONE,
            scan_count: 0,
            ordered: None,
            leaving: 0,
            taken_along: 0,
            owes_eviction: false,
        }
    }

    pub(crate) fn budget(&self) -> &CacheBudget {
        &self.budget
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.len() == self.free.len()
    }

    /// The entry of a key, which counts as used.
    pub(crate) fn find(&mut self, key: HashedKey<'_>) -> Option<Slot> {
        let slot = self.slot(key)?;
        self.order.note_use(slot);
        self.last = slot;
        Some(Slot(slot))
    }

    /// Whether there are so many entries that most of them are far.
    pub(crate) fn is_large(&self) -> bool {
        self.entries.len() >= READ_AHEAD_FROM
    }

    /// Touches the entries of keys that will be read, so that their memory is near by then; gives bits
    /// that say which of them there are.
    pub(crate) fn read_ahead(&self, keys: &[HashedKey<'_>]) -> u32 {
        if !self.is_large() {
            return 0;
        }
        // Step by step for all keys: what a step waits for, it waits for at once.
        touched(keys.iter().map(|key| self.index.touch(key.hash) as i64));
        let mut slots = [NO_SLOT; AHEAD];
        let mut found = 0;
        for ((bit, slot), key) in slots.iter_mut().enumerate().zip(keys) {
            if let Some(known) = self.index.find(key.hash, |_| true) {
                *slot = known as u32;
                found |= 1 << bit;
            }
        }
        let touch = |slot: &u32| Some(self.entry(*slot)?.touch() ^ self.order.touch(*slot));
        touched(slots.iter().filter_map(touch));
        found
    }

    /// Lends what an entry holds.
    pub(crate) fn row(&self, slot: Slot) -> Lent<'_, V> {
        self.entry(slot.0).and_then(Entry::lent)
    }

    fn slot(&self, key: HashedKey<'_>) -> Option<u32> {
        let is_it = |slot| self.entry(slot as u32).is_some_and(|entry| *entry.key_bytes == *key.bytes);
        Some(self.index.find(key.hash, is_it)? as u32)
    }

    /// Notes where the row below is whose read is not kept.
    pub(crate) fn note_below(&mut self, place: RowPlace) {
        self.read_below = place;
    }

    fn entry(&self, slot: u32) -> Option<&Entry<V>> {
        self.entries.get(slot as usize).and_then(Option::as_ref)
    }

    /// Writes a row: it becomes the most recently used and the last of the dirty ones.
    /// `value_len` is the length of its value in bytes.
    pub(crate) fn put(
        &mut self,
        key_bytes: &[u8],
        write: (Option<V>, Timestamp),
        value_len: usize,
        origin: &Origin,
        headers: &Headers,
    ) {
        let size = entry::size(key_bytes.len(), value_len, headers, origin);
        let slot = if self.entry(self.last).is_some_and(|entry| *entry.key_bytes == *key_bytes) {
            self.last
        } else {
            let key = HashedKey::of(key_bytes);
            // If the place is another row's, who writes there sees that.
            let below = std::mem::replace(&mut self.read_below, RowPlace::NONE);
            self.slot(key).unwrap_or_else(|| self.insert(key, below))
        };
        let source = self.sources.number(slot, origin);
        self.put_headers(slot, headers);
        let Some(entry) = self.entries.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        let before = entry.value.size();
        if size != before {
            self.budget.add(i64::from(size) - i64::from(before));
        }
        let (value, timestamp) = write;
        entry.value = Held::new(value, size, source);
        entry.timestamp = timestamp;
        entry.origin_offset = origin.offset;
        if let Some(beside) = self.order.beside_mut(slot) {
            beside.origin_timestamp = origin.timestamp;
        }
        self.order.note_write(slot);
    }

    fn put_headers(&mut self, slot: u32, headers: &Headers) {
        let at = slot as usize;
        if !headers.is_empty() && self.headers.len() <= at {
            self.headers.resize(self.entries.len(), Headers::new());
        }
        if let Some(place) = self.headers.get_mut(at) {
            place.clone_from(headers);
        }
    }

    /// Keeps a row that was read from `below`, unless it is larger than all the room there is. Where
    /// only dirty entries could make room, they have to be evicted next: a read cannot forward them.
    pub(crate) fn put_clean(
        &mut self,
        key: HashedKey<'_>,
        (value, timestamp): (V, Timestamp),
        value_len: usize,
        below: RowPlace,
    ) -> Result<Slot, V> {
        let size = entry::size(key.bytes.len(), value_len, &Headers::new(), &Origin::NONE);
        if !self.make_room(size as usize) {
            return Err(value);
        }
        let slot = self.insert(key, below);
        let source = self.sources.number(slot, &Origin::NONE);
        self.put_headers(slot, &Headers::new());
        if let Some(entry) = self.entries.get_mut(slot as usize).and_then(Option::as_mut) {
            entry.value = Held::new(Some(value), size, source);
            entry.timestamp = timestamp;
        }
        self.budget.add(i64::from(size));
        Ok(Slot(slot))
    }

    /// A new entry, still without a row and without bytes counted.
    fn insert(&mut self, key: HashedKey<'_>, below: RowPlace) -> u32 {
        let entry = Some(Entry::new(key.bytes));
        let slot = if let Some(slot) = self.free.pop() {
            if let Some(place) = self.entries.get_mut(slot as usize) {
                *place = entry;
            }
            slot
        } else {
            self.entries.push(entry);
            (self.entries.len() - 1) as u32
        };
        self.index.insert(key.hash, u64::from(slot));
        self.order.note_use(slot);
        if let Some(beside) = self.order.beside_mut(slot) {
            *beside = Beside { below, ..Beside::default() };
        }
        self.last = slot;
        if let Some(ordered) = &mut self.ordered {
            ordered.insert(key.bytes.into(), slot);
        }
        slot
    }

    /// Removes an entry from everywhere but the budget; gives the bytes it counts for.
    fn remove(&mut self, slot: u32) -> i64 {
        let Some(place) = self.entries.get_mut(slot as usize) else { return 0 };
        let Some(entry) = place else { return 0 };
        let size = i64::from(entry.value.size());
        self.index.remove(hash_of(&entry.key_bytes), u64::from(slot));
        if let Some(ordered) = &mut self.ordered {
            ordered.remove(&*entry.key_bytes);
        }
        *place = None;
        self.order.remove(slot);
        self.free.push(slot);
        size
    }

    /// Calls `each` for the rows of a range, deletions among them, in order or from the last on; all of
    /// them count as used.
    pub(crate) fn each_in(&mut self, range: &ByteRange, is_reverse: bool, mut each: impl FnMut(&[u8], Lent<'_, V>)) {
        self.scan_count = self.scan_count.saturating_add(1);
        if self.scan_count > SCANS_UNTIL_ORDERED && self.ordered.is_none() {
            let slots = self.entries.iter().zip(0..);
            let keyed = slots.filter_map(|(entry, slot)| Some((Box::from(&*entry.as_ref()?.key_bytes), slot)));
            self.ordered = Some(keyed.collect());
        }
        let mut slots: Vec<u32> = if let Some(ordered) = &self.ordered {
            crate::bytes::ordered_range(ordered, range).map(|(_, slot)| *slot).collect()
        } else {
            let entries = self.entries.iter().zip(0u32..).filter_map(|(entry, slot)| Some((entry.as_ref()?, slot)));
            let mut found: Vec<_> = entries.filter(|(entry, _)| range.contains(&entry.key_bytes)).collect();
            found.sort_unstable_by_key(|&(entry, _)| &*entry.key_bytes);
            found.into_iter().map(|(_, slot)| slot).collect()
        };
        if is_reverse {
            slots.reverse();
        }
        for slot in slots {
            self.order.note_use(slot);
            if let Some(entry) = self.entry(slot) {
                each(&entry.key_bytes, entry.lent());
            }
        }
    }

    /// Forgets everything, dirty or not.
    pub(crate) fn clear(&mut self) {
        self.settle();
        let held: usize = self.entries.iter().flatten().map(|entry| entry.value.size() as usize).sum();
        self.budget.add(-(held as i64));
        let budget = self.budget.clone();
        // The bytes are given back above; what is dropped here has none left to give.
        self.entries.clear();
        *self = Self::new(budget);
    }
}

impl<V> Drop for RecordCache<V> {
    fn drop(&mut self) {
        self.settle();
        let held: usize = self.entries.iter().flatten().map(|entry| entry.value.size() as usize).sum();
        self.budget.add(-(held as i64));
    }
}
