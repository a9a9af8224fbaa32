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

impl Window {
    /// Whether two windows without their ends, as those of `TimeWindows`, have a time in common
    /// (Kafka Streams' `TimeWindow.overlap`).
    ///
    /// ```
    /// use millstream_types::{Timestamp, Window};
    ///
    /// let first = Window { start: Timestamp(0), end: Timestamp(10) };
    /// let second = Window { start: Timestamp(10), end: Timestamp(20) };
    /// assert!(!first.overlaps(second));
    /// assert!(first.overlaps_inclusive(second));
    /// ```
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// [`overlaps`](Self::overlaps) for windows that include their ends, as sessions
    /// (`SessionWindow.overlap`).
    #[must_use]
    pub fn overlaps_inclusive(self, other: Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

/// A key within a window: the key type of windowed tables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Windowed<K> {
    /// The key the records were grouped by.
    pub key: K,
    /// The window.
    pub window: Window,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(one: (i64, i64), other: (i64, i64), exclusive: bool, inclusive: bool) {
        let window = |(start, end)| Window { start: Timestamp(start), end: Timestamp(end) };
        for (one, other) in [(one, other), (other, one)] {
            assert_eq!(window(one).overlaps(window(other)), exclusive);
            assert_eq!(window(one).overlaps_inclusive(window(other)), inclusive);
        }
    }

    #[test]
    fn windows_overlap_where_they_share_a_time() {
        check((0, 10), (0, 10), true, true);
        check((0, 10), (3, 5), true, true);
        check((0, 10), (9, 19), true, true);
        check((0, 10), (10, 20), false, true);
        check((0, 10), (11, 21), false, false);
        // A session of one record.
        check((5, 5), (5, 5), false, true);
    }
}
