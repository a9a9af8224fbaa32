//! Looking at the cache without using it: nothing moves in the order of use.

use super::{Lent, RecordCache};
use crate::bytes::ByteRange;
use crate::key_hash::HashedKey;

impl<V> RecordCache<V> {
    /// The row of a key, `Some(None)` if it is deleted.
    pub(crate) fn peek(&self, key_bytes: &[u8]) -> Option<Lent<'_, V>> {
        let slot = self.slot(HashedKey::of(key_bytes))?;
        Some(self.entry(slot).and_then(super::Entry::lent))
    }

    /// Calls `each` for the rows of a range, deletions among them, in no order.
    pub(crate) fn peek_in(&self, range: &ByteRange, mut each: impl FnMut(&[u8], Lent<'_, V>)) {
        let entries = self.entries.iter().flatten().filter(|entry| range.contains(&entry.key_bytes));
        entries.for_each(|entry| each(&entry.key_bytes, entry.lent()));
    }
}
