//! Which stores tables and joins get that were given no supplier of their own (KIP-954).

use std::sync::Arc;
use std::time::Duration;

use crate::{KeyValueStoreSupplier, SessionStoreSupplier, StoreFormat, Stores, WindowStoreSupplier};

/// Supplies the stores of the DSL: Kafka Streams' `DslStoreSuppliers`.
///
/// Given to a builder it holds for all tables (`dsl.store.suppliers.class`), given to
/// `Materialized` for one. [`StoreType`] has the two that come with the library.
///
/// ```
/// use millstream_state::*;
///
/// /// Tables in memory, windows on disk.
/// struct Mixed;
///
/// impl DslStoreSuppliers for Mixed {
///     fn key_value_store(&self, params: &DslKeyValueParams) -> KeyValueStoreSupplier {
///         StoreType::InMemory.key_value_store(params)
///     }
///     fn window_store(&self, params: &DslWindowParams) -> WindowStoreSupplier {
///         StoreType::Persistent.window_store(params)
///     }
///     fn session_store(&self, params: &DslSessionParams) -> SessionStoreSupplier {
///         StoreType::Persistent.session_store(params)
///     }
/// }
/// ```
pub trait DslStoreSuppliers: Send + Sync {
    /// The store of a table or aggregate without windows.
    fn key_value_store(&self, params: &DslKeyValueParams) -> KeyValueStoreSupplier;

    /// The store of an aggregate in windows of time, or of one side of a stream-stream join.
    fn window_store(&self, params: &DslWindowParams) -> WindowStoreSupplier;

    /// The store of an aggregate in session windows.
    fn session_store(&self, params: &DslSessionParams) -> SessionStoreSupplier;
}

/// What a table's store must be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DslKeyValueParams {
    /// Name of the store.
    pub name: Arc<str>,
    /// Format of its rows.
    pub format: StoreFormat,
}

/// What a window store must be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DslWindowParams {
    /// Name of the store.
    pub name: Arc<str>,
    /// How long windows are kept, in stream time.
    pub retention: Duration,
    /// Size of the windows.
    pub window_size: Duration,
    /// Whether several values may stand under one key and window start.
    pub retains_duplicates: bool,
    /// Whether results come when a window closes; its rows are then read in order of time.
    pub emits_on_close: bool,
    /// Format of its rows.
    pub format: StoreFormat,
}

/// What a session store must be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DslSessionParams {
    /// Name of the store.
    pub name: Arc<str>,
    /// How long sessions are kept, in stream time.
    pub retention: Duration,
    /// Whether results come when a session closes; its rows are then read in order of time.
    pub emits_on_close: bool,
    /// Format of its rows.
    pub format: StoreFormat,
}

impl DslKeyValueParams {
    /// A store of this name.
    pub fn new(name: impl Into<Arc<str>>, format: StoreFormat) -> Self {
        Self { name: name.into(), format }
    }
}

impl DslWindowParams {
    /// A store of this name, which keeps one value for each key and window start.
    pub fn new(name: impl Into<Arc<str>>, retention: Duration, window_size: Duration, format: StoreFormat) -> Self {
        Self { name: name.into(), retention, window_size, retains_duplicates: false, emits_on_close: false, format }
    }

    /// Keeps several values under one key and window start.
    #[must_use]
    pub fn retaining_duplicates(self) -> Self {
        Self { retains_duplicates: true, ..self }
    }

    /// Results come when a window closes.
    #[must_use]
    pub fn emitting_on_close(self, emits_on_close: bool) -> Self {
        Self { emits_on_close, ..self }
    }
}

impl DslSessionParams {
    /// A store of this name.
    pub fn new(name: impl Into<Arc<str>>, retention: Duration, format: StoreFormat) -> Self {
        Self { name: name.into(), retention, emits_on_close: false, format }
    }

    /// Results come when a session closes.
    #[must_use]
    pub fn emitting_on_close(self, emits_on_close: bool) -> Self {
        Self { emits_on_close, ..self }
    }
}

/// Where a store keeps its data: Kafka Streams' `BuiltInDslStoreSuppliers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreType {
    /// On disk; survives a restart without being read back from its changelog.
    Persistent,
    /// In memory; read back from its changelog at every start.
    InMemory,
}

impl DslStoreSuppliers for StoreType {
    fn key_value_store(&self, params: &DslKeyValueParams) -> KeyValueStoreSupplier {
        let name = Arc::clone(&params.name);
        match (self, params.format) {
            (Self::InMemory, _) => Stores::in_memory_key_value_store(name),
            (Self::Persistent, StoreFormat::Plain) => Stores::persistent_key_value_store(name),
            (Self::Persistent, StoreFormat::Timestamped) => Stores::persistent_timestamped_key_value_store(name),
            (Self::Persistent, StoreFormat::Headers) => {
                Stores::persistent_timestamped_key_value_store_with_headers(name)
            }
        }
    }

    fn window_store(&self, params: &DslWindowParams) -> WindowStoreSupplier {
        let DslWindowParams { retention, window_size, retains_duplicates, .. } = *params;
        let make = match (self, params.format) {
            (Self::InMemory, _) => Stores::in_memory_window_store,
            (Self::Persistent, StoreFormat::Plain) => Stores::persistent_window_store,
            (Self::Persistent, StoreFormat::Timestamped) => Stores::persistent_timestamped_window_store,
            (Self::Persistent, StoreFormat::Headers) => Stores::persistent_timestamped_window_store_with_headers,
        };
        let supplier = make(Arc::clone(&params.name), retention, window_size, retains_duplicates);
        if params.emits_on_close { supplier.time_ordered() } else { supplier }
    }

    fn session_store(&self, params: &DslSessionParams) -> SessionStoreSupplier {
        let (name, retention) = (Arc::clone(&params.name), params.retention);
        let supplier = match (self, params.format) {
            (Self::InMemory, _) => Stores::in_memory_session_store(name, retention),
            (Self::Persistent, StoreFormat::Headers) => Stores::persistent_session_store_with_headers(name, retention),
            (Self::Persistent, _) => Stores::persistent_session_store(name, retention),
        };
        if params.emits_on_close { supplier.time_ordered() } else { supplier }
    }
}
