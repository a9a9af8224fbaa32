//! Versioned key-value stores (KIP-889): the values each key had over time. `versioned/history.rs`
//! holds the rules, `versioned/segment.rs` the bytes of old values.

mod history;
mod segment;

use std::any::Any;
use std::sync::Arc;

use millstream_types::{CodecError, Headers, Result, Serde, Timestamp};

use crate::bytes::{ByteStore, Write};
use crate::typed::Decoder;
use crate::{ChangelogRecord, CommitMark, Origin, RestoreRecord, StateStore, StoreEnv, StoreFacts, StoreIterator};
use history::{Found, History};

/// What a put into a versioned store did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PutReturn {
    /// The version is its key's newest.
    Latest,
    /// A newer version is known; this one is valid until its time.
    Until(Timestamp),
    /// The version is older than the store's history and was left out.
    NotPut,
}

/// A value and the time it is valid in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VersionedRecord<V> {
    /// The value.
    pub value: V,
    /// Since when it is valid.
    pub timestamp: Timestamp,
    /// Until when it was valid (not any more then); `None` for the newest one.
    pub valid_to: Option<Timestamp>,
}

/// The values each key had over time: Kafka Streams' `VersionedKeyValueStore`.
///
/// A version is valid from its timestamp to that of the next one. The store's time is the newest
/// timestamp put into it. Versions older than that time minus the history retention are not taken
/// (they count as dropped, and go to the changelog all the same), and what was valid before is not
/// known any more; the newest version of a key stays for ever.
///
/// Cost: the newest version of a key is one row. Old versions of a key that ended in the same
/// segment of time share a row, which is written anew whenever one joins it.
///
/// ```
/// use millstream_state::{Stores, VersionedKeyValueStore};
/// # use millstream_state::{MemoryEngine, StoreEnv};
/// # use millstream_types::{Serdes, Timestamp};
/// # use std::time::Duration;
/// # let env = StoreEnv::new(Box::new(MemoryEngine::new()));
///
/// let supplier = Stores::in_memory_versioned_key_value_store("prices", Duration::from_secs(60));
/// let mut prices: VersionedKeyValueStore<i64, i64> =
///     Stores::versioned_key_value_store_builder(supplier, Serdes::long(), Serdes::long()).build_store(env)?;
/// prices.put(&1, Some(20), Timestamp(100))?;
/// prices.put(&1, Some(30), Timestamp(200))?;
/// assert_eq!(prices.get(&1)?.map(|version| version.value), Some(30));
/// assert_eq!(prices.get_as_of(&1, Timestamp(150))?.map(|version| version.value), Some(20));
/// # Ok::<(), millstream_types::Error>(())
/// ```
///
/// Reads and writes fail with `Production` when a key or value does not fit its serde, with `Corrupted` when a row cannot be
/// read, and with what the engine gives, such as `Storage`.
pub struct VersionedKeyValueStore<K, V> {
    keys: Serde<K>,
    decoder: Decoder<V>,
    pub(crate) history: History,
    key_bytes: Vec<u8>,
    value_bytes: Vec<u8>,
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> VersionedKeyValueStore<K, V> {
    /// A store over an opened engine.
    pub(crate) fn new(facts: StoreFacts, env: StoreEnv, keys: Serde<K>, values: Serde<V>) -> Result<Self> {
        let decoder = Decoder::plain(values, Arc::clone(&facts.name));
        let history = History::new(ByteStore::new(facts, env.engine, &env.memory)?)?;
        Ok(Self { keys, decoder, history, key_bytes: Vec::new(), value_bytes: Vec::new() })
    }

    /// Serde of the keys.
    pub fn key_serde(&self) -> &Serde<K> {
        &self.keys
    }

    /// Serde of the values.
    pub fn value_serde(&self) -> &Serde<V> {
        &self.decoder.values
    }

    /// Writes a version; `None`, or a value that is null by its serde, says that there is no value
    /// from `timestamp` on.
    pub fn put(&mut self, key: &K, value: Option<V>, timestamp: Timestamp) -> Result<PutReturn> {
        self.encode_key(key)?;
        self.value_bytes.clear();
        let is_some = match &value {
            None => false,
            Some(value) => self
                .decoder
                .values
                .encode(value, &mut self.value_bytes)
                .map_err(|error| self.decoder.unwritable("value", error))?,
        };
        let value = is_some.then_some(&self.value_bytes[..]);
        let put = self.history.put(&self.key_bytes, value, timestamp.0)?;
        if put == PutReturn::NotPut {
            self.history.below.count_dropped();
        }
        self.history.below.log(&Write { key: &self.key_bytes, value, timestamp, headers: &Headers::new() });
        Ok(put)
    }

    /// Says that there is no value from `timestamp` on; gives the value valid at that time.
    pub fn delete(&mut self, key: &K, timestamp: Timestamp) -> Result<Option<VersionedRecord<V>>> {
        let before = if self.history.is_expired(timestamp.0) { None } else { self.get_as_of(key, timestamp)? };
        self.put(key, None, timestamp)?;
        Ok(before)
    }

    /// The newest version of a key; `None` if there is none or it is a deletion.
    pub fn get(&mut self, key: &K) -> Result<Option<VersionedRecord<V>>> {
        self.encode_key(key)?;
        let found = self.history.newest(&self.key_bytes)?;
        found.map(|found| record(&self.decoder, &found)).transpose()
    }

    /// The version valid at a time. Beyond the history retention only a newest version that is that
    /// old is known.
    pub fn get_as_of(&mut self, key: &K, time: Timestamp) -> Result<Option<VersionedRecord<V>>> {
        self.encode_key(key)?;
        let found = self.history.as_of(&self.key_bytes, time.0)?;
        found.map(|found| record(&self.decoder, &found)).transpose()
    }

    /// The versions of a key that were valid at some time from `from` to `to`, both inclusive, newest
    /// first: what Kafka Streams' `MultiVersionedKeyQuery` asks for. Beyond the history retention only a
    /// newest version that is that old is known.
    ///
    /// ```
    /// # use millstream_state::{MemoryEngine, StoreEnv, Stores};
    /// # use millstream_types::{Serdes, Timestamp};
    /// # use std::time::Duration;
    /// # let env = StoreEnv::new(Box::new(MemoryEngine::new()));
    /// # let supplier = Stores::in_memory_versioned_key_value_store("prices", Duration::from_secs(60));
    /// # let mut prices =
    /// #     Stores::versioned_key_value_store_builder(supplier, Serdes::long(), Serdes::long()).build_store(env)?;
    /// for (price, time) in [(20, 100), (30, 200), (40, 300)] {
    ///     prices.put(&1, Some(price), Timestamp(time))?;
    /// }
    /// let prices = prices.get_between(&1, Timestamp(150), Timestamp(250))?;
    /// assert_eq!(prices.iter().map(|version| version.value).collect::<Vec<_>>(), [30, 20]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn get_between(&mut self, key: &K, from: Timestamp, to: Timestamp) -> Result<Vec<VersionedRecord<V>>> {
        self.encode_key(key)?;
        let found = self.history.between(&self.key_bytes, from.0, to.0)?;
        found.iter().map(|found| record(&self.decoder, found)).collect()
    }

    /// The newest version of every key that has one, ascending by key bytes. Kafka Streams cannot
    /// list a versioned store.
    pub fn all(&mut self) -> Result<StoreIterator<(K, VersionedRecord<V>)>> {
        let (keys, decoder) = (self.keys.clone(), self.decoder.clone());
        Ok(StoreIterator::new(self.history.all()?.map(move |row| {
            let (key, found) = row?;
            let key = keys.decode(Some(&key)).map_err(|error| decoder.unreadable(&error))?;
            Ok((key, record(&decoder, &found)?))
        })))
    }

    fn encode_key(&mut self, key: &K) -> Result<()> {
        self.key_bytes.clear();
        match self.keys.encode(key, &mut self.key_bytes) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.decoder.unwritable("key", CodecError::UnexpectedNull)),
            Err(error) => Err(self.decoder.unwritable("key", error)),
        }
    }
}

fn record<V>(decoder: &Decoder<V>, found: &Found) -> Result<VersionedRecord<V>> {
    let value = decoder.values.decode(Some(&found.value)).map_err(|error| decoder.unreadable(&error))?;
    Ok(VersionedRecord { value, timestamp: Timestamp(found.from), valid_to: found.to.map(Timestamp) })
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> StateStore for VersionedKeyValueStore<K, V> {
    fn facts(&self) -> &StoreFacts {
        self.history.below.facts()
    }

    /// A version has a time of its own.
    fn enter(&mut self, _: &Origin, _: &Headers) {}

    fn flush_cache(&mut self) -> Result<()> {
        Ok(())
    }

    fn drain_changelog(&mut self, sink: &mut dyn FnMut(ChangelogRecord<'_>) -> Result<()>) -> Result<()> {
        self.history.below.drain_changelog(sink)
    }

    fn take_dropped(&mut self) -> u64 {
        self.history.below.take_dropped()
    }

    /// Keys with a newest version.
    fn row_count(&mut self) -> Result<u64> {
        self.history.all()?.try_fold(0, |count, row| row.map(|_| count + 1))
    }

    fn uncommitted_bytes(&self) -> usize {
        self.history.below.uncommitted_bytes()
    }

    fn seal(&mut self) {
        self.history.seal();
    }

    fn apply(&mut self, mark: &CommitMark) -> Result<()> {
        self.history.below.apply(mark)?;
        self.history.sweep()
    }

    fn mark(&self) -> Result<Option<CommitMark>> {
        self.history.below.mark()
    }

    /// Puts the versions again, in their order: the same ones are too late as the first time.
    fn restore(&mut self, records: &[RestoreRecord<'_>], mark: &CommitMark) -> Result<()> {
        for RestoreRecord { record, .. } in records {
            self.history.put(record.key, record.value, record.timestamp.0)?;
        }
        self.history.seal();
        self.history.below.apply(mark)?;
        self.history.sweep()
    }

    fn wipe(&mut self) -> Result<()> {
        self.history.wipe()
    }

    fn answer(&mut self, question: &mut crate::query::Question<'_>) {
        crate::query::Answers::offer(self, question);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}
