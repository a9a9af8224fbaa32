//! The age of quiet stores' marks.
//!
//! A local copy that was left alone for longer than its changelog keeps tombstones is deleted and restored, since it may
//! have missed some. The mark of a store that is not written gets old as well, though nothing passes it by while its task
//! is here. So it is renewed now and then, when a commit has just proved that the group counts on this thread.

use std::time::Duration;

use millstream_state::{CommitMark, StateStore};
use millstream_types::Now;
use millstream_types::clock::millis;

/// A mark may be so old. Far below the day that a changelog keeps tombstones.
pub(crate) const AGE_MAX: Duration = Duration::from_secs(60 * 60);

/// Renews the old marks of stores that have nothing to write.
pub(crate) fn renew<'a>(stores: impl Iterator<Item = &'a mut Box<dyn StateStore>>, now: Now) {
    for store in stores {
        let renewed = match store.mark() {
            Ok(Some(mark)) if now.wall_ms.saturating_sub(mark.wall_ms) >= millis(AGE_MAX) => {
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
