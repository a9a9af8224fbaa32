//! Session windows.

use std::time::Duration;

use millstream_types::clock::millis;

/// Windows that go on as long as records of the key come (Kafka Streams' `SessionWindows`): a record
/// belongs to the sessions it is at most the inactivity gap away from, and makes one of them. A
/// session includes its first and its last record's time.
///
/// ```
/// use millstream_topology::SessionWindows;
/// use std::time::Duration;
///
/// let windows = SessionWindows::of_inactivity_gap_with_no_grace(Duration::from_secs(30));
/// assert_eq!(windows.inactivity_gap_ms(), 30_000);
///
/// let patient = SessionWindows::of_inactivity_gap_and_grace(Duration::from_secs(30), Duration::from_secs(5));
/// assert_eq!(patient.grace_period_ms(), 5_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionWindows {
    gap_ms: i64,
    grace_ms: i64,
}

impl SessionWindows {
    /// Sessions that end when no record came for longer than `gap`.
    pub fn of_inactivity_gap_with_no_grace(gap: Duration) -> Self {
        Self::of_inactivity_gap_and_grace(gap, Duration::ZERO)
    }

    /// Sessions that end when no record came for longer than `gap`, and take late records for
    /// another `grace`.
    pub fn of_inactivity_gap_and_grace(gap: Duration, grace: Duration) -> Self {
        Self { gap_ms: millis(gap), grace_ms: millis(grace) }
    }

    /// Longest time between two records of a session, in ms.
    pub fn inactivity_gap_ms(&self) -> i64 {
        self.gap_ms
    }

    /// How long after a session is over it takes late records, in ms.
    pub fn grace_period_ms(&self) -> i64 {
        self.grace_ms
    }

    /// How long after its last record a session is closed, in ms.
    pub(crate) fn closes_after_ms(&self) -> i64 {
        self.gap_ms.saturating_add(self.grace_ms)
    }
}
