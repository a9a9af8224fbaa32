//! What an instance counts.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Counters of an instance; written by its threads once a step, readable at any time.
#[derive(Debug, Default)]
pub struct Metrics {
    processed: AtomicU64,
    dropped: AtomicU64,
    commits: AtomicU64,
    rollbacks: AtomicU64,
    restored: AtomicU64,
    updated: AtomicU64,
    restores_full: AtomicU64,
    punctuations: AtomicU64,
    lag: AtomicI64,
    held_up: AtomicI64,
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident, $add:ident;)+) => {
        impl Metrics {
            $(
                $(#[$doc])*
                pub fn $name(&self) -> u64 {
                    self.$name.load(Ordering::Relaxed)
                }

                pub(crate) fn $add(&self, count: u64) {
                    if count != 0 {
                        self.$name.fetch_add(count, Ordering::Relaxed);
                    }
                }
            )+
        }
    };
}

counters! {
    /// Records taken out of the queues of tasks (`process-total`).
    processed, add_processed;
    /// Records dropped (`dropped-records-total`).
    dropped, add_dropped;
    /// Commits that changed something (`commit-total`).
    commits, add_commits;
    /// Times a thread dropped what it had not committed and began anew.
    rollbacks, add_rollbacks;
    /// Changelog records restored (`restore-total`).
    restored, add_restored;
    /// Changelog records taken by standby tasks (`update-total`).
    updated, add_updated;
    /// Local stores deleted and restored from the changelog's start.
    restores_full, add_restores_full;
    /// Timers fired (`punctuate-total`).
    punctuations, add_punctuations;
}

impl Metrics {
    /// Records in the log that the tasks of this instance have not processed, as far as known.
    pub fn lag(&self) -> i64 {
        self.lag.load(Ordering::Relaxed)
    }

    /// Partitions that stand still because a transaction of somebody else does not end.
    pub fn held_up(&self) -> i64 {
        self.held_up.load(Ordering::Relaxed)
    }

    pub(crate) fn move_held_up(&self, by: i64) {
        if by != 0 {
            self.held_up.fetch_add(by, Ordering::Relaxed);
        }
    }

    /// Moves the lag by the change of one thread's share.
    pub(crate) fn move_lag(&self, by: i64) {
        if by != 0 {
            self.lag.fetch_add(by, Ordering::Relaxed);
        }
    }
}
