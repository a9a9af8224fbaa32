//! Stores as they are read from outside, all partitions of an instance as one.

use std::marker::PhantomData;

use millstream_state::StoreIterator;
use millstream_state::query::{
    GetRow, KeyRows, KeySpan, PrefixRows, Read, SessionRows, SessionValue, WindowRows, WindowValue, WindowsOfKey,
};
use millstream_types::{Result, Timestamp, Windowed};

use super::store::StoreReads;

/// The answers of point reads: the first that found something.
fn first<T: Send + 'static, R: Read<Answer = Option<T>> + Clone + Sync>(
    reads: &StoreReads,
    read: R,
) -> Result<Option<T>> {
    Ok(reads.ask(read, Option::is_some)?.into_iter().flatten().next())
}

/// The rows of all partitions, one partition after the other.
fn chained<T: Send + 'static, R: Read<Answer = StoreIterator<T>> + Clone + Sync>(
    reads: &StoreReads,
    read: R,
) -> Result<StoreIterator<T>> {
    Ok(StoreIterator::new(reads.ask(read, |_| false)?.into_iter().flatten()))
}

macro_rules! readers {
    ($($(#[$doc:meta])* $reader:ident;)+) => {
        $(
            $(#[$doc])*
            ///
            /// Reads block until the stream threads have answered. Iterators show the rows of the moment of the
            /// call, one partition after the other, and are read on the caller's thread.
            pub struct $reader<K, T> {
                reads: StoreReads,
                rows: PhantomData<fn() -> (K, T)>,
            }

            impl<K, T> $reader<K, T> {
                pub(super) fn over(reads: StoreReads) -> Self {
                    Self { reads, rows: PhantomData }
                }
            }
        )+
    };
}

readers! {
    /// A key-value store to read: Kafka Streams' `ReadOnlyKeyValueStore`.
    ReadOnlyKeyValueStore;
    /// A window store to read: Kafka Streams' `ReadOnlyWindowStore`.
    ReadOnlyWindowStore;
    /// A session store to read: Kafka Streams' `ReadOnlySessionStore`.
    ReadOnlySessionStore;
}

impl<K: Clone + Send + Sync + 'static, T: Send + 'static> ReadOnlyKeyValueStore<K, T> {
    /// The row under a key.
    ///
    /// # Errors
    /// With an [`InvalidStateStore`](super::InvalidStateStore) as cause when there is nothing to ask, as for
    /// [`Streams::store`](crate::Streams::store); `Storage` when a store cannot be read.
    pub fn get(&self, key: &K) -> Result<Option<T>> {
        first(&self.reads, GetRow::new(key.clone()))
    }

    /// Rows from `from` to `to`, both inclusive, ascending by key bytes. `None` is an open end.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn range(&self, from: Option<&K>, to: Option<&K>) -> Result<StoreIterator<(K, T)>> {
        chained(&self.reads, KeyRows::new(from.cloned(), to.cloned(), false))
    }

    /// As [`range`](Self::range), descending.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn reverse_range(&self, from: Option<&K>, to: Option<&K>) -> Result<StoreIterator<(K, T)>> {
        chained(&self.reads, KeyRows::new(from.cloned(), to.cloned(), true))
    }

    /// All rows, ascending by key bytes.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn all(&self) -> Result<StoreIterator<(K, T)>> {
        self.range(None, None)
    }

    /// All rows, descending by key bytes.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn reverse_all(&self) -> Result<StoreIterator<(K, T)>> {
        self.reverse_range(None, None)
    }

    /// Rows whose key bytes start with `prefix`, ascending.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn prefix_scan(&self, prefix: &[u8]) -> Result<StoreIterator<(K, T)>> {
        chained(&self.reads, PrefixRows::new(prefix.to_vec()))
    }

    /// Number of rows. Exact, and it reads the whole store, on the caller's thread.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn approximate_num_entries(&self) -> Result<u64> {
        self.all()?.try_fold(0, |count, row| row.map(|_| count + 1))
    }
}

impl<K: Clone + Send + Sync + 'static, T: Send + 'static> ReadOnlyWindowStore<K, T> {
    /// The value of a key's window.
    ///
    /// # Errors
    /// With an [`InvalidStateStore`](super::InvalidStateStore) as cause when there is nothing to ask, as for
    /// [`Streams::store`](crate::Streams::store); `Storage` when a store cannot be read.
    pub fn fetch(&self, key: &K, window_start: Timestamp) -> Result<Option<T>> {
        first(&self.reads, WindowValue::new(key.clone(), window_start))
    }

    /// Values of a key's windows that start from `from` to `to`, both inclusive, oldest first.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub fn fetch_range(&self, key: &K, from: Timestamp, to: Timestamp) -> Result<StoreIterator<(Timestamp, T)>> {
        chained(&self.reads, WindowsOfKey::new(key.clone(), (from, to), false))
    }

    /// As [`fetch_range`](Self::fetch_range), newest first.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub fn backward_fetch(&self, key: &K, from: Timestamp, to: Timestamp) -> Result<StoreIterator<(Timestamp, T)>> {
        chained(&self.reads, WindowsOfKey::new(key.clone(), (from, to), true))
    }

    /// Values of the windows of several keys that start in a span of time; all bounds are inclusive, `None` is an
    /// open end. In the store's order.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub fn fetch_keys(
        &self,
        keys: (Option<&K>, Option<&K>),
        from: Timestamp,
        to: Timestamp,
    ) -> Result<StoreIterator<(Windowed<K>, T)>> {
        chained(&self.reads, WindowRows::new((keys.0.cloned(), keys.1.cloned()), (from, to), false))
    }

    /// As [`fetch_keys`](Self::fetch_keys), in the opposite order.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub fn backward_fetch_keys(
        &self,
        keys: (Option<&K>, Option<&K>),
        from: Timestamp,
        to: Timestamp,
    ) -> Result<StoreIterator<(Windowed<K>, T)>> {
        chained(&self.reads, WindowRows::new((keys.0.cloned(), keys.1.cloned()), (from, to), true))
    }

    /// Values of all windows that start in a span of time, both ends inclusive.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub fn fetch_all(&self, from: Timestamp, to: Timestamp) -> Result<StoreIterator<(Windowed<K>, T)>> {
        self.fetch_keys((None, None), from, to)
    }

    /// As [`fetch_all`](Self::fetch_all), in the opposite order.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub fn backward_fetch_all(&self, from: Timestamp, to: Timestamp) -> Result<StoreIterator<(Windowed<K>, T)>> {
        self.backward_fetch_keys((None, None), from, to)
    }

    /// All rows.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub fn all(&self) -> Result<StoreIterator<(Windowed<K>, T)>> {
        self.fetch_all(Timestamp(0), Timestamp(i64::MAX))
    }

    /// All rows, in the opposite order.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub fn backward_all(&self) -> Result<StoreIterator<(Windowed<K>, T)>> {
        self.backward_fetch_all(Timestamp(0), Timestamp(i64::MAX))
    }
}

/// Sessions with their values.
type Sessions<K, T> = Result<StoreIterator<(Windowed<K>, T)>>;

impl<K: Clone + Send + Sync + 'static, T: Send + 'static> ReadOnlySessionStore<K, T> {
    /// The value of exactly this session.
    ///
    /// # Errors
    /// With an [`InvalidStateStore`](super::InvalidStateStore) as cause when there is nothing to ask, as for
    /// [`Streams::store`](crate::Streams::store); `Storage` when a store cannot be read.
    pub fn fetch_session(&self, key: &K, start: Timestamp, end: Timestamp) -> Result<Option<T>> {
        first(&self.reads, SessionValue::new(key.clone(), (start, end)))
    }

    /// All sessions of a key, oldest first.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn fetch(&self, key: &K) -> Sessions<K, T> {
        self.find_sessions(KeySpan::One(key.clone()), Timestamp(0), Timestamp(i64::MAX))
    }

    /// All sessions of a key, newest first.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn backward_fetch(&self, key: &K) -> Sessions<K, T> {
        self.backward_find_sessions(KeySpan::One(key.clone()), Timestamp(0), Timestamp(i64::MAX))
    }

    /// All sessions of the keys from `from` to `to`, both inclusive; `None` is an open end.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn fetch_keys(&self, from: Option<&K>, to: Option<&K>) -> Sessions<K, T> {
        self.find_sessions(KeySpan::Range(from.cloned(), to.cloned()), Timestamp(0), Timestamp(i64::MAX))
    }

    /// As [`fetch_keys`](Self::fetch_keys), in the opposite order.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn backward_fetch_keys(&self, from: Option<&K>, to: Option<&K>) -> Sessions<K, T> {
        self.backward_find_sessions(KeySpan::Range(from.cloned(), to.cloned()), Timestamp(0), Timestamp(i64::MAX))
    }

    /// Sessions that end at `earliest_end` or later and start at `latest_start` or earlier, of one key or several.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn find_sessions(&self, keys: KeySpan<K>, earliest_end: Timestamp, latest_start: Timestamp) -> Sessions<K, T> {
        chained(&self.reads, SessionRows::new(keys, earliest_end, latest_start, false))
    }

    /// As [`find_sessions`](Self::find_sessions), in the opposite order.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn backward_find_sessions(
        &self,
        keys: KeySpan<K>,
        earliest_end: Timestamp,
        latest_start: Timestamp,
    ) -> Sessions<K, T> {
        chained(&self.reads, SessionRows::new(keys, earliest_end, latest_start, true))
    }
}
