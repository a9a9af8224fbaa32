//! Keys and values packed into a few stretches of memory, found by hash.
//!
//! A row of 30 bytes costs about 55 here. A value that fits goes where the one before was; of one that does not,
//! the dead entry stays until half of all bytes are dead.

use super::entries::Entries;
use crate::index::Index;
use crate::key_hash::hash_of;

/// What a slot costs: between a third and two thirds of all places are taken.
const SLOT_BYTES: usize = 16;

/// Dead bytes that are let lie in any case.
const DEAD_BYTES_MIN: usize = 64 * 1024;

/// The last write of each key, of those that are not too long.
#[derive(Default)]
pub(super) struct ByteTable {
    /// Where the entries lie, in units of 8 bytes, by their keys' hashes.
    slots: Index,
    entries: Entries,
    dead_bytes: usize,
}

/// The slot of an entry's place.
fn slot_of(at: usize) -> u64 {
    at as u64 / 8
}

fn place_of(slot: u64) -> usize {
    slot as usize * 8
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
        self.entries.room() + self.slots.bytes()
    }

    /// Forgets all writes; keeps its room.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.slots.clear();
        self.dead_bytes = 0;
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        Some(self.entries.value(self.find(hash_of(key), key)?))
    }

    /// Where a key's entry lies.
    fn find(&self, hash: u64, key: &[u8]) -> Option<usize> {
        self.slots.find(hash, |slot| self.entries.key(place_of(slot)) == key).map(place_of)
    }

    pub(super) fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        let hash = hash_of(key);
        let Some(at) = self.find(hash, key) else {
            self.slots.insert(hash, slot_of(self.entries.push(key, value)));
            return;
        };
        if self.entries.set_value(at, value) {
            return;
        }
        self.slots.replace(hash, slot_of(at), slot_of(self.entries.push(key, value)));
        self.dead_bytes += self.entries.bury(at);
        self.clean_up();
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        let hash = hash_of(key);
        let Some(at) = self.find(hash, key) else { return };
        self.slots.remove(hash, slot_of(at));
        self.dead_bytes += self.entries.bury(at);
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
        alive.slots.reserve(self.slots.len());
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
