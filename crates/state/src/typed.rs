//! The typed layers, once for all kinds of stores: encoding, the record cache and its flush.

mod ahead;
mod decoder;
mod flush;
mod flushed;
mod key_bounds;
mod peek;
mod state_store;

use std::sync::Arc;

use millstream_types::{CodecError, Error, Headers, Result, Serde, Timestamp};

use crate::bytes::{ByteRange, ByteStore, Cell, RowPlace, Rows, TIMESTAMP_LEN, Write};
use crate::key_hash::HashedKey;
use crate::record_cache::{Lent, RecordCache};
use crate::{Origin, StoreEnv, StoreFacts, StoreFormat};

use ahead::Announced;
pub(crate) use decoder::Decoder;
pub use flush::FlushedEntry;
use flushed::FlushedRows;
pub(crate) use key_bounds::KeyBounds;
pub(crate) use state_store::state_store;

/// What a put did besides writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Put {
    /// The thread's record caches hold more than their budget: whoever owns the store evicts now.
    pub is_over_budget: bool,
    /// A window store dropped the row because its time is over.
    pub is_expired: bool,
}

/// A typed store by physical key bytes. What the facades add is the key layout.
pub(crate) struct Core<K, V> {
    pub(crate) keys: Serde<K>,
    pub(crate) decoder: Decoder<V>,
    pub(crate) below: ByteStore,
    cache: Option<Box<RecordCache<V>>>,
    pub(crate) origin: Origin,
    /// Headers of the record that writes, where the changelog has them.
    pub(crate) headers: Headers,
    pub(crate) logged_headers: LoggedHeaders<V>,
    /// Bytes that Kafka Streams' cache entries have more than physical key and value.
    cache_entry_extra: usize,
    announced: Announced,
    /// Whether somebody forwards what leaves the cache.
    is_owned: bool,
    /// Rows that left the cache and wait to be forwarded.
    flushed: FlushedRows<V>,
    value_bytes: Vec<u8>,
    /// A flush failed half-way: what was taken out of the cache and not written is lost, so
    /// nothing may be committed any more.
    failure: Option<Error>,
    /// Rows are on their way out. If a serde panics meanwhile, some are lost: the cache, which is out to be written, or
    /// a row that nobody hears of.
    is_writing: bool,
}

/// Which headers go into the changelog. They go downstream with the record in any case.
pub(crate) enum LoggedHeaders<V> {
    /// None.
    None,
    /// Those of the record that deletes a row; values have none.
    Deletions,
    /// Those of each value, and those of the record that deletes it.
    Values(fn(&V) -> &Headers),
}

impl<V> LoggedHeaders<V> {
    fn of(&self, value: Option<&V>, record: &Headers) -> Headers {
        match (self, value) {
            (Self::Values(headers), Some(value)) => headers(value).clone(),
            (Self::Values(_) | Self::Deletions, None) => record.clone(),
            _ => Headers::new(),
        }
    }
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> Core<K, V> {
    pub(crate) fn new(facts: StoreFacts, env: StoreEnv, keys: Serde<K>, values: Serde<V>) -> Result<Self> {
        let mut facts = facts;
        // Without a budget there is no caching: operators then tell downstream at once.
        facts.is_cached &= env.cache.bytes_max() > 0;
        let is_timestamped = facts.kind.is_timestamped();
        let logged_headers = if facts.logs_headers { LoggedHeaders::Deletions } else { LoggedHeaders::None };
        // Where values have no time, their serde alone makes a row's bytes, headers included.
        let format = if is_timestamped { facts.format } else { StoreFormat::Plain };
        let decoder = Decoder { values, is_timestamped, format, store: Arc::clone(&facts.name) };
        let cache = facts.is_cached.then(|| Box::new(RecordCache::new(env.cache)));
        // A window's cache key begins with its segment there, a value with headers with their size.
        let cache_entry_extra = if facts.retention_ms.is_some() { 8 } else { 0 } + usize::from(facts.logs_headers);
        let announced = Announced::new(facts.retention_ms.is_some() && !facts.kind.has_sessions());
        Ok(Self {
            keys,
            decoder,
            below: ByteStore::new(facts, env.engine, &env.memory)?,
            cache,
            origin: Origin::NONE,
            headers: Headers::new(),
            logged_headers,
            cache_entry_extra,
            announced,
            is_owned: false,
            flushed: FlushedRows::default(),
            value_bytes: Vec::new(),
            failure: None,
            is_writing: false,
        })
    }

    /// Appends a key's bytes.
    pub(crate) fn encode_key(&self, key: &K, out: &mut Vec<u8>) -> Result<()> {
        match self.keys.encode(key, out) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.decoder.unwritable("key", CodecError::UnexpectedNull)),
            Err(error) => Err(self.decoder.unwritable("key", error)),
        }
    }

    /// Lends the value under a key. A key-value store keeps what it reads in the record cache, as
    /// Kafka Streams does; a window store does not.
    pub(crate) fn read<R>(&mut self, key_bytes: &[u8], use_value: impl FnOnce(Lent<'_, V>) -> R) -> Result<R> {
        self.announced.note_read(key_bytes);
        let hashed = HashedKey::of(key_bytes);
        if let Some(cache) = &mut self.cache
            && let Some(slot) = cache.find(hashed)
        {
            return Ok(use_value(cache.row(slot)));
        }
        let decoder = &self.decoder;
        let found = self.below.find(hashed, |bytes, place| {
            let decoded = |bytes: &[u8]| Ok::<_, Error>((decoder.decode(bytes)?, bytes.len(), place));
            bytes.map(decoded).transpose()
        })??;
        let Some(((value, timestamp), len, place)) = found else { return Ok(use_value(None)) };
        // The cache has the time of every row, also where the engine below keeps none.
        let len =
            if decoder.is_timestamped && decoder.format == StoreFormat::Plain { len + TIMESTAMP_LEN } else { len };
        let Some(cache) = &mut self.cache else { return Ok(use_value(Some((&value, timestamp)))) };
        if self.below.retention().is_some() {
            cache.note_below(place);
            return Ok(use_value(Some((&value, timestamp))));
        }
        match cache.put_clean(hashed, (value, timestamp), len, place) {
            Ok(slot) => Ok(use_value(cache.row(slot))),
            Err(value) => Ok(use_value(Some((&value, timestamp)))),
        }
    }

    /// The writes that follow come from there.
    pub(crate) fn enter(&mut self, origin: &Origin, headers: &Headers) {
        self.origin.set(origin);
        if !matches!(self.logged_headers, LoggedHeaders::None) {
            self.headers.clone_from(headers);
        }
    }

    /// Writes a row: into the record cache where there is one, else to changelog and overlay.
    pub(crate) fn put(
        &mut self,
        key_bytes: &[u8],
        value: Option<V>,
        timestamp: Timestamp,
        headers: &Headers,
    ) -> Result<Put> {
        let value = value.filter(|value| !self.decoder.values.is_null(value));
        let Some(cache) = &mut self.cache else {
            let context = self.origin.timestamp;
            let logged = self.logged_headers.of(value.as_ref(), headers);
            let times = (timestamp, context);
            let written = self.write_through(key_bytes, value.as_ref(), times, &logged, RowPlace::NONE)?;
            return Ok(Put { is_over_budget: false, is_expired: written.is_expired() });
        };
        let value_at = if self.decoder.is_timestamped { TIMESTAMP_LEN } else { 0 };
        let len = value.as_ref().map_or(0, |value| self.decoder.values.encoded_len(value) + value_at);
        let len = len + self.cache_entry_extra;
        cache.put(key_bytes, (value, timestamp), len, &self.origin, headers);
        Ok(Put { is_over_budget: cache.budget().is_exceeded(), is_expired: false })
    }

    /// Deletes a row of a session store.
    pub(crate) fn remove(&mut self, key_bytes: &[u8], headers: &Headers) -> Result<Put> {
        let context = self.origin.timestamp;
        if self.cache.is_some() {
            return self.put(key_bytes, None, context, headers);
        }
        let logged = self.logged_headers.of(None, headers);
        self.below.remove(&Write { key: key_bytes, value: None, timestamp: context, headers: &logged });
        Ok(Put::default())
    }

    /// Writes to changelog and overlay; tells where the row is now. The times are those of the value and of the record that writes it; `place` is
    /// where the row lay.
    fn write_through(
        &mut self,
        key_bytes: &[u8],
        value: Option<&V>,
        (timestamp, context): (Timestamp, Timestamp),
        headers: &Headers,
        place: RowPlace,
    ) -> Result<RowPlace> {
        self.value_bytes.clear();
        let Some(value) = value else {
            let write = Write { key: key_bytes, value: None, timestamp: context, headers };
            return Ok(self.below.write_at(&write, place));
        };
        if self.decoder.format != StoreFormat::Plain {
            self.value_bytes.extend_from_slice(&timestamp.0.to_be_bytes());
        }
        let encoded = self.decoder.values.encode(value, &mut self.value_bytes);
        encoded.map_err(|error| self.decoder.unwritable("value", error))?;
        let timestamp = if self.decoder.is_timestamped { timestamp } else { context };
        let write = Write { key: key_bytes, value: Some(&self.value_bytes), timestamp, headers };
        Ok(self.below.write_at(&write, place))
    }

    /// Writes a row past the record cache, with headers for its changelog record.
    pub(crate) fn put_uncached(&mut self, key_bytes: &[u8], value: Option<&V>, headers: &Headers) -> Result<bool> {
        let context = self.origin.timestamp;
        Ok(self.write_through(key_bytes, value, (context, context), headers, RowPlace::NONE)?.is_expired())
    }

    /// A snapshot of the rows of a range: cache over overlay over engine.
    pub(crate) fn rows(&mut self, range: &ByteRange, is_reverse: bool) -> Result<Rows<V>> {
        let rows = self.below.rows(range, is_reverse)?;
        Ok(self.with_cached(rows, range, is_reverse))
    }

    /// As [`Self::rows`], with those that are past their retention and still kept.
    pub(crate) fn kept_rows(&mut self, range: &ByteRange) -> Result<Rows<V>> {
        let rows = self.below.kept_rows(range)?;
        Ok(self.with_cached(rows, range, false))
    }

    fn with_cached(&mut self, rows: Rows<V>, range: &ByteRange, is_reverse: bool) -> Rows<V> {
        let Some(cache) = &mut self.cache else { return rows };
        let mut cached = std::collections::BTreeMap::new();
        cache.each_in(range, is_reverse, |key, row| {
            let cell = row.map(|(value, timestamp)| Cell::Typed(value.clone(), timestamp));
            cached.insert(key.to_vec(), cell);
        });
        if cached.is_empty() { rows } else { rows.with_cached(cached) }
    }

    /// Number of rows.
    pub(crate) fn count_rows(&mut self) -> Result<u64> {
        self.rows(&ByteRange::all(), false)?.try_fold(0, |count, row| row.map(|_| count + 1))
    }

    pub(crate) fn forget_cached(&mut self) {
        if let Some(cache) = self.cache.as_mut().filter(|cache| !cache.is_empty()) {
            cache.clear();
        }
    }
}
