//! Window stores: rows by key and window start, plain and with a timestamp beside each value.
//!
//! ```text
//! row key   key | window start (8) | sequence number (4)
//! ```
//!
//! The sequence number is 0, except in stores that keep duplicates (stream-stream joins), where it
//! counts from 1. What is shown, taken and kept is said by `bytes/retention.rs`.

mod rows;

use millstream_types::{Headers, Result, Serde, Timestamp, Windowed};

use crate::key_value::split;
use crate::typed::{Core, state_store};
use crate::{FlushedEntry, Origin, Put, StoreEnv, StoreFacts, StoreIterator, ValueAndTimestamp};
use rows::{Order, windowed};

/// Values by key and window start: Kafka Streams' `WindowStore`. Rows whose start is older than the
/// newest one put by the retention are not shown any more.
///
/// ```
/// use millstream_state::{Stores, WindowStore};
/// # use millstream_state::{MemoryEngine, StoreEnv};
/// # use millstream_types::{Serdes, Timestamp};
/// # use std::time::Duration;
/// # let env = StoreEnv::new(Box::new(MemoryEngine::new()));
///
/// let ms = Duration::from_millis;
/// let supplier = Stores::in_memory_window_store("clicks", ms(100), ms(10), false);
/// let mut clicks: WindowStore<i64, i64> =
///     Stores::window_store_builder(supplier, Serdes::long(), Serdes::long()).build_store(env)?;
/// clicks.put(&1, Some(20), Timestamp(0))?;
/// clicks.put(&1, Some(30), Timestamp(10))?;
/// let rows = clicks.fetch_range(&1, Timestamp(0), Timestamp(50))?.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(rows, [(Timestamp(0), 20), (Timestamp(10), 30)]);
///
/// clicks.put(&1, Some(40), Timestamp(105))?;
/// assert_eq!(clicks.fetch(&1, Timestamp(0))?, None);
/// # Ok::<(), millstream_types::Error>(())
/// ```
///
/// Reads and writes fail with `Production` when a key or value does not fit its serde, with `Corrupted` when a row cannot be
/// read, and with what the engine gives, such as `Storage`.
pub struct WindowStore<K, V> {
    pub(crate) core: Core<K, V>,
    key_bytes: Vec<u8>,
}

/// Values with timestamps by key and window start: Kafka Streams' `TimestampedWindowStore`, the
/// store behind windowed aggregates. It is a [`WindowStore`] of [`ValueAndTimestamp`].
///
/// ```
/// use millstream_state::{Stores, TimestampedWindowStore, ValueAndTimestamp};
/// # use millstream_state::{MemoryEngine, StoreEnv};
/// # use millstream_types::{Serdes, Timestamp};
/// # use std::time::Duration;
/// # let env = StoreEnv::new(Box::new(MemoryEngine::new()));
///
/// let ms = Duration::from_millis;
/// let supplier = Stores::in_memory_window_store("counts", ms(100), ms(10), false);
/// let mut counts: TimestampedWindowStore<i64, i64> =
///     Stores::timestamped_window_store_builder(supplier, Serdes::long(), Serdes::long()).build_store(env)?;
/// counts.put(&1, Some(ValueAndTimestamp::new(2, Timestamp(7))), Timestamp(0))?;
/// assert_eq!(counts.fetch(&1, Timestamp(0))?.map(|row| row.timestamp), Some(Timestamp(7)));
/// # Ok::<(), millstream_types::Error>(())
/// ```
///
/// Reads and writes fail with `Production` when a key or value does not fit its serde, with `Corrupted` when a row cannot be
/// read, and with what the engine gives, such as `Storage`.
pub struct TimestampedWindowStore<K, V> {
    pub(crate) core: Core<K, V>,
    key_bytes: Vec<u8>,
}

state_store!(WindowStore);
state_store!(TimestampedWindowStore);

/// The part that both kinds share. `$item` is what a row becomes.
macro_rules! window_reads {
    ($store:ident, $item:ty, $from:expr) => {
        impl<K: Clone + Send + 'static, V: Clone + Send + 'static> $store<K, V> {
            /// A store over an opened engine.
            pub(crate) fn new(facts: StoreFacts, env: StoreEnv, keys: Serde<K>, values: Serde<V>) -> Result<Self> {
                Ok(Self { core: Core::new(facts, env, keys, values)?, key_bytes: Vec::new() })
            }

            /// Serde of the keys, without window.
            pub fn key_serde(&self) -> &Serde<K> {
                &self.core.keys
            }

            /// Serde of the values.
            pub fn value_serde(&self) -> &Serde<V> {
                &self.core.decoder.values
            }

            /// The value of a window. In a store that keeps duplicates, the last one put into the
            /// store, if it was put into that window.
            pub fn fetch(&mut self, key: &K, window_start: Timestamp) -> Result<Option<$item>> {
                let from = $from;
                self.read(key, window_start, |row| row.map(|(value, timestamp)| from(value.clone(), timestamp)))
            }

            /// Lends the value of a window and its timestamp (-1 where the store keeps none)
            /// without a copy.
            pub fn read<R>(
                &mut self,
                key: &K,
                window_start: Timestamp,
                use_value: impl FnOnce(Option<(&V, Timestamp)>) -> R,
            ) -> Result<R> {
                let sequence = self.core.current_sequence();
                self.core.row_key(key, window_start, sequence, &mut self.key_bytes)?;
                self.core.read(&self.key_bytes, use_value)
            }

            /// Values of a key's windows that start from `from` to `to`, both inclusive, oldest
            /// first.
            pub fn fetch_range(
                &mut self,
                key: &K,
                from: Timestamp,
                to: Timestamp,
            ) -> Result<StoreIterator<(Timestamp, $item)>> {
                self.core.rows_of_key(key, (from, to), false, $from)
            }

            /// As [`Self::fetch_range`], newest first.
            pub fn backward_fetch(
                &mut self,
                key: &K,
                from: Timestamp,
                to: Timestamp,
            ) -> Result<StoreIterator<(Timestamp, $item)>> {
                self.core.rows_of_key(key, (from, to), true, $from)
            }

            /// Values of windows that start from `from` to `to`, both inclusive, of all keys. Reads
            /// the whole store and holds the result in memory.
            ///
            /// The order is Kafka Streams': in memory by window start, then key bytes; on disk by
            /// segment of time (half the retention, at least a minute), then key bytes, then start.
            pub fn fetch_all(&mut self, from: Timestamp, to: Timestamp) -> Result<StoreIterator<(Windowed<K>, $item)>> {
                self.core.rows_of_keys((None, None), (from, to), (Order::Store, false), $from)
            }

            /// As [`Self::fetch_all`], in the opposite order.
            pub fn backward_fetch_all(
                &mut self,
                from: Timestamp,
                to: Timestamp,
            ) -> Result<StoreIterator<(Windowed<K>, $item)>> {
                self.core.rows_of_keys((None, None), (from, to), (Order::Store, true), $from)
            }

            /// As [`Self::fetch_all`], always ordered by window start, then key bytes.
            pub fn fetch_all_by_time(
                &mut self,
                from: Timestamp,
                to: Timestamp,
            ) -> Result<StoreIterator<(Windowed<K>, $item)>> {
                self.core.rows_of_keys((None, None), (from, to), (Order::Time, false), $from)
            }

            /// As [`Self::fetch_all`], of the keys from `from_key` to `to_key`, both inclusive by
            /// their bytes; `None` is an open end.
            pub fn fetch_keys(
                &mut self,
                from_key: Option<&K>,
                to_key: Option<&K>,
                from: Timestamp,
                to: Timestamp,
            ) -> Result<StoreIterator<(Windowed<K>, $item)>> {
                self.core.rows_of_keys((from_key, to_key), (from, to), (Order::Store, false), $from)
            }

            /// As [`Self::fetch_keys`], in the opposite order.
            pub fn backward_fetch_keys(
                &mut self,
                from_key: Option<&K>,
                to_key: Option<&K>,
                from: Timestamp,
                to: Timestamp,
            ) -> Result<StoreIterator<(Windowed<K>, $item)>> {
                self.core.rows_of_keys((from_key, to_key), (from, to), (Order::Store, true), $from)
            }

            /// All rows; order and cost as [`Self::fetch_all`].
            pub fn all(&mut self) -> Result<StoreIterator<(Windowed<K>, $item)>> {
                self.fetch_all(Timestamp(0), Timestamp(i64::MAX))
            }

            /// All rows; order and cost as [`Self::backward_fetch_all`].
            pub fn backward_all(&mut self) -> Result<StoreIterator<(Windowed<K>, $item)>> {
                self.backward_fetch_all(Timestamp(0), Timestamp(i64::MAX))
            }

            fn write(
                &mut self,
                key: &K,
                window_start: Timestamp,
                value: Option<V>,
                timestamp: Timestamp,
                headers: &Headers,
            ) -> Result<Put> {
                self.core.put_window(key, window_start, (value, timestamp), headers, &mut self.key_bytes)
            }
        }
    };
}

window_reads!(WindowStore, V, |value, _| value);
window_reads!(TimestampedWindowStore, ValueAndTimestamp<V>, |value, timestamp| ValueAndTimestamp { value, timestamp });

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> WindowStore<K, V> {
    /// Writes the value of a window; `None`, or a value that is null by its serde, deletes it. A
    /// store that keeps duplicates adds the value to those that are there; `None` it only logs.
    /// [`Put::is_expired`] says that the row was dropped because its time is over.
    pub fn put(&mut self, key: &K, value: Option<V>, window_start: Timestamp) -> Result<Put> {
        self.put_with_headers(key, value, window_start, &Headers::new())
    }

    /// As [`Self::put`], with headers: a store that keeps duplicates logs them, others do not.
    pub fn put_with_headers(
        &mut self,
        key: &K,
        value: Option<V>,
        window_start: Timestamp,
        headers: &Headers,
    ) -> Result<Put> {
        let timestamp = self.core.origin.timestamp;
        let put = self.write(key, window_start, value, timestamp, headers)?;
        self.core.settle(put)
    }
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> TimestampedWindowStore<K, V> {
    /// Writes the value of a window; `None`, or a value that is null by its serde, deletes it.
    /// [`Put::is_expired`] says that the row was dropped because its time is over.
    pub fn put(&mut self, key: &K, value: Option<ValueAndTimestamp<V>>, window_start: Timestamp) -> Result<Put> {
        let (value, timestamp) = split(value, self.core.origin.timestamp);
        let headers = self.core.headers.clone();
        let put = self.write(key, window_start, value, timestamp, &headers)?;
        self.core.settle(put)
    }

    /// Writes a row of a store that keeps duplicates, with headers for the changelog.
    pub(crate) fn put_with_headers(
        &mut self,
        key: &K,
        value: V,
        window_start: Timestamp,
        headers: &Headers,
    ) -> Result<Put> {
        self.write(key, window_start, Some(value), window_start, headers)
    }

    /// Writes a window for the operator that owns the store, which evicts when told to
    /// ([`Self::next_evicted`]) and forwards what comes out. `headers` go along to there.
    pub fn put_row(
        &mut self,
        key: &K,
        window_start: Timestamp,
        value: Option<V>,
        timestamp: Timestamp,
        headers: &Headers,
    ) -> Result<Put> {
        self.write(key, window_start, value, timestamp, headers)
    }

    /// Evicts the least recently used windows until one has to be written through, and gives that one, to be forwarded
    /// before the next; the thread's budget fits when it gives none. `origin` says then where its last write came from.
    pub fn next_evicted(
        &mut self,
        wants_old: bool,
        origin: &mut Origin,
    ) -> Result<Option<FlushedEntry<Windowed<K>, V>>> {
        let size_ms = self.core.window_size_ms();
        self.core.next_evicted(wants_old, origin, |key, row_key| windowed(key, row_key, size_ms))
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

    /// Writes the next dirty window through and gives it, to be forwarded before the next one; none is left when it
    /// gives none. Old values are looked up if asked for. `origin` says then where its last write came from.
    pub fn next_dirty(&mut self, wants_old: bool, origin: &mut Origin) -> Result<Option<FlushedEntry<Windowed<K>, V>>> {
        let size_ms = self.core.window_size_ms();
        self.core.next_dirty(wants_old, origin, |key, row_key| windowed(key, row_key, size_ms))
    }
}
