//! Numbers by the hashes of keys that lie elsewhere.

/// Bits of a hash that are kept beside its number: enough for nearly all keys to be told apart, and for the
/// table to grow, without a look at them.
const HASH_BITS: u32 = 28;

/// Places of the smallest index that holds anything.
const PLACES_MIN: usize = 16;

/// An open-addressed table with linear probing: a search mostly ends in the line of memory it begins
/// in, which in a large table is the one miss it costs.
///
/// ```text
/// place   number (36 bits) | part of the hash (28 bits)
/// ```
#[derive(Default)]
pub(crate) struct Index {
    /// A power of two of them, or none.
    places: Vec<Place>,
    len: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Place(u64);

impl Place {
    /// Holds nothing. No number is that large.
    const FREE: Self = Self(u64::MAX);

    fn new(hash: u64, number: u64) -> Self {
        Self(number << HASH_BITS | hash >> (u64::BITS - HASH_BITS))
    }

    fn number(self) -> u64 {
        self.0 >> HASH_BITS
    }

    fn hash_part(self) -> u64 {
        self.0 & ((1 << HASH_BITS) - 1)
    }
}

impl Index {
    /// How many numbers it holds.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes that it has allocated.
    pub(crate) fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<Place>()
    }

    /// Forgets all numbers; keeps its room.
    pub(crate) fn clear(&mut self) {
        self.places.fill(Place::FREE);
        self.len = 0;
    }

    /// The number of a key of that hash which `is_it` agrees to.
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u64) -> bool) -> Option<u64> {
        let wanted = Place::new(hash, 0);
        let mut at = self.home(wanted);
        while let Some(place) = self.places.get(at).filter(|place| **place != Place::FREE) {
            if place.hash_part() == wanted.hash_part() && is_it(place.number()) {
                return Some(place.number());
            }
            at = self.after(at);
        }
        None
    }

    /// Reads where a search for the hash begins, and gives something that depends on it.
    pub(crate) fn touch(&self, hash: u64) -> u64 {
        self.places.get(self.home(Place::new(hash, 0))).map_or(0, |place| place.0)
    }

    /// Adds a number that is not there.
    pub(crate) fn insert(&mut self, hash: u64, number: u64) {
        // At most two thirds are taken: beyond that, searches for what is absent get long.
        if self.len * 3 >= self.places.len() * 2 {
            self.resize(self.places.len() * 2);
        }
        self.set_first_free(Place::new(hash, number));
        self.len += 1;
    }

    /// Makes room for so many numbers.
    pub(crate) fn reserve(&mut self, numbers: usize) {
        let needed = (numbers + numbers / 2 + 1).next_power_of_two();
        if needed > self.places.len() {
            self.resize(needed);
        }
    }

    /// Puts a number in the place of another one of the same key.
    pub(crate) fn replace(&mut self, hash: u64, number: u64, by: u64) {
        if let Some(at) = self.position(Place::new(hash, number)) {
            self.set(at, Place::new(hash, by));
        }
    }

    /// Takes a number out.
    pub(crate) fn remove(&mut self, hash: u64, number: u64) {
        let Some(mut gap) = self.position(Place::new(hash, number)) else { return };
        self.len -= 1;
        // Those behind move up, unless that puts them before the place where their search begins.
        let mut at = self.after(gap);
        while let Some(place) = self.places.get(at).copied().filter(|place| *place != Place::FREE) {
            let from_home = at.wrapping_sub(self.home(place)) & self.mask();
            let from_gap = at.wrapping_sub(gap) & self.mask();
            if from_home >= from_gap {
                self.set(gap, place);
                gap = at;
            }
            at = self.after(at);
        }
        self.set(gap, Place::FREE);
    }

    fn position(&self, wanted: Place) -> Option<usize> {
        let mut at = self.home(wanted);
        while let Some(place) = self.places.get(at).filter(|place| **place != Place::FREE) {
            if *place == wanted {
                return Some(at);
            }
            at = self.after(at);
        }
        None
    }

    fn resize(&mut self, places: usize) {
        let before = std::mem::replace(&mut self.places, vec![Place::FREE; places.max(PLACES_MIN)]);
        before.into_iter().filter(|place| *place != Place::FREE).for_each(|place| self.set_first_free(place));
    }

    fn set_first_free(&mut self, place: Place) {
        let mut at = self.home(place);
        while self.places.get(at).is_some_and(|taken| *taken != Place::FREE) {
            at = self.after(at);
        }
        self.set(at, place);
    }

    fn set(&mut self, at: usize, place: Place) {
        if let Some(known) = self.places.get_mut(at) {
            *known = place;
        }
    }

    fn mask(&self) -> usize {
        self.places.len().wrapping_sub(1)
    }

    fn home(&self, place: Place) -> usize {
        place.hash_part() as usize & self.mask()
    }

    fn after(&self, at: usize) -> usize {
        at.wrapping_add(1) & self.mask()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_finds_what_a_map_finds_also_where_hashes_crowd() {
        let (mut index, mut model) = (Index::default(), BTreeMap::new());
        let mut state = 7_u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for _ in 0..100_000 {
            let number = next(500);
            // Few hashes, near each other and around the end of the table.
            match model.remove(&number) {
                Some(hash) if hash % 2 == 0 => index.remove(hash, number),
                Some(hash) => {
                    index.replace(hash, number, number + 500);
                    index.remove(hash, number + 500);
                }
                None => {
                    let hash = next(40).wrapping_sub(20) << (64 - HASH_BITS);
                    index.insert(hash, number);
                    model.insert(number, hash);
                }
            }
            let wanted = next(500);
            let hash = model.get(&wanted).copied();
            let found = index.find(hash.unwrap_or(7), |number| number == wanted);
            assert_eq!(found, hash.map(|_| wanted));
        }
        assert_eq!(index.len(), model.len());
        for (number, hash) in model {
            index.remove(hash, number);
        }
        assert!(index.len() == 0 && index.places.iter().all(|place| *place == Place::FREE));
    }

    #[test]
    fn what_is_not_there_changes_nothing() {
        let mut index = Index::default();
        index.remove(1, 1);
        assert_eq!((index.find(1, |_| true), index.touch(1)), (None, 0));
        index.insert(1, 1);
        index.remove(1, 2);
        index.replace(1, 2, 3);
        assert_eq!(index.find(1, |_| true), Some(1));
    }

    #[test]
    fn it_does_not_grow_where_room_was_made() {
        let mut index = Index::default();
        index.reserve(1000);
        let places = index.places.len();
        (0..1000).for_each(|number| index.insert(number << 40, number));
        assert_eq!((index.len(), index.places.len()), (1000, places));
        index.clear();
        assert_eq!((index.len(), index.find(1 << 40, |_| true), index.places.len()), (0, None, places));
    }
}
