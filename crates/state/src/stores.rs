//! How a store is described: `Stores` and the builders it gives.

use std::sync::Arc;
use std::time::Duration;

use millstream_types::{Error, ErrorKind, Result, Serde};

use crate::{
    KeyValueStore, StateStore, StoreEnv, StoreFactory, StoreFacts, StoreKind, TimestampedKeyValueStore,
    TimestampedWindowStore, WindowStore,
};

/// Describes stores, as Kafka Streams' `Stores`.
///
/// ```
/// use millstream_state::{StoreFactory, Stores};
/// use millstream_types::Serdes;
///
/// let counts = Stores::key_value_store_builder("counts", Serdes::string(), Serdes::long()).in_memory();
/// assert_eq!(&*counts.facts().name, "counts");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Stores;

/// Describes a store of type `S`: on disk, logged and without record cache unless said otherwise.
#[must_use]
pub struct StoreBuilder<S> {
    facts: StoreFacts,
    open: Arc<dyn Fn(StoreFacts, StoreEnv) -> Result<S> + Send + Sync>,
}

impl Stores {
    /// A store from key to value.
    pub fn key_value_store_builder<K: Clone + Send + 'static, V: Clone + Send + 'static>(
        name: impl Into<Arc<str>>,
        keys: Serde<K>,
        values: Serde<V>,
    ) -> StoreBuilder<KeyValueStore<K, V>> {
        let open = move |facts, env| KeyValueStore::new(facts, env, keys.clone(), values.clone());
        StoreBuilder::new(name.into(), StoreKind::KeyValue, open)
    }

    /// A store from key to value and timestamp.
    pub fn timestamped_key_value_store_builder<K: Clone + Send + 'static, V: Clone + Send + 'static>(
        name: impl Into<Arc<str>>,
        keys: Serde<K>,
        values: Serde<V>,
    ) -> StoreBuilder<TimestampedKeyValueStore<K, V>> {
        let open = move |facts, env| TimestampedKeyValueStore::new(facts, env, keys.clone(), values.clone());
        StoreBuilder::new(name.into(), StoreKind::TimestampedKeyValue, open)
    }

    /// A store from key and window start to value. `retention` is how long windows are kept, in
    /// stream time; at least the window size. With `retains_duplicates` several values may stand
    /// under one key and start.
    pub fn window_store_builder<K: Clone + Send + 'static, V: Clone + Send + 'static>(
        name: impl Into<Arc<str>>,
        retention: Duration,
        window_size: Duration,
        retains_duplicates: bool,
        keys: Serde<K>,
        values: Serde<V>,
    ) -> StoreBuilder<WindowStore<K, V>> {
        let open = move |facts, env| WindowStore::new(facts, env, keys.clone(), values.clone());
        let mut builder = StoreBuilder::new(name.into(), StoreKind::Window, open).windowed(retention, window_size);
        builder.facts.retains_duplicates = retains_duplicates;
        builder
    }

    /// A store from key and window start to value and timestamp.
    pub fn timestamped_window_store_builder<K: Clone + Send + 'static, V: Clone + Send + 'static>(
        name: impl Into<Arc<str>>,
        retention: Duration,
        window_size: Duration,
        keys: Serde<K>,
        values: Serde<V>,
    ) -> StoreBuilder<TimestampedWindowStore<K, V>> {
        let open = move |facts, env| TimestampedWindowStore::new(facts, env, keys.clone(), values.clone());
        StoreBuilder::new(name.into(), StoreKind::TimestampedWindow, open).windowed(retention, window_size)
    }
}

impl<S: StateStore> StoreBuilder<S> {
    fn new(
        name: Arc<str>,
        kind: StoreKind,
        open: impl Fn(StoreFacts, StoreEnv) -> Result<S> + Send + Sync + 'static,
    ) -> Self {
        let facts = StoreFacts {
            name,
            kind,
            is_persistent: true,
            is_logged: true,
            is_cached: false,
            retention_ms: None,
            window_size_ms: None,
            retains_duplicates: false,
            changelog_configs: Vec::new(),
        };
        Self { facts, open: Arc::new(open) }
    }

    fn windowed(mut self, retention: Duration, window_size: Duration) -> Self {
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        self.facts.retention_ms = Some(ms(retention));
        self.facts.window_size_ms = Some(ms(window_size));
        self
    }

    /// Keeps the data on disk, where it survives a restart.
    pub fn persistent(mut self) -> Self {
        self.facts.is_persistent = true;
        self
    }

    /// Keeps the data in memory; it is read back from the changelog at every start.
    pub fn in_memory(mut self) -> Self {
        self.facts.is_persistent = false;
        self
    }

    /// Puts a record cache in front: several updates of a key between two commits become one. As
    /// in Kafka Streams this does nothing for stores that keep duplicates.
    pub fn with_caching_enabled(mut self) -> Self {
        self.facts.is_cached = !self.facts.retains_duplicates;
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

    /// Without a changelog: what the store holds is lost with its directory, and a crash may lose
    /// the last commit.
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
        Self { facts: self.facts.clone(), open: Arc::clone(&self.open) }
    }
}

impl<S: StateStore> StoreFactory for StoreBuilder<S> {
    fn facts(&self) -> &StoreFacts {
        &self.facts
    }

    fn build(&self, env: StoreEnv) -> Result<Box<dyn StateStore>> {
        Ok(Box::new(self.build_store(env)?))
    }
}
