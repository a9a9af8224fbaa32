//! The record cache of one store: typed values on their way to changelog and overlay.
//!
//! Order and eviction are those of Kafka Streams' `NamedCache`: least recently used goes first,
//! dirty entries are flushed in the order of their last write, and an evicted dirty entry takes all
//! other dirty entries along, itself first. All stores of a thread share one [`CacheBudget`]. What
//! leaves dirty counts until it has been forwarded: stores downstream make room for it meanwhile.

mod entry;
mod order;
mod peek;
mod sources;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use millstream_types::{Headers, Timestamp};

use crate::bytes::{ByteRange, HASH_SEED};
use crate::{CacheBudget, Origin};
pub(crate) use entry::Lent;
use entry::{Entry, Held, KeyBytes, touched};
use order::Order;
use sources::Sources;

/// Scans after which the entries are also kept in key order.
const SCANS_UNTIL_ORDERED: u32 = 8;

/// Entries from which on it pays to touch them before they are read: fewer are near anyway.
const READ_AHEAD_FROM: usize = 1024;

/// Most keys that are read ahead at once.
const READ_AHEAD_MAX: usize = 16;

/// What a cached row held when it was taken out.
pub(crate) struct CachedRow<V> {
    /// `None` is a deletion.
    pub(crate) value: Option<V>,
    /// Timestamp of the value.
    pub(crate) timestamp: Timestamp,
    pub(crate) headers: Headers,
    /// Where the last write came from.
    pub(crate) origin: Origin,
}

/// A dirty row taken out for writing.
pub(crate) struct DirtyRow<K, V> {
    pub(crate) key: K,
    pub(crate) key_bytes: KeyBytes,
    pub(crate) row: CachedRow<V>,
}

/// A row's place in the table: its hash lies beside it, so that no other row is looked at, neither
/// in a search nor when the table grows.
#[derive(Clone, Copy)]
struct Place {
    hash: u32,
    slot: u32,
}

impl Place {
    /// The hash as the table wants it: it picks a place by the low bits and tells apart by the high.
    fn wide(hash: u32) -> u64 {
        u64::from(hash) << 32 | u64::from(hash)
    }
}

/// Number of an entry's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(u32);

/// Entries by key bytes, in order of use, and the dirty ones in order of writing.
pub(crate) struct RecordCache<K, V> {
    budget: CacheBudget,
    hasher: FixedState,
    table: HashTable<Place>,
    entries: Vec<Option<Entry<V>>>,
    /// The typed keys, by slot.
    keys: Vec<Option<K>>,
    /// Headers of the last writes, by slot; none until a record has some.
    headers: Vec<Headers>,
    free: Vec<u32>,
    sources: Sources,
    /// All entries in order of use, the dirty ones in order of their last write.
    order: Order,
    /// The slot found last: the write that follows a read of its key need not look it up again.
    last: u32,
    scan_count: u32,
    ordered: Option<BTreeMap<Box<[u8]>, u32>>,
    /// Bytes that have left and still count.
    leaving: i64,
    /// Dirty entries that the evicted one takes along and that are not yet taken.
    taken_along: usize,
    /// Whether a read has brought in more than clean entries made room for.
    owes_eviction: bool,
}

impl<K, V> RecordCache<K, V> {
    pub(crate) fn new(budget: CacheBudget) -> Self {
        Self {
            budget,
            hasher: FixedState::with_seed(HASH_SEED),
            table: HashTable::new(),
            entries: Vec::new(),
            keys: Vec::new(),
            headers: Vec::new(),
            free: Vec::new(),
            sources: Sources::default(),
            order: Order::default(),
            last: 0,
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
        self.table.is_empty()
    }

    /// The entry of a key, which counts as used.
    pub(crate) fn find(&mut self, key_bytes: &[u8]) -> Option<Slot> {
        let slot = self.slot(self.hash(key_bytes), key_bytes)?;
        self.order.note_use(slot);
        self.last = slot;
        Some(Slot(slot))
    }

    /// Touches the entries of keys that will be read, so that their memory is near by then; gives how
    /// many of them there are.
    pub(crate) fn read_ahead(&self, keys: &[&[u8]]) -> usize {
        if self.entries.len() < READ_AHEAD_FROM {
            return 0;
        }
        // Step by step for all keys: what a step waits for, it waits for at once.
        let mut places = [Place { hash: 0, slot: u32::MAX }; READ_AHEAD_MAX];
        for (place, key) in places.iter_mut().zip(keys) {
            place.hash = self.hash(key);
        }
        let mut found = 0;
        for place in places.iter_mut().take(keys.len()) {
            let hash = place.hash;
            if let Some(known) = self.table.find(Place::wide(hash), |known| known.hash == hash) {
                place.slot = known.slot;
                found += 1;
            }
        }
        let touch = |place: &Place| Some(self.entry(place.slot)?.touch() ^ self.order.touch(place.slot));
        touched(places.iter().filter_map(touch));
        found
    }

    /// Touches the entries that will probably be taken out next, which lie far from each other.
    fn touch_upcoming(&self, slots: &[u32]) {
        let touch = |slot: &u32| {
            let entry = self.entry(*slot)?;
            let has_key = self.keys.get(*slot as usize).is_some_and(Option::is_some);
            Some(entry.touch() ^ self.order.touch(*slot) ^ i64::from(has_key))
        };
        touched(slots.iter().filter_map(touch));
    }

    /// Lends what an entry holds.
    pub(crate) fn row(&self, slot: Slot) -> Lent<'_, V> {
        self.entry(slot.0).and_then(Entry::lent)
    }

    fn hash(&self, key_bytes: &[u8]) -> u32 {
        self.hasher.hash_one(key_bytes) as u32
    }

    fn slot(&self, hash: u32, key_bytes: &[u8]) -> Option<u32> {
        let entries = &self.entries;
        let is_key = |place: &Place| {
            place.hash == hash
                && entries
                    .get(place.slot as usize)
                    .and_then(Option::as_ref)
                    .is_some_and(|entry| *entry.key_bytes == *key_bytes)
        };
        self.table.find(Place::wide(hash), is_key).map(|place| place.slot)
    }

    fn entry(&self, slot: u32) -> Option<&Entry<V>> {
        self.entries.get(slot as usize).and_then(Option::as_ref)
    }

    /// Writes a row: it becomes the most recently used and the last of the dirty ones.
    /// `value_len` is the length of its value in bytes.
    pub(crate) fn put(
        &mut self,
        key_bytes: &[u8],
        key: &K,
        write: (Option<V>, Timestamp),
        value_len: usize,
        origin: &Origin,
        headers: &Headers,
    ) where
        K: Clone,
    {
        let size = entry::size(key_bytes.len(), value_len, headers, origin);
        let found = if self.entry(self.last).is_some_and(|entry| *entry.key_bytes == *key_bytes) {
            Some(self.last)
        } else {
            self.slot(self.hash(key_bytes), key_bytes)
        };
        let slot = found.unwrap_or_else(|| self.insert(key_bytes, key.clone()));
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
        entry.origin_timestamp = origin.timestamp;
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

    /// Keeps a row that was read from below, unless it is larger than all the room there is. Where
    /// only dirty entries could make room, they have to be evicted next: a read cannot forward them.
    pub(crate) fn put_clean(
        &mut self,
        key_bytes: &[u8],
        key: &K,
        (value, timestamp): (V, Timestamp),
        value_len: usize,
    ) -> Result<Slot, V>
    where
        K: Clone,
    {
        let size = entry::size(key_bytes.len(), value_len, &Headers::new(), &Origin::NONE);
        while self.budget.would_exceed(size as usize) {
            let Some(oldest) = self.order.oldest_used() else { return Err(value) };
            if self.order.is_dirty(oldest) {
                self.owes_eviction = true;
                break;
            }
            self.remove(oldest);
        }
        let slot = self.insert(key_bytes, key.clone());
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
    fn insert(&mut self, key_bytes: &[u8], key: K) -> u32 {
        let entry = Some(Entry::new(key_bytes));
        let slot = if let Some(slot) = self.free.pop() {
            if let (Some(place), Some(key_place)) =
                (self.entries.get_mut(slot as usize), self.keys.get_mut(slot as usize))
            {
                *place = entry;
                *key_place = Some(key);
            }
            slot
        } else {
            self.entries.push(entry);
            self.keys.push(Some(key));
            (self.entries.len() - 1) as u32
        };
        let hash = self.hash(key_bytes);
        self.table.insert_unique(Place::wide(hash), Place { hash, slot }, |place| Place::wide(place.hash));
        self.order.note_use(slot);
        if let Some(ordered) = &mut self.ordered {
            ordered.insert(key_bytes.into(), slot);
        }
        slot
    }

    /// Whether the last read has left more than the budget, and dirty entries have to make room.
    pub(crate) fn owes_eviction(&self) -> bool {
        self.owes_eviction
    }

    /// What has left before was forwarded: it counts no more.
    fn settle(&mut self) {
        self.budget.add(-std::mem::take(&mut self.leaving));
    }

    /// Removes an entry from everywhere.
    fn remove(&mut self, slot: u32) -> Option<DirtyRow<K, V>> {
        let (row, size) = self.take_out(slot)?;
        self.budget.add(-size);
        Some(row)
    }

    /// Removes an entry that counts until it was forwarded.
    fn remove_dirty(&mut self, slot: u32) -> Option<DirtyRow<K, V>> {
        let (row, size) = self.take_out(slot)?;
        self.leaving += size;
        Some(row)
    }

    /// Takes an entry out of everything but the budget; gives its row and the bytes it counts for.
    fn take_out(&mut self, slot: u32) -> Option<(DirtyRow<K, V>, i64)> {
        if self.free.len().is_multiple_of(READ_AHEAD_MAX) {
            self.touch_upcoming(self.order.upcoming_used(READ_AHEAD_MAX));
        }
        let entry = self.entries.get_mut(slot as usize)?.take()?;
        let key = self.keys.get_mut(slot as usize)?.take()?;
        let hash = self.hash(&entry.key_bytes);
        if let Ok(found) = self.table.find_entry(Place::wide(hash), |place| place.slot == slot) {
            found.remove();
        }
        self.order.remove(slot);
        if let Some(ordered) = &mut self.ordered {
            ordered.remove(&*entry.key_bytes);
        }
        self.free.push(slot);
        let (origin, headers) = self.context(slot, &entry);
        let size = i64::from(entry.value.size());
        let Entry { key_bytes, value, timestamp, .. } = entry;
        let row = CachedRow { value: value.into_value(), timestamp, headers, origin };
        Some((DirtyRow { key, key_bytes, row }, size))
    }

    /// Where the last write of an entry came from, and its headers.
    fn context(&self, slot: u32, entry: &Entry<V>) -> (Origin, Headers) {
        let source = self.sources.get(slot, entry.value.source());
        let origin = Origin {
            topic: source.topic,
            partition: source.partition,
            offset: entry.origin_offset,
            timestamp: entry.origin_timestamp,
            raw: source.raw,
        };
        (origin, self.headers.get(slot as usize).cloned().unwrap_or_default())
    }

    /// Evicts until the thread's budget fits or this store has nothing left; then it gives none. A
    /// dirty entry comes out first, then all other dirty ones, `rows_max` at a time: they are forwarded
    /// before it goes on.
    pub(crate) fn take_evicted(&mut self, rows_max: usize) -> Vec<DirtyRow<K, V>>
    where
        K: Clone,
        V: Clone,
    {
        let mut taken = self.take_along(rows_max, Vec::new());
        if !taken.is_empty() {
            return taken;
        }
        self.settle();
        self.owes_eviction = false;
        while taken.is_empty() && self.budget.is_exceeded() {
            let Some(oldest) = self.order.oldest_used() else { break };
            if self.order.is_dirty(oldest) {
                taken.extend(self.remove_dirty(oldest));
                self.taken_along = self.order.dirty_len();
            } else {
                self.remove(oldest);
            }
        }
        self.take_along(rows_max, taken)
    }

    /// Takes dirty entries that go along with an evicted one until `taken` has `rows_max` rows.
    fn take_along(&mut self, rows_max: usize, mut taken: Vec<DirtyRow<K, V>>) -> Vec<DirtyRow<K, V>>
    where
        K: Clone,
        V: Clone,
    {
        let before = taken.len();
        let rows_max = rows_max.min(before + self.taken_along);
        taken.reserve(rows_max - before);
        self.take_all_dirty(rows_max, &mut taken);
        self.taken_along = if taken.len() < rows_max { 0 } else { self.taken_along - (taken.len() - before) };
        taken
    }

    /// Whether an entry is dirty.
    pub(crate) fn is_dirty(&self) -> bool {
        self.order.dirty_len() > 0
    }

    /// Takes dirty entries, in the order of their last write, until `taken` has `rows_max`. They
    /// stay as clean ones, except deletions, which leave.
    pub(crate) fn take_dirty(&mut self, rows_max: usize, taken: &mut Vec<DirtyRow<K, V>>)
    where
        K: Clone,
        V: Clone,
    {
        self.settle();
        self.take_all_dirty(rows_max, taken);
    }

    fn take_all_dirty(&mut self, rows_max: usize, taken: &mut Vec<DirtyRow<K, V>>)
    where
        K: Clone,
        V: Clone,
    {
        while taken.len() < rows_max
            && let Some(slot) = self.order.oldest_written()
        {
            if taken.len().is_multiple_of(READ_AHEAD_MAX) {
                self.touch_upcoming(self.order.upcoming_written(READ_AHEAD_MAX));
            }
            if self.entry(slot).is_some_and(|entry| entry.lent().is_none()) {
                let Some(row) = self.remove_dirty(slot) else { return };
                taken.push(row);
                continue;
            }
            self.order.clean(slot);
            let Some(key) = self.keys.get(slot as usize).and_then(Clone::clone) else { return };
            let Some(entry) = self.entry(slot) else { return };
            let (origin, headers) = self.context(slot, entry);
            let value = entry.lent().map(|(value, _)| value.clone());
            let row = CachedRow { value, timestamp: entry.timestamp, headers, origin };
            taken.push(DirtyRow { key, key_bytes: entry.key_bytes.clone(), row });
        }
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

impl<K, V> Drop for RecordCache<K, V> {
    fn drop(&mut self) {
        self.settle();
        let held: usize = self.entries.iter().flatten().map(|entry| entry.value.size() as usize).sum();
        self.budget.add(-(held as i64));
    }
}
