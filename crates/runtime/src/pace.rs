//! What one of several threads does once in a while.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millstream_types::Now;
use millstream_types::clock::nanos;

/// Lets one thread through in each interval.
#[derive(Debug)]
pub(crate) struct Pace {
    interval_ns: u64,
    next_ns: AtomicU64,
}

impl Pace {
    /// The first time is at once.
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval_ns: nanos(interval), next_ns: AtomicU64::new(0) }
    }

    /// Whether it is the caller who is to act now.
    pub(crate) fn is_due(&self, now: Now) -> bool {
        let next_ns = self.next_ns.load(Ordering::Relaxed);
        let then_ns = now.mono_ns.saturating_add(self.interval_ns);
        now.mono_ns >= next_ns
            && self.next_ns.compare_exchange(next_ns, then_ns, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_is_let_through_in_each_interval() {
        let pace = Pace::new(Duration::from_nanos(10));
        let at = |mono_ns| pace.is_due(Now { mono_ns, wall_ms: 0 });
        assert_eq!([5, 5, 14, 15, 15, 40, 49].map(at), [true, false, false, true, false, true, false]);
    }
}
