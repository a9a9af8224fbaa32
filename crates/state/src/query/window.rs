//! Queries of window and session stores.

use std::marker::PhantomData;

use millstream_types::{Timestamp, Windowed};

use super::reads::Of;
use super::{KeySpan, Query, QueryFailure, ReadView, SessionRows, WindowRows, WindowsOfKey, ask};
use crate::{StateStore, StoreIterator};

/// The windows of a key that start in a span of time, oldest first: Kafka Streams' `WindowKeyQuery`.
/// Known by window stores. `V` is the value or, where the store keeps timestamps (as those behind
/// windowed aggregates do), a [`ValueAndTimestamp`](crate::ValueAndTimestamp) of it.
#[derive(Clone, Debug)]
pub struct WindowKeyQuery<K, V> {
    key: K,
    starts: (Timestamp, Timestamp),
    value: Of<V>,
}

impl<K, V> WindowKeyQuery<K, V> {
    /// Windows of a key that start from `from` to `to`, both inclusive.
    pub fn with_key_and_window_start_range(key: K, from: Timestamp, to: Timestamp) -> Self {
        Self { key, starts: (from, to), value: PhantomData }
    }

    /// The key.
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The first start.
    pub fn time_from(&self) -> Timestamp {
        self.starts.0
    }

    /// The last start.
    pub fn time_to(&self) -> Timestamp {
        self.starts.1
    }
}

impl<K: Clone + Send + Sync + 'static, V: Send + 'static> Query for WindowKeyQuery<K, V> {
    type Result = StoreIterator<(Timestamp, V)>;

    fn run(&self, store: &mut dyn StateStore, view: ReadView) -> Result<Self::Result, QueryFailure> {
        ask(store, WindowsOfKey::new(self.key.clone(), self.starts, false), view)
    }
}

/// Windows of all keys, or sessions of one: Kafka Streams' `WindowRangeQuery`. Window stores know those
/// [by their starts](Self::with_window_start_range), session stores those [of a key](Self::with_key).
///
/// Cost of all keys: the whole store is read, where the iterator is used.
#[derive(Clone, Debug)]
pub struct WindowRangeQuery<K, V> {
    wanted: Wanted<K>,
    value: Of<V>,
}

#[derive(Clone, Debug)]
enum Wanted<K> {
    Key(K),
    Starts(Timestamp, Timestamp),
}

impl<K, V> WindowRangeQuery<K, V> {
    /// All sessions of a key.
    pub fn with_key(key: K) -> Self {
        Self { wanted: Wanted::Key(key), value: PhantomData }
    }

    /// Windows of all keys that start from `from` to `to`, both inclusive.
    pub fn with_window_start_range(from: Timestamp, to: Timestamp) -> Self {
        Self { wanted: Wanted::Starts(from, to), value: PhantomData }
    }

    /// The key, if it asks for one.
    pub fn key(&self) -> Option<&K> {
        if let Wanted::Key(key) = &self.wanted { Some(key) } else { None }
    }

    /// The first start, if it asks for starts.
    pub fn time_from(&self) -> Option<Timestamp> {
        if let Wanted::Starts(from, _) = self.wanted { Some(from) } else { None }
    }

    /// The last start, if it asks for starts.
    pub fn time_to(&self) -> Option<Timestamp> {
        if let Wanted::Starts(_, to) = self.wanted { Some(to) } else { None }
    }
}

impl<K: Clone + Send + Sync + 'static, V: Send + 'static> Query for WindowRangeQuery<K, V> {
    type Result = StoreIterator<(Windowed<K>, V)>;

    fn run(&self, store: &mut dyn StateStore, view: ReadView) -> Result<Self::Result, QueryFailure> {
        match &self.wanted {
            Wanted::Key(key) => {
                let keys = KeySpan::One(key.clone());
                ask(store, SessionRows::new(keys, Timestamp(0), Timestamp(i64::MAX), false), view)
            }
            Wanted::Starts(from, to) => ask(store, WindowRows::new((None, None), (*from, *to), false), view),
        }
    }
}
