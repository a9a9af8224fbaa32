//! Rows at hand that the engine holds as well.

use super::map::ByteRange;
use super::retention::Segments;
use super::segmented::SegmentedMap;

/// A bounded memory of what the engine answers, absent keys included.
///
/// Two generations: reads and writes go to the young one. When the young one has half of the room it
/// becomes the old one, and when there is no room left the old one is forgotten. What is used again in
/// time comes back. As long as nothing was forgotten the engine need not be asked at all.
pub(crate) struct CleanRows {
    young: SegmentedMap,
    old: SegmentedMap,
    bytes_max: usize,
    /// Whether the engine holds no row that is not here.
    is_complete: bool,
}

impl CleanRows {
    /// Remembers nothing before it is [given room](Self::fit).
    pub(crate) fn new(segments: Option<Segments>, is_engine_empty: bool) -> Self {
        let none = || SegmentedMap::new(segments, false);
        Self { young: none(), old: none(), bytes_max: 0, is_complete: is_engine_empty }
    }

    /// Whether a row that is not here is nowhere.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Whether the engine is known to have no rows.
    pub(crate) fn is_engine_empty(&self) -> bool {
        self.is_complete && self.young.is_empty() && self.old.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.young.bytes() + self.old.bytes()
    }

    /// What the engine is known to hold under a key.
    pub(crate) fn get(&mut self, key: &[u8]) -> Option<Option<&[u8]>> {
        if !self.old.is_empty() {
            if let Some(value) = self.old.get(key) {
                self.young.put(key, value);
                self.old.remove(key);
            }
            self.age();
        }
        // The young generation may have become the old one just now.
        if self.old.is_empty() { self.young.get(key) } else { self.young.get(key).or_else(|| self.old.get(key)) }
    }

    /// Notes what the engine holds from now on.
    pub(crate) fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        if self.bytes_max == 0 {
            self.is_complete = false;
            return;
        }
        if !self.old.is_empty() {
            self.old.remove(key);
        }
        self.young.put(key, value);
        self.age();
    }

    /// Notes a batch that the engine has taken.
    pub(crate) fn put_all(&mut self, writes: SegmentedMap) {
        if self.bytes_max > 0 && self.young.is_empty() && self.old.is_empty() {
            self.young = writes;
            self.age();
        } else {
            writes.drain(&mut |key, value| self.put(key, value));
        }
    }

    /// Notes a row of a bulk load: in place of an older one, else only as long as nothing was forgotten.
    pub(crate) fn put_loaded(&mut self, key: &[u8], value: Option<&[u8]>) {
        let is_known = self.young.get(key).is_some() || self.old.get(key).is_some();
        if self.is_complete || is_known {
            self.put(key, value);
        }
    }

    /// Forgets a row that the engine has no more.
    pub(crate) fn remove(&mut self, key: &[u8]) {
        self.young.remove(key);
        self.old.remove(key);
    }

    /// The rows here, for a look at all.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.young.iter().chain(self.old.iter())
    }

    /// Keeps the rows in order from now on, for scans.
    pub(crate) fn make_ordered(&mut self) {
        if !self.young.is_ordered() {
            self.young.make_ordered();
            self.old.make_ordered();
            self.age();
        }
    }

    /// Calls `each` for the rows of a range, if none is missing and they are in order; says so.
    pub(crate) fn each_in(&self, range: &ByteRange, mut each: impl FnMut(&[u8], Option<&[u8]>)) -> bool {
        let is_able = self.is_complete && self.young.is_ordered();
        if is_able {
            for rows in [&self.old, &self.young] {
                rows.each_in(range, &mut each);
            }
        }
        is_able
    }

    /// Forgets segments that start before a time: the engine has their rows no more.
    pub(crate) fn forget_before(&mut self, start: i64) {
        self.young.forget_before(start);
        self.old.forget_before(start);
    }

    /// Holds no more than that from now on.
    pub(crate) fn fit(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
        self.age();
    }

    fn age(&mut self) {
        if self.old.is_empty() && self.young.bytes() > self.bytes_max / 2 {
            let young = self.young.fresh(self.young.is_ordered());
            self.old = std::mem::replace(&mut self.young, young);
        }
        if self.bytes() > self.bytes_max {
            let young = self.young.fresh(self.young.is_ordered());
            self.old = std::mem::replace(&mut self.young, young);
            self.is_complete = false;
            if self.old.bytes() > self.bytes_max {
                self.old = self.young.fresh(false);
            }
        }
    }

    /// The engine has lost all rows.
    pub(crate) fn clear(&mut self) {
        let none = || self.young.fresh(false);
        *self = Self { young: none(), old: none(), bytes_max: self.bytes_max, is_complete: true };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: usize) -> Vec<u8> {
        format!("key-{number:04}").into_bytes()
    }

    #[test]
    fn it_is_complete_until_it_has_to_forget() {
        let mut clean = CleanRows::new(None, true);
        clean.fit(10_000);
        let mut number = 0;
        while clean.is_complete() {
            clean.put(&row(number), Some(b"1"));
            number += 1;
        }
        assert!(number > 10_000 / 60, "only {number} rows had room");
        assert!(clean.bytes() <= 10_000);
        assert_eq!(clean.get(&row(0)), None);
        assert_eq!(clean.get(&row(number - 1)), Some(Some(&b"1"[..])));
    }

    #[test]
    fn what_is_used_again_stays() {
        let mut clean = CleanRows::new(None, true);
        clean.fit(4000);
        clean.put(b"hot", Some(b"1"));
        for number in 0..1000 {
            clean.put(&row(number), None);
            assert_eq!(clean.get(b"hot"), Some(Some(&b"1"[..])), "{number}");
        }
    }

    #[test]
    fn without_room_nothing_is_held_and_the_engine_is_asked() {
        let mut clean = CleanRows::new(None, true);
        assert!(clean.is_engine_empty());
        clean.put(b"a", Some(b"1"));
        assert!(!clean.is_complete() && clean.bytes() == 0);
        clean.clear();
        clean.fit(1000);
        clean.put(b"a", Some(b"1"));
        clean.fit(0);
        assert!(!clean.is_complete() && clean.bytes() == 0);
    }

    #[test]
    fn a_bulk_load_stops_where_the_room_ends() {
        let mut clean = CleanRows::new(None, true);
        clean.fit(4000);
        (0..1000).for_each(|number| clean.put_loaded(&row(number), Some(b"1")));
        assert!(!clean.is_complete());
        let known = (0..1000).find(|number| clean.get(&row(*number)).is_some());
        let known = known.map(row).expect("what was loaded first is there");
        clean.put_loaded(&known, Some(b"2"));
        assert_eq!(clean.get(&known), Some(Some(&b"2"[..])));
    }
}
