//! Time comes from outside. [`SystemClock`] is the one place that reads the machine's clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// An instant, read once per step and handed down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now {
    /// Monotonic time in nanoseconds since an arbitrary start. Timeouts and intervals use this.
    pub mono_ns: u64,
    /// Wall clock in milliseconds since 1970-01-01 UTC. May jump; never used for timeouts.
    pub wall_ms: i64,
}

impl Now {
    /// Monotonic time in whole milliseconds.
    pub fn mono_ms(self) -> i64 {
        (self.mono_ns / 1_000_000) as i64
    }
}

/// A duration in whole nanoseconds, as [`Now::mono_ns`] counts; `u64::MAX` for those that are longer.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A duration in whole milliseconds, as timestamps count; `i64::MAX` for those that are longer.
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A source of time.
pub trait Clock: Send + Sync {
    /// The present.
    fn now(&self) -> Now;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Starts the monotonic clock at zero.
    #[expect(clippy::disallowed_methods, reason = "the one home of the system clock")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one home of the system clock")]
    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono_ns: nanos(self.start.elapsed()), wall_ms: millis(wall) }
    }
}
