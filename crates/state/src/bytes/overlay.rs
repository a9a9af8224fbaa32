//! Writes that the engine does not hold yet.

use std::collections::BTreeMap;

use super::map::ByteRange;
use super::retention::Segments;
use super::segmented::{RowPlace, SegmentedMap};
use crate::key_hash::HashedKey;
use crate::record_cache::AHEAD;

/// Keys from which on it pays to touch them before they are read: fewer are near anyway.
const READ_AHEAD_FROM: usize = 1024;

/// Scans between two commits from which on the overlay is kept in order.
const SCANS_UNTIL_ORDERED: u32 = 8;

/// Scans between two commits from which on all rows at hand are kept in order, which doubles their bytes: as many as
/// only joins and sliding windows make.
const SCANS_UNTIL_ALL_ORDERED: u32 = 1000;

/// The writes since the last commit, and before them those of commits that the engine has not yet
/// taken.
///
/// Point access is hashed. A store that is scanned again and again (stream-stream joins, sliding
/// windows) gets an ordered map, so that a scan costs its range and not the whole overlay.
pub(crate) struct Overlay {
    open: SegmentedMap,
    sealed: Option<SegmentedMap>,
    /// Segments of the open part that start before are forgotten.
    forgotten_before: i64,
    scan_count: u32,
}

impl Overlay {
    pub(crate) fn new(segments: Option<Segments>) -> Self {
        Self::of(SegmentedMap::new(segments, false))
    }

    fn of(open: SegmentedMap) -> Self {
        Self { open, sealed: None, forgotten_before: i64::MIN, scan_count: 0 }
    }

    /// The newest write of a key; `Some(None)` if that was a delete.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.open.get(key).or_else(|| self.sealed.as_ref().and_then(|sealed| sealed.get(key)))
    }

    /// The same, with its place in the open part, if it is there.
    pub(crate) fn find(&self, key: HashedKey<'_>) -> Option<(RowPlace, Option<&[u8]>)> {
        let sealed = || Some((RowPlace::NONE, self.sealed.as_ref()?.get(key.bytes)?));
        self.open.find(key).or_else(sealed)
    }

    /// Whether there are so many writes that most of them are far.
    pub(crate) fn is_large(&self) -> bool {
        self.open.len() >= READ_AHEAD_FROM
    }

    /// Touches the writes of keys that will be read, so that their memory is near by then. Gives how many of them there
    /// are.
    pub(crate) fn read_ahead<'k>(&self, keys: impl Iterator<Item = HashedKey<'k>>) -> usize {
        self.touch(keys.map(|key| self.open.guess(key)))
    }

    /// The same, for writes that come, of which some have a place.
    pub(crate) fn write_ahead<'k>(&self, keys: impl Iterator<Item = (&'k [u8], RowPlace)>) {
        if self.is_large() {
            let is_known = |place: &RowPlace| *place != RowPlace::NONE;
            let guess = |key| self.open.guess(HashedKey::of(key));
            self.touch(keys.map(|(key, place)| Some(place).filter(is_known).or_else(|| guess(key))));
        }
    }

    /// Step by step for all: what a step waits for, it waits for at once.
    fn touch(&self, rows: impl Iterator<Item = Option<RowPlace>>) -> usize {
        let mut places = [RowPlace::NONE; AHEAD];
        let found = places.iter_mut().zip(rows.flatten()).map(|(place, row)| *place = row).count();
        let touched = places.iter().take(found).filter_map(|place| self.open.touch(*place));
        std::hint::black_box(touched.fold(0, |sum, byte| sum ^ byte));
        found
    }

    pub(crate) fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.open.put(key, value);
    }

    /// Writes by the place that the key had when it was last read or written; gives the one that it has now.
    pub(crate) fn put_at(&mut self, place: RowPlace, key: &[u8], value: Option<&[u8]>) -> RowPlace {
        if self.open.put_at(place, key, value) { place } else { self.open.put(key, value) }
    }

    /// Notes a scan; says whether there are so many that order pays even for rows that the engine has.
    pub(crate) fn note_scan(&mut self) -> bool {
        self.scan_count = self.scan_count.saturating_add(1);
        if self.scan_count > SCANS_UNTIL_ORDERED {
            self.open.make_ordered();
        }
        self.scan_count > SCANS_UNTIL_ALL_ORDERED
    }

    /// Lays the newest writes of a range, copied, over others.
    pub(crate) fn collect(&self, range: &ByteRange, writes: &mut BTreeMap<Vec<u8>, Option<Vec<u8>>>) {
        for layer in self.sealed.iter().chain([&self.open]) {
            layer.each_in(range, &mut |key, value| {
                writes.insert(key.to_vec(), value.map(<[u8]>::to_vec));
            });
        }
    }

    /// Forgets open segments that start before a time: no commit needs what is over when it is made. What is sealed may
    /// be of a commit that knew of no later time.
    pub(crate) fn forget_open_before(&mut self, start: i64) {
        if start > self.forgotten_before {
            self.forgotten_before = start;
            self.open.recycle_before(start);
        }
    }

    /// Forgets sealed segments that start before a time.
    pub(crate) fn forget_sealed_before(&mut self, start: i64) {
        if let Some(sealed) = &mut self.sealed {
            sealed.forget_before(start);
        }
    }

    /// Bytes of writes.
    pub(crate) fn bytes(&self) -> usize {
        self.open.bytes() + self.sealed.as_ref().map_or(0, SegmentedMap::bytes)
    }

    /// Bytes held.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes() + self.open.spare_bytes()
    }

    /// Closes the open part. Later writes go to a new one.
    pub(crate) fn seal(&mut self) {
        let is_ordered = self.scan_count > SCANS_UNTIL_ORDERED;
        let open = self.open.fresh(is_ordered);
        let open = std::mem::replace(&mut self.open, open);
        self.scan_count = 0;
        match &mut self.sealed {
            // An apply failed: this commit joins the one that waits, and both go in one batch.
            Some(waiting) => open.iter().for_each(|(key, value)| {
                waiting.put(key, value);
            }),
            None => self.sealed = Some(open),
        }
    }

    /// What the next apply writes.
    pub(crate) fn sealed(&self) -> Option<&SegmentedMap> {
        self.sealed.as_ref()
    }

    /// Takes the sealed part out, once the engine has it.
    pub(crate) fn take_sealed(&mut self) -> Option<SegmentedMap> {
        self.sealed.take()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::of(self.open.fresh(false));
    }
}
