//! The suppliers that `Stores` makes.

use std::sync::Arc;
use std::time::Duration;

use super::Stores;
use crate::supplier::OwnEngine;
use crate::{
    KeyValueStoreSupplier, SessionStoreSupplier, StoreFormat, VersionedKeyValueStoreSupplier, WindowStoreSupplier,
};

impl Stores {
    /// A key-value store on disk that keeps no timestamps. Behind a table, where timestamps matter,
    /// they then read as -1.
    pub fn persistent_key_value_store(name: impl Into<Arc<str>>) -> KeyValueStoreSupplier {
        key_value(name, Some(StoreFormat::Plain))
    }

    /// A key-value store on disk that keeps timestamps: the default behind tables.
    pub fn persistent_timestamped_key_value_store(name: impl Into<Arc<str>>) -> KeyValueStoreSupplier {
        key_value(name, Some(StoreFormat::Timestamped))
    }

    /// A key-value store on disk that keeps timestamps and headers (KIP-1271).
    pub fn persistent_timestamped_key_value_store_with_headers(name: impl Into<Arc<str>>) -> KeyValueStoreSupplier {
        key_value(name, Some(StoreFormat::Headers))
    }

    /// A key-value store in memory, read back from its changelog at every start.
    pub fn in_memory_key_value_store(name: impl Into<Arc<str>>) -> KeyValueStoreSupplier {
        KeyValueStoreSupplier { is_persistent: false, ..key_value(name, None) }
    }

    /// A key-value store in memory of at most `entries_max` rows. Each row more makes it forget the
    /// least recently used one, in its changelog too. Nobody downstream hears of that.
    pub fn lru_map(name: impl Into<Arc<str>>, entries_max: usize) -> KeyValueStoreSupplier {
        KeyValueStoreSupplier { entries_max: Some(entries_max), ..Self::in_memory_key_value_store(name) }
    }

    /// A versioned key-value store on disk (KIP-889) that knows the values of the last
    /// `history_retention` of stream time.
    pub fn persistent_versioned_key_value_store(
        name: impl Into<Arc<str>>,
        history_retention: Duration,
    ) -> VersionedKeyValueStoreSupplier {
        // As Kafka Streams: the longer the history, the fewer segments for each retention.
        let (segments, segment_ms_min) = match millis(history_retention) {
            ..=60_000 => (3, 2_000),
            60_001..=300_000 => (5, 20_000),
            300_001..=3_600_000 => (12, 60_000),
            _ => (24, 300_000),
        };
        let segment = Duration::from_millis((millis(history_retention) / segments).max(segment_ms_min));
        Self::persistent_versioned_key_value_store_with_segments(name, history_retention, segment)
    }

    /// As [`persistent_versioned_key_value_store`](Self::persistent_versioned_key_value_store), with
    /// the length of the segments that the history is kept in.
    pub fn persistent_versioned_key_value_store_with_segments(
        name: impl Into<Arc<str>>,
        history_retention: Duration,
        segment_interval: Duration,
    ) -> VersionedKeyValueStoreSupplier {
        VersionedKeyValueStoreSupplier { name: name.into(), is_persistent: true, history_retention, segment_interval }
    }

    /// A versioned key-value store in memory, read back from its changelog at every start. Kafka
    /// Streams has none.
    pub fn in_memory_versioned_key_value_store(
        name: impl Into<Arc<str>>,
        history_retention: Duration,
    ) -> VersionedKeyValueStoreSupplier {
        let persistent = Self::persistent_versioned_key_value_store(name, history_retention);
        VersionedKeyValueStoreSupplier { is_persistent: false, ..persistent }
    }

    /// A window store on disk that keeps no timestamps. `retention` is how long windows are kept, in
    /// stream time; at least the window size. With `retains_duplicates` several values may stand
    /// under one key and start.
    pub fn persistent_window_store(
        name: impl Into<Arc<str>>,
        retention: Duration,
        window_size: Duration,
        retains_duplicates: bool,
    ) -> WindowStoreSupplier {
        let (name, format) = (name.into(), Some(StoreFormat::Plain));
        WindowStoreSupplier {
            name,
            is_persistent: true,
            format,
            retention,
            window_size,
            retains_duplicates,
            is_time_ordered: false,
            engine: OwnEngine::NONE,
        }
    }

    /// A window store on disk that keeps timestamps: the default behind windowed aggregates.
    pub fn persistent_timestamped_window_store(
        name: impl Into<Arc<str>>,
        retention: Duration,
        window_size: Duration,
        retains_duplicates: bool,
    ) -> WindowStoreSupplier {
        let plain = Self::persistent_window_store(name, retention, window_size, retains_duplicates);
        WindowStoreSupplier { format: Some(StoreFormat::Timestamped), ..plain }
    }

    /// A window store on disk that keeps timestamps and headers (KIP-1271).
    pub fn persistent_timestamped_window_store_with_headers(
        name: impl Into<Arc<str>>,
        retention: Duration,
        window_size: Duration,
        retains_duplicates: bool,
    ) -> WindowStoreSupplier {
        let plain = Self::persistent_window_store(name, retention, window_size, retains_duplicates);
        WindowStoreSupplier { format: Some(StoreFormat::Headers), ..plain }
    }

    /// A window store in memory, read back from its changelog at every start.
    pub fn in_memory_window_store(
        name: impl Into<Arc<str>>,
        retention: Duration,
        window_size: Duration,
        retains_duplicates: bool,
    ) -> WindowStoreSupplier {
        let plain = Self::persistent_window_store(name, retention, window_size, retains_duplicates);
        WindowStoreSupplier { is_persistent: false, format: None, ..plain }
    }

    /// A session store on disk. `retention` is how long sessions are kept, in stream time.
    pub fn persistent_session_store(name: impl Into<Arc<str>>, retention: Duration) -> SessionStoreSupplier {
        let (name, format) = (name.into(), Some(StoreFormat::Plain));
        let engine = OwnEngine::NONE;
        SessionStoreSupplier { name, is_persistent: true, format, retention, is_time_ordered: false, engine }
    }

    /// A session store on disk that keeps headers (KIP-1271).
    pub fn persistent_session_store_with_headers(
        name: impl Into<Arc<str>>,
        retention: Duration,
    ) -> SessionStoreSupplier {
        SessionStoreSupplier { format: Some(StoreFormat::Headers), ..Self::persistent_session_store(name, retention) }
    }

    /// A session store in memory, read back from its changelog at every start.
    pub fn in_memory_session_store(name: impl Into<Arc<str>>, retention: Duration) -> SessionStoreSupplier {
        SessionStoreSupplier { is_persistent: false, format: None, ..Self::persistent_session_store(name, retention) }
    }
}

fn key_value(name: impl Into<Arc<str>>, format: Option<StoreFormat>) -> KeyValueStoreSupplier {
    KeyValueStoreSupplier { name: name.into(), is_persistent: true, format, entries_max: None, engine: OwnEngine::NONE }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
