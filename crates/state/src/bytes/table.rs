//! Keys and values packed into a few stretches of memory, found by hash.
//!
//! A row of 30 bytes costs about 55 here. A value that fits goes where the one before was; of one that does not,
//! the dead entry stays until half of all bytes are dead.

use super::entries::Entries;
use crate::index::Index;
use crate::key_hash::{HashedKey, hash_of};

/// What a slot costs: between a third and two thirds of all places are taken.
const SLOT_BYTES: usize = 16;

/// The number of no place.
pub(super) const NO_PLACE: u32 = u32::MAX;

/// Dead bytes that are let lie in any case.
const DEAD_BYTES_MIN: usize = 64 * 1024;

/// The last write of each key, of those that are not too long.
#[derive(Default)]
pub(super) struct ByteTable {
    /// Where the entries lie, in units of 8 bytes, by their keys' hashes.
    slots: Index,
    entries: Entries,
    dead_bytes: usize,
    /// Whether entries have been moved: places given before are no good, and none are given any more.
    has_moved: bool,
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
        self.has_moved = false;
    }

    /// The write of a key, and the number of its place.
    pub(super) fn find(&self, key: HashedKey<'_>) -> Option<(u32, Option<&[u8]>)> {
        let at = self.entry(key.hash, key.bytes)?;
        Some((self.number(at), self.entries.value(at)))
    }

    /// Where a key's entry lies.
    fn entry(&self, hash: u64, key: &[u8]) -> Option<usize> {
        self.slots.find(hash, |slot| self.entries.key(place_of(slot)) == key).map(place_of)
    }

    /// The number of a place, by which its key need not be looked up again; [none](NO_PLACE) where it may not hold.
    fn number(&self, at: usize) -> u32 {
        if self.has_moved { NO_PLACE } else { u32::try_from(slot_of(at)).unwrap_or(NO_PLACE) }
    }

    /// The number of the place where a key of that hash probably lies: no entry was looked at.
    pub(super) fn guess(&self, hash: u64) -> Option<u32> {
        u32::try_from(self.slots.find(hash, |_| true)?).ok()
    }

    /// Reads what [`Self::put_at`] will need, and gives something that depends on it.
    pub(super) fn touch(&self, place: u32) -> u8 {
        self.entries.touch(place_of(u64::from(place)))
    }

    /// Writes the value of the key whose place that is, which this table has given; says whether it is still there
    /// and the value fits.
    pub(super) fn put_at(&mut self, place: u32, key: &[u8], value: Option<&[u8]>) -> bool {
        let at = place_of(u64::from(place));
        !self.has_moved && place != NO_PLACE && self.entries.is_of(at, key) && self.entries.set_value(at, value)
    }

    /// Gives the number of its place.
    pub(super) fn put(&mut self, key: &[u8], value: Option<&[u8]>) -> u32 {
        let hash = hash_of(key);
        let Some(at) = self.entry(hash, key) else {
            let at = self.entries.push(key, value);
            self.slots.insert(hash, slot_of(at));
            return self.number(at);
        };
        if self.entries.set_value(at, value) {
            return self.number(at);
        }
        let moved = self.entries.push(key, value);
        self.slots.replace(hash, slot_of(at), slot_of(moved));
        self.dead_bytes += self.entries.bury(at);
        self.clean_up();
        self.number(moved)
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        let hash = hash_of(key);
        let Some(at) = self.entry(hash, key) else { return };
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
        let mut alive = Self { has_moved: true, ..Self::default() };
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

    fn get<'a>(table: &'a ByteTable, key: &[u8]) -> Option<Option<&'a [u8]>> {
        Some(table.find(HashedKey::of(key))?.1)
    }

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
            assert_eq!(get(&table, key), Some(value.as_deref()));
        }
        assert_eq!(get(&table, b"absent"), None);
        assert!(table.dead_bytes <= (table.entries.bytes() / 2).max(DEAD_BYTES_MIN), "dead entries do not pile up");
    }

    #[test]
    fn a_place_is_good_until_its_entry_goes() {
        let mut table = ByteTable::default();
        let place = table.put(b"key", Some(b"12345678"));
        assert_eq!(table.find(HashedKey::of(b"key")), Some((place, Some(&b"12345678"[..]))));
        assert!(table.put_at(place, b"key", None) && table.put_at(place, b"key", Some(b"87654321")));
        assert_eq!(get(&table, b"key"), Some(Some(&b"87654321"[..])));
        assert!(!table.put_at(place, b"kex", Some(b"1")), "another key");
        assert!(!table.put_at(place, b"key", Some(&[1; 100])), "no room");
        let moved = table.put(b"key", Some(&[1; 100]));
        assert!(!table.put_at(place, b"key", Some(b"1")), "dead");
        assert!(table.put_at(moved, b"key", Some(b"2")));
        let mut len = 100;
        while table.put(b"other", Some(&vec![1; len])) != NO_PLACE {
            len += 100;
        }
        assert!(!table.put_at(moved, b"key", Some(b"3")), "all entries have moved");
        assert_eq!((table.put(b"key", None), table.put_at(NO_PLACE, b"key", None)), (NO_PLACE, false));
    }

    #[test]
    fn the_longest_entry_fits() {
        let mut table = ByteTable::default();
        let value = vec![1; ENTRY_BYTES_MAX - 1];
        table.put(b"k", Some(&value));
        table.put(b"", Some(b""));
        assert_eq!(get(&table, b"k"), Some(Some(&value[..])));
        assert_eq!(get(&table, b""), Some(Some(&b""[..])));
    }
}
