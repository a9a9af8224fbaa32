//! What an instance has done, told in the program's log every `log.summary.interval.ms` (KIP-1049).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millstream_types::Now;
use parking_lot::Mutex;

use crate::metrics::Metrics;

/// Tells of the time since it told last.
#[derive(Debug)]
pub(crate) struct Summary {
    interval_ns: Option<u64>,
    next_ns: AtomicU64,
    told: Mutex<Told>,
}

/// What was told last.
#[derive(Debug, Default)]
struct Told {
    at_ns: Option<u64>,
    processed: u64,
    punctuations: u64,
    commits: u64,
}

impl Summary {
    /// Without an interval it tells nothing.
    pub(crate) fn new(interval: Option<Duration>) -> Self {
        let interval_ns = interval.map(|interval| u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX));
        Self { interval_ns, next_ns: AtomicU64::new(0), told: Mutex::default() }
    }

    /// Tells if it is time. Called with each step of every thread.
    pub(crate) fn poll(&self, metrics: &Metrics, now: Now) {
        let Some(interval_ns) = self.interval_ns.filter(|_| now.mono_ns >= self.next_ns.load(Ordering::Relaxed)) else {
            return;
        };
        let Some(mut told) = self.told.try_lock() else { return };
        self.next_ns.store(now.mono_ns.saturating_add(interval_ns), Ordering::Relaxed);
        let current = Told {
            at_ns: Some(now.mono_ns),
            processed: metrics.processed(),
            punctuations: metrics.punctuations(),
            commits: metrics.commits(),
        };
        let last = std::mem::replace(&mut *told, current);
        if let Some(at_ns) = last.at_ns {
            tracing::info!(
                processed = told.processed - last.processed,
                punctuations = told.punctuations - last.punctuations,
                commits = told.commits - last.commits,
                lag = metrics.lag(),
                after_ms = now.mono_ns.saturating_sub(at_ns) / 1_000_000,
                "since the last summary"
            );
        }
    }
}
