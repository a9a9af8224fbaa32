//! `Materialized`: the store behind a table.

use std::sync::Arc;
use std::time::Duration;

use millstream_state::{DslStoreSuppliers, StoreSupplier};
use millstream_types::Serde;

/// The store behind a table: its name (which makes it queryable), serdes, caching, logging, type.
///
/// ```
/// # use std::time::Duration;
/// use millstream_state::StoreType;
/// use millstream_topology::{Materialized, StreamsBuilder, TimeWindows};
/// use millstream_types::Serdes;
///
/// let builder = StreamsBuilder::new();
/// let clicks = builder.stream::<i64, i64>("clicks").group_by_key();
/// // Every update goes on at once; the changelog keeps deletions for a day.
/// let configs = [("delete.retention.ms".to_owned(), "86400000".to_owned())];
/// let counts = Materialized::named("counts").with_caching_disabled().with_logging_enabled(configs);
/// clicks.count_with(counts);
///
/// // In memory and gone with the process; serdes all at once.
/// let last = Materialized::with(Serdes::long(), Serdes::long()).with_store_type(StoreType::InMemory);
/// clicks.reduce_with(|_, new| new, last.with_logging_disabled());
///
/// // Windows that can be queried for a week; serdes one by one.
/// let minutes = TimeWindows::of_size_with_no_grace(Duration::from_secs(60))?;
/// let kept = Materialized::named("minutes").with_retention(Duration::from_secs(7 * 86_400)).with_caching_enabled();
/// clicks.windowed_by(minutes).count_with(kept.with_key_serde(Serdes::long()).with_value_serde(Serdes::long()));
/// builder.build()?;
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[must_use]
pub struct Materialized<K, V> {
    pub(crate) name: Option<String>,
    pub(crate) key: Option<Serde<K>>,
    pub(crate) value: Option<Serde<V>>,
    pub(crate) is_cached: bool,
    pub(crate) is_logged: bool,
    pub(crate) changelog_configs: Vec<(String, String)>,
    pub(crate) retention: Option<Duration>,
    pub(crate) store_suppliers: Option<Arc<dyn DslStoreSuppliers>>,
    pub(crate) supplier: Option<StoreSupplier>,
}

impl<K, V> Materialized<K, V> {
    /// In a store of this name (Kafka Streams' `Materialized.as`).
    pub fn named(store: impl Into<String>) -> Self {
        Self { name: Some(store.into()), ..Self::default() }
    }

    /// In the store of a supplier, under its name (Kafka Streams' `Materialized.as`). A supplier of
    /// a kind that the operator cannot use is a problem of the topology.
    ///
    /// ```
    /// # let builder = millstream_topology::StreamsBuilder::new();
    /// use millstream_state::Stores;
    /// use millstream_topology::Materialized;
    ///
    /// let recent = Materialized::of_supplier(Stores::lru_map("recent", 1_000));
    /// builder.stream::<String, String>("visits").group_by_key().count_with(recent);
    /// # builder.build()?;
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn of_supplier(supplier: impl Into<StoreSupplier>) -> Self {
        let supplier = supplier.into();
        Self { name: Some(supplier.name().to_string()), supplier: Some(supplier), ..Self::default() }
    }

    /// With these serdes.
    pub fn with(key: Serde<K>, value: Serde<V>) -> Self {
        Self { key: Some(key), value: Some(value), ..Self::default() }
    }

    /// Serde of the keys (of windowed tables: of the inner key).
    pub fn with_key_serde(mut self, serde: Serde<K>) -> Self {
        self.key = Some(serde);
        self
    }

    /// Serde of the values.
    pub fn with_value_serde(mut self, serde: Serde<V>) -> Self {
        self.value = Some(serde);
        self
    }

    /// With a record cache, the default: updates of one key between two commits go on as one.
    pub fn with_caching_enabled(mut self) -> Self {
        self.is_cached = true;
        self
    }

    /// Without a record cache: every update goes on at once.
    pub fn with_caching_disabled(mut self) -> Self {
        self.is_cached = false;
        self
    }

    /// With a changelog topic, the default; `configs` override its settings.
    pub fn with_logging_enabled(mut self, configs: impl IntoIterator<Item = (String, String)>) -> Self {
        self.is_logged = true;
        self.changelog_configs = configs.into_iter().collect();
        self.changelog_configs.sort();
        self
    }

    /// Without a changelog: what the store holds is lost with its directory, a task that moves to another instance
    /// starts empty there, and a crash may lose the last commit.
    pub fn with_logging_disabled(mut self) -> Self {
        self.is_logged = false;
        self
    }

    /// How long windows are kept, in stream time; at least size plus grace, the default.
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = Some(retention);
        self
    }

    /// Where the data is kept: a [`StoreType`](millstream_state::StoreType), or suppliers of one's own.
    pub fn with_store_type(mut self, suppliers: impl DslStoreSuppliers + 'static) -> Self {
        self.store_suppliers = Some(Arc::new(suppliers));
        self
    }
}

impl<K, V> Materialized<K, V> {
    /// Whether the store keeps old values.
    pub(crate) fn is_versioned(&self) -> bool {
        matches!(self.supplier, Some(StoreSupplier::Versioned(_)))
    }
}

impl<K, V> Default for Materialized<K, V> {
    fn default() -> Self {
        Self {
            name: None,
            key: None,
            value: None,
            is_cached: true,
            is_logged: true,
            changelog_configs: Vec::new(),
            retention: None,
            store_suppliers: None,
            supplier: None,
        }
    }
}
