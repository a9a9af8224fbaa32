//! The age of quiet stores' marks.
//!
//! A local copy that was left alone for longer than its changelog keeps tombstones is deleted and restored, since it may
//! have missed some. The mark of a store that is not written gets old as well, though nothing passes it by while its task
//! or its copy is here. So it is renewed now and then.

use millstream_state::{CommitMark, StateStore};
use millstream_types::Now;

/// A mark may be so old. Far below the day that a changelog keeps tombstones.
const AGE_MS_MAX: i64 = 60 * 60 * 1000;

/// When marks are renewed.
#[derive(Debug, Default)]
pub(crate) struct MarkAge {
    last_ms: i64,
}

impl MarkAge {
    /// Whether it is time. Not after a pause of the process: others may have had its tasks meanwhile.
    pub(crate) fn is_due(&mut self, now: Now) -> bool {
        let since_ms = now.wall_ms.saturating_sub(self.last_ms);
        if (0..AGE_MS_MAX).contains(&since_ms) {
            return false;
        }
        self.last_ms = now.wall_ms;
        (AGE_MS_MAX..2 * AGE_MS_MAX).contains(&since_ms)
    }
}

/// Renews the old marks of stores that have nothing to write.
pub(crate) fn renew<'a>(stores: impl Iterator<Item = &'a mut Box<dyn StateStore>>, now: Now) {
    for store in stores {
        let renewed = match store.mark() {
            Ok(Some(mark)) if now.wall_ms.saturating_sub(mark.wall_ms) >= AGE_MS_MAX => {
                store.apply(&CommitMark { wall_ms: now.wall_ms, ..mark })
            }
            other => other.map(drop),
        };
        if let Err(error) = renewed {
            // It costs a restore at worst, and is tried again.
            tracing::warn!(store = &*store.facts().name, %error, "the local copy cannot be marked as up to date");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_renewed_each_hour_but_not_after_a_pause() {
        let mut age = MarkAge::default();
        let mut at = |minutes: i64| age.is_due(Now { mono_ns: 0, wall_ms: (1_000_000 + minutes) * 60_000 });
        let due = [0, 59, 60, 61, 119, 120, 121].map(&mut at);
        assert_eq!(due, [false, false, true, false, false, true, false]);
        assert_eq!([60 * 24, 60 * 25].map(&mut at), [false, true], "a day's pause");
        assert_eq!([60 * 2, 60 * 3].map(&mut at), [false, true], "the clock was set back");
    }
}
