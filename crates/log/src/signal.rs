//! Waiting for something to change: what stands behind [`Log::wait`](crate::Log::wait).

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

/// Threads that have waited once and are remembered; more than any instance has.
const THREADS_MAX: usize = 1024;

/// A version that moves with every change, and who has seen which.
#[derive(Debug, Default)]
pub struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    version: u64,
    /// The version at the end of each thread's last wait: a change between that and the next
    /// wait must not be slept through.
    seen: HashMap<ThreadId, u64>,
}

impl Signal {
    /// Something changed: ends every wait under way, and the next one of every other thread.
    pub fn notify(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.version += 1;
        drop(state);
        self.changed.notify_all();
    }

    /// Blocks until something changed since this thread's last wait, or the time is over.
    pub fn wait(&self, timeout: Duration) {
        let thread = std::thread::current().id();
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = state.seen.get(&thread).copied().unwrap_or(0);
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, timeout, |state| state.version == seen)
            .unwrap_or_else(PoisonError::into_inner);
        if state.seen.len() >= THREADS_MAX {
            // Threads long gone; those alive return once too often from their next wait.
            state.seen.clear();
        }
        let version = state.version;
        state.seen.insert(thread, version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn a_change_before_the_wait_is_not_slept_through() {
        let signal = Signal::default();
        signal.notify();
        signal.wait(LONG);
        signal.notify();
        signal.wait(LONG);
        signal.wait(Duration::ZERO);
    }

    #[test]
    fn threads_do_not_take_each_others_changes() {
        let signal = Signal::default();
        signal.notify();
        std::thread::scope(|scope| {
            scope.spawn(|| signal.wait(LONG));
            scope.spawn(|| signal.wait(LONG));
        });
        signal.wait(LONG);
    }

    #[test]
    fn a_notification_ends_a_wait_under_way() {
        let signal = Signal::default();
        signal.wait(Duration::ZERO);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                signal.wait(Duration::ZERO);
                signal.wait(LONG);
            });
            while !waiter.is_finished() {
                signal.notify();
                std::thread::yield_now();
            }
        });
    }
}
