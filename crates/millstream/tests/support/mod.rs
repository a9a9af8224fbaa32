//! What tests on real brokers share.
#![allow(dead_code, unreachable_pub)]

pub mod told;

use std::time::{Duration, Instant};

use millstream::Log;
use millstream::log::Call;

/// Longest wait for what has to happen.
pub const LIMIT: Duration = Duration::from_secs(150);

/// The answer of a call that has to work.
#[track_caller]
pub fn answer<T>(log: &dyn Log, call: Call<T>) -> T {
    millstream::answer(log, call).unwrap()
}

/// Waits until something is so; whether it was in time.
pub fn comes_true(log: &dyn Log, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + LIMIT;
    while !is_so() {
        if Instant::now() >= deadline {
            return false;
        }
        log.wait(Duration::from_millis(50));
    }
    true
}

#[track_caller]
pub fn wait_until(log: &dyn Log, what: &str, is_so: impl FnMut() -> bool) {
    assert!(comes_true(log, is_so), "not in {LIMIT:?}: {what}");
}
