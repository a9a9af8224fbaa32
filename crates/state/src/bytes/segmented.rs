//! Writes by key, those of a window or session store in parts by segment of time.
//!
//! A segment that is over is forgotten as a whole: its rows are not walked through, and the memory of its table serves
//! the next segment. What is looked up is mostly in the newest one, whose table is small.

use super::map::{ByteMap, ByteRange};
use super::retention::Segments;
use super::table::NO_PLACE;
use crate::key_hash::HashedKey;

/// Where a write lies, so that its key need not be looked up again. Of use as long as its part is there and its entry
/// was not moved. One number: results with two travel by way of memory, and who reads them together waits until
/// the processor has written them apart, behind the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowPlace(u64);

impl RowPlace {
    /// Nowhere.
    pub(crate) const NONE: Self = Self::new(u32::MAX, NO_PLACE);
    /// Nowhere, since the row's time is over.
    pub(crate) const EXPIRED: Self = Self::new(u32::MAX, NO_PLACE - 1);

    const fn new(part: u32, at: u32) -> Self {
        Self((part as u64) << 32 | at as u64)
    }

    fn part(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn at(self) -> u32 {
        self.0 as u32
    }

    /// Whether a window store dropped the row because its time is over.
    pub(crate) fn is_expired(self) -> bool {
        self == Self::EXPIRED
    }
}

/// The last write of each key; `None` deletes.
pub(crate) struct SegmentedMap {
    /// None for stores without windows: all their rows are one part.
    segments: Option<Segments>,
    is_ordered: bool,
    /// Few, the newest last: a store keeps three segments at most before they are over.
    parts: Vec<Part>,
    /// How many parts there have been, in this map and those it comes from.
    part_count: u32,
    /// A part that was forgotten: its memory is used again.
    spare: Option<ByteMap>,
}

struct Part {
    /// Start of the segment.
    start: i64,
    /// No other part of the store has it.
    number: u32,
    writes: ByteMap,
}

impl SegmentedMap {
    pub(crate) fn new(segments: Option<Segments>, is_ordered: bool) -> Self {
        Self { segments, is_ordered, parts: Vec::new(), part_count: 0, spare: None }
    }

    /// Another one for the same kind of rows, without any.
    pub(crate) fn fresh(&self, is_ordered: bool) -> Self {
        Self { part_count: self.part_count, ..Self::new(self.segments, is_ordered) }
    }

    /// Where the part of a key is, if there is one.
    fn position(&self, key: &[u8]) -> Option<usize> {
        let Some(segments) = self.segments else { return Some(0) };
        let time = segments.time_of(key);
        self.parts.iter().rposition(|part| segments.is_within(part.start, time))
    }

    fn part(&self, key: &[u8]) -> Option<&Part> {
        self.parts.get(self.position(key)?)
    }

    fn part_mut(&mut self, key: &[u8]) -> Option<&mut Part> {
        let at = self.position(key)?;
        self.parts.get_mut(at)
    }

    /// Where the write of a key probably lies: no row was looked at. None are known of where keys are in order.
    pub(crate) fn guess(&self, key: HashedKey<'_>) -> Option<RowPlace> {
        let part = self.part(key.bytes)?;
        Some(RowPlace::new(part.number, part.writes.guess(key.hash)?))
    }

    /// Reads what [`Self::put_at`] will need, and gives something that depends on it; `None` if the place is no more.
    pub(crate) fn touch(&self, place: RowPlace) -> Option<u8> {
        let part = self.parts.iter().rev().find(|part| part.number == place.part())?;
        Some(part.writes.touch(place.at()))
    }

    /// Writes the value of the key whose place that is; says whether it is still there and the value fits.
    pub(crate) fn put_at(&mut self, place: RowPlace, key: &[u8], value: Option<&[u8]>) -> bool {
        let part = self.parts.iter_mut().rev().find(|part| part.number == place.part());
        part.is_some_and(|part| part.writes.put_at(place.at(), key, value))
    }

    /// Bytes held, without what is spare.
    pub(crate) fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.writes.bytes()).sum()
    }

    /// Bytes held for rows that come.
    pub(crate) fn spare_bytes(&self) -> usize {
        self.spare.as_ref().map_or(0, ByteMap::room)
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.writes.len()).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.iter().all(|part| part.writes.is_empty())
    }

    /// Whether the keys are kept in order.
    pub(crate) fn is_ordered(&self) -> bool {
        self.is_ordered
    }

    /// The last write of a key; `Some(None)` if that was a delete.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.part(key)?.writes.get(key)
    }

    /// The same, with its place.
    pub(crate) fn find(&self, key: HashedKey<'_>) -> Option<(RowPlace, Option<&[u8]>)> {
        let part = self.part(key.bytes)?;
        let (at, value) = part.writes.find(key)?;
        Some((RowPlace::new(part.number, at), value))
    }

    /// Gives its place.
    pub(crate) fn put(&mut self, key: &[u8], value: Option<&[u8]>) -> RowPlace {
        if let Some(part) = self.part_mut(key) {
            return RowPlace::new(part.number, part.writes.put(key, value));
        }
        let mut writes = self.spare.take().unwrap_or_else(|| ByteMap::new(self.is_ordered));
        let place = RowPlace::new(self.part_count, writes.put(key, value));
        let start = self.segments.map_or(0, |segments| segments.start_of(segments.time_of(key)));
        let at = self.parts.partition_point(|part| part.start < start);
        self.parts.insert(at, Part { start, number: self.part_count, writes });
        self.part_count = self.part_count.wrapping_add(1);
        place
    }

    pub(crate) fn remove(&mut self, key: &[u8]) {
        if let Some(part) = self.part_mut(key) {
            part.writes.remove(key);
        }
    }

    /// Forgets the segments that start before a time.
    pub(crate) fn forget_before(&mut self, start: i64) {
        if self.segments.is_some() {
            self.parts.retain(|part| part.start >= start);
        }
    }

    /// The same, keeping the memory of one for those that come.
    pub(crate) fn recycle_before(&mut self, start: i64) {
        if self.segments.is_none() {
            return;
        }
        for mut part in self.parts.extract_if(.., |part| part.start < start) {
            if !self.is_ordered {
                part.writes.clear();
                self.spare = Some(part.writes);
            }
        }
    }

    /// Orders the keys from now on.
    pub(crate) fn make_ordered(&mut self) {
        self.is_ordered = true;
        self.spare = None;
        self.parts.iter_mut().for_each(|part| part.writes.make_ordered());
    }

    /// Calls `each` for the writes with `from <= key < to`, in no order.
    pub(crate) fn each_in(&self, range: &ByteRange, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        self.parts.iter().for_each(|part| part.writes.each_in(range, &mut *each));
    }

    /// All writes, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.parts.iter().flat_map(|part| part.writes.iter())
    }

    /// The same, giving memory back on the way.
    pub(crate) fn drain(self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        self.parts.into_iter().for_each(|part| part.writes.drain(each));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, start: i64) -> Vec<u8> {
        [key.as_bytes(), &start.to_be_bytes(), &[0; 4]].concat()
    }

    fn of_minutes() -> SegmentedMap {
        SegmentedMap::new(Some(Segments::of_windows(60_000)), false)
    }

    #[test]
    fn segments_that_are_over_go_and_leave_the_others() {
        let mut map = of_minutes();
        for start in [120_000, 0, 60_000, 119_999, i64::MAX] {
            map.put(&row("k", start), Some(&start.to_be_bytes()));
        }
        map.put(&[], Some(b"no row of a window"));
        map.forget_before(60_000);
        let has = |start| map.get(&row("k", start)).is_some();
        assert_eq!([0, 60_000, 119_999, 120_000, i64::MAX].map(has), [false, true, true, true, true]);
        assert_eq!((map.get(&[]), map.len()), (Some(Some(&b"no row of a window"[..])), 5));
        map.remove(&row("k", 60_000));
        assert_eq!(map.iter().count(), 4);
    }

    #[test]
    fn times_at_both_ends_lie_in_segments_of_their_own() {
        let mut map = of_minutes();
        for start in [i64::MIN, -1, i64::MAX] {
            map.put(&row("k", start), Some(&start.to_be_bytes()));
        }
        assert_eq!(map.parts.len(), 3);
        map.forget_before(0);
        let has = |start| map.get(&row("k", start)).is_some();
        assert_eq!([i64::MIN, -1, i64::MAX].map(has), [false, false, true]);
    }

    #[test]
    fn memory_of_a_segment_that_is_over_is_used_again() {
        let mut map = of_minutes();
        for minute in 0..10 {
            for key in 0..1000 {
                map.put(&row(&format!("key-{key}"), minute * 60_000), Some(b"12345678"));
            }
            map.recycle_before((minute - 1) * 60_000);
            assert!(map.parts.len() <= 2 && map.bytes() < 2 * 1000 * 64);
            assert_eq!(map.spare.is_some(), minute >= 2, "minute {minute}");
        }
        assert_eq!(map.get(&row("key-1", 480_000)), Some(Some(&b"12345678"[..])));
        assert_eq!(map.get(&row("key-1", 420_000)), None);
    }

    #[test]
    fn a_place_is_of_use_in_its_part_alone() {
        let mut map = of_minutes();
        let (key, value) = (row("k", 0), Some(&b"1"[..]));
        let place = map.put(&key, None);
        assert!(map.put_at(place, &key, value) && map.touch(place).is_some());
        assert_eq!(map.find(HashedKey::of(&key)), Some((place, value)));
        map.recycle_before(60_000);
        let next = row("k", 60_000);
        map.put(&next, value);
        assert!(map.touch(place).is_none() && !map.put_at(place, &key, value) && !map.put_at(place, &next, value));
        let place = map.put(&next, value);
        let mut later = map.fresh(false);
        later.put(&next, value);
        assert!(!later.put_at(place, &next, value), "what was sealed is another map's");
        map.make_ordered();
        assert!(!map.put_at(place, &next, None) && !map.put_at(RowPlace::NONE, &next, None));
        assert_eq!(map.get(&next), Some(value));
    }

    #[test]
    fn a_store_without_windows_is_one_part() {
        let mut map = SegmentedMap::new(None, false);
        for key in 0..100 {
            map.put(&row("k", key * 1_000_000), None);
        }
        map.forget_before(i64::MAX);
        map.recycle_before(i64::MAX);
        assert_eq!((map.len(), map.parts.len()), (100, 1));
    }
}
