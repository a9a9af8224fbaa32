//! Typed reads that leave no trace: for queries.

use std::collections::BTreeMap;

use millstream_types::{Result, Timestamp};

use super::Core;
use crate::bytes::{ByteRange, Cell, Rows};
use crate::query::ReadView;

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> Core<K, V> {
    /// What `item` makes of the row under a key.
    pub(crate) fn peek<T>(
        &self,
        key_bytes: &[u8],
        view: ReadView,
        item: impl FnOnce(V, Timestamp) -> T,
    ) -> Result<Option<T>> {
        let cache = self.cache.as_ref().filter(|_| view == ReadView::Latest);
        if let Some(row) = cache.and_then(|cache| cache.peek(key_bytes)) {
            return Ok(row.map(|(value, timestamp)| item(value.clone(), timestamp)));
        }
        let row =
            self.below.peek(key_bytes, view, |bytes| bytes.map(|bytes| self.decoder.decode(bytes)).transpose())?;
        Ok(row?.map(|(value, timestamp)| item(value, timestamp)))
    }

    /// A snapshot of the rows of a range.
    pub(crate) fn snapshot(&self, range: &ByteRange, is_reverse: bool, view: ReadView) -> Result<Rows<V>> {
        let rows = self.below.snapshot(range, is_reverse, view)?;
        let Some(cache) = self.cache.as_ref().filter(|_| view == ReadView::Latest) else { return Ok(rows) };
        let mut cached = BTreeMap::new();
        cache.peek_in(range, |key, row| {
            let cell = row.map(|(value, timestamp)| Cell::Typed(value.clone(), timestamp));
            cached.insert(key.to_vec(), cell);
        });
        Ok(if cached.is_empty() { rows } else { rows.with_cached(cached) })
    }
}
