//! How far apart the records of two streams may be to be joined.

use std::time::Duration;

use millstream_types::{Error, ErrorKind, Result};

use millstream_types::clock::millis;

/// The window of a stream-stream join: a record of the right stream joins one of the left stream
/// when its time is from `before` earlier to `after` later, both inclusive. Both times are the same
/// unless [`before`](Self::before) or [`after`](Self::after) says otherwise.
///
/// The stores of a join keep records for `before + after + grace` of stream time.
///
/// ```
/// use millstream_topology::JoinWindows;
/// use std::time::Duration;
///
/// let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
/// // The right record at most an hour after the left one, and not before it.
/// let windows = JoinWindows::of_time_difference_and_grace(hour, minute)?.before(Duration::ZERO);
/// assert_eq!((windows.before_ms(), windows.after_ms(), windows.grace_period_ms()), (0, 3_600_000, 60_000));
///
/// let windows = JoinWindows::of_time_difference_with_no_grace(minute)?.after(hour);
/// assert_eq!(windows.size_ms(), 3_660_000);
///
/// // From a minute to an hour later: the window does not hold the left record's own time.
/// let later = windows.with_bounds_ms(-60_000, 3_600_000)?;
/// assert_eq!(later.size_ms(), 3_540_000);
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JoinWindows {
    before_ms: i64,
    after_ms: i64,
    grace_ms: i64,
}

impl JoinWindows {
    /// Records at most `difference` apart, in either direction. A record without a partner is
    /// emitted (left and outer joins) as soon as stream time has passed its window's end.
    ///
    /// # Errors
    /// `Topology` when twice the difference is more than 292 million years.
    pub fn of_time_difference_with_no_grace(difference: Duration) -> Result<Self> {
        Self::of_time_difference_and_grace(difference, Duration::ZERO)
    }

    /// Records at most `difference` apart, in either direction. Records are kept, and one without a
    /// partner is held back (left and outer joins), for `grace` longer.
    ///
    /// # Errors
    /// `Topology` when twice the difference is more than 292 million years.
    pub fn of_time_difference_and_grace(difference: Duration, grace: Duration) -> Result<Self> {
        let difference_ms = millis(difference);
        Self { before_ms: difference_ms, after_ms: difference_ms, grace_ms: millis(grace) }.checked()
    }

    /// How much earlier than the left record the right one may be.
    #[must_use]
    pub fn before(self, difference: Duration) -> Self {
        Self { before_ms: millis(difference).min(i64::MAX - self.after_ms.max(0)), ..self }
    }

    /// How much later than the left record the right one may be.
    #[must_use]
    pub fn after(self, difference: Duration) -> Self {
        Self { after_ms: millis(difference).min(i64::MAX - self.before_ms.max(0)), ..self }
    }

    /// The bounds in ms, either of which may be negative: a window from `-before_ms` to `after_ms`
    /// around the left record that does not hold its own time.
    ///
    /// # Errors
    /// `Topology` when the window ends before it begins.
    pub fn with_bounds_ms(self, before_ms: i64, after_ms: i64) -> Result<Self> {
        Self { before_ms, after_ms, ..self }.checked()
    }

    fn checked(self) -> Result<Self> {
        if self.before_ms.checked_add(self.after_ms).is_some_and(|size_ms| size_ms >= 0) {
            return Ok(self);
        }
        let Self { before_ms, after_ms, .. } = self;
        let message = format!("a join window from {before_ms} ms before to {after_ms} ms after holds no time");
        Err(Error::new(ErrorKind::Topology, message))
    }

    /// How much earlier the right record may be, in ms; negative when it must be later.
    pub fn before_ms(&self) -> i64 {
        self.before_ms
    }

    /// How much later the right record may be, in ms; negative when it must be earlier.
    pub fn after_ms(&self) -> i64 {
        self.after_ms
    }

    /// Length of the window in ms.
    pub fn size_ms(&self) -> i64 {
        self.before_ms + self.after_ms
    }

    /// How much longer records are kept and held back, in ms.
    pub fn grace_period_ms(&self) -> i64 {
        self.grace_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    #[test]
    fn a_window_that_ends_before_it_begins_is_refused() {
        let windows = JoinWindows::of_time_difference_with_no_grace(ms(5)).unwrap();
        assert!(windows.with_bounds_ms(-3, 10).is_ok());
        assert!(windows.with_bounds_ms(-3, 2).is_err());
    }

    #[test]
    fn the_longest_bounds_do_not_overflow() {
        assert!(JoinWindows::of_time_difference_with_no_grace(Duration::MAX).is_err());
        let windows = JoinWindows::of_time_difference_with_no_grace(ms(5)).unwrap().before(Duration::MAX);
        assert_eq!(windows.size_ms(), i64::MAX);
    }
}
