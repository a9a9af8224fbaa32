//! Stores to read from outside: Kafka Streams' `KafkaStreams.store`.

use std::marker::PhantomData;
use std::sync::Arc;

use millstream_state::query::{FailureReason, QueryFailure, Read, ReadView, ask};
use millstream_state::{AggregationWithHeaders, ValueAndTimestamp, ValueTimestampHeaders};
use millstream_types::{Error, ErrorKind, Partition, Result};

use super::gather::Gather;
use super::run::has_task;
use super::{InvalidStateStore, ReadOnlyKeyValueStore, ReadOnlySessionStore, ReadOnlyWindowStore, Role};
use crate::guard::guarded;
use crate::streams::Streams;
use crate::thread::{StreamThread, ThreadState};

/// Which store to read, as what, and where: Kafka Streams' `StoreQueryParameters`.
#[derive(Clone, Debug)]
pub struct StoreQueryParameters<T> {
    store: Arc<str>,
    kind: T,
    partition: Option<i32>,
    is_stale_enabled: bool,
}

impl<T: QueryableStoreType> StoreQueryParameters<T> {
    /// Of all partitions whose running task is on the instance.
    pub fn from_name_and_type(name: &str, kind: T) -> Self {
        Self { store: name.into(), kind, partition: None, is_stale_enabled: false }
    }

    /// Of one partition.
    #[must_use]
    pub fn with_partition(self, partition: i32) -> Self {
        Self { partition: Some(partition), ..self }
    }

    /// Of copies and of tasks that are being restored as well, which may be behind.
    #[must_use]
    pub fn enable_stale_stores(self) -> Self {
        Self { is_stale_enabled: true, ..self }
    }

    /// Name of the store.
    pub fn store_name(&self) -> &str {
        &self.store
    }

    /// The partition; `None` for all.
    pub fn partition(&self) -> Option<i32> {
        self.partition
    }

    /// Whether copies and tasks that are being restored are read.
    pub fn stale_stores_enabled(&self) -> bool {
        self.is_stale_enabled
    }
}

/// What a store is to be read as; see [`QueryableStoreTypes`].
pub trait QueryableStoreType: Clone + Send + Sync + 'static {
    /// The store.
    type Store;

    /// Makes the store over what reads it.
    fn create(&self, reads: StoreReads) -> Self::Store;
}

/// What a store may be read as: Kafka Streams' `QueryableStoreTypes`. A store with timestamps or headers
/// can be read without them, too.
#[derive(Clone, Copy, Debug)]
pub struct QueryableStoreTypes;

impl QueryableStoreTypes {
    /// Values by key.
    pub fn key_value_store<K, V>() -> KeyValueStoreType<K, V> {
        KeyValueStoreType(PhantomData)
    }

    /// Values with timestamps by key.
    pub fn timestamped_key_value_store<K, V>() -> KeyValueStoreType<K, ValueAndTimestamp<V>> {
        KeyValueStoreType(PhantomData)
    }

    /// Values with timestamps and headers by key.
    pub fn timestamped_key_value_store_with_headers<K, V>() -> KeyValueStoreType<K, ValueTimestampHeaders<V>> {
        KeyValueStoreType(PhantomData)
    }

    /// Values by key and window.
    pub fn window_store<K, V>() -> WindowStoreType<K, V> {
        WindowStoreType(PhantomData)
    }

    /// Values with timestamps by key and window.
    pub fn timestamped_window_store<K, V>() -> WindowStoreType<K, ValueAndTimestamp<V>> {
        WindowStoreType(PhantomData)
    }

    /// Values with timestamps and headers by key and window.
    pub fn timestamped_window_store_with_headers<K, V>() -> WindowStoreType<K, ValueTimestampHeaders<V>> {
        WindowStoreType(PhantomData)
    }

    /// Values by key and session.
    pub fn session_store<K, V>() -> SessionStoreType<K, V> {
        SessionStoreType(PhantomData)
    }

    /// Values with headers by key and session.
    pub fn session_store_with_headers<K, V>() -> SessionStoreType<K, AggregationWithHeaders<V>> {
        SessionStoreType(PhantomData)
    }
}

macro_rules! store_types {
    ($($(#[$doc:meta])* $kind:ident -> $store:ident;)+) => {
        $(
            $(#[$doc])*
            pub struct $kind<K, T>(PhantomData<fn() -> (K, T)>);

            impl<K, T> Clone for $kind<K, T> {
                fn clone(&self) -> Self {
                    Self(PhantomData)
                }
            }

            impl<K: 'static, T: 'static> QueryableStoreType for $kind<K, T> {
                type Store = $store<K, T>;

                fn create(&self, reads: StoreReads) -> Self::Store {
                    $store::over(reads)
                }
            }
        )+
    };
}

store_types! {
    /// A store of rows `T` by key.
    KeyValueStoreType -> ReadOnlyKeyValueStore;
    /// A store of rows `T` by key and window.
    WindowStoreType -> ReadOnlyWindowStore;
    /// A store of rows `T` by key and session.
    SessionStoreType -> ReadOnlySessionStore;
}

impl Streams {
    /// A store to read from this thread: Kafka Streams' `store`. All its partitions on this instance are one; it
    /// stays good while tasks come and go. Each read asks the stream threads and waits for them, as
    /// [`query`](Self::query) does.
    ///
    /// ```
    /// # use millstream_runtime::{QueryableStoreTypes, State, StoreQueryParameters, Streams};
    /// # use millstream_topology::{Materialized, StreamsBuilder};
    /// # use millstream_types::Config;
    /// # use std::time::Duration;
    /// # let builder = StreamsBuilder::new();
    /// builder.stream::<String, String>("clicks").group_by_key().count_with(Materialized::named("counts"));
    /// # let config = Config::builder().application_id("clicks").bootstrap_servers("memory:");
    /// # let config = config.set("state.dir", std::env::temp_dir().join("millstream-store-doc").to_string_lossy());
    /// # let config = config.set("dsl.store.suppliers.class", "in_memory").build()?;
    /// # let streams = Streams::new(&builder.build()?, &config)?;
    /// # let topic = millstream_log::NewTopic { name: "clicks".into(), partitions: 1, replication_factor: -1, configs: vec![] };
    /// # millstream_runtime::answer(&*streams.log(), streams.log().admin().create_topics(&[topic]))?;
    /// # streams.start()?;
    /// # assert!(streams.wait_for(&[State::Running], Duration::from_secs(60)));
    /// let kind = QueryableStoreTypes::key_value_store::<String, i64>();
    /// let counts = streams.store(StoreQueryParameters::from_name_and_type("counts", kind))?;
    /// assert_eq!(counts.get(&"alice".to_owned())?, None);
    /// # streams.close(Duration::from_secs(10));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    ///
    /// # Errors
    /// With an [`InvalidStateStore`] as cause: there is no such store, or the application does not run. Reads give
    /// the same, and `Retriable` ones while tasks are on their way.
    pub fn store<T: QueryableStoreType>(&self, parameters: StoreQueryParameters<T>) -> Result<T::Store> {
        let StoreQueryParameters { store, kind, partition, is_stale_enabled } = parameters;
        let reads = StoreReads { streams: self.share(), store, partition, is_stale_enabled };
        reads.check()?;
        Ok(kind.create(reads))
    }
}

/// Reads the partitions of a store.
pub struct StoreReads {
    streams: Streams,
    store: Arc<str>,
    partition: Option<i32>,
    is_stale_enabled: bool,
}

impl StoreReads {
    fn check(&self) -> Result<()> {
        self.streams.check_running(&self.store)?;
        self.streams.check_known(&self.store)
    }

    /// Asks each partition's store, in order of partitions; stops at a thread's first answer that is `enough`.
    pub(super) fn ask<R: Read + Clone + Sync>(
        &self,
        read: R,
        enough: fn(&R::Answer) -> bool,
    ) -> Result<Vec<R::Answer>> {
        self.check()?;
        if let Some(mut store) = self.streams.open_global(&self.store)? {
            let answer = ask(&mut *store, read, ReadView::Latest);
            return Ok(vec![answer.map_err(|failure| refused(&self.store, failure))?]);
        }
        self.streams.check_caller(&self.store)?;
        let gather = Gather::new();
        let read = Arc::new(read);
        let wants = |partition| self.partition.is_none_or(|wanted| wanted == partition);
        self.streams.ask_threads(has_task(wants), || {
            let promise = gather.promise();
            let (read, store) = (Arc::clone(&read), Arc::clone(&self.store));
            let (partition, is_stale_enabled) = (self.partition, self.is_stale_enabled);
            Box::new(move |thread| {
                let outcome = guarded("query", || answers(thread, &store, partition, is_stale_enabled, &*read, enough));
                promise.keep(outcome.unwrap_or_else(Err));
            })
        });
        let mut found = Vec::new();
        for part in gather.wait() {
            found.extend(part?);
        }
        if found.is_empty() {
            return Err(match self.partition {
                Some(partition) => InvalidStateStore::Partition(Partition(partition)).error(&self.store),
                None => InvalidStateStore::Migrated.error(&self.store),
            });
        }
        found.sort_by_key(|(partition, _)| *partition);
        Ok(found.into_iter().map(|(_, answer)| answer).collect())
    }
}

fn refused(store: &str, failure: QueryFailure) -> Error {
    if failure.reason == FailureReason::UnknownQueryType {
        return InvalidStateStore::WrongType(failure.message).error(store);
    }
    let store: Arc<str> = store.into();
    Error::new(ErrorKind::Storage, failure.message).with_context(|context| context.store = Some(store))
}

/// What a thread's stores of a name say.
fn answers<R: Read + Clone>(
    thread: &mut StreamThread,
    name: &str,
    partition: Option<i32>,
    is_stale_enabled: bool,
    read: &R,
    enough: fn(&R::Answer) -> bool,
) -> Result<Vec<(i32, R::Answer)>> {
    let state = thread.state();
    let is_alive = !matches!(state, ThreadState::Dead | ThreadState::PendingShutdown | ThreadState::Created);
    if !(is_alive && (is_stale_enabled || state == ThreadState::Running)) {
        return Err(InvalidStateStore::Rebalancing(state).error(name));
    }
    let mut found = Vec::new();
    let mut failure = None;
    thread.each_store(name, &mut |known| {
        let at = known.task.partition;
        let is_wanted = partition.is_none_or(|wanted| wanted == at) && (is_stale_enabled || known.role == Role::Active);
        if !is_wanted {
            return false;
        }
        match ask(known.store, read.clone(), ReadView::Latest) {
            Ok(answer) => {
                let is_enough = enough(&answer);
                found.push((at, answer));
                is_enough
            }
            Err(refusal) => {
                failure = Some(refused(name, refusal));
                true
            }
        }
    });
    failure.map_or(Ok(found), Err)
}
