//! Sliding windows.

use std::time::Duration;

use millstream_types::clock::millis;

/// Windows that slide with the records (KIP-450, Kafka Streams' `SlidingWindows`): two records of a
/// key are in a window together if their times differ by at most the time difference. A window
/// includes its start and its end; there is one for each distinct set of records, so one that ends
/// with each record and one that starts right after each, unless empty.
///
/// ```
/// use millstream_topology::SlidingWindows;
/// use std::time::Duration;
///
/// let windows = SlidingWindows::of_time_difference_with_no_grace(Duration::from_secs(5));
/// assert_eq!(windows.time_difference_ms(), 5_000);
///
/// let patient = SlidingWindows::of_time_difference_and_grace(Duration::from_secs(5), Duration::from_secs(1));
/// assert_eq!(patient.grace_period_ms(), 1_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingWindows {
    difference_ms: i64,
    grace_ms: i64,
}

impl SlidingWindows {
    /// Windows of records that are at most `difference` apart. One is closed as soon as stream time
    /// is past its end.
    pub fn of_time_difference_with_no_grace(difference: Duration) -> Self {
        Self::of_time_difference_and_grace(difference, Duration::ZERO)
    }

    /// Windows of records that are at most `difference` apart, which take late records for `grace`
    /// after their end.
    pub fn of_time_difference_and_grace(difference: Duration, grace: Duration) -> Self {
        Self { difference_ms: millis(difference), grace_ms: millis(grace) }
    }

    /// Largest difference between the times of two records in a window, in ms.
    pub fn time_difference_ms(&self) -> i64 {
        self.difference_ms
    }

    /// How long after its end a window takes late records, in ms.
    pub fn grace_period_ms(&self) -> i64 {
        self.grace_ms
    }
}
