//! What an instance has done, told in the program's log every `log.summary.interval.ms` (KIP-1049).

use std::time::Duration;

use millstream_types::Now;
use parking_lot::Mutex;

use crate::metrics::Metrics;
use crate::pace::Pace;

/// Tells of the time since it told last.
#[derive(Debug)]
pub(crate) struct Summary {
    times: Option<Pace>,
    told: Mutex<Told>,
}

/// What was told last.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    at_ns: Option<u64>,
    processed: u64,
    punctuations: u64,
    commits: u64,
}

impl Summary {
    /// Without an interval it tells nothing.
    pub(crate) fn new(interval: Option<Duration>) -> Self {
        Self { times: interval.map(Pace::new), told: Mutex::default() }
    }

    /// Tells if it is time. Called with each step of every thread.
    pub(crate) fn poll(&self, metrics: &Metrics, now: Now) {
        if !self.times.as_ref().is_some_and(|times| times.is_due(now)) {
            return;
        }
        let current = Told {
            at_ns: Some(now.mono_ns),
            processed: metrics.processed(),
            punctuations: metrics.punctuations(),
            commits: metrics.commits(),
        };
        let last = std::mem::replace(&mut *self.told.lock(), current);
        if let Some(at_ns) = last.at_ns {
            tracing::info!(
                processed = current.processed - last.processed,
                punctuations = current.punctuations - last.punctuations,
                commits = current.commits - last.commits,
                lag = metrics.lag(),
                after_ms = now.mono_ns.saturating_sub(at_ns) / 1_000_000,
                "since the last summary"
            );
        }
    }
}
