//! Local state of tasks that have moved away: deleted once nobody in this instance has had the task for
//! `state.cleanup.delay.ms`. Until then it is there for a task that comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_state::EngineProvider;
use millstream_types::clock::nanos;
use millstream_types::{Now, Result, TaskId};
use parking_lot::Mutex;

use crate::pace::Pace;
use crate::task_lock::TaskLocks;

/// Least time between two looks.
const LOOK_MIN: Duration = Duration::from_millis(100);
/// Looks in one delay.
const LOOKS: u32 = 4;

/// Deletes what is left of tasks.
#[derive(Debug)]
pub(crate) struct Cleaner {
    delay_ns: u64,
    looks: Pace,
    /// Tasks that nobody has, and since when.
    free: Mutex<BTreeMap<TaskId, u64>>,
}

impl Cleaner {
    pub(crate) fn new(delay: Duration) -> Self {
        Self { delay_ns: nanos(delay), looks: Pace::new((delay / LOOKS).max(LOOK_MIN)), free: Mutex::default() }
    }

    /// Looks whether something is to be deleted, once in a while. Called with each step of a thread that runs all of its
    /// tasks, as Kafka Streams cleans only while it is RUNNING.
    pub(crate) fn poll(&self, engines: &dyn EngineProvider, locks: &TaskLocks, now: Now) {
        if !self.looks.is_due(now) {
            return;
        }
        // Deleting may take longer than from one look to the next, and no thread waits for another's.
        let Some(mut free) = self.free.try_lock() else { return };
        if let Err(error) = self.clean(&mut free, engines, locks, now) {
            // It costs disk space only, and is tried again.
            tracing::warn!(%error, "local state of a task that has moved away cannot be deleted");
        }
    }

    fn clean(
        &self,
        free: &mut BTreeMap<TaskId, u64>,
        engines: &dyn EngineProvider,
        locks: &TaskLocks,
        now: Now,
    ) -> Result<()> {
        let used = locks.take_used();
        free.retain(|task, _| !used.contains(task));
        for task in engines.tasks()? {
            if locks.is_taken(task) {
                continue;
            }
            let since_ns = *free.entry(task).or_insert(now.mono_ns);
            if now.mono_ns.saturating_sub(since_ns) < self.delay_ns {
                continue;
            }
            let Some(_lock) = locks.try_lock(task) else { continue };
            tracing::info!(%task, "deleting local state of a task that has moved away");
            free.remove(&task);
            engines.remove(task)?;
        }
        Ok(())
    }
}
