//! Rows on their way out of the record cache: written through, and given to whoever forwards them.

use std::sync::Arc;

use millstream_types::{Error, ErrorKind, Headers, Result, Timestamp};

use super::{Core, Put};
use crate::bytes::{RowPlace, key_of, session_key_of};
use crate::record_cache::{AHEAD, Leaving, LeavingRow};
use crate::{Origin, StoreKind};

/// Rows written through at once, as many as are brought near together: few enough to be still there when they are
/// forwarded.
const FLUSH_ROWS: usize = AHEAD;

/// A row that left the record cache and was written through, for forwarding. Where its last write came from is told
/// beside it, from row to row: nearly all come from one topic.
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
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> Core<K, V> {
    /// Whether a read, or a write of somebody else, has left more in the record caches than their budget.
    pub(crate) fn owes_eviction(&self) -> bool {
        self.cache.as_ref().is_some_and(|cache| cache.owes_eviction())
    }

    /// Evicts and writes through what has to be, and gives the next row of it with its origin; gives none only when the
    /// thread's budget fits, or nothing is left here. Rows count against the budget until they were forwarded.
    pub(crate) fn next_evicted<T>(
        &mut self,
        wants_old: bool,
        origin: &mut Origin,
        key: impl Fn(K, &[u8]) -> T,
    ) -> Result<Option<FlushedEntry<T, V>>> {
        while self.flushed.len() == 0
            && let Some(first) = self.evict()
        {
            self.write_row(first, wants_old)?;
            while self.flushed.len() < FLUSH_ROWS
                && let Some(along) = self.taken_along()
            {
                self.write_row(along, wants_old)?;
            }
        }
        self.next_flushed(origin, key)
    }

    /// Writes dirty rows through, in the order of their last write, and gives the next of them with its origin; gives
    /// none only when no row is dirty any more.
    pub(crate) fn next_dirty<T>(
        &mut self,
        wants_old: bool,
        origin: &mut Origin,
        key: impl Fn(K, &[u8]) -> T,
    ) -> Result<Option<FlushedEntry<T, V>>> {
        if self.flushed.len() == 0 {
            self.settle_cache();
            while self.flushed.len() < FLUSH_ROWS
                && let Some(leaving) = self.dirty()
            {
                self.write_row(leaving, wants_old)?;
            }
            if self.flushed.len() == 0 {
                // Rows that came and went leave without being forwarded.
                self.settle_cache();
            }
        }
        self.next_flushed(origin, key)
    }

    /// What has to leave next: one row, and then all that are dirty.
    fn evict(&mut self) -> Option<Leaving> {
        self.taken_along().or_else(|| self.cache.as_mut()?.evict())
    }

    /// The next dirty row that goes along with an evicted one.
    fn taken_along(&mut self) -> Option<Leaving> {
        if self.cache.as_ref()?.taken_along() > 0 { self.dirty() } else { None }
    }

    /// The next dirty row.
    fn dirty(&mut self) -> Option<Leaving> {
        let cache = self.cache.as_mut()?;
        self.below.overlay().write_ahead(cache.read_ahead_dirty());
        cache.next_dirty()
    }

    /// What was given before counts no more.
    fn settle_cache(&mut self) {
        if let Some(cache) = &mut self.cache {
            cache.settle();
        }
    }

    /// Has a row written that leaves: `write` says where it lies now.
    fn leave(
        &mut self,
        leaving: Leaving,
        write: impl FnOnce(&mut Self, &LeavingRow<'_, V>) -> Result<RowPlace>,
    ) -> Result<()> {
        self.check_for_panic()?;
        let Some(mut cache) = self.cache.take() else { return Ok(()) };
        self.is_writing = true;
        let written = cache.leaving(leaving).as_ref().map_or(Ok(RowPlace::NONE), |row| write(self, row));
        let result = match written {
            Ok(place) => {
                cache.left(leaving, place);
                Ok(())
            }
            Err(error) => self.fail(error),
        };
        self.cache = Some(cache);
        self.is_writing = false;
        result
    }

    /// Writes a row through that is to be forwarded.
    fn write_row(&mut self, leaving: Leaving, wants_old: bool) -> Result<()> {
        self.leave(leaving, |core, row| {
            let old = if wants_old || row.value.is_none() { core.read_below(row.key_bytes)? } else { None };
            if row.value.is_none() && old.is_none() {
                // As in Kafka Streams: a row that came and went within the cache was never there.
                return Ok(RowPlace::NONE);
            }
            let place = core.write_leaving(row)?;
            core.flushed.push(row, old);
            Ok(place)
        })
    }

    /// The next row that was written through, with its key.
    fn next_flushed<T>(
        &mut self,
        origin: &mut Origin,
        key: impl Fn(K, &[u8]) -> T,
    ) -> Result<Option<FlushedEntry<T, V>>> {
        self.check_for_panic()?;
        let kind = self.below.facts().kind;
        let Some((row_key, row)) = self.flushed.next(origin) else { return Ok(None) };
        self.is_writing = true;
        let decoded = self.keys.decode(key_within(kind, row_key));
        self.is_writing = false;
        match decoded {
            Ok(decoded) => Ok(Some(FlushedEntry {
                key: key(decoded, row_key),
                new: row.new.take(),
                old: row.old.take(),
                timestamp: row.timestamp,
                headers: std::mem::take(&mut row.headers),
            })),
            Err(error) => {
                let error = self.decoder.unreadable(&error);
                self.fail(error)
            }
        }
    }

    #[cold]
    fn fail<T>(&mut self, error: Error) -> Result<T> {
        self.failure = Some(error.clone());
        Err(error)
    }

    /// Writes a row through.
    fn write_leaving(&mut self, row: &LeavingRow<'_, V>) -> Result<RowPlace> {
        let logged = self.logged_headers.of(row.value, &row.headers);
        let times = (row.timestamp, row.origin_timestamp);
        self.write_through(row.key_bytes, row.value, times, &logged, row.below)
    }

    fn write_silently(&mut self, leaving: Leaving) -> Result<()> {
        self.leave(leaving, Self::write_leaving)
    }

    /// The value below the record cache.
    fn read_below(&mut self, key_bytes: &[u8]) -> Result<Option<V>> {
        let decoder = &self.decoder;
        self.below
            .read(key_bytes, |bytes| bytes.map(|bytes| decoder.decode(bytes).map(|(value, _)| value)).transpose())?
    }

    /// Writes all dirty rows through; nobody forwards them.
    pub(crate) fn flush_silently(&mut self) -> Result<()> {
        self.settle_cache();
        while let Some(leaving) = self.dirty() {
            self.write_silently(leaving)?;
        }
        self.settle_cache();
        Ok(())
    }

    /// Says that somebody forwards what leaves the record cache.
    pub(crate) fn own(&mut self) {
        self.is_owned = true;
    }

    /// After a put by somebody who does not forward what leaves: evicts, unless there is an owner who does. Then only
    /// clean rows go, and the owner has to evict. It may be forwarding right now.
    pub(crate) fn settle(&mut self, put: Put) -> Result<Put> {
        match &mut self.cache {
            Some(cache) if self.is_owned => {
                cache.make_room(0);
            }
            _ if put.is_over_budget => self.evict_silently()?,
            _ => {}
        }
        Ok(Put { is_over_budget: false, ..put })
    }

    /// Evicts until the thread's budget fits; nobody forwards what comes out.
    pub(crate) fn evict_silently(&mut self) -> Result<()> {
        while let Some(leaving) = self.evict() {
            self.write_silently(leaving)?;
        }
        Ok(())
    }

    /// The first error of a flush: the store must not be committed after it.
    pub(crate) fn check(&self) -> Result<()> {
        self.check_for_panic()?;
        self.failure.clone().map_or(Ok(()), Err)
    }

    fn check_for_panic(&self) -> Result<()> {
        if !self.is_writing {
            return Ok(());
        }
        let message = "a serde panicked while rows left the record cache, so that some are lost";
        let store = Arc::clone(&self.decoder.store);
        Err(Error::new(ErrorKind::Processing, message).with_context(|context| context.store = Some(store)))
    }
}

/// The part of a row's key that its serde knows.
fn key_within(kind: StoreKind, row_key: &[u8]) -> Option<&[u8]> {
    match kind {
        StoreKind::Session | StoreKind::SessionWithHeaders => session_key_of(row_key),
        StoreKind::Window | StoreKind::TimestampedWindow | StoreKind::TimestampedWindowWithHeaders => key_of(row_key),
        _ => Some(row_key),
    }
}
