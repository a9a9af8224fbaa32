//! `StreamJoined`: serdes, names and stores of a stream-stream join.

use std::sync::Arc;

use millstream_state::{DslStoreSuppliers, WindowStoreSupplier};
use millstream_types::Serde;

/// Serdes, names and stores of a stream-stream join (KIP-479). Serdes that are not given are those
/// of the streams.
///
/// ```
/// # use std::time::Duration;
/// use millstream_state::{StoreType, Stores};
/// use millstream_topology::{JoinWindows, StreamJoined, StreamsBuilder};
/// use millstream_types::Serdes;
///
/// let builder = StreamsBuilder::new();
/// let views = builder.stream::<i64, i64>("views");
/// let clicks = builder.stream::<i64, i64>("clicks");
/// let second = Duration::from_secs(1);
/// let windows = JoinWindows::of_time_difference_with_no_grace(second)?;
/// let add = |_: &i64, view: &i64, click: &i64| view + click;
///
/// // Stores with names of their own, in memory.
/// let joined = StreamJoined::named("pairs").with_dsl_store_suppliers(StoreType::InMemory).with_logging_enabled([]);
/// views.join_stream_with(&clicks, add, windows, joined);
///
/// // Serdes, all at once or one by one; a name for the nodes, and one for the stores.
/// let joined = StreamJoined::with(Serdes::long(), Serdes::long(), Serdes::long());
/// views.join_stream_with(&clicks, add, windows, joined.with_name("join").with_store_name("kept"));
/// let joined = StreamJoined::default().with_key_serde(Serdes::long()).with_value_serde(Serdes::long());
/// views.join_stream_with(&clicks, add, windows, joined.with_other_value_serde(Serdes::long()));
///
/// // Stores of one's own: size and retention of the windows, with duplicates.
/// let store = |name: &str| Stores::in_memory_window_store(name.to_owned(), second * 2, second * 2, true);
/// let joined = StreamJoined::default().with_this_store_supplier(store("views"));
/// let joined = joined.with_other_store_supplier(store("clicks")).with_logging_disabled();
/// views.join_stream_with(&clicks, add, windows, joined);
/// builder.build()?;
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[must_use]
pub struct StreamJoined<K, V, VO> {
    pub(crate) key: Option<Serde<K>>,
    pub(crate) value: Option<Serde<V>>,
    pub(crate) other_value: Option<Serde<VO>>,
    pub(crate) name: Option<String>,
    pub(crate) store_name: Option<String>,
    pub(crate) store_suppliers: Option<Arc<dyn DslStoreSuppliers>>,
    pub(crate) this_supplier: Option<WindowStoreSupplier>,
    pub(crate) other_supplier: Option<WindowStoreSupplier>,
    pub(crate) is_logged: bool,
    pub(crate) changelog_configs: Vec<(String, String)>,
}

impl<K, V, VO> StreamJoined<K, V, VO> {
    /// With these serdes: keys, values of this stream, values of the other one.
    pub fn with(key: Serde<K>, value: Serde<V>, other_value: Serde<VO>) -> Self {
        Self { key: Some(key), value: Some(value), other_value: Some(other_value), ..Self::default() }
    }

    /// In stores whose names begin with this (Kafka Streams' `StreamJoined.as`).
    pub fn named(stores: impl Into<String>) -> Self {
        Self { store_name: Some(stores.into()), ..Self::default() }
    }

    /// Serde of the keys.
    pub fn with_key_serde(mut self, serde: Serde<K>) -> Self {
        self.key = Some(serde);
        self
    }

    /// Serde of this stream's values.
    pub fn with_value_serde(mut self, serde: Serde<V>) -> Self {
        self.value = Some(serde);
        self
    }

    /// Serde of the other stream's values.
    pub fn with_other_value_serde(mut self, serde: Serde<VO>) -> Self {
        self.other_value = Some(serde);
        self
    }

    /// Begins the names of the join's nodes and of its repartition topics.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Begins the names of the join's stores and with them those of its changelogs: they then stay
    /// when the topology around them changes.
    pub fn with_store_name(mut self, name: impl Into<String>) -> Self {
        self.store_name = Some(name.into());
        self
    }

    /// Which stores the join gets: a [`StoreType`](millstream_state::StoreType), or suppliers of
    /// one's own (KIP-954).
    pub fn with_dsl_store_suppliers(mut self, suppliers: impl DslStoreSuppliers + 'static) -> Self {
        self.store_suppliers = Some(Arc::new(suppliers));
        self
    }

    /// The store of this stream's records. It must keep duplicates, and have the join's window size
    /// and, as its retention, window size plus grace period.
    pub fn with_this_store_supplier(mut self, supplier: WindowStoreSupplier) -> Self {
        self.this_supplier = Some(supplier);
        self
    }

    /// The store of the other stream's records; it must fit as
    /// [`this one's`](Self::with_this_store_supplier).
    pub fn with_other_store_supplier(mut self, supplier: WindowStoreSupplier) -> Self {
        self.other_supplier = Some(supplier);
        self
    }

    /// With changelog topics, the default; `configs` override their settings.
    pub fn with_logging_enabled(mut self, configs: impl IntoIterator<Item = (String, String)>) -> Self {
        self.is_logged = true;
        self.changelog_configs = configs.into_iter().collect();
        self.changelog_configs.sort();
        self
    }

    /// Without changelogs: what the stores hold is lost with their directory, a task that moves to another instance
    /// starts empty there, and a crash may lose the last commit.
    pub fn with_logging_disabled(mut self) -> Self {
        self.is_logged = false;
        self.changelog_configs.clear();
        self
    }
}

impl<K, V, VO> Default for StreamJoined<K, V, VO> {
    fn default() -> Self {
        Self {
            key: None,
            value: None,
            other_value: None,
            name: None,
            store_name: None,
            store_suppliers: None,
            this_supplier: None,
            other_supplier: None,
            is_logged: true,
            changelog_configs: Vec::new(),
        }
    }
}
