//! How a store is described: `Stores` gives suppliers (`stores/suppliers.rs`) and builders.

mod buffers;
mod suppliers;

use std::sync::Arc;

use millstream_types::clock::millis;
use millstream_types::{Error, ErrorKind, Result, Serde, TaskId};

use crate::supplier::OwnEngine;
use crate::{
    Engine, EngineProvider, KeyValueStore, KeyValueStoreSupplier, OuterJoinStore, SessionStore, SessionStoreSupplier,
    SessionStoreWithHeaders, StateStore, StoreEnv, StoreFactory, StoreFacts, StoreFormat, StoreKind,
    TimestampedKeyValueStore, TimestampedKeyValueStoreWithHeaders, TimestampedWindowStore,
    TimestampedWindowStoreWithHeaders, VersionedKeyValueStore, VersionedKeyValueStoreSupplier, WindowStore,
    WindowStoreSupplier,
};

/// Describes stores, as Kafka Streams' `Stores`.
///
/// ```
/// use millstream_state::{StoreFactory, Stores};
/// use millstream_types::Serdes;
///
/// let counts = Stores::in_memory_key_value_store("counts");
/// let counts = Stores::key_value_store_builder(counts, Serdes::string(), Serdes::long());
/// assert_eq!(&*counts.facts().name, "counts");
///
/// // A name alone is a store on disk.
/// let names = Stores::key_value_store_builder("names", Serdes::long(), Serdes::string());
/// assert!(names.facts().is_persistent);
///
/// // Of windows a store must know how long to keep them, and their size.
/// # use std::time::Duration;
/// let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
/// let clicks = Stores::persistent_window_store("clicks", hour, minute, false);
/// let clicks = Stores::window_store_builder(clicks, Serdes::string(), Serdes::long()).with_caching_enabled();
/// assert_eq!(clicks.facts().retention_ms, Some(3_600_000));
/// let visits = Stores::in_memory_session_store("visits", hour);
/// let visits = Stores::session_store_builder(visits, Serdes::string(), Serdes::long()).with_logging_disabled();
/// assert!(!visits.facts().is_logged);
///
/// // The values of the last hour; and at most a thousand rows.
/// let prices = Stores::persistent_versioned_key_value_store("prices", hour);
/// let prices = Stores::versioned_key_value_store_builder(prices, Serdes::string(), Serdes::long());
/// assert_eq!(prices.facts().history_ms, Some(3_600_000));
/// let recent = Stores::key_value_store_builder(Stores::lru_map("recent", 1_000), Serdes::string(), Serdes::long());
/// assert_eq!(recent.facts().entries_max, Some(1_000));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Stores;

/// Describes a store of type `S`: on disk, logged and without record cache unless said otherwise.
#[must_use]
pub struct StoreBuilder<S> {
    facts: StoreFacts,
    open: Arc<dyn Fn(StoreFacts, StoreEnv) -> Result<S> + Send + Sync>,
    engine: OwnEngine,
}

impl Stores {
    /// A store from key to value.
    pub fn key_value_store_builder<K: Clone + Send + 'static, V: Clone + Send + 'static>(
        supplier: impl Into<KeyValueStoreSupplier>,
        keys: Serde<K>,
        values: Serde<V>,
    ) -> StoreBuilder<KeyValueStore<K, V>> {
        let open = move |facts, env| KeyValueStore::new(facts, env, keys.clone(), values.clone());
        StoreBuilder::key_value(supplier.into(), StoreKind::KeyValue, open)
    }

    /// A store from key to value and timestamp. A plain supplier on disk loses the timestamps (they
    /// read as -1), as in Kafka Streams; its changelog has them.
    pub fn timestamped_key_value_store_builder<K: Clone + Send + 'static, V: Clone + Send + 'static>(
        supplier: impl Into<KeyValueStoreSupplier>,
        keys: Serde<K>,
        values: Serde<V>,
    ) -> StoreBuilder<TimestampedKeyValueStore<K, V>> {
        let open = move |facts, env| TimestampedKeyValueStore::new(facts, env, keys.clone(), values.clone());
        StoreBuilder::key_value(supplier.into(), StoreKind::TimestampedKeyValue, open)
    }

    /// A store from key to value, timestamp and headers (KIP-1271).
    pub fn timestamped_key_value_store_with_headers_builder<K: Clone + Send + 'static, V: Clone + Send + 'static>(
        supplier: impl Into<KeyValueStoreSupplier>,
        keys: Serde<K>,
        values: Serde<V>,
    ) -> StoreBuilder<TimestampedKeyValueStoreWithHeaders<K, V>> {
        let open = move |facts, env| TimestampedKeyValueStoreWithHeaders::new(facts, env, keys.clone(), values.clone());
        StoreBuilder::key_value(supplier.into(), StoreKind::TimestampedKeyValueWithHeaders, open)
    }

    /// A store from key and window start to value.
    pub fn window_store_builder<K: Clone + Send + 'static, V: Clone + Send + 'static>(
        supplier: WindowStoreSupplier,
        keys: Serde<K>,
        values: Serde<V>,
    ) -> StoreBuilder<WindowStore<K, V>> {
        let open = move |facts, env| WindowStore::new(facts, env, keys.clone(), values.clone());
        StoreBuilder::window(supplier, StoreKind::Window, open)
    }

    /// A store from key and window start to value and timestamp. A plain supplier on disk loses the
    /// timestamps, as for [`timestamped_key_value_store_builder`](Self::timestamped_key_value_store_builder).
    pub fn timestamped_window_store_builder<K: Clone + Send + 'static, V: Clone + Send + 'static>(
        supplier: WindowStoreSupplier,
        keys: Serde<K>,
        values: Serde<V>,
    ) -> StoreBuilder<TimestampedWindowStore<K, V>> {
        let open = move |facts, env| TimestampedWindowStore::new(facts, env, keys.clone(), values.clone());
        StoreBuilder::window(supplier, StoreKind::TimestampedWindow, open)
    }

    /// A store from key and window start to value, timestamp and headers (KIP-1271).
    pub fn timestamped_window_store_with_headers_builder<K: Clone + Send + 'static, V: Clone + Send + 'static>(
        supplier: WindowStoreSupplier,
        keys: Serde<K>,
        values: Serde<V>,
    ) -> StoreBuilder<TimestampedWindowStoreWithHeaders<K, V>> {
        let open = move |facts, env| TimestampedWindowStoreWithHeaders::new(facts, env, keys.clone(), values.clone());
        StoreBuilder::window(supplier, StoreKind::TimestampedWindowWithHeaders, open)
    }

    /// A store from key and session to value.
    pub fn session_store_builder<K: Clone + Send + 'static, V: Clone + Send + 'static>(
        supplier: SessionStoreSupplier,
        keys: Serde<K>,
        values: Serde<V>,
    ) -> StoreBuilder<SessionStore<K, V>> {
        let open = move |facts, env| SessionStore::new(facts, env, keys.clone(), values.clone());
        StoreBuilder::session(supplier, StoreKind::Session, open)
    }

    /// A store from key and session to value and headers (KIP-1271). A supplier on disk without headers
    /// loses them.
    pub fn session_store_with_headers_builder<K: Clone + Send + 'static, V: Clone + Send + 'static>(
        supplier: SessionStoreSupplier,
        keys: Serde<K>,
        values: Serde<V>,
    ) -> StoreBuilder<SessionStoreWithHeaders<K, V>> {
        let open = move |facts, env| SessionStoreWithHeaders::new(facts, env, keys.clone(), values.clone());
        StoreBuilder::session(supplier, StoreKind::SessionWithHeaders, open)
    }
}

impl Stores {
    /// A store from key to the values it had over time. It is never cached.
    pub fn versioned_key_value_store_builder<K: Clone + Send + 'static, V: Clone + Send + 'static>(
        supplier: VersionedKeyValueStoreSupplier,
        keys: Serde<K>,
        values: Serde<V>,
    ) -> StoreBuilder<VersionedKeyValueStore<K, V>> {
        let open = move |facts, env| VersionedKeyValueStore::new(facts, env, keys.clone(), values.clone());
        let from = (supplier.is_persistent, Some(StoreFormat::Plain));
        let mut builder = StoreBuilder::new(supplier.name, StoreKind::Versioned, from, open);
        builder.facts.history_ms = Some(millis(supplier.history_retention));
        builder.facts.segment_ms = Some(millis(supplier.segment_interval).max(1));
        builder
    }

    /// The store of a left or outer stream-stream join for records without a partner: keys, and
    /// the values of the left and of the right stream.
    pub fn outer_join_store_builder<K, L, R>(
        supplier: impl Into<KeyValueStoreSupplier>,
        keys: Serde<K>,
        lefts: Serde<L>,
        rights: Serde<R>,
    ) -> StoreBuilder<OuterJoinStore<K, L, R>>
    where
        K: Clone + Send + 'static,
        L: Clone + Send + 'static,
        R: Clone + Send + 'static,
    {
        let open = move |facts, env| OuterJoinStore::new(facts, env, keys.clone(), lefts.clone(), rights.clone());
        StoreBuilder::key_value(supplier.into(), StoreKind::OuterJoin, open)
    }
}

impl<S: StateStore> StoreBuilder<S> {
    fn new(
        name: Arc<str>,
        kind: StoreKind,
        (is_persistent, format): (bool, Option<StoreFormat>),
        open: impl Fn(StoreFacts, StoreEnv) -> Result<S> + Send + Sync + 'static,
    ) -> Self {
        let may_keep_headers = kind.is_timestamped() || kind.has_sessions();
        let logs_headers = kind.has_headers() || (may_keep_headers && format == Some(StoreFormat::Headers));
        let most = match (kind.has_headers(), kind.is_timestamped()) {
            (true, _) => StoreFormat::Headers,
            (_, true) => StoreFormat::Timestamped,
            _ => StoreFormat::Plain,
        };
        let facts = StoreFacts {
            format: format.map_or(most, |format| format.min(most)),
            is_persistent,
            logs_headers,
            ..StoreFacts::new(name, kind)
        };
        Self { facts, open: Arc::new(open), engine: OwnEngine::NONE }
    }

    fn key_value(
        supplier: KeyValueStoreSupplier,
        kind: StoreKind,
        open: impl Fn(StoreFacts, StoreEnv) -> Result<S> + Send + Sync + 'static,
    ) -> Self {
        let mut builder = Self::new(supplier.name, kind, (supplier.is_persistent, supplier.format), open);
        builder.facts.entries_max = supplier.entries_max;
        builder.engine = supplier.engine;
        builder
    }

    fn window(
        supplier: WindowStoreSupplier,
        kind: StoreKind,
        open: impl Fn(StoreFacts, StoreEnv) -> Result<S> + Send + Sync + 'static,
    ) -> Self {
        let mut builder = Self::new(supplier.name, kind, (supplier.is_persistent, supplier.format), open);
        builder.facts.retention_ms = Some(millis(supplier.retention));
        builder.facts.window_size_ms = Some(millis(supplier.window_size));
        builder.facts.retains_duplicates = supplier.retains_duplicates;
        builder.engine = supplier.engine;
        builder.facts.is_time_ordered = supplier.is_time_ordered || !supplier.is_persistent;
        builder
    }

    fn session(
        supplier: SessionStoreSupplier,
        kind: StoreKind,
        open: impl Fn(StoreFacts, StoreEnv) -> Result<S> + Send + Sync + 'static,
    ) -> Self {
        let mut builder = Self::new(supplier.name, kind, (supplier.is_persistent, supplier.format), open);
        builder.facts.retention_ms = Some(millis(supplier.retention));
        builder.facts.is_time_ordered = supplier.is_time_ordered || !supplier.is_persistent;
        builder.engine = supplier.engine;
        builder
    }

    /// Puts a record cache in front: several updates of a key between two commits become one. As
    /// in Kafka Streams this does nothing for stores that keep duplicates; versioned stores, which
    /// may not collapse updates, have none either.
    pub fn with_caching_enabled(mut self) -> Self {
        self.facts.is_cached = !self.facts.retains_duplicates && self.facts.kind != StoreKind::Versioned;
        self
    }

    /// Without a record cache: every update is written and logged.
    pub fn with_caching_disabled(mut self) -> Self {
        self.facts.is_cached = false;
        self
    }

    /// Writes a changelog topic, whose settings `configs` override.
    pub fn with_logging_enabled(mut self, configs: impl IntoIterator<Item = (String, String)>) -> Self {
        self.facts.is_logged = true;
        self.facts.changelog_configs = configs.into_iter().collect();
        self.facts.changelog_configs.sort();
        self
    }

    /// Without a changelog: what the store holds is lost with its directory, a task that moves to another instance
    /// starts empty there, and a crash may lose the last commit.
    pub fn with_logging_disabled(mut self) -> Self {
        self.facts.is_logged = false;
        self.facts.changelog_configs.clear();
        self
    }

    /// Builds the store, typed.
    ///
    /// # Errors
    /// `Topology` if retention and window size do not fit; what the engine says otherwise.
    pub fn build_store(&self, env: StoreEnv) -> Result<S> {
        check(&self.facts)?;
        (self.open)(self.facts.clone(), env)
    }

    /// Erases the type, as a topology holds it.
    pub fn into_factory(self) -> Arc<dyn StoreFactory> {
        Arc::new(self)
    }
}

fn check(facts: &StoreFacts) -> Result<()> {
    let (Some(retention_ms), Some(window_size_ms)) = (facts.retention_ms, facts.window_size_ms) else {
        return Ok(());
    };
    if window_size_ms <= retention_ms {
        return Ok(());
    }
    let message = format!(
        "the retention of store {} is {retention_ms} ms, shorter than its windows of {window_size_ms} ms",
        facts.name
    );
    Err(Error::new(ErrorKind::Topology, message))
}

impl<S: StateStore> From<StoreBuilder<S>> for Arc<dyn StoreFactory> {
    fn from(builder: StoreBuilder<S>) -> Self {
        builder.into_factory()
    }
}

impl<S> Clone for StoreBuilder<S> {
    fn clone(&self) -> Self {
        Self { facts: self.facts.clone(), open: Arc::clone(&self.open), engine: self.engine.clone() }
    }
}

impl<S: StateStore> StoreFactory for StoreBuilder<S> {
    fn facts(&self) -> &StoreFacts {
        &self.facts
    }

    fn open_engine(&self, task: Option<TaskId>, engines: &dyn EngineProvider) -> Result<Box<dyn Engine>> {
        match &self.engine.0 {
            Some(own) => own.open(task, &self.facts),
            None => engines.open(task, &self.facts),
        }
    }

    fn build(&self, env: StoreEnv) -> Result<Box<dyn StateStore>> {
        Ok(Box::new(self.build_store(env)?))
    }
}
