//! Timers of a task.

use millstream_types::Timestamp;

use super::arena::NodeIndex;

/// Which clock drives a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PunctuationType {
    /// The task's stream time: moves with records only.
    StreamTime,
    /// The machine's wall clock.
    WallClockTime,
}

/// A timer of a processor, for [`Processor::punctuate`](super::Processor::punctuate) and
/// [`Context::cancel`](super::Context::cancel).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timer(pub(crate) u64);

/// The timers of one task, ordered by due time.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    next_id: u64,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    timer: Timer,
    node: NodeIndex,
    kind: PunctuationType,
    interval_ms: i64,
    due: i64,
}

impl Timers {
    /// Adds a timer first due at `first_due`, then every `interval_ms`.
    pub(crate) fn add(&mut self, node: NodeIndex, kind: PunctuationType, interval_ms: i64, first_due: i64) -> Timer {
        let timer = Timer(self.next_id);
        self.next_id += 1;
        self.entries.push(Entry { timer, node, kind, interval_ms, due: first_due });
        timer
    }

    /// Removes a timer; unknown ones are ignored.
    pub(crate) fn cancel(&mut self, timer: Timer) {
        self.entries.retain(|entry| entry.timer != timer);
    }

    /// Whether a timer of that clock is due. Cheap when there are no timers.
    pub(crate) fn is_due(&self, kind: PunctuationType, now: Timestamp) -> bool {
        self.entries.iter().any(|entry| entry.kind == kind && entry.due <= now.0)
    }

    /// Earliest due time of that clock.
    pub(crate) fn next_due(&self, kind: PunctuationType) -> Option<i64> {
        self.entries.iter().filter(|entry| entry.kind == kind).map(|entry| entry.due).min()
    }

    /// The timers due at `now`, by due time; each fires once however many intervals it missed, and
    /// is moved to its next due time.
    pub(crate) fn take_due(&mut self, kind: PunctuationType, now: Timestamp) -> Vec<(NodeIndex, Timer)> {
        let mut due: Vec<(i64, NodeIndex, Timer)> = Vec::new();
        for entry in &mut self.entries {
            if entry.kind == kind && entry.due <= now.0 {
                due.push((entry.due, entry.node, entry.timer));
                let missed = now.0.saturating_sub(entry.due) / entry.interval_ms;
                entry.due = entry.due.saturating_add(missed.saturating_add(1).saturating_mul(entry.interval_ms));
            }
        }
        due.sort_by_key(|(due, _, _)| *due);
        due.into_iter().map(|(_, node, timer)| (node, timer)).collect()
    }

    /// Whether the timer has not been cancelled, by itself or another.
    pub(crate) fn contains(&self, timer: Timer) -> bool {
        self.entries.iter().any(|entry| entry.timer == timer)
    }
}
