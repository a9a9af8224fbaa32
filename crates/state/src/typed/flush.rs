//! Rows on their way out of the record cache: written through, and given to whoever forwards them.

use std::sync::Arc;

use millstream_types::{Error, ErrorKind, Headers, Result, Timestamp};

use super::{Core, Put};
use crate::bytes::{RowPlace, key_of, session_key_of};
use crate::record_cache::{Leaving, LeavingRow, RecordCache};
use crate::{Origin, StoreKind};

/// Rows written through at once: few enough to stay in the processor's cache until they are
/// forwarded.
const FLUSH_ROWS: usize = 128;

/// A row that left the record cache and was written through, for forwarding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlushedEntry<K, V> {
    /// Key.
    pub key: K,
    /// The row from now on; `None` when it was deleted.
    pub new: Option<V>,
    /// The row below the cache until now; only looked up if asked for, or if `new` is `None`.
    pub old: Option<V>,
    /// Timestamp of the new value; of a deletion, that of the record that caused it.
    pub timestamp: Timestamp,
    /// Headers of the last write.
    pub headers: Headers,
    /// Where the last write came from.
    pub origin: Origin,
    /// A window store dropped the row because its time was over when it left the cache.
    pub is_expired: bool,
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> Core<K, V> {
    /// Whether a read has left more in the record caches than their budget.
    pub(crate) fn owes_eviction(&self) -> bool {
        self.cache.as_ref().is_some_and(|cache| cache.owes_eviction())
    }

    /// Evicts and writes through what has to be; gives none only when the thread's budget fits, or
    /// nothing is left here.
    pub(crate) fn take_evicted<T>(
        &mut self,
        wants_old: bool,
        key: impl Fn(K, &[u8]) -> T,
    ) -> Result<Vec<FlushedEntry<T, V>>> {
        while let Some((evicted, rows_max)) = self.evict() {
            let flushed = self.write_all(evicted, rows_max, wants_old, &key)?;
            if !flushed.is_empty() {
                return Ok(flushed);
            }
        }
        Ok(Vec::new())
    }

    /// What has to leave next, and how many dirty rows after it.
    fn evict(&mut self) -> Option<(Option<Leaving>, usize)> {
        let cache = self.cache.as_mut()?;
        let evicted = if cache.taken_along() == 0 { Some(cache.evict()?) } else { None };
        Some((evicted, cache.taken_along().min(FLUSH_ROWS)))
    }

    /// Writes dirty rows through, some at a time, in the order of their last write; gives none only
    /// when no row is dirty any more.
    pub(crate) fn take_dirty<T>(
        &mut self,
        wants_old: bool,
        key: impl Fn(K, &[u8]) -> T,
    ) -> Result<Vec<FlushedEntry<T, V>>> {
        while self.has_dirty() {
            let flushed = self.write_all(None, FLUSH_ROWS, wants_old, &key)?;
            if !flushed.is_empty() {
                return Ok(flushed);
            }
        }
        Ok(Vec::new())
    }

    /// Whether rows are dirty. What was given before counts no more.
    fn has_dirty(&mut self) -> bool {
        self.cache.as_mut().is_some_and(|cache| {
            cache.settle();
            cache.is_dirty()
        })
    }

    fn write_all<T>(
        &mut self,
        evicted: Option<Leaving>,
        rows_max: usize,
        wants_old: bool,
        key: &impl Fn(K, &[u8]) -> T,
    ) -> Result<Vec<FlushedEntry<T, V>>> {
        let mut flushed = Vec::with_capacity(rows_max + usize::from(evicted.is_some()));
        self.each_leaving(evicted, rows_max, |core, row| {
            let Some((entry, place)) = core.write_row(row, wants_old, key)? else { return Ok(RowPlace::NONE) };
            flushed.push(entry);
            Ok(place)
        })?;
        Ok(flushed)
    }

    /// Calls `each` for an evicted row and dirty ones after it; it says where it has written the row.
    fn each_leaving(
        &mut self,
        mut evicted: Option<Leaving>,
        rows_max: usize,
        mut each: impl FnMut(&mut Self, LeavingRow<'_, V>) -> Result<RowPlace>,
    ) -> Result<()> {
        let Some(mut cache) = self.cache.take() else { return Ok(()) };
        self.is_writing = true;
        let mut rows_left = rows_max;
        let result = loop {
            let leaving = evicted.take().or_else(|| {
                rows_left = rows_left.checked_sub(1)?;
                self.next_dirty(&mut cache)
            });
            let Some(leaving) = leaving else { break Ok(()) };
            match cache.leaving(leaving).map_or(Ok(RowPlace::NONE), |row| each(self, row)) {
                Ok(place) => cache.left(leaving, place),
                Err(error) => break Err(error),
            }
        };
        self.cache = Some(cache);
        self.is_writing = false;
        self.failure = result.clone().err().or(self.failure.take());
        result
    }

    fn next_dirty(&self, cache: &mut RecordCache<V>) -> Option<Leaving> {
        self.below.overlay().write_ahead(cache.read_ahead_dirty());
        cache.next_dirty()
    }

    fn write_row<T>(
        &mut self,
        row: LeavingRow<'_, V>,
        wants_old: bool,
        key: &impl Fn(K, &[u8]) -> T,
    ) -> Result<Option<(FlushedEntry<T, V>, RowPlace)>> {
        let old = if wants_old || row.value.is_none() { self.read_below(row.key_bytes)? } else { None };
        if row.value.is_none() && old.is_none() {
            // As in Kafka Streams: a row that came and went within the cache was never there.
            return Ok(None);
        }
        let place = self.write_leaving(&row)?;
        let decoded = self.keys.decode(self.key_of(row.key_bytes));
        let decoded = decoded.map_err(|error| self.decoder.unreadable(&error))?;
        let entry = FlushedEntry {
            key: key(decoded, row.key_bytes),
            timestamp: if row.value.is_some() { row.timestamp } else { row.origin.timestamp },
            new: row.value.cloned(),
            old,
            headers: row.headers,
            origin: row.origin,
            is_expired: place.is_expired(),
        };
        Ok(Some((entry, place)))
    }

    /// Writes a row through.
    fn write_leaving(&mut self, row: &LeavingRow<'_, V>) -> Result<RowPlace> {
        let logged = self.logged_headers.of(row.value, &row.headers);
        let times = (row.timestamp, row.origin.timestamp);
        self.write_through(row.key_bytes, row.value, times, &logged, row.below)
    }

    /// The part of a row's bytes that is its key.
    fn key_of<'a>(&self, row_key: &'a [u8]) -> Option<&'a [u8]> {
        match self.below.facts().kind {
            StoreKind::Session | StoreKind::SessionWithHeaders => session_key_of(row_key),
            StoreKind::Window | StoreKind::TimestampedWindow | StoreKind::TimestampedWindowWithHeaders => {
                key_of(row_key)
            }
            _ => Some(row_key),
        }
    }

    /// The value below the record cache.
    fn read_below(&mut self, key_bytes: &[u8]) -> Result<Option<V>> {
        let decoder = &self.decoder;
        self.below
            .read(key_bytes, |bytes| bytes.map(|bytes| decoder.decode(bytes).map(|(value, _)| value)).transpose())?
    }

    /// Writes all dirty rows through; nobody forwards them.
    pub(crate) fn flush_silently(&mut self) -> Result<()> {
        while self.has_dirty() {
            self.each_leaving(None, FLUSH_ROWS, |core, row| core.write_leaving(&row))?;
        }
        Ok(())
    }

    /// After a put into a store that no operator owns: evicts without forwarding.
    pub(crate) fn settle(&mut self, put: Put) -> Result<Put> {
        if !put.is_over_budget {
            return Ok(put);
        }
        self.evict_silently()?;
        Ok(Put { is_over_budget: false, ..put })
    }

    /// Evicts until the thread's budget fits; nobody forwards what comes out.
    pub(crate) fn evict_silently(&mut self) -> Result<()> {
        while let Some((evicted, rows_max)) = self.evict() {
            self.each_leaving(evicted, rows_max, |core, row| core.write_leaving(&row))?;
        }
        Ok(())
    }

    /// The first error of a flush: the store must not be committed after it.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_writing {
            let message = "a serde panicked while rows left the record cache, so that some are lost";
            let store = Arc::clone(&self.decoder.store);
            return Err(Error::new(ErrorKind::Processing, message).with_context(|context| context.store = Some(store)));
        }
        self.failure.clone().map_or(Ok(()), Err)
    }
}
