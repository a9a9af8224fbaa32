//! Tumbling and hopping windows.

use millstream_types::clock::millis;
use std::time::Duration;

use millstream_types::{Error, ErrorKind, Result, Timestamp};

/// Windows of one size aligned to the epoch: tumbling, or hopping when they advance by less than
/// their size (Kafka Streams' `TimeWindows`). A window holds event times from its start (inclusive)
/// to start plus size (exclusive). Late records are taken until stream time reaches the window's
/// end plus the grace period.
///
/// ```
/// use millstream_topology::TimeWindows;
/// use millstream_types::Timestamp;
/// use std::time::Duration;
///
/// let ms = Duration::from_millis;
/// let windows = TimeWindows::of_size_with_no_grace(ms(10))?.advance_by(ms(4))?;
/// let starts: Vec<i64> = windows.starts_of(Timestamp(9)).map(|start| start.0).collect();
/// assert_eq!(starts, [0, 4, 8]);
/// assert_eq!((windows.size_ms(), windows.advance_ms()), (10, 4));
///
/// let patient = TimeWindows::of_size_and_grace(ms(10), ms(5))?;
/// assert_eq!(patient.grace_period_ms(), 5);
/// assert!(!patient.is_closed(Timestamp(0), Timestamp(14)));
/// assert!(patient.is_closed(Timestamp(0), Timestamp(15)));
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWindows {
    size_ms: i64,
    advance_ms: i64,
    grace_ms: i64,
}

impl TimeWindows {
    /// Tumbling windows of that size, closed as soon as stream time reaches their end.
    ///
    /// # Errors
    /// `Topology` when the size is under a millisecond.
    pub fn of_size_with_no_grace(size: Duration) -> Result<Self> {
        Self::of_size_and_grace(size, Duration::ZERO)
    }

    /// Tumbling windows of that size that take late records for `grace` after their end.
    ///
    /// # Errors
    /// `Topology` when the size is under a millisecond.
    pub fn of_size_and_grace(size: Duration, grace: Duration) -> Result<Self> {
        let size_ms = millis(size);
        if size_ms == 0 {
            return Err(Error::new(ErrorKind::Topology, format!("a window size of {size:?} is under 1 ms")));
        }
        Ok(Self { size_ms, advance_ms: size_ms, grace_ms: millis(grace) })
    }

    /// Makes the windows hop: a new one starts every `advance`.
    ///
    /// # Errors
    /// `Topology` unless `advance` is at least 1 ms and at most the size.
    pub fn advance_by(self, advance: Duration) -> Result<Self> {
        let advance_ms = millis(advance);
        if advance_ms == 0 || advance_ms > self.size_ms {
            let message =
                format!("windows of {} ms cannot advance by {advance:?}: 1 ms to the size is possible", self.size_ms);
            return Err(Error::new(ErrorKind::Topology, message));
        }
        Ok(Self { advance_ms, ..self })
    }

    /// Size in ms.
    pub fn size_ms(&self) -> i64 {
        self.size_ms
    }

    /// Distance from one window's start to the next one's, in ms.
    pub fn advance_ms(&self) -> i64 {
        self.advance_ms
    }

    /// How long after its end a window takes late records, in ms.
    pub fn grace_period_ms(&self) -> i64 {
        self.grace_ms
    }

    /// Starts of the windows that hold `time`, ascending; never negative.
    pub fn starts_of(&self, time: Timestamp) -> impl Iterator<Item = Timestamp> + use<> {
        let (time, advance) = (time.0, self.advance_ms);
        let first = time.saturating_sub(self.size_ms).saturating_add(advance).max(0) / advance * advance;
        std::iter::successors(Some(first), move |start| start.checked_add(advance))
            .take_while(move |start| *start <= time)
            .map(Timestamp)
    }

    /// Whether a window is over at that stream time: at exactly end plus grace it is.
    pub fn is_closed(&self, start: Timestamp, stream_time: Timestamp) -> bool {
        start.0.saturating_add(self.size_ms) <= stream_time.0.saturating_sub(self.grace_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(size: u64, advance: u64, time: i64, starts: &[i64]) {
        let windows = TimeWindows::of_size_with_no_grace(Duration::from_millis(size))
            .and_then(|windows| windows.advance_by(Duration::from_millis(advance)))
            .unwrap();
        assert_eq!(windows.starts_of(Timestamp(time)).map(|start| start.0).collect::<Vec<_>>(), starts);
    }

    #[test]
    fn windows_of_a_time_ascend_and_are_never_negative() {
        check(10, 10, 9, &[0]);
        check(10, 10, 10, &[10]);
        check(10, 4, 9, &[0, 4, 8]);
        check(10, 4, 3, &[0]);
        check(10, 3, 10, &[3, 6, 9]);
    }

    #[test]
    fn a_window_closes_exactly_at_end_plus_grace() {
        let windows = TimeWindows::of_size_and_grace(Duration::from_millis(10), Duration::from_millis(5)).unwrap();
        assert!(!windows.is_closed(Timestamp(0), Timestamp(14)));
        assert!(windows.is_closed(Timestamp(0), Timestamp(15)));
    }

    #[test]
    fn sizes_that_hold_nothing_are_refused() {
        assert!(TimeWindows::of_size_with_no_grace(Duration::ZERO).is_err());
        let ten = TimeWindows::of_size_with_no_grace(Duration::from_millis(10)).unwrap();
        assert!(ten.advance_by(Duration::from_millis(11)).is_err());
    }
}
