//! What is known of a store without opening it: plain data.

use std::sync::Arc;

use crate::StoreFormat;

/// The kinds of stores, which decide key layout and value bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreKind {
    /// Key to value.
    KeyValue,
    /// Key to value and timestamp.
    TimestampedKeyValue,
    /// Key and window start to value.
    Window,
    /// Key and window start to value and timestamp.
    TimestampedWindow,
    /// Key to value, timestamp and headers.
    TimestampedKeyValueWithHeaders,
    /// Key and window start to value, timestamp and headers.
    TimestampedWindowWithHeaders,
    /// Key to the values it had over time.
    Versioned,
    /// A table's updates that are held back, ordered by time (`suppress`).
    ChangeBuffer,
    /// A stream's records that wait, ordered by time (a join with grace).
    StreamBuffer,
    /// Time, side and key of a stream-stream join to the values that have no partner yet.
    OuterJoin,
    /// A store of the user's own making.
    Custom,
    /// Key, session start and session end to value.
    Session,
    /// Key, session start and session end to value and headers.
    SessionWithHeaders,
}

impl StoreKind {
    /// Whether rows have a timestamp of their own.
    pub(crate) fn is_timestamped(self) -> bool {
        !matches!(
            self,
            Self::KeyValue
                | Self::Window
                | Self::Session
                | Self::SessionWithHeaders
                | Self::Versioned
                | Self::ChangeBuffer
                | Self::StreamBuffer
                | Self::OuterJoin
                | Self::Custom
        )
    }

    /// Whether rows have headers of their own.
    pub(crate) fn has_headers(self) -> bool {
        matches!(
            self,
            Self::TimestampedKeyValueWithHeaders | Self::TimestampedWindowWithHeaders | Self::SessionWithHeaders
        )
    }

    /// Whether rows stand under a key and a session.
    pub(crate) fn has_sessions(self) -> bool {
        matches!(self, Self::Session | Self::SessionWithHeaders)
    }
}

/// Facts of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub struct StoreFacts {
    /// Name, unique in a topology.
    pub name: Arc<str>,
    /// Kind.
    pub kind: StoreKind,
    /// How the rows lie in the engine.
    pub format: StoreFormat,
    /// Whether the store outlives its process (fjall) or lies in memory.
    pub is_persistent: bool,
    /// Whether every write goes to a changelog topic.
    pub is_logged: bool,
    /// Whether changelog records carry headers: those of the value, and of the record that deletes.
    pub logs_headers: bool,
    /// Whether a record cache stands in front.
    pub is_cached: bool,
    /// Most rows the store holds; it then forgets the least recently used one. `None`: all.
    pub entries_max: Option<usize>,
    /// How long windows are kept, in ms of stream time; `None` for stores without windows.
    pub retention_ms: Option<i64>,
    /// Window size in ms; `None` for stores without windows.
    pub window_size_ms: Option<i64>,
    /// How far back a versioned store knows old values, in ms of stream time; `None` for others.
    pub history_ms: Option<i64>,
    /// Length of the segments that a versioned store keeps old values in, in ms; `None` for others.
    pub segment_ms: Option<i64>,
    /// Whether several values may stand under one key and window start (stream-stream joins).
    pub retains_duplicates: bool,
    /// Whether the rows of all keys come ordered by time: what results on window close are read by.
    pub is_time_ordered: bool,
    /// Settings for the changelog topic that override the library's, sorted by key.
    pub changelog_configs: Vec<(String, String)>,
}

impl StoreFacts {
    /// A logged store on disk, without record cache, windows or bounds.
    pub fn new(name: impl Into<Arc<str>>, kind: StoreKind) -> Self {
        Self {
            name: name.into(),
            kind,
            format: StoreFormat::Plain,
            is_persistent: true,
            is_logged: true,
            logs_headers: false,
            is_cached: false,
            entries_max: None,
            retention_ms: None,
            window_size_ms: None,
            history_ms: None,
            segment_ms: None,
            retains_duplicates: false,
            is_time_ordered: false,
            changelog_configs: Vec::new(),
        }
    }
}
