//! How long a thread that takes the place of a failed one waits before it begins.

use std::time::Duration;

use millstream_types::Now;
use millstream_types::clock::nanos;

/// Failures that are further apart than this have nothing to do with each other.
const CALM: Duration = Duration::from_secs(60);
/// Pause of the second of them.
const FIRST: Duration = Duration::from_millis(100);
/// No pause is longer, after so many doublings.
const LONGEST: Duration = Duration::from_secs(5);
const DOUBLINGS_MAX: u32 = 6;

/// The threads that were replaced lately.
#[derive(Debug, Default)]
pub(super) struct Replacements {
    /// One after the other without a minute's calm.
    in_a_row: u32,
    last_ns: u64,
}

impl Replacements {
    /// Counts one and gives the time from which on it may run, in ns: at once after a minute of calm, then after
    /// pauses that double up to 5 s. What does not pass would else make threads as fast as the system gives them.
    pub(super) fn next_ns(&mut self, now: Now) -> u64 {
        let is_calm = self.in_a_row == 0 || now.mono_ns.saturating_sub(self.last_ns) > nanos(CALM);
        let before = if is_calm { 0 } else { self.in_a_row };
        self.in_a_row = before.saturating_add(1);
        let Some(doublings) = before.checked_sub(1) else {
            self.last_ns = now.mono_ns;
            return now.mono_ns;
        };
        let pause_ns = (nanos(FIRST) << doublings.min(DOUBLINGS_MAX)).min(nanos(LONGEST));
        // The clock's last digits spread the threads of instances that failed together over the last quarter.
        let pause_ns = pause_ns - now.mono_ns % (pause_ns / 4);
        self.last_ns = now.mono_ns.saturating_add(pause_ns);
        self.last_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pauses in ms of failures at these times in ms.
    fn pauses(failures: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let mut replacements = Replacements::default();
        let pause = |at_ms: u64| {
            let now = Now { mono_ns: at_ms * 1_000_000, ..Now::default() };
            (replacements.next_ns(now) - now.mono_ns).div_ceil(1_000_000)
        };
        failures.into_iter().map(pause).collect()
    }

    #[test]
    fn failures_in_a_row_wait_ever_longer_up_to_a_limit() {
        let found = pauses((0..100).map(|number| number * 10_000));
        assert_eq!(found[0], 0);
        for (number, pause) in found.into_iter().enumerate().skip(1) {
            let longest = (100 << (number - 1).min(10)).min(5_000);
            assert!((longest * 3 / 4..=longest).contains(&pause), "{number}: {pause} ms of {longest}");
        }
    }

    #[test]
    fn after_a_minute_of_calm_nothing_waits() {
        let found = pauses([5, 50_000, 111_000, 111_001]);
        assert!(found[0] == 0 && found[1] > 0 && found[2] == 0 && found[3] > 0, "{found:?}");
    }
}
