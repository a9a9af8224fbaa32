//! Stores that keep the headers of each value's record (KIP-1271): timestamped stores whose values
//! are [`Headed`].

use millstream_types::{Headers, Result, Serde, Timestamp, Windowed};

use crate::headed::{Headed, HeadedCodec};
use crate::typed::{LoggedHeaders, state_store};
use crate::{
    Put, SessionStore, StoreEnv, StoreFacts, StoreFormat, StoreIterator, TimestampedKeyValueStore,
    TimestampedWindowStore, ValueAndTimestamp,
};

/// A value with the event time and the headers of the record that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueTimestampHeaders<V> {
    /// The value.
    pub value: V,
    /// Its event time.
    pub timestamp: Timestamp,
    /// Headers.
    pub headers: Headers,
}

/// A map from key to value, timestamp and headers: Kafka Streams'
/// `TimestampedKeyValueStoreWithHeaders`. Its changelog records carry the value's headers; the one
/// of a deletion carries those of the record that deletes.
///
/// A supplier that keeps no headers or no timestamps loses them: they read as none and -1.
///
/// ```
/// use millstream_state::{Stores, TimestampedKeyValueStoreWithHeaders, ValueTimestampHeaders};
/// # use millstream_state::{MemoryEngine, StoreEnv};
/// # use millstream_types::{Headers, Serdes, Timestamp};
/// # let env = StoreEnv::new(Box::new(MemoryEngine::new()));
///
/// let supplier = Stores::persistent_timestamped_key_value_store_with_headers("orders");
/// let builder = Stores::timestamped_key_value_store_with_headers_builder(supplier, Serdes::long(), Serdes::long());
/// let mut orders: TimestampedKeyValueStoreWithHeaders<i64, i64> = builder.build_store(env)?;
/// let mut headers = Headers::new();
/// headers.add("shop", Some("Ulm".into()));
/// orders.put(&1, Some(ValueTimestampHeaders { value: 20, timestamp: Timestamp(5), headers }))?;
/// assert_eq!(orders.get(&1)?.map(|row| row.headers.len()), Some(1));
/// # Ok::<(), millstream_types::Error>(())
/// ```
pub struct TimestampedKeyValueStoreWithHeaders<K, V> {
    pub(crate) inner: TimestampedKeyValueStore<K, Headed<V>>,
    values: Serde<V>,
}

/// Values with timestamps and headers by key and window start: Kafka Streams'
/// `TimestampedWindowStoreWithHeaders`. Changelog and suppliers as for
/// [`TimestampedKeyValueStoreWithHeaders`].
pub struct TimestampedWindowStoreWithHeaders<K, V> {
    pub(crate) inner: TimestampedWindowStore<K, Headed<V>>,
    values: Serde<V>,
}

/// The value of a session with the headers of the record that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AggregationWithHeaders<V> {
    /// The value.
    pub aggregation: V,
    /// Headers.
    pub headers: Headers,
}

/// Values with headers by key and session: Kafka Streams' `SessionStoreWithHeaders`. Changelog and
/// suppliers as for [`TimestampedKeyValueStoreWithHeaders`].
///
/// ```
/// use millstream_state::{AggregationWithHeaders, SessionStoreWithHeaders, Stores};
/// # use millstream_state::{MemoryEngine, StoreEnv};
/// # use millstream_types::{Headers, Serdes, Timestamp, Window, Windowed};
/// # use std::time::Duration;
/// # let env = StoreEnv::new(Box::new(MemoryEngine::new()));
///
/// let supplier = Stores::in_memory_session_store("visits", Duration::from_millis(100));
/// let builder = Stores::session_store_with_headers_builder(supplier, Serdes::long(), Serdes::long());
/// let mut visits: SessionStoreWithHeaders<i64, i64> = builder.build_store(env)?;
/// let visit = Windowed { key: 1, window: Window { start: Timestamp(10), end: Timestamp(25) } };
/// let mut headers = Headers::new();
/// headers.add("shop", Some("Ulm".into()));
/// visits.put(&visit, Some(AggregationWithHeaders { aggregation: 2, headers }))?;
/// let found = visits.fetch_session(&1, Timestamp(10), Timestamp(25))?;
/// assert_eq!(found.map(|found| (found.aggregation, found.headers.len())), Some((2, 1)));
/// # Ok::<(), millstream_types::Error>(())
/// ```
pub struct SessionStoreWithHeaders<K, V> {
    pub(crate) inner: SessionStore<K, Headed<V>>,
    values: Serde<V>,
}

state_store!(TimestampedKeyValueStoreWithHeaders, inner.core);
state_store!(TimestampedWindowStoreWithHeaders, inner.core);
state_store!(SessionStoreWithHeaders, inner.core);

/// A value as a row of the store below.
fn lower<V>(row: ValueTimestampHeaders<V>) -> ValueAndTimestamp<Headed<V>> {
    let ValueTimestampHeaders { value, timestamp, headers } = row;
    ValueAndTimestamp { value: Headed { value, headers }, timestamp }
}

/// A row of the store below as a value.
fn lift<V>(row: ValueAndTimestamp<Headed<V>>) -> ValueTimestampHeaders<V> {
    let ValueAndTimestamp { value: Headed { value, headers }, timestamp } = row;
    ValueTimestampHeaders { value, timestamp, headers }
}

fn lift_rows<K: Send + 'static, V: Send + 'static>(
    rows: StoreIterator<(K, ValueAndTimestamp<Headed<V>>)>,
) -> StoreIterator<(K, ValueTimestampHeaders<V>)> {
    StoreIterator::new(rows.map(|row| row.map(|(key, value)| (key, lift(value)))))
}

/// What both kinds share.
macro_rules! headed_store {
    ($store:ident, $inner:ident) => {
        impl<K: Clone + Send + 'static, V: Clone + Send + 'static> $store<K, V> {
            /// A store over an opened engine.
            pub(crate) fn new(facts: StoreFacts, env: StoreEnv, keys: Serde<K>, values: Serde<V>) -> Result<Self> {
                let keeps_headers = facts.format == StoreFormat::Headers;
                let codec = HeadedCodec { values: values.clone(), keeps_headers };
                let mut inner = $inner::new(facts, env, keys, Serde::new(codec))?;
                inner.core.logged_headers = LoggedHeaders::Values(Headed::headers);
                Ok(Self { inner, values })
            }

            /// Serde of the keys, without window.
            pub fn key_serde(&self) -> &Serde<K> {
                self.inner.key_serde()
            }

            /// Serde of the values.
            pub fn value_serde(&self) -> &Serde<V> {
                &self.values
            }
        }
    };
}

headed_store!(TimestampedKeyValueStoreWithHeaders, TimestampedKeyValueStore);
headed_store!(TimestampedWindowStoreWithHeaders, TimestampedWindowStore);
headed_store!(SessionStoreWithHeaders, SessionStore);

/// Rows by key, with headers.
type KeyRows<K, V> = Result<StoreIterator<(K, ValueTimestampHeaders<V>)>>;

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> TimestampedKeyValueStoreWithHeaders<K, V> {
    /// The value under a key.
    pub fn get(&mut self, key: &K) -> Result<Option<ValueTimestampHeaders<V>>> {
        Ok(self.inner.get(key)?.map(lift))
    }

    /// Writes a row; `None`, or a value that is null by its serde, deletes it.
    pub fn put(&mut self, key: &K, value: Option<ValueTimestampHeaders<V>>) -> Result<()> {
        self.inner.put(key, value.map(lower))
    }

    /// Writes rows in order, each as [`Self::put`] does. What was written before a failure stays.
    pub fn put_all(&mut self, rows: impl IntoIterator<Item = (K, Option<ValueTimestampHeaders<V>>)>) -> Result<()> {
        rows.into_iter().try_for_each(|(key, value)| self.put(&key, value))
    }

    /// Writes a row unless there is one; gives the one that was there.
    pub fn put_if_absent(
        &mut self,
        key: &K,
        value: Option<ValueTimestampHeaders<V>>,
    ) -> Result<Option<ValueTimestampHeaders<V>>> {
        Ok(self.inner.put_if_absent(key, value.map(lower))?.map(lift))
    }

    /// Deletes a row; gives what was there.
    pub fn delete(&mut self, key: &K) -> Result<Option<ValueTimestampHeaders<V>>> {
        Ok(self.inner.delete(key)?.map(lift))
    }

    /// Rows from `from` to `to`, both inclusive, ascending by key bytes. `None` is an open end; a
    /// range upside down is empty.
    pub fn range(&mut self, from: Option<&K>, to: Option<&K>) -> KeyRows<K, V> {
        self.inner.range(from, to).map(lift_rows)
    }

    /// As [`Self::range`], descending.
    pub fn reverse_range(&mut self, from: Option<&K>, to: Option<&K>) -> KeyRows<K, V> {
        self.inner.reverse_range(from, to).map(lift_rows)
    }

    /// All rows, ascending by key bytes.
    pub fn all(&mut self) -> KeyRows<K, V> {
        self.inner.all().map(lift_rows)
    }

    /// All rows, descending by key bytes.
    pub fn reverse_all(&mut self) -> KeyRows<K, V> {
        self.inner.reverse_all().map(lift_rows)
    }

    /// Rows whose key bytes start with `prefix`, ascending.
    pub fn prefix_scan(&mut self, prefix: &[u8]) -> KeyRows<K, V> {
        self.inner.prefix_scan(prefix).map(lift_rows)
    }

    /// Number of rows. Exact here; it reads the whole store.
    pub fn approximate_num_entries(&mut self) -> Result<u64> {
        self.inner.approximate_num_entries()
    }
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> TimestampedWindowStoreWithHeaders<K, V> {
    /// The value of a window.
    pub fn fetch(&mut self, key: &K, window_start: Timestamp) -> Result<Option<ValueTimestampHeaders<V>>> {
        Ok(self.inner.fetch(key, window_start)?.map(lift))
    }

    /// Writes the value of a window; `None`, or a value that is null by its serde, deletes it.
    /// [`Put::is_expired`] says that the row was dropped because its time is over.
    pub fn put(&mut self, key: &K, value: Option<ValueTimestampHeaders<V>>, window_start: Timestamp) -> Result<Put> {
        self.inner.put(key, value.map(lower), window_start)
    }

    /// Adds a record of a stream-stream join to a store that keeps duplicates, under its own time. A
    /// null is kept nowhere, but logged as in Kafka Streams.
    pub fn add(&mut self, key: &K, row: ValueTimestampHeaders<V>) -> Result<Put> {
        let ValueTimestampHeaders { value, timestamp, headers } = row;
        let headed = Headed { value, headers: headers.clone() };
        self.inner.put_with_headers(key, headed, timestamp, &headers)
    }

    /// Values of a key's windows that start from `from` to `to`, both inclusive, oldest first.
    pub fn fetch_range(&mut self, key: &K, from: Timestamp, to: Timestamp) -> KeyRows<Timestamp, V> {
        self.inner.fetch_range(key, from, to).map(lift_rows)
    }

    /// As [`Self::fetch_range`], newest first.
    pub fn backward_fetch(&mut self, key: &K, from: Timestamp, to: Timestamp) -> KeyRows<Timestamp, V> {
        self.inner.backward_fetch(key, from, to).map(lift_rows)
    }

    /// Values of windows that start from `from` to `to`, both inclusive, of all keys; order and cost
    /// as [`TimestampedWindowStore::fetch_all`].
    pub fn fetch_all(&mut self, from: Timestamp, to: Timestamp) -> KeyRows<Windowed<K>, V> {
        self.inner.fetch_all(from, to).map(lift_rows)
    }

    /// As [`Self::fetch_all`], in the opposite order.
    pub fn backward_fetch_all(&mut self, from: Timestamp, to: Timestamp) -> KeyRows<Windowed<K>, V> {
        self.inner.backward_fetch_all(from, to).map(lift_rows)
    }

    /// As [`Self::fetch_all`], of the keys from `from_key` to `to_key`, both inclusive by their
    /// bytes; `None` is an open end.
    pub fn fetch_keys(
        &mut self,
        from_key: Option<&K>,
        to_key: Option<&K>,
        from: Timestamp,
        to: Timestamp,
    ) -> KeyRows<Windowed<K>, V> {
        self.inner.fetch_keys(from_key, to_key, from, to).map(lift_rows)
    }

    /// All rows; order and cost as [`Self::fetch_all`].
    pub fn all(&mut self) -> KeyRows<Windowed<K>, V> {
        self.inner.all().map(lift_rows)
    }
}

/// Sessions with their values and headers.
type Sessions<K, V> = Result<StoreIterator<(Windowed<K>, AggregationWithHeaders<V>)>>;

fn lift_session<V>(Headed { value, headers }: Headed<V>) -> AggregationWithHeaders<V> {
    AggregationWithHeaders { aggregation: value, headers }
}

fn lift_sessions<K: Send + 'static, V: Send + 'static>(
    rows: StoreIterator<(Windowed<K>, Headed<V>)>,
) -> StoreIterator<(Windowed<K>, AggregationWithHeaders<V>)> {
    StoreIterator::new(rows.map(|row| row.map(|(session, value)| (session, lift_session(value)))))
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> SessionStoreWithHeaders<K, V> {
    /// The value of exactly this session.
    pub fn fetch_session(
        &mut self,
        key: &K,
        start: Timestamp,
        end: Timestamp,
    ) -> Result<Option<AggregationWithHeaders<V>>> {
        Ok(self.inner.fetch_session(key, start, end)?.map(lift_session))
    }

    /// Writes the value of a session; `None`, or a value that is null by its serde, deletes it.
    /// [`Put::is_expired`] says that the row was dropped because its time is over.
    pub fn put(&mut self, session: &Windowed<K>, value: Option<AggregationWithHeaders<V>>) -> Result<Put> {
        let lower = |AggregationWithHeaders { aggregation, headers }| Headed { value: aggregation, headers };
        self.inner.put(session, value.map(lower))
    }

    /// Deletes a session.
    pub fn remove(&mut self, session: &Windowed<K>) -> Result<Put> {
        self.inner.remove(session)
    }

    /// Sessions of a key that end at `earliest_end` or later and start at `latest_start` or earlier,
    /// oldest first.
    pub fn find_sessions(&mut self, key: &K, earliest_end: Timestamp, latest_start: Timestamp) -> Sessions<K, V> {
        self.inner.find_sessions(key, earliest_end, latest_start).map(lift_sessions)
    }

    /// As [`Self::find_sessions`], newest first.
    pub fn backward_find_sessions(
        &mut self,
        key: &K,
        earliest_end: Timestamp,
        latest_start: Timestamp,
    ) -> Sessions<K, V> {
        self.inner.backward_find_sessions(key, earliest_end, latest_start).map(lift_sessions)
    }

    /// All sessions of a key, oldest first.
    pub fn fetch(&mut self, key: &K) -> Sessions<K, V> {
        self.inner.fetch(key).map(lift_sessions)
    }

    /// All sessions of a key, newest first.
    pub fn backward_fetch(&mut self, key: &K) -> Sessions<K, V> {
        self.inner.backward_fetch(key).map(lift_sessions)
    }

    /// All sessions of the keys from `from_key` to `to_key`, both inclusive by their bytes; `None` is
    /// an open end.
    pub fn fetch_keys(&mut self, from_key: Option<&K>, to_key: Option<&K>) -> Sessions<K, V> {
        self.inner.fetch_keys(from_key, to_key).map(lift_sessions)
    }
}
