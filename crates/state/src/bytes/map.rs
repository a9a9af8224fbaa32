//! Writes by key bytes: hashed for point access, or ordered where the store is scanned often.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::collections::btree_map;
use std::ops::Bound;

use super::entries::ENTRY_BYTES_MAX;
use super::table::{ByteTable, NO_PLACE};
use crate::key_hash::HashedKey;
use crate::small_bytes::SmallBytes;

/// The last write of each key; `None` deletes.
pub(crate) struct ByteMap {
    /// Short entries, as long as no order is needed.
    hashed: ByteTable,
    is_ordered: bool,
    ordered: BTreeMap<SmallBytes, Option<SmallBytes>>,
    ordered_bytes: usize,
}

/// What an ordered entry costs besides its key and value.
const ENTRY_BYTES: usize = 64;

impl ByteMap {
    pub(crate) fn new(is_ordered: bool) -> Self {
        Self { hashed: ByteTable::default(), is_ordered, ordered: BTreeMap::new(), ordered_bytes: 0 }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.hashed.bytes() + self.ordered_bytes
    }

    /// Bytes that rows may take before it grows.
    pub(crate) fn room(&self) -> usize {
        self.hashed.room()
    }

    /// Forgets all writes; keeps its room.
    pub(crate) fn clear(&mut self) {
        self.hashed.clear();
        self.ordered.clear();
        self.ordered_bytes = 0;
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> usize {
        self.hashed.len() + self.ordered.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The last write of a key; `Some(None)` if that was a delete.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        Some(self.find(HashedKey::of(key))?.1)
    }

    /// The same, with the number of its place.
    pub(crate) fn find(&self, key: HashedKey<'_>) -> Option<(u32, Option<&[u8]>)> {
        if let Some(found) = self.hashed.find(key) {
            return Some(found);
        }
        if self.ordered.is_empty() {
            return None;
        }
        self.ordered.get(key.bytes).map(|value| (NO_PLACE, value.as_deref()))
    }

    /// The number of the place where a hashed key probably lies.
    pub(crate) fn guess(&self, hash: u64) -> Option<u32> {
        self.hashed.guess(hash)
    }

    /// Reads what a write at a place will need, and gives something that depends on it.
    pub(crate) fn touch(&self, place: u32) -> u8 {
        self.hashed.touch(place)
    }

    /// Writes the value of the key whose place that is; says whether it is still there and the value fits.
    pub(crate) fn put_at(&mut self, place: u32, key: &[u8], value: Option<&[u8]>) -> bool {
        !self.is_ordered && self.hashed.put_at(place, key, value)
    }

    /// Gives the number of its place.
    pub(crate) fn put(&mut self, key: &[u8], value: Option<&[u8]>) -> u32 {
        if !self.is_ordered && key.len() + value.map_or(0, <[u8]>::len) <= ENTRY_BYTES_MAX {
            self.remove_ordered(key);
            return self.hashed.put(key, value);
        }
        self.hashed.remove(key);
        self.put_ordered(key, value);
        NO_PLACE
    }

    fn put_ordered(&mut self, key: &[u8], value: Option<&[u8]>) {
        let value_len = value.map_or(0, <[u8]>::len);
        let Some(present) = self.ordered.get_mut(key) else {
            self.ordered.insert(key.into(), value.map(SmallBytes::from));
            self.ordered_bytes += key.len() + value_len + ENTRY_BYTES;
            return;
        };
        self.ordered_bytes = self.ordered_bytes + value_len - present.as_ref().map_or(0, |value| value.len());
        match (present, value) {
            (Some(present), Some(value)) => present.set(value),
            (present, value) => *present = value.map(SmallBytes::from),
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8]) {
        self.hashed.remove(key);
        self.remove_ordered(key);
    }

    fn remove_ordered(&mut self, key: &[u8]) {
        if !self.ordered.is_empty()
            && let Some(value) = self.ordered.remove(key)
        {
            self.ordered_bytes -= key.len() + value.map_or(0, |value| value.len()) + ENTRY_BYTES;
        }
    }

    /// Orders the keys from now on.
    pub(crate) fn make_ordered(&mut self) {
        self.is_ordered = true;
        for (key, value) in std::mem::take(&mut self.hashed).iter() {
            self.put_ordered(key, value);
        }
    }

    /// Calls `each` for the writes with `from <= key < to`, in no order.
    pub(crate) fn each_in(&self, range: &ByteRange, mut each: impl FnMut(&[u8], Option<&[u8]>)) {
        let hashed = self.hashed.iter().filter(|(key, _)| range.contains(key));
        hashed.for_each(|(key, value)| each(key, value));
        ordered_range(&self.ordered, range).for_each(|(key, value)| each(key, value.as_deref()));
    }

    /// All writes, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.hashed.iter().chain(self.ordered.iter().map(|(key, value)| (&**key, value.as_deref())))
    }

    /// The same, giving memory back on the way.
    pub(crate) fn drain(self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        self.hashed.drain(each);
        self.ordered.into_iter().for_each(|(key, value)| each(&key, value.as_deref()));
    }
}

/// Sorts writes, each of another key. Keys are compared as numbers first, made of the eight bytes behind the prefix
/// that all of them share: keys often differ nowhere else.
pub(crate) fn sort<'a>(writes: Vec<(&'a [u8], Option<&'a [u8]>)>) -> Vec<(&'a [u8], Option<&'a [u8]>)> {
    let Some((first, _)) = writes.first().copied() else { return writes };
    let shared = writes.iter().fold(first.len(), |shared, (key, _)| {
        let same = first.iter().zip(*key).take(shared).take_while(|(one, other)| one == other);
        same.count()
    });
    let number = |key: &[u8]| {
        let mut bytes = [0; 8];
        let distinct = key.get(shared..).unwrap_or_default();
        bytes.iter_mut().zip(distinct).for_each(|(byte, distinct)| *byte = *distinct);
        u64::from_be_bytes(bytes)
    };
    let mut numbered: Vec<_> = writes.into_iter().map(|write| (number(write.0), write)).collect();
    numbered.sort_unstable_by(|(one, (one_key, _)), (other, (other_key, _))| {
        one.cmp(other).then_with(|| one_key.cmp(other_key))
    });
    numbered.into_iter().map(|(_, write)| write).collect()
}

/// The pairs of an ordered map within a range; none if the range is upside down.
pub(crate) fn ordered_range<'a, K: Borrow<[u8]> + Ord, V>(
    map: &'a BTreeMap<K, V>,
    range: &ByteRange,
) -> btree_map::Range<'a, K, V> {
    if range.is_empty() {
        // `BTreeMap::range` panics on a start behind its end.
        return map.range::<[u8], _>((Bound::Included(&[][..]), Bound::Excluded(&[][..])));
    }
    let from = range.from.as_deref().map_or(Bound::Unbounded, Bound::Included);
    let to = range.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    map.range::<[u8], _>((from, to))
}

/// Keys from `from` (inclusive) to `to` (exclusive); `None` is an open end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ByteRange {
    pub(crate) from: Option<Vec<u8>>,
    pub(crate) to: Option<Vec<u8>>,
}

impl ByteRange {
    /// Every key.
    pub(crate) fn all() -> Self {
        Self::default()
    }

    /// Keys up to `last`, which belongs to the range.
    pub(crate) fn through(from: Option<Vec<u8>>, last: Option<Vec<u8>>) -> Self {
        let to = last.map(|mut last| {
            last.push(0);
            last
        });
        Self { from, to }
    }

    /// Keys that start with some bytes.
    pub(crate) fn prefix(prefix: &[u8]) -> Self {
        let mut to = prefix.to_vec();
        while to.last() == Some(&u8::MAX) {
            to.pop();
        }
        let to = to.split_last().map(|(last, head)| [head, &[last + 1]].concat());
        Self { from: Some(prefix.to_vec()), to }
    }

    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.from.as_deref().is_none_or(|from| from <= key) && self.to.as_deref().is_none_or(|to| key < to)
    }

    pub(crate) fn is_empty(&self) -> bool {
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => from >= to,
            (None, Some(to)) => to.is_empty(),
            _ => false,
        }
    }
}
