//! Keys and values packed into a few stretches of memory, found by hash.
//!
//! ```text
//! slot    place of the entry, in units of 8 bytes (36 bits) | part of its key's hash (28 bits)
//! ```
//!
//! A row of 30 bytes costs about 55 here. A value that fits goes where the one before was; of one that does not,
//! the dead entry stays until half of all bytes are dead.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::entries::Entries;
use super::map::HASH_SEED;

/// What a slot costs, as half of all slots are free at worst.
const SLOT_BYTES: usize = 16;

/// Dead bytes that are let lie in any case.
const DEAD_BYTES_MIN: usize = 64 * 1024;

const HASH_BITS: u32 = 28;

/// The last write of each key, of those that are not too long.
#[derive(Default)]
pub(super) struct ByteTable {
    slots: HashTable<Slot>,
    entries: Entries,
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

fn hash_of(key: &[u8]) -> u64 {
    FixedState::with_seed(HASH_SEED).hash_one(key)
}

/// Whether the entry of a slot has that key.
fn is_key(entries: &Entries, slot: Slot, wanted: Slot, key: &[u8]) -> bool {
    slot.spread() == wanted.spread() && entries.key(slot.at()) == key
}

impl ByteTable {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.entries.bytes() + self.slots.len() * SLOT_BYTES
    }

    /// Bytes that it has allocated.
    pub(super) fn room(&self) -> usize {
        self.entries.room() + self.slots.capacity() * SLOT_BYTES
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
        Some(self.entries.value(slot.at()))
    }

    pub(super) fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        let hash = hash_of(key);
        let wanted = Slot::new(0, hash);
        let found = self.slots.find_mut(wanted.spread(), |slot| is_key(&self.entries, *slot, wanted, key));
        let Some(slot) = found else {
            let slot = Slot::new(self.entries.push(key, value), hash);
            self.slots.insert_unique(wanted.spread(), slot, |slot| slot.spread());
            return;
        };
        let at = slot.at();
        if self.entries.set_value(at, value) {
            return;
        }
        *slot = Slot::new(self.entries.push(key, value), hash);
        self.dead_bytes += self.entries.bury(at);
        self.clean_up();
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        let wanted = Slot::new(0, hash_of(key));
        let found = self.slots.find_entry(wanted.spread(), |slot| is_key(&self.entries, *slot, wanted, key));
        let Ok(found) = found else { return };
        let (slot, _) = found.remove();
        self.dead_bytes += self.entries.bury(slot.at());
        self.clean_up();
    }

    /// All writes, in the order in which they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.entries.iter()
    }

    /// The same, giving memory back on the way.
    pub(super) fn drain(self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        self.entries.drain(each);
    }

    /// Makes room once half of all bytes are dead.
    fn clean_up(&mut self) {
        if self.dead_bytes < DEAD_BYTES_MIN || self.dead_bytes < self.entries.bytes() / 2 {
            return;
        }
        let mut alive = Self::default();
        alive.slots.reserve(self.slots.len(), |slot| slot.spread());
        for (key, value) in self.iter() {
            alive.put(key, value);
        }
        *self = alive;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::entries::ENTRY_BYTES_MAX;
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
        assert!(table.dead_bytes <= (table.entries.bytes() / 2).max(DEAD_BYTES_MIN), "dead entries do not pile up");
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
