//! Writes by key bytes: a hash map for point access, or ordered where the store is scanned often.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::collections::btree_map;
use std::ops::Bound;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::small_bytes::SmallBytes;

/// A key's last write; `None` deletes.
pub(crate) type Write = (SmallBytes, Option<SmallBytes>);

/// The last write of each key.
pub(crate) struct ByteMap {
    writes: Writes,
    bytes: usize,
}

enum Writes {
    Hashed(HashMap<SmallBytes, Option<SmallBytes>, FixedState>),
    Ordered(BTreeMap<SmallBytes, Option<SmallBytes>>),
}

/// What an entry costs besides its key and value.
const ENTRY_BYTES: usize = 64;

/// Seed of the hash of key bytes. Fixed: no result depends on the order of a hash map.
pub(crate) const HASH_SEED: u64 = 0x6d69_6c6c_7374_726d;

impl ByteMap {
    pub(crate) fn new(is_ordered: bool) -> Self {
        let writes = if is_ordered {
            Writes::Ordered(BTreeMap::new())
        } else {
            Writes::Hashed(HashMap::with_hasher(FixedState::with_seed(HASH_SEED)))
        };
        Self { writes, bytes: 0 }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Number of keys.
    pub(crate) fn len(&self) -> usize {
        match &self.writes {
            Writes::Hashed(map) => map.len(),
            Writes::Ordered(map) => map.len(),
        }
    }

    /// The last write of a key; `Some(None)` if that was a delete.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let write = match &self.writes {
            Writes::Hashed(map) => map.get(key),
            Writes::Ordered(map) => map.get(key),
        };
        write.map(Option::as_deref)
    }

    pub(crate) fn put(&mut self, key: &[u8], value: Option<&[u8]>) {
        let present = match &mut self.writes {
            Writes::Hashed(map) => map.get_mut(key),
            Writes::Ordered(map) => map.get_mut(key),
        };
        if let Some(present) = present {
            self.bytes = self.bytes + value.map_or(0, <[u8]>::len) - present.as_ref().map_or(0, |value| value.len());
            match (present, value) {
                (Some(present), Some(value)) => present.set(value),
                (present, value) => *present = value.map(SmallBytes::from),
            }
            return;
        }
        self.insert(key.into(), value.map(SmallBytes::from));
    }

    /// Puts an owned write.
    pub(crate) fn insert(&mut self, key: SmallBytes, value: Option<SmallBytes>) {
        let key_len = key.len();
        self.bytes += value.as_ref().map_or(0, |value| value.len());
        let before = match &mut self.writes {
            Writes::Hashed(map) => map.insert(key, value),
            Writes::Ordered(map) => map.insert(key, value),
        };
        match before {
            Some(before) => self.bytes -= before.map_or(0, |value| value.len()),
            None => self.bytes += key_len + ENTRY_BYTES,
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Option<SmallBytes>> {
        let before = match &mut self.writes {
            Writes::Hashed(map) => map.remove(key),
            Writes::Ordered(map) => map.remove(key),
        }?;
        self.bytes -= key.len() + ENTRY_BYTES + before.as_ref().map_or(0, |value| value.len());
        Some(before)
    }

    /// Orders the keys from now on.
    pub(crate) fn make_ordered(&mut self) {
        if let Writes::Hashed(map) = &mut self.writes {
            self.writes = Writes::Ordered(map.drain().collect());
        }
    }

    /// Calls `each` for the writes with `from <= key < to`, in no order.
    pub(crate) fn each_in(&self, range: &ByteRange, mut each: impl FnMut(&[u8], Option<&[u8]>)) {
        match &self.writes {
            Writes::Hashed(map) => {
                map.iter().filter(|(key, _)| range.contains(key)).for_each(|(key, value)| each(key, value.as_deref()));
            }
            Writes::Ordered(map) => {
                ordered_range(map, range).for_each(|(key, value)| each(key, value.as_deref()));
            }
        }
    }

    /// All writes, sorted by key.
    pub(crate) fn sorted(&self) -> Vec<(&[u8], Option<&[u8]>)> {
        match &self.writes {
            Writes::Hashed(map) => sort(map.iter().map(|(key, value)| (&**key, value.as_deref())).collect()),
            Writes::Ordered(map) => map.iter().map(|(key, value)| (&**key, value.as_deref())).collect(),
        }
    }

    /// All writes, owned, in no order.
    pub(crate) fn into_writes(self) -> Box<dyn Iterator<Item = Write>> {
        match self.writes {
            Writes::Hashed(map) => Box::new(map.into_iter()),
            Writes::Ordered(map) => Box::new(map.into_iter()),
        }
    }
}

/// Sorts writes by key. Keys are compared as numbers first, made of the eight bytes behind the prefix
/// that all of them share: keys often differ nowhere else.
fn sort<'a>(writes: Vec<(&'a [u8], Option<&'a [u8]>)>) -> Vec<(&'a [u8], Option<&'a [u8]>)> {
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
