//! Rows brought closer before they are read, of keys that were announced.

use super::Core;
use crate::bytes::WINDOW_LEN;
use crate::key_hash::HashedKey;
use crate::record_cache::AHEAD;

/// Keys that were announced, and whether they are those that are read then.
pub(super) struct Announced {
    /// The row of the first key of the last announcement.
    first: Vec<u8>,
    is_read: bool,
    /// In a window store, what follows the key in the row that was read last.
    window: Option<[u8; WINDOW_LEN]>,
    /// Rows of a window store, used again.
    rows: Vec<Vec<u8>>,
}

impl Announced {
    pub(super) fn new(has_windows: bool) -> Self {
        Self { first: Vec::new(), is_read: true, window: has_windows.then_some([0; WINDOW_LEN]), rows: Vec::new() }
    }

    pub(super) fn note_read(&mut self, row_key: &[u8]) {
        if !self.is_read && *self.first == *row_key {
            self.is_read = true;
        }
        if let (Some(window), Some(read)) = (&mut self.window, row_key.last_chunk()) {
            *window = *read;
        }
    }

    /// Takes the first key of another announcement; says whether that of the last one was read.
    fn note(&mut self, first: &[u8]) -> bool {
        self.first.clear();
        self.first.extend_from_slice(first);
        std::mem::replace(&mut self.is_read, false)
    }
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> Core<K, V> {
    /// Brings rows closer that will be read; gives how many of the keys were of use. Of a window store they are the
    /// rows of the window that was read last: the next records are mostly of the same.
    pub(crate) fn read_ahead(&mut self, keys: &[&[u8]]) -> usize {
        let is_large = self.below.overlay().is_large() || self.cache.as_ref().is_some_and(|cache| cache.is_large());
        if !is_large {
            // All of it is near.
            return 0;
        }
        let mut rows = std::mem::take(&mut self.announced.rows);
        let mut hashed = [HashedKey { bytes: &[], hash: 0 }; AHEAD];
        let count = keys.len().min(AHEAD);
        if let Some(window) = &self.announced.window {
            rows.resize_with(AHEAD, Vec::new);
            for (row, key) in rows.iter_mut().zip(keys) {
                row.clear();
                row.extend_from_slice(key);
                row.extend_from_slice(window);
            }
            hashed.iter_mut().zip(&rows).take(count).for_each(|(hashed, row)| *hashed = HashedKey::of(row));
        } else {
            hashed.iter_mut().zip(keys).for_each(|(hashed, key)| *hashed = HashedKey::of(key));
        }
        let hashed = hashed.get(..count).unwrap_or_default();
        let was_read = hashed.first().is_some_and(|first| self.announced.note(first.bytes));
        let known = self.touch(hashed);
        self.announced.rows = rows;
        // Keys that have no row yet are looked up where one might be.
        if was_read { keys.len() } else { known }
    }

    /// Touches rows; gives how many of them there are.
    fn touch(&self, keys: &[HashedKey<'_>]) -> usize {
        let cached = self.cache.as_ref().map_or(0, |cache| cache.read_ahead(keys));
        // Those in the cache hide the others.
        let is_cached = |number: u32| cached.checked_shr(number).unwrap_or(0) & 1 == 1;
        let others = keys.iter().zip(0..).filter(|(_, number)| !is_cached(*number)).map(|(key, _)| *key);
        let overlay = self.below.overlay();
        cached.count_ones() as usize + if overlay.is_large() { overlay.read_ahead(others) } else { 0 }
    }
}
