//! The stores of a driver, to look at and to fill from a test.

use std::marker::PhantomData;
use std::sync::Arc;

use millstream_state::query::{Query, QueryFailure, ReadView};
use millstream_state::{
    KeyValueStore, OuterJoinStore, SessionStore, StateStore, TimestampedKeyValueStore,
    TimestampedKeyValueStoreWithHeaders, TimestampedWindowStore, TimestampedWindowStoreWithHeaders, ValueAndTimestamp,
    ValueTimestampHeaders, VersionedKeyValueStore, VersionedRecord, WindowStore,
};
use millstream_topology::flow::GlobalState;
use millstream_types::{Error, ErrorKind, Result, Serde, Timestamp, Windowed};

use super::{Shared, TopologyTestDriver, state_error};

/// A store of the topology, typed. It stays valid while records are piped.
///
/// Reads see what the record cache holds. Iterators are read out into a list.
pub struct TestStore<S> {
    machine: Shared,
    name: Arc<str>,
    store: PhantomData<fn(S)>,
}

/// A global store: key to value with the timestamp of the record that gave it (-1 where the store
/// keeps none). Read only.
pub struct TestGlobalStore<K, V> {
    machine: Shared,
    name: Arc<str>,
    key: Serde<K>,
    value: Serde<V>,
}

impl TopologyTestDriver {
    /// A key-value store.
    ///
    /// # Errors
    /// `State` when there is no store of that name, or it is of another kind or other types.
    pub fn key_value_store<K, V>(&self, name: &str) -> Result<TestStore<KeyValueStore<K, V>>>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        self.store(name)
    }

    /// A key-value store with timestamps: what stands behind tables and aggregates.
    ///
    /// # Errors
    /// As [`key_value_store`](Self::key_value_store).
    pub fn timestamped_key_value_store<K, V>(&self, name: &str) -> Result<TestStore<TimestampedKeyValueStore<K, V>>>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        self.store(name)
    }

    /// A window store.
    ///
    /// # Errors
    /// As [`key_value_store`](Self::key_value_store).
    pub fn window_store<K, V>(&self, name: &str) -> Result<TestStore<WindowStore<K, V>>>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        self.store(name)
    }

    /// A key-value store with timestamps and headers.
    ///
    /// # Errors
    /// As [`key_value_store`](Self::key_value_store).
    pub fn timestamped_key_value_store_with_headers<K, V>(
        &self,
        name: &str,
    ) -> Result<TestStore<TimestampedKeyValueStoreWithHeaders<K, V>>>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        self.store(name)
    }

    /// A window store with timestamps: what stands behind windowed aggregates.
    ///
    /// # Errors
    /// As [`key_value_store`](Self::key_value_store).
    pub fn timestamped_window_store<K, V>(&self, name: &str) -> Result<TestStore<TimestampedWindowStore<K, V>>>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        self.store(name)
    }

    /// A versioned key-value store.
    ///
    /// # Errors
    /// As [`key_value_store`](Self::key_value_store).
    pub fn versioned_key_value_store<K, V>(&self, name: &str) -> Result<TestStore<VersionedKeyValueStore<K, V>>>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        self.store(name)
    }

    /// A window store with timestamps and headers: what stands behind each side of a stream-stream
    /// join.
    ///
    /// # Errors
    /// As [`key_value_store`](Self::key_value_store).
    pub fn timestamped_window_store_with_headers<K, V>(
        &self,
        name: &str,
    ) -> Result<TestStore<TimestampedWindowStoreWithHeaders<K, V>>>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        self.store(name)
    }

    /// The store of a left or outer stream-stream join for records without a partner.
    ///
    /// # Errors
    /// As [`key_value_store`](Self::key_value_store).
    pub fn outer_join_store<K, L, R>(&self, name: &str) -> Result<TestStore<OuterJoinStore<K, L, R>>>
    where
        K: Clone + Send + 'static,
        L: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        self.store(name)
    }

    /// A session store: what stands behind aggregates in session windows.
    ///
    /// # Errors
    /// As [`key_value_store`](Self::key_value_store).
    pub fn session_store<K, V>(&self, name: &str) -> Result<TestStore<SessionStore<K, V>>>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        self.store(name)
    }

    /// A global store, read with these serdes.
    ///
    /// # Errors
    /// `State` when there is no global store of that name.
    pub fn global_store<K, V>(&self, name: &str, key: Serde<K>, value: Serde<V>) -> Result<TestGlobalStore<K, V>> {
        if self.machine.get().globals.state.read().engine(name).is_none() {
            return Err(state_error(format!("there is no global store {name}")));
        }
        Ok(TestGlobalStore { machine: self.machine.clone(), name: name.into(), key, value })
    }

    /// Number of rows of any store, whatever its types; of a buffer (`suppress`, stream-table join with
    /// grace), of the records it holds.
    ///
    /// # Errors
    /// `State` when there is no store of that name.
    pub fn row_count(&self, name: &str) -> Result<u64> {
        let mut machine = self.machine.get_mut();
        let store = machine.store_mut(name);
        store.ok_or_else(|| state_error(format!("there is no open store {name}")))?.row_count()
    }

    /// Asks a store, as `Streams::query` asks each partition's; global stores answer, too.
    ///
    /// ```
    /// # use millstream_state::query::{KeyQuery, ReadView};
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{Materialized, StreamsBuilder};
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("words").group_by_key().count_with(Materialized::named("counts"));
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("words", Serdes::string(), Serdes::string()).pipe_input("a".to_owned(), "x".to_owned())?;
    ///
    /// let query = KeyQuery::<String, i64>::with_key("a".to_owned());
    /// assert_eq!(driver.query("counts", &query, ReadView::Latest)?, Ok(Some(1)));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    ///
    /// # Errors
    /// `State` when there is no store of that name. What the query itself cannot do is the inner result's failure.
    pub fn query<Q: Query>(&self, name: &str, query: &Q, view: ReadView) -> Result<Result<Q::Result, QueryFailure>> {
        let mut machine = self.machine.get_mut();
        if let Some(mut global) = machine.globals.reader(name)? {
            return Ok(query.run(&mut *global, view));
        }
        let store = machine.store_mut(name).ok_or_else(|| state_error(format!("there is no open store {name}")))?;
        Ok(query.run(store, view))
    }

    /// A store of any type: a user's own, or one that has no method above.
    ///
    /// # Errors
    /// As [`key_value_store`](Self::key_value_store).
    pub fn state_store<S: StateStore>(&self, name: &str) -> Result<TestStore<S>> {
        self.store(name)
    }

    fn store<S: StateStore>(&self, name: &str) -> Result<TestStore<S>> {
        let store = TestStore { machine: self.machine.clone(), name: name.into(), store: PhantomData };
        store.with(|_| Ok(()))?;
        Ok(store)
    }
}

impl<S: StateStore> TestStore<S> {
    /// Uses the store itself.
    ///
    /// # Errors
    /// What `run` gives; `State` when the driver was closed.
    pub fn with<T>(&self, run: impl FnOnce(&mut S) -> Result<T>) -> Result<T> {
        let mut machine = self.machine.get_mut();
        let name = &self.name;
        let store = machine.store_mut(name).ok_or_else(|| state_error(format!("there is no open store {name}")))?;
        let typed = store
            .as_any_mut()
            .downcast_mut()
            .ok_or_else(|| state_error(format!("store {name} is not a {}", std::any::type_name::<S>())))?;
        run(typed)
    }
}

/// The methods of a key-value store. `$item` is what a row holds.
macro_rules! key_value_methods {
    ($store:ident, $item:ty) => {
        impl<K: Clone + Send + 'static, V: Clone + Send + 'static> TestStore<$store<K, V>> {
            /// The row under a key.
            ///
            /// # Errors
            /// `Corrupted` when the row's bytes are not of the store's types.
            pub fn get(&self, key: &K) -> Result<Option<$item>> {
                self.with(|store| store.get(key))
            }

            /// Writes a row, as a processor would; `None` deletes it.
            ///
            /// # Errors
            /// What the store's serdes say.
            pub fn put(&self, key: &K, value: Option<$item>) -> Result<()> {
                self.with(|store| store.put(key, value))
            }

            /// Deletes a row; gives what was there.
            ///
            /// # Errors
            /// As [`get`](Self::get).
            pub fn delete(&self, key: &K) -> Result<Option<$item>> {
                self.with(|store| store.delete(key))
            }

            /// All rows, ascending by key bytes.
            ///
            /// # Errors
            /// As [`get`](Self::get).
            pub fn all(&self) -> Result<Vec<(K, $item)>> {
                self.with(|store| store.all()?.collect())
            }

            /// The rows from `from` to `to`, both inclusive, ascending by key bytes; `None` is an open end.
            ///
            /// # Errors
            /// As [`get`](Self::get).
            pub fn range(&self, from: Option<&K>, to: Option<&K>) -> Result<Vec<(K, $item)>> {
                self.with(|store| store.range(from, to)?.collect())
            }

            /// Number of rows; of a persistent store Kafka Streams' guess: what was put, overwritten rows too,
            /// less what was deleted.
            ///
            /// # Errors
            /// As [`get`](Self::get).
            pub fn approximate_num_entries(&self) -> Result<u64> {
                self.with($store::approximate_num_entries)
            }
        }
    };
}

key_value_methods!(KeyValueStore, V);
key_value_methods!(TimestampedKeyValueStore, ValueAndTimestamp<V>);
key_value_methods!(TimestampedKeyValueStoreWithHeaders, ValueTimestampHeaders<V>);

/// The methods of a window store. `$item` is what a row holds.
macro_rules! window_methods {
    ($store:ident, $item:ty) => {
        impl<K: Clone + Send + 'static, V: Clone + Send + 'static> TestStore<$store<K, V>> {
            /// The row of a key and window start.
            ///
            /// # Errors
            /// `Corrupted` when the row's bytes are not of the store's types.
            pub fn fetch(&self, key: &K, window_start: Timestamp) -> Result<Option<$item>> {
                self.with(|store| store.fetch(key, window_start))
            }

            /// The rows of a key whose windows start from `from` to `to`, both inclusive, oldest first.
            ///
            /// # Errors
            /// As [`fetch`](Self::fetch).
            pub fn fetch_range(&self, key: &K, from: Timestamp, to: Timestamp) -> Result<Vec<(Timestamp, $item)>> {
                self.with(|store| store.fetch_range(key, from, to)?.collect())
            }

            /// All rows, in the store's order.
            ///
            /// # Errors
            /// As [`fetch`](Self::fetch).
            pub fn all(&self) -> Result<Vec<(Windowed<K>, $item)>> {
                self.with(|store| store.all()?.collect())
            }
        }
    };
}

window_methods!(WindowStore, V);
window_methods!(TimestampedWindowStore, ValueAndTimestamp<V>);
window_methods!(TimestampedWindowStoreWithHeaders, ValueTimestampHeaders<V>);

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> TestStore<VersionedKeyValueStore<K, V>> {
    /// The newest version of a key.
    ///
    /// # Errors
    /// `Corrupted` when the row's bytes are not of the store's types.
    pub fn get(&self, key: &K) -> Result<Option<VersionedRecord<V>>> {
        self.with(|store| store.get(key))
    }

    /// The version of a key that was valid at a time.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_as_of(&self, key: &K, time: Timestamp) -> Result<Option<VersionedRecord<V>>> {
        self.with(|store| store.get_as_of(key, time))
    }
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> TestStore<SessionStore<K, V>> {
    /// The value of exactly this session.
    ///
    /// # Errors
    /// `Corrupted` when the row's bytes are not of the store's types.
    pub fn fetch_session(&self, key: &K, start: Timestamp, end: Timestamp) -> Result<Option<V>> {
        self.with(|store| store.fetch_session(key, start, end))
    }

    /// All sessions of a key, oldest first.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn fetch(&self, key: &K) -> Result<Vec<(Windowed<K>, V)>> {
        self.with(|store| store.fetch(key)?.collect())
    }

    /// All sessions of all keys, in the store's order.
    ///
    /// # Errors
    /// As [`fetch_session`](Self::fetch_session).
    pub fn all(&self) -> Result<Vec<(Windowed<K>, V)>> {
        self.with(|store| store.fetch_keys(None, None)?.collect())
    }
}

impl<K, V> TestGlobalStore<K, V> {
    /// The row under a key.
    ///
    /// # Errors
    /// `Deserialization` when the row's bytes are not of the serdes' types.
    pub fn get(&self, key: &K) -> Result<Option<ValueAndTimestamp<V>>> {
        let mut bytes = Vec::new();
        let has_bytes = self.key.encode(key, &mut bytes).map_err(unreadable)?;
        let machine = self.machine.get();
        let state = machine.globals.state.read();
        match state.engine(&self.name).filter(|_| has_bytes) {
            Some(engine) => engine.get(&bytes)?.map(|row| self.row(&state, &row)).transpose(),
            None => Ok(None),
        }
    }

    /// All rows, ascending by key bytes.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn all(&self) -> Result<Vec<(K, ValueAndTimestamp<V>)>> {
        let machine = self.machine.get();
        let state = machine.globals.state.read();
        let Some(engine) = state.engine(&self.name) else { return Ok(Vec::new()) };
        engine
            .scan(None, None, false)?
            .map(|row| {
                let (key, row) = row?;
                Ok((self.key.decode(Some(&key)).map_err(unreadable)?, self.row(&state, &row)?))
            })
            .collect()
    }

    /// Number of rows; of a persistent store Kafka Streams' guess: what was put, overwritten rows too,
    /// less what was deleted.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn approximate_num_entries(&self) -> Result<u64> {
        let machine = self.machine.get();
        let state = machine.globals.state.read();
        match state.facts(&self.name) {
            Some(facts) if facts.is_persistent => Ok(machine.globals.guessed_len(&self.name)),
            _ => {
                drop(state);
                drop(machine);
                self.all().map(|rows| rows.len() as u64)
            }
        }
    }

    fn row(&self, state: &GlobalState, row: &[u8]) -> Result<ValueAndTimestamp<V>> {
        let (timestamp, value) = state.split(&self.name, row)?;
        let value = self.value.decode(Some(value)).map_err(unreadable)?;
        Ok(ValueAndTimestamp::new(value, timestamp))
    }
}

fn unreadable(error: millstream_types::CodecError) -> Error {
    Error::new(ErrorKind::Deserialization, "a global store holds or is asked for other types").with_source(error)
}
