//! Timers of a task.

use millstream_types::Timestamp;

use super::build::NodeIndex;

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

/// The timers of one task, a queue for each clock.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    next_id: u64,
    stream_time: Queue,
    wall_clock: Queue,
    /// Out of its queue while its punctuator runs; gone if that cancels it.
    firing: Option<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    timer: Timer,
    node: NodeIndex,
    interval_ms: i64,
    due: i64,
}

/// A binary heap by due time that sifts as Java's `PriorityQueue` does: the order of timers due at
/// the same time is then that of Kafka Streams.
#[derive(Debug, Default)]
struct Queue(Vec<Entry>);

impl Queue {
    fn due_at(&self, at: usize) -> i64 {
        self.0.get(at).map_or(i64::MAX, |entry| entry.due)
    }

    fn push(&mut self, entry: Entry) {
        let mut at = self.0.len();
        self.0.push(entry);
        while at > 0 {
            let parent = (at - 1) / 2;
            if entry.due >= self.due_at(parent) {
                break;
            }
            self.0.swap(at, parent);
            at = parent;
        }
    }

    /// Takes the first entry if it is due.
    fn pop_due(&mut self, now: i64) -> Option<Entry> {
        if self.0.is_empty() || self.due_at(0) > now {
            return None;
        }
        let entry = self.0.swap_remove(0);
        let mut at = 0;
        while 2 * at + 1 < self.0.len() {
            let left = 2 * at + 1;
            let child = if self.due_at(left) > self.due_at(left + 1) { left + 1 } else { left };
            if self.due_at(at) <= self.due_at(child) {
                break;
            }
            self.0.swap(at, child);
            at = child;
        }
        Some(entry)
    }

    /// Marks a timer to be dropped. As in Java it keeps its place until then, and so do the others.
    fn cancel(&mut self, timer: Timer) {
        for entry in self.0.iter_mut().filter(|entry| entry.timer == timer) {
            entry.interval_ms = CANCELLED;
        }
    }
}

/// Interval of a timer that was cancelled and waits in its queue to be dropped.
const CANCELLED: i64 = 0;

impl Timers {
    /// Adds a timer first due at `first_due`, then every `interval_ms`.
    pub(crate) fn add(&mut self, node: NodeIndex, kind: PunctuationType, interval_ms: i64, first_due: i64) -> Timer {
        let timer = Timer(self.next_id);
        self.next_id += 1;
        self.queue_mut(kind).push(Entry { timer, node, interval_ms, due: first_due });
        timer
    }

    /// Cancels a timer; unknown ones are ignored.
    pub(crate) fn cancel(&mut self, timer: Timer) {
        self.stream_time.cancel(timer);
        self.wall_clock.cancel(timer);
        self.firing = self.firing.filter(|firing| firing.timer != timer);
    }

    /// Earliest due time of that clock.
    pub(crate) fn next_due(&self, kind: PunctuationType) -> Option<i64> {
        let queue = match kind {
            PunctuationType::StreamTime => &self.stream_time,
            PunctuationType::WallClockTime => &self.wall_clock,
        };
        queue.0.iter().filter(|entry| entry.interval_ms != CANCELLED).map(|entry| entry.due).min()
    }

    /// Takes the next timer that is due at `now`, if one is. When it has fired, [`Self::fired`].
    pub(crate) fn take_due(&mut self, kind: PunctuationType, now: Timestamp) -> Option<(NodeIndex, Timer)> {
        let queue = self.queue_mut(kind);
        let mut due = queue.pop_due(now.0)?;
        while due.interval_ms == CANCELLED {
            due = queue.pop_due(now.0)?;
        }
        self.firing = Some(due);
        Some((due.node, due.timer))
    }

    /// Puts the timer that fired at `now` back for its next due time, however many it missed, unless
    /// it was cancelled meanwhile.
    pub(crate) fn fired(&mut self, kind: PunctuationType, now: Timestamp) {
        let Some(mut entry) = self.firing.take() else { return };
        let missed = now.0.saturating_sub(entry.due) / entry.interval_ms;
        entry.due = entry.due.saturating_add(missed.saturating_add(1).saturating_mul(entry.interval_ms));
        self.queue_mut(kind).push(entry);
    }

    fn queue_mut(&mut self, kind: PunctuationType) -> &mut Queue {
        match kind {
            PunctuationType::StreamTime => &mut self.stream_time,
            PunctuationType::WallClockTime => &mut self.wall_clock,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fires all that is due at `now`; the nodes in the order they fired.
    fn fire(timers: &mut Timers, now: i64) -> Vec<u32> {
        let mut order = Vec::new();
        while let Some((NodeIndex(node), _)) = timers.take_due(PunctuationType::StreamTime, Timestamp(now)) {
            order.push(node);
            timers.fired(PunctuationType::StreamTime, Timestamp(now));
        }
        order
    }

    fn add(timers: &mut Timers, node: u32, interval_ms: i64, first_due: i64) -> Timer {
        timers.add(NodeIndex(node), PunctuationType::StreamTime, interval_ms, first_due)
    }

    #[test]
    fn timers_due_together_fire_in_javas_order() {
        let mut timers = Timers::default();
        for node in 0..3 {
            add(&mut timers, node, 1, 0);
        }
        assert_eq!(fire(&mut timers, 4), [0, 2, 1]);
        assert_eq!(fire(&mut timers, 5), [2, 1, 0]);
    }

    #[test]
    fn missed_intervals_are_one_call_and_the_grid_stays() {
        let mut timers = Timers::default();
        add(&mut timers, 0, 10, 0);
        assert_eq!(fire(&mut timers, 35), [0]);
        assert_eq!(timers.next_due(PunctuationType::StreamTime), Some(40));
        assert!(fire(&mut timers, 39).is_empty());
    }

    #[test]
    fn a_cancelled_timer_does_not_fire_again() {
        let mut timers = Timers::default();
        let (one, two) = (add(&mut timers, 0, 10, 0), add(&mut timers, 1, 10, 0));
        timers.cancel(one);
        assert_eq!(fire(&mut timers, 0), [1]);
        assert!(timers.take_due(PunctuationType::StreamTime, Timestamp(10)).is_some());
        // As from within its own punctuator.
        timers.cancel(two);
        timers.fired(PunctuationType::StreamTime, Timestamp(10));
        assert_eq!(timers.next_due(PunctuationType::StreamTime), None);
    }
}
