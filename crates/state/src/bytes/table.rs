//! Keys and values packed into one stretch of memory, found by hash.
//!
//! ```text
//! slot    place of the entry, in units of 8 bytes (36 bits) | part of its key's hash (28 bits)
//! entry   header (8 bytes) | key | value | room up to a multiple of 8
//! header  length of the key (20 bits) | room for the value (20) | its length (20) | deletes (1) | is dead (1)
//! ```
//!
//! A row of 30 bytes costs about 55 here. A value that fits goes where the one before was; of one that does not,
//! the dead entry stays until half of all bytes are dead.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::map::HASH_SEED;

/// Longer entries are not for this table.
pub(super) const ENTRY_BYTES_MAX: usize = (1 << LEN_BITS) - 64;

/// What a slot costs, as half of all slots are free at worst.
const SLOT_BYTES: usize = 16;

/// Dead bytes that are let lie in any case.
const DEAD_BYTES_MIN: usize = 64 * 1024;

const HEADER_LEN: usize = 8;
const LEN_BITS: u32 = 20;
const HASH_BITS: u32 = 28;

/// The last write of each key, of those that are not too long.
#[derive(Default)]
pub(super) struct ByteTable {
    slots: HashTable<Slot>,
    entries: Vec<u8>,
    dead_bytes: usize,
}

/// Where an entry lies, and a part of its hash: enough for the table to grow without a look at the entries.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Slot(u64);

impl Slot {
    fn new(at: usize, hash: u64) -> Self {
        Self((at as u64 / 8) << HASH_BITS | hash >> (u64::BITS - HASH_BITS))
    }

    fn at(self) -> usize {
        (self.0 >> HASH_BITS) as usize * 8
    }

    /// The part of the hash that is known, spread over all bits.
    fn spread(self) -> u64 {
        (self.0 & ((1 << HASH_BITS) - 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

#[derive(Clone, Copy)]
struct Header(u64);

impl Header {
    fn new(key_len: usize, room: usize, value: Option<&[u8]>) -> Self {
        let value_len = value.map_or(0, <[u8]>::len) as u64;
        let deletes = u64::from(value.is_none());
        Self(key_len as u64 | (room as u64) << LEN_BITS | value_len << (2 * LEN_BITS) | deletes << (3 * LEN_BITS))
    }

    fn len_at(self, shift: u32) -> usize {
        (self.0 >> shift & ((1 << LEN_BITS) - 1)) as usize
    }

    fn key_len(self) -> usize {
        self.len_at(0)
    }

    fn room(self) -> usize {
        self.len_at(LEN_BITS)
    }

    fn value_len(self) -> usize {
        self.len_at(2 * LEN_BITS)
    }

    fn deletes(self) -> bool {
        self.0 >> (3 * LEN_BITS) & 1 == 1
    }

    fn dead(self) -> Self {
        Self(self.0 | 1 << (3 * LEN_BITS + 1))
    }

    fn is_dead(self) -> bool {
        self.0 >> (3 * LEN_BITS + 1) & 1 == 1
    }

    /// Length of the whole entry.
    fn entry_len(self) -> usize {
        HEADER_LEN + self.key_len() + self.room()
    }
}

fn hash_of(key: &[u8]) -> u64 {
    FixedState::with_seed(HASH_SEED).hash_one(key)
}

fn header_at(entries: &[u8], at: usize) -> Header {
    let bytes = entries.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
    Header(u64::from_le_bytes(bytes))
}

fn key_at(entries: &[u8], at: usize, header: Header) -> &[u8] {
    entries.get(at + HEADER_LEN..at + HEADER_LEN + header.key_len()).unwrap_or_default()
}

fn value_at(entries: &[u8], at: usize, header: Header) -> Option<&[u8]> {
    if header.deletes() {
        return None;
    }
    let from = at + HEADER_LEN + header.key_len();
    entries.get(from..from + header.value_len())
}

/// Whether the entry of a slot has that key.
fn is_key(entries: &[u8], slot: Slot, wanted: Slot, key: &[u8]) -> bool {
    slot.spread() == wanted.spread() && key_at(entries, slot.at(), header_at(entries, slot.at())) == key
}

impl ByteTable {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.entries.len() + self.slots.len() * SLOT_BYTES
    }

    /// Bytes that it has allocated.
    pub(super) fn room(&self) -> usize {
        self.entries.capacity() + self.slots.capacity() * SLOT_BYTES
    }

    /// Forgets all writes; keeps its room.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.slots.clear();
        self.dead_bytes = 0;
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let wanted = Slot::new(0, hash_of(key));
        let slot = self.slots.find(wanted.spread(), |slot| is_key(&self.entries, *slot, wanted, key))?;
        Some(value_at(&self.entries, slot.at(), header_at(&self.entries, slot.at())))
    }

    pub(super) fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        let hash = hash_of(key);
        let wanted = Slot::new(0, hash);
        let found = self.slots.find_mut(wanted.spread(), |slot| is_key(&self.entries, *slot, wanted, key));
        let Some(slot) = found else {
            let slot = Slot::new(append(&mut self.entries, key, value), hash);
            self.slots.insert_unique(wanted.spread(), slot, |slot| slot.spread());
            return;
        };
        let at = slot.at();
        let before = header_at(&self.entries, at);
        if value.map_or(0, <[u8]>::len) <= before.room() {
            set(&mut self.entries, at, Header::new(key.len(), before.room(), value).0);
            let from = at + HEADER_LEN + key.len();
            if let Some(value) = value
                && let Some(place) = self.entries.get_mut(from..from + value.len())
            {
                place.copy_from_slice(value);
            }
            return;
        }
        *slot = Slot::new(append(&mut self.entries, key, value), hash);
        self.bury(at, before);
        self.clean_up();
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        let wanted = Slot::new(0, hash_of(key));
        let found = self.slots.find_entry(wanted.spread(), |slot| is_key(&self.entries, *slot, wanted, key));
        let Ok(found) = found else { return };
        let (slot, _) = found.remove();
        self.bury(slot.at(), header_at(&self.entries, slot.at()));
        self.clean_up();
    }

    /// All writes, in the order in which they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let mut next = 0;
        std::iter::from_fn(move || {
            while next < self.entries.len() {
                let (at, header) = (next, header_at(&self.entries, next));
                next += header.entry_len();
                if !header.is_dead() {
                    return Some((key_at(&self.entries, at, header), value_at(&self.entries, at, header)));
                }
            }
            None
        })
    }

    fn bury(&mut self, at: usize, header: Header) {
        set(&mut self.entries, at, header.dead().0);
        self.dead_bytes += header.entry_len();
    }

    /// Makes room once half of all bytes are dead.
    fn clean_up(&mut self) {
        if self.dead_bytes < DEAD_BYTES_MIN || self.dead_bytes < self.entries.len() / 2 {
            return;
        }
        let mut alive = Self::default();
        alive.entries.reserve(self.entries.len() - self.dead_bytes);
        alive.slots.reserve(self.slots.len(), |slot| slot.spread());
        for (key, value) in self.iter() {
            alive.put(key, value);
        }
        *self = alive;
    }
}

fn set(entries: &mut [u8], at: usize, header: u64) {
    if let Some(place) = entries.get_mut(at..at + HEADER_LEN) {
        place.copy_from_slice(&header.to_le_bytes());
    }
}

/// Writes an entry behind the others; gives its place.
fn append(entries: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) -> usize {
    let at = entries.len();
    let used = HEADER_LEN + key.len() + value.map_or(0, <[u8]>::len);
    let len = used.next_multiple_of(8);
    let room = len - HEADER_LEN - key.len();
    entries.extend_from_slice(&Header::new(key.len(), room, value).0.to_le_bytes());
    entries.extend_from_slice(key);
    entries.extend_from_slice(value.unwrap_or_default());
    entries.resize(at + len, 0);
    at
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Runs writes against a map; numbers as a small generator gives them.
    #[test]
    fn it_holds_what_an_ordinary_map_holds() {
        let (mut table, mut model) = (ByteTable::default(), BTreeMap::new());
        let mut state = 7_u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for step in 0..40_000 {
            let key = format!("key-{}", next(3000)).into_bytes();
            match next(10) {
                0 => {
                    table.remove(&key);
                    model.remove(&key);
                }
                1 => {
                    table.put(&key, None);
                    model.insert(key, None);
                }
                _ => {
                    let value = vec![step as u8; next(40) as usize];
                    table.put(&key, Some(&value));
                    model.insert(key, Some(value));
                }
            }
            if step == 10_000 {
                table.clear();
                model.clear();
            }
        }
        assert_eq!(table.len(), model.len());
        let held: BTreeMap<_, _> = table.iter().map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect();
        assert_eq!(held, model);
        for (key, value) in &model {
            assert_eq!(table.get(key), Some(value.as_deref()));
        }
        assert_eq!(table.get(b"absent"), None);
        assert!(table.dead_bytes <= (table.entries.len() / 2).max(DEAD_BYTES_MIN), "dead entries do not pile up");
    }

    #[test]
    fn the_longest_entry_fits() {
        let mut table = ByteTable::default();
        let value = vec![1; ENTRY_BYTES_MAX - 1];
        table.put(b"k", Some(&value));
        table.put(b"", Some(b""));
        assert_eq!(table.get(b"k"), Some(Some(&value[..])));
        assert_eq!(table.get(b""), Some(Some(&b""[..])));
    }
}
