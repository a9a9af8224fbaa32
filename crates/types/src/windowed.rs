//! Keys that belong to a window.

use crate::Timestamp;

/// A window of event time. Time windows hold `start` (inclusive) to `end` (exclusive); sliding and
/// session windows include their `end`, as in Kafka Streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// First event time of the window.
    pub start: Timestamp,
    /// End of the window; see the type for whether it is part of it.
    pub end: Timestamp,
}

/// A key within a window: the key type of windowed tables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Windowed<K> {
    /// The key the records were grouped by.
    pub key: K,
    /// The window.
    pub window: Window,
}
