//! The record cache of one store: typed values on their way to changelog and overlay.
//!
//! Order and eviction are those of Kafka Streams' `NamedCache`: least recently used goes first,
//! dirty entries are flushed in the order of their last write, and an evicted dirty entry takes all
//! other dirty entries along, itself first. All stores of a thread share one [`CacheBudget`]. What
//! leaves dirty counts until it has been forwarded: stores downstream make room for it meanwhile.

mod order;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use millstream_types::{Headers, Timestamp};

use crate::bytes::{ByteRange, HASH_SEED};
use crate::small_bytes::SmallBytes;
use crate::{CacheBudget, Origin};
use order::Order;

/// Bytes that Kafka Streams counts for an entry besides its key: three references of its list.
const ENTRY_BYTES: usize = 24;

/// Bytes that it counts for the record's context: dirty flag, timestamp, offset, partition.
const CONTEXT_BYTES: usize = 1 + 8 + 8 + 4;

/// Scans after which the entries are also kept in key order.
const SCANS_UNTIL_ORDERED: u32 = 8;

/// What a cached row holds.
pub(crate) struct CachedRow<V> {
    /// `None` is a deletion that was not written yet.
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
    pub(crate) key_bytes: SmallBytes,
    pub(crate) row: CachedRow<V>,
}

/// What a read or write of a known key touches. In a large cache each line of memory is a miss, so
/// what only insertion and flush need lies elsewhere.
struct Entry<V> {
    key_bytes: SmallBytes,
    row: CachedRow<V>,
    /// Bytes counted against the budget.
    size: usize,
}

/// Number of an entry's slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(u32);

/// Entries by key bytes, in order of use, and the dirty ones in order of writing.
pub(crate) struct RecordCache<K, V> {
    budget: CacheBudget,
    hasher: FixedState,
    table: HashTable<u32>,
    entries: Vec<Option<Entry<V>>>,
    /// The typed keys, by slot.
    keys: Vec<Option<K>>,
    free: Vec<u32>,
    /// All entries in order of use, the dirty ones in order of their last write.
    order: Order,
    /// The slot found last: the write that follows a read of its key need not look it up again.
    last: u32,
    scan_count: u32,
    ordered: Option<BTreeMap<Box<[u8]>, u32>>,
    /// Bytes that have left and still count.
    leaving: usize,
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
            free: Vec::new(),
            order: Order::default(),
            last: 0,
            scan_count: 0,
            ordered: None,
            leaving: 0,
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
        let hash = self.hasher.hash_one(key_bytes);
        let slot = self.slot(hash, key_bytes)?;
        self.order.note_use(slot);
        self.last = slot;
        Some(Slot(slot))
    }

    /// What an entry holds.
    pub(crate) fn row(&self, slot: Slot) -> Option<&CachedRow<V>> {
        self.entry(slot.0).map(|entry| &entry.row)
    }

    fn slot(&self, hash: u64, key_bytes: &[u8]) -> Option<u32> {
        let entries = &self.entries;
        let is_key = |slot: &u32| {
            entries.get(*slot as usize).and_then(Option::as_ref).is_some_and(|entry| *entry.key_bytes == *key_bytes)
        };
        self.table.find(hash, is_key).copied()
    }

    fn entry(&self, slot: u32) -> Option<&Entry<V>> {
        self.entries.get(slot as usize).and_then(Option::as_ref)
    }

    /// Bytes that an entry counts for, as Kafka Streams counts them.
    fn size(key_len: usize, value_len: usize, headers: &Headers, origin: &Origin) -> usize {
        let headers: usize =
            headers.iter().map(|header| header.key.len() + header.value.as_ref().map_or(0, Bytes::len)).sum();
        let topic = origin.topic.as_ref().map_or(0, |topic| topic.len());
        key_len + ENTRY_BYTES + CONTEXT_BYTES + value_len + headers + topic
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
        let size = Self::size(key_bytes.len(), value_len, headers, origin);
        let (value, timestamp) = write;
        let found = if self.entry(self.last).is_some_and(|entry| *entry.key_bytes == *key_bytes) {
            Some(self.last)
        } else {
            self.slot(self.hasher.hash_one(key_bytes), key_bytes)
        };
        let Some(slot) = found else {
            let hash = self.hasher.hash_one(key_bytes);
            let row = CachedRow { value, timestamp, headers: headers.clone(), origin: origin.clone() };
            let slot = self.insert(hash, key_bytes, key.clone(), row, size);
            self.order.note_write(slot);
            return;
        };
        let Some(entry) = self.entries.get_mut(slot as usize).and_then(Option::as_mut) else { return };
        if size != entry.size {
            self.budget.add(size as i64 - entry.size as i64);
            entry.size = size;
        }
        entry.row.value = value;
        entry.row.timestamp = timestamp;
        if !(entry.row.headers.is_empty() && headers.is_empty()) {
            entry.row.headers = headers.clone();
        }
        entry.row.origin.set(origin);
        self.order.note_write(slot);
    }

    /// Keeps a row that was read from below, unless it is larger than all the room there is. Where
    /// only dirty entries could make room, they have to be evicted next: a read cannot forward them.
    pub(crate) fn put_clean(
        &mut self,
        key_bytes: &[u8],
        key: &K,
        row: CachedRow<V>,
        value_len: usize,
    ) -> Result<Slot, CachedRow<V>>
    where
        K: Clone,
    {
        let size = Self::size(key_bytes.len(), value_len, &row.headers, &row.origin);
        while self.budget.would_exceed(size) {
            let Some(oldest) = self.order.oldest_used() else { return Err(row) };
            if self.order.is_dirty(oldest) {
                self.owes_eviction = true;
                break;
            }
            self.remove(oldest);
        }
        let hash = self.hasher.hash_one(key_bytes);
        Ok(Slot(self.insert(hash, key_bytes, key.clone(), row, size)))
    }

    fn insert(&mut self, hash: u64, key_bytes: &[u8], key: K, row: CachedRow<V>, size: usize) -> u32 {
        let ordered_key = self.ordered.is_some().then(|| key_bytes.into());
        let key_bytes = SmallBytes::from(key_bytes);
        let entry = Some(Entry { key_bytes, row, size });
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
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash_of = |slot: &u32| {
            let entry = entries.get(*slot as usize).and_then(Option::as_ref);
            entry.map_or(0, |entry| hasher.hash_one(&*entry.key_bytes))
        };
        self.table.insert_unique(hash, slot, hash_of);
        self.order.note_use(slot);
        self.budget.add(size as i64);
        if let (Some(ordered), Some(key)) = (&mut self.ordered, ordered_key) {
            ordered.insert(key, slot);
        }
        slot
    }

    /// Whether the last read has left more than the budget, and dirty entries have to make room.
    pub(crate) fn owes_eviction(&self) -> bool {
        self.owes_eviction
    }

    /// What has left before was forwarded: it counts no more.
    fn settle(&mut self) {
        self.budget.add(-(std::mem::take(&mut self.leaving) as i64));
    }

    /// Removes an entry from everywhere.
    fn remove(&mut self, slot: u32) -> Option<(K, Entry<V>)> {
        let (key, entry) = self.take_out(slot)?;
        self.budget.add(-(entry.size as i64));
        Some((key, entry))
    }

    /// Removes an entry that counts until it was forwarded.
    fn remove_dirty(&mut self, slot: u32) -> Option<(K, Entry<V>)> {
        let (key, entry) = self.take_out(slot)?;
        self.leaving += entry.size;
        Some((key, entry))
    }

    fn take_out(&mut self, slot: u32) -> Option<(K, Entry<V>)> {
        let entry = self.entries.get_mut(slot as usize)?.take()?;
        let key = self.keys.get_mut(slot as usize)?.take()?;
        let hash = self.hasher.hash_one(&*entry.key_bytes);
        if let Ok(found) = self.table.find_entry(hash, |other| *other == slot) {
            found.remove();
        }
        self.order.remove(slot);
        if let Some(ordered) = &mut self.ordered {
            ordered.remove(&*entry.key_bytes);
        }
        self.free.push(slot);
        Some((key, entry))
    }

    /// Evicts until the thread's budget fits or this store has nothing left; then it gives none. A
    /// dirty entry comes out first, with all other dirty ones: they are forwarded before it goes on.
    pub(crate) fn take_evicted(&mut self) -> Vec<DirtyRow<K, V>>
    where
        K: Clone,
        V: Clone,
    {
        self.settle();
        self.owes_eviction = false;
        while self.budget.is_exceeded() {
            let Some(oldest) = self.order.oldest_used() else { break };
            if !self.order.is_dirty(oldest) {
                self.remove(oldest);
                continue;
            }
            let Some((key, entry)) = self.remove_dirty(oldest) else { break };
            let mut taken = vec![DirtyRow { key, key_bytes: entry.key_bytes, row: entry.row }];
            self.take_all_dirty(usize::MAX, &mut taken);
            return taken;
        }
        Vec::new()
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
            if self.entry(slot).is_some_and(|entry| entry.row.value.is_none()) {
                let Some((key, entry)) = self.remove_dirty(slot) else { return };
                taken.push(DirtyRow { key, key_bytes: entry.key_bytes, row: entry.row });
                continue;
            }
            self.order.clean(slot);
            let Some(key) = self.keys.get(slot as usize).and_then(Clone::clone) else { return };
            let Some(entry) = self.entry(slot) else { return };
            let row = CachedRow {
                value: entry.row.value.clone(),
                timestamp: entry.row.timestamp,
                headers: entry.row.headers.clone(),
                origin: entry.row.origin.clone(),
            };
            let key_bytes = entry.key_bytes.clone();
            taken.push(DirtyRow { key, key_bytes, row });
        }
    }

    /// Calls `each` for the rows of a range, in order or from the last on; all of them count as used.
    pub(crate) fn each_in(&mut self, range: &ByteRange, is_reverse: bool, mut each: impl FnMut(&[u8], &CachedRow<V>)) {
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
                each(&entry.key_bytes, &entry.row);
            }
        }
    }

    /// Forgets everything, dirty or not.
    pub(crate) fn clear(&mut self) {
        self.settle();
        let held: usize = self.entries.iter().flatten().map(|entry| entry.size).sum();
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
        let held: usize = self.entries.iter().flatten().map(|entry| entry.size).sum();
        self.budget.add(-(held as i64));
    }
}
