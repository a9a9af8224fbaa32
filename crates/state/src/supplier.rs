//! Store suppliers: which store a builder or a table gets, as plain data. [`Stores`](crate::Stores)
//! makes them; builders and `Materialized` take them.

use std::sync::Arc;
use std::time::Duration;

use crate::EngineSupplier;

/// How the rows of a store lie in its engine (`dsl.store.format`, KIP-1271).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreFormat {
    /// The value alone.
    Plain,
    /// The timestamp of the record that gave the value, then the value.
    Timestamped,
    /// The record's headers, its timestamp, then the value.
    Headers,
}

/// Key-value stores: Kafka Streams' `KeyValueBytesStoreSupplier`.
///
/// A name alone is a supplier too: the store on disk that fits its builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValueStoreSupplier {
    pub(crate) name: Arc<str>,
    pub(crate) is_persistent: bool,
    /// `None` is whatever the builder keeps.
    pub(crate) format: Option<StoreFormat>,
    pub(crate) entries_max: Option<usize>,
    pub(crate) engine: OwnEngine,
}

/// Window stores: Kafka Streams' `WindowBytesStoreSupplier`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowStoreSupplier {
    pub(crate) name: Arc<str>,
    pub(crate) is_persistent: bool,
    pub(crate) format: Option<StoreFormat>,
    pub(crate) retention: Duration,
    pub(crate) window_size: Duration,
    pub(crate) retains_duplicates: bool,
    pub(crate) engine: OwnEngine,
    pub(crate) is_time_ordered: bool,
}

/// Session stores: Kafka Streams' `SessionBytesStoreSupplier`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStoreSupplier {
    pub(crate) name: Arc<str>,
    pub(crate) is_persistent: bool,
    pub(crate) format: Option<StoreFormat>,
    pub(crate) retention: Duration,
    pub(crate) is_time_ordered: bool,
    pub(crate) engine: OwnEngine,
}

/// Versioned key-value stores (KIP-889): Kafka Streams' `VersionedBytesStoreSupplier`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionedKeyValueStoreSupplier {
    pub(crate) name: Arc<str>,
    pub(crate) is_persistent: bool,
    pub(crate) history_retention: Duration,
    pub(crate) segment_interval: Duration,
}

/// A supplier of any kind, as `Materialized` takes one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreSupplier {
    /// Key to value.
    KeyValue(KeyValueStoreSupplier),
    /// Key and window start to value.
    Window(WindowStoreSupplier),
    /// Key and session to value.
    Session(SessionStoreSupplier),
    /// Key to the values it had over time.
    Versioned(VersionedKeyValueStoreSupplier),
}

/// Who opens a store's engines, if not the application.
#[derive(Clone)]
pub(crate) struct OwnEngine(pub(crate) Option<Arc<dyn EngineSupplier>>);

impl OwnEngine {
    pub(crate) const NONE: Self = Self(None);
}

impl std::fmt::Debug for OwnEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "own" } else { "the application's" })
    }
}

impl PartialEq for OwnEngine {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for OwnEngine {}

/// What suppliers over an engine can do.
macro_rules! own_engine {
    ($($supplier:ident),*) => {$(
        impl $supplier {
            /// Keeps the store's bytes in an engine of one's own. Record cache, changelog, restore and
            /// reads stay as they are: an engine is an ordered map of bytes with atomic batches.
            #[must_use]
            pub fn with_engine(self, engines: impl EngineSupplier + 'static) -> Self {
                Self { engine: OwnEngine(Some(Arc::new(engines))), ..self }
            }
        }
    )*};
}

own_engine!(KeyValueStoreSupplier, WindowStoreSupplier, SessionStoreSupplier);

impl KeyValueStoreSupplier {
    /// Name of the store.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }
}

impl WindowStoreSupplier {
    /// Name of the store.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How long windows are kept, in stream time.
    pub fn retention(&self) -> Duration {
        self.retention
    }

    /// Size of the windows.
    pub fn window_size(&self) -> Duration {
        self.window_size
    }

    /// Whether the store lies on disk.
    pub fn is_persistent(&self) -> bool {
        self.is_persistent
    }

    /// Whether several values may stand under one key and window start.
    pub fn retains_duplicates(&self) -> bool {
        self.retains_duplicates
    }

    /// Keeps the windows of all keys in order of time: what Kafka Streams' built-in suppliers give
    /// where results come when a window closes. Stores in memory are so in any case.
    #[must_use]
    pub fn time_ordered(self) -> Self {
        Self { is_time_ordered: true, ..self }
    }
}

impl SessionStoreSupplier {
    /// Name of the store.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How long sessions are kept, in stream time.
    pub fn retention(&self) -> Duration {
        self.retention
    }

    /// Keeps the sessions of all keys in order of their ends, which results on window close need.
    /// Stores in memory are so in any case.
    #[must_use]
    pub fn time_ordered(self) -> Self {
        Self { is_time_ordered: true, ..self }
    }
}

impl VersionedKeyValueStoreSupplier {
    /// Name of the store.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How far back, in stream time, old values can be asked for.
    pub fn history_retention(&self) -> Duration {
        self.history_retention
    }

    /// Length of the segments old values are kept in.
    pub fn segment_interval(&self) -> Duration {
        self.segment_interval
    }
}

impl StoreSupplier {
    /// Name of the store.
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::KeyValue(supplier) => &supplier.name,
            Self::Window(supplier) => &supplier.name,
            Self::Session(supplier) => &supplier.name,
            Self::Versioned(supplier) => &supplier.name,
        }
    }

    /// The kind in words, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::KeyValue(_) => "key-value",
            Self::Window(_) => "window",
            Self::Session(_) => "session",
            Self::Versioned(_) => "versioned key-value",
        }
    }
}

/// A name alone.
macro_rules! from_name {
    ($($name:ty),*) => {$(
        impl From<$name> for KeyValueStoreSupplier {
            fn from(name: $name) -> Self {
                Self { name: name.into(), is_persistent: true, format: None, entries_max: None, engine: OwnEngine::NONE }
            }
        }
    )*};
}

from_name!(&str, String, Arc<str>);

macro_rules! from_kind {
    ($($kind:ident $supplier:ident),*) => {$(
        impl From<$supplier> for StoreSupplier {
            fn from(supplier: $supplier) -> Self {
                Self::$kind(supplier)
            }
        }
    )*};
}

from_kind!(
    KeyValue KeyValueStoreSupplier,
    Window WindowStoreSupplier,
    Session SessionStoreSupplier,
    Versioned VersionedKeyValueStoreSupplier
);
