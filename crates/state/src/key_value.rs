//! Key-value stores: plain, and with a timestamp beside each value.

use millstream_types::{Headers, Result, Serde, Timestamp};

use crate::bytes::{ByteRange, Rows};
use crate::typed::{Core, Decoder, KeyBounds, state_store};
use crate::{FlushedEntry, Origin, Put, StoreEnv, StoreFacts, StoreIterator};

/// A value and the event time of the record that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ValueAndTimestamp<V> {
    /// The value.
    pub value: V,
    /// Its event time.
    pub timestamp: Timestamp,
}

impl<V> ValueAndTimestamp<V> {
    /// A value of a time.
    pub fn new(value: V, timestamp: Timestamp) -> Self {
        Self { value, timestamp }
    }
}

/// A map from key to value, in the order of the keys' bytes: Kafka Streams' `KeyValueStore`. A processor
/// gets it from its context, by the name it was added under.
///
/// ```
/// use millstream_state::{KeyValueStore, Stores};
/// # use millstream_state::{MemoryEngine, StoreEnv};
/// # use millstream_types::Serdes;
/// # let env = StoreEnv::new(Box::new(MemoryEngine::new()));
///
/// let supplier = Stores::in_memory_key_value_store("stock");
/// let builder = Stores::key_value_store_builder(supplier, Serdes::long(), Serdes::long());
/// let mut stock: KeyValueStore<i64, i64> = builder.build_store(env)?;
/// stock.put(&1, Some(20))?;
/// assert_eq!(stock.put_if_absent(&1, Some(30))?, Some(20));
/// stock.put(&2, Some(40))?;
/// let rows = stock.range(Some(&1), None)?.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(rows, [(1, 20), (2, 40)]);
/// stock.put_all([(1, None), (3, Some(60))])?;
/// assert_eq!((stock.get(&1)?, stock.get(&3)?), (None, Some(60)));
/// assert_eq!(stock.delete(&2)?, Some(40));
/// # Ok::<(), millstream_types::Error>(())
/// ```
///
/// Reads and writes fail with `Production` when a key or value does not fit its serde, with `Corrupted` when a row cannot be
/// read, and with what the engine gives, such as `Storage`.
pub struct KeyValueStore<K, V> {
    pub(crate) core: Core<K, V>,
    key_bytes: Vec<u8>,
}

/// A map from key to value and timestamp: Kafka Streams' `TimestampedKeyValueStore`, the store
/// behind tables and aggregates.
///
/// ```
/// use millstream_state::{Stores, TimestampedKeyValueStore, ValueAndTimestamp};
/// # use millstream_state::{MemoryEngine, StoreEnv};
/// # use millstream_types::{Serdes, Timestamp};
/// # let env = StoreEnv::new(Box::new(MemoryEngine::new()));
///
/// let supplier = Stores::in_memory_key_value_store("counts");
/// let builder = Stores::timestamped_key_value_store_builder(supplier, Serdes::long(), Serdes::long());
/// let mut counts: TimestampedKeyValueStore<i64, i64> = builder.build_store(env)?;
/// counts.put(&1, Some(ValueAndTimestamp::new(20, Timestamp(5))))?;
/// let count = counts.get(&1)?.map(|row| (row.value, row.timestamp));
/// assert_eq!(count, Some((20, Timestamp(5))));
/// # Ok::<(), millstream_types::Error>(())
/// ```
///
/// Reads and writes fail with `Production` when a key or value does not fit its serde, with `Corrupted` when a row cannot be
/// read, and with what the engine gives, such as `Storage`.
pub struct TimestampedKeyValueStore<K, V> {
    pub(crate) core: Core<K, V>,
    key_bytes: Vec<u8>,
}

state_store!(KeyValueStore);
state_store!(TimestampedKeyValueStore);

/// The part that both kinds share: ranges by key. `$item` is what a row becomes.
macro_rules! key_value_reads {
    ($store:ident, $item:ty, $from:expr) => {
        impl<K: Clone + Send + 'static, V: Clone + Send + 'static> $store<K, V> {
            /// A store over an opened engine.
            pub(crate) fn new(facts: StoreFacts, env: StoreEnv, keys: Serde<K>, values: Serde<V>) -> Result<Self> {
                Ok(Self { core: Core::new(facts, env, keys, values)?, key_bytes: Vec::new() })
            }

            /// Serde of the keys.
            pub fn key_serde(&self) -> &Serde<K> {
                &self.core.keys
            }

            /// Serde of the values.
            pub fn value_serde(&self) -> &Serde<V> {
                &self.core.decoder.values
            }

            /// The value under a key.
            pub fn get(&mut self, key: &K) -> Result<Option<$item>> {
                let from = $from;
                self.read(key, |row| row.map(|(value, timestamp)| from(value.clone(), timestamp)))
            }

            /// Lends the value under a key and its timestamp (-1 where the store keeps none)
            /// without a copy.
            pub fn read<R>(&mut self, key: &K, use_value: impl FnOnce(Option<(&V, Timestamp)>) -> R) -> Result<R> {
                self.key_bytes.clear();
                self.core.encode_key(key, &mut self.key_bytes)?;
                self.core.read(&self.key_bytes, use_value)
            }

            /// Rows from `from` to `to`, both inclusive, ascending by key bytes. `None` is an open
            /// end; a range upside down is empty.
            pub fn range(&mut self, from: Option<&K>, to: Option<&K>) -> Result<StoreIterator<(K, $item)>> {
                let range = self.core.key_range(from, to)?;
                self.rows(&range, false)
            }

            /// As [`Self::range`], descending.
            pub fn reverse_range(&mut self, from: Option<&K>, to: Option<&K>) -> Result<StoreIterator<(K, $item)>> {
                let range = self.core.key_range(from, to)?;
                self.rows(&range, true)
            }

            /// All rows, ascending by key bytes.
            pub fn all(&mut self) -> Result<StoreIterator<(K, $item)>> {
                self.rows(&ByteRange::all(), false)
            }

            /// All rows, descending by key bytes.
            pub fn reverse_all(&mut self) -> Result<StoreIterator<(K, $item)>> {
                self.rows(&ByteRange::all(), true)
            }

            /// Rows whose key bytes start with `prefix`, ascending.
            pub fn prefix_scan(&mut self, prefix: &[u8]) -> Result<StoreIterator<(K, $item)>> {
                self.rows(&ByteRange::prefix(prefix), false)
            }

            /// Number of rows. Exact, and it reads the whole store; only of a persistent store in the
            /// test driver it is Kafka Streams' guess, which counts overwritten rows, too.
            pub fn approximate_num_entries(&mut self) -> Result<u64> {
                if let Some(len) = self.core.below.known_len() {
                    return Ok(len);
                }
                let mut rows = self.core.rows(&ByteRange::all(), false)?;
                rows.try_fold(0, |count, row| row.map(|_| count + 1))
            }

            /// Writes a null where nothing is: as in Kafka Streams only the changelog is told, so it is no
            /// deletion that the guess of the number of rows counts.
            fn deleting_nothing<T>(&mut self, write: impl FnOnce(&mut Self) -> T) -> T {
                let balance = self.core.below.put_balance;
                let written = write(self);
                self.core.below.put_balance = balance;
                written
            }

            fn rows(&mut self, range: &ByteRange, is_reverse: bool) -> Result<StoreIterator<(K, $item)>> {
                let rows = self.core.rows(range, is_reverse)?;
                let from = $from;
                Ok(typed_rows(rows, self.core.keys.clone(), self.core.decoder.clone(), from))
            }

            fn write(&mut self, key: &K, value: Option<V>, timestamp: Timestamp, headers: &Headers) -> Result<Put> {
                self.key_bytes.clear();
                self.core.encode_key(key, &mut self.key_bytes)?;
                self.core.put(&self.key_bytes, value, timestamp, headers)
            }
        }
    };
}

key_value_reads!(KeyValueStore, V, |value, _| value);
key_value_reads!(TimestampedKeyValueStore, ValueAndTimestamp<V>, |value, timestamp| ValueAndTimestamp {
    value,
    timestamp
});

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> Core<K, V> {
    pub(crate) fn key_range(&self, from: Option<&K>, to: Option<&K>) -> Result<ByteRange> {
        let KeyBounds { from, to } = self.key_bounds(from, to)?;
        Ok(ByteRange::through(from, to))
    }
}

pub(crate) fn typed_rows<K: 'static, V: Send + 'static, T: 'static>(
    rows: Rows<V>,
    keys: Serde<K>,
    decoder: Decoder<V>,
    from: impl Fn(V, Timestamp) -> T + Send + 'static,
) -> StoreIterator<(K, T)> {
    StoreIterator::new(rows.map(move |row| {
        let (key, cell) = row?;
        let key = keys.decode(Some(&key)).map_err(|error| decoder.unreadable(&error))?;
        let (value, timestamp) = decoder.cell(cell)?;
        Ok((key, from(value, timestamp)))
    }))
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> KeyValueStore<K, V> {
    /// Writes a row; `None`, or a value that is null by its serde, deletes it.
    pub fn put(&mut self, key: &K, value: Option<V>) -> Result<()> {
        let timestamp = self.core.origin.timestamp;
        let put = self.write(key, value, timestamp, &Headers::new())?;
        self.core.settle(put).map(drop)
    }

    /// Writes rows in order, each as [`Self::put`] does. What was written before a failure stays.
    pub fn put_all(&mut self, rows: impl IntoIterator<Item = (K, Option<V>)>) -> Result<()> {
        rows.into_iter().try_for_each(|(key, value)| self.put(&key, value))
    }

    /// Writes a row unless there is one; gives the one that was there. `None` where there is none is a deletion.
    pub fn put_if_absent(&mut self, key: &K, value: Option<V>) -> Result<Option<V>> {
        let present = self.get(key)?;
        if present.is_none() {
            let is_row = value.as_ref().is_some_and(|value| !self.core.decoder.values.is_null(value));
            if is_row { self.put(key, value) } else { self.deleting_nothing(|store| store.put(key, None)) }?;
        }
        Ok(present)
    }

    /// Deletes a row; gives what was there.
    pub fn delete(&mut self, key: &K) -> Result<Option<V>> {
        let present = self.get(key)?;
        self.put(key, None)?;
        Ok(present)
    }
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> TimestampedKeyValueStore<K, V> {
    /// Writes a row; `None`, or a value that is null by its serde, deletes it.
    pub fn put(&mut self, key: &K, value: Option<ValueAndTimestamp<V>>) -> Result<()> {
        let (value, timestamp) = split(value, self.core.origin.timestamp);
        let headers = self.core.headers.clone();
        let put = self.write(key, value, timestamp, &headers)?;
        self.core.settle(put).map(drop)
    }

    /// Writes rows in order, each as [`Self::put`] does. What was written before a failure stays.
    pub fn put_all(&mut self, rows: impl IntoIterator<Item = (K, Option<ValueAndTimestamp<V>>)>) -> Result<()> {
        rows.into_iter().try_for_each(|(key, value)| self.put(&key, value))
    }

    /// Writes a row unless there is one; gives the one that was there.
    pub fn put_if_absent(
        &mut self,
        key: &K,
        value: Option<ValueAndTimestamp<V>>,
    ) -> Result<Option<ValueAndTimestamp<V>>> {
        let present = self.get(key)?;
        if present.is_none() {
            let is_row = value.as_ref().is_some_and(|row| !self.core.decoder.values.is_null(&row.value));
            if is_row { self.put(key, value) } else { self.deleting_nothing(|store| store.put(key, None)) }?;
        }
        Ok(present)
    }

    /// Deletes a row; gives what was there.
    pub fn delete(&mut self, key: &K) -> Result<Option<ValueAndTimestamp<V>>> {
        let present = self.get(key)?;
        self.put(key, None)?;
        Ok(present)
    }

    /// Writes a row for the operator that owns the store, which evicts when told to
    /// ([`Self::next_evicted`]) and forwards what comes out. `headers` go along to there.
    pub fn put_row(&mut self, key: &K, value: Option<V>, timestamp: Timestamp, headers: &Headers) -> Result<Put> {
        self.write(key, value, timestamp, headers)
    }

    /// Evicts the least recently used rows until one has to be written through, and gives that one, to be forwarded
    /// before the next; the thread's budget fits when it gives none. `origin` says then where its last write came from.
    pub fn next_evicted(&mut self, wants_old: bool, origin: &mut Origin) -> Result<Option<FlushedEntry<K, V>>> {
        self.core.next_evicted(wants_old, origin, |key, _| key)
    }

    /// Says that somebody forwards what leaves the record cache, by [`Self::next_evicted`] and [`Self::next_dirty`]:
    /// [`Self::put`] then leaves it to them to evict.
    pub fn own(&mut self) {
        self.core.own();
    }

    /// Whether a read, or a write by [`Self::put`], has left more in the record caches than their budget: whoever owns
    /// the store evicts now, as after a write of its own.
    pub fn owes_eviction(&self) -> bool {
        self.core.owes_eviction()
    }

    /// As [`Self::next_evicted`], where nobody is told.
    pub fn evict_silently(&mut self) -> Result<()> {
        self.core.evict_silently()
    }

    /// Writes the next dirty row through and gives it, to be forwarded before the next one; none is left when it
    /// gives none. Old values are looked up if asked for. `origin` says then where its last write came from.
    pub fn next_dirty(&mut self, wants_old: bool, origin: &mut Origin) -> Result<Option<FlushedEntry<K, V>>> {
        self.core.next_dirty(wants_old, origin, |key, _| key)
    }
}

/// A value and its timestamp; without a value the time does not matter.
pub(crate) fn split<V>(value: Option<ValueAndTimestamp<V>>, otherwise: Timestamp) -> (Option<V>, Timestamp) {
    match value {
        Some(ValueAndTimestamp { value, timestamp }) => (Some(value), timestamp),
        None => (None, otherwise),
    }
}
