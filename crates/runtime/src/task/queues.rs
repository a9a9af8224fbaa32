//! The queues of a task and the choice among them: the lowest head timestamp goes next.

use millstream_types::clock::nanos;
use millstream_types::config::TaskIdle;
use millstream_types::{Now, TopicPartition};

use super::heap::HeadHeap;
use super::queue::{HeadState, RecordQueue};

/// All input queues of a task.
pub(crate) struct RecordQueues {
    pub(crate) list: Vec<RecordQueue>,
    heap: HeadHeap,
    idle: TaskIdle,
    /// Per queue: until when an empty queue is waited for (monotonic ns), once it is empty and
    /// caught up.
    idle_until: Vec<Option<u64>>,
}

impl RecordQueues {
    pub(crate) fn new(list: Vec<RecordQueue>, idle: TaskIdle) -> Self {
        let idle_until = vec![None; list.len()];
        Self { list, heap: HeadHeap::default(), idle, idle_until }
    }

    pub(crate) fn find(&self, partition: &TopicPartition) -> Option<usize> {
        self.list.iter().position(|queue| queue.partition == *partition)
    }

    /// Puts a queue that has a head up for choice.
    pub(crate) fn offer(&mut self, at: usize) {
        if let Some(queue) = self.list.get(at)
            && queue.state != HeadState::None
        {
            self.heap.push(queue.origin.timestamp, at);
        }
    }

    /// Takes the queue whose head is next; offer it again when its new head is decoded.
    pub(crate) fn take(&mut self) -> Option<usize> {
        self.heap.pop()
    }

    /// Whether a record may be processed now (`max.task.idle.ms`): there is one, and no other
    /// partition is worth waiting for.
    pub(crate) fn is_ready(&mut self, now: Now) -> bool {
        if self.heap.len() == self.list.len() {
            self.idle_until.fill(None);
            return !self.list.is_empty();
        }
        if self.idle == TaskIdle::Never {
            return !self.heap.is_empty();
        }
        let wait_ns = match self.idle {
            TaskIdle::Wait(wait) => nanos(wait),
            TaskIdle::Never | TaskIdle::Fetching => 0,
        };
        // One empty partition is waited for after the other, as in Kafka Streams: those behind the
        // first that is still worth waiting for are not looked at.
        for (queue, until) in self.list.iter().zip(&mut self.idle_until) {
            if queue.state != HeadState::None {
                *until = None;
                continue;
            }
            if queue.lag() != Some(0) {
                // Unknown, or not zero: its records are on their way.
                *until = None;
                return false;
            }
            if now.mono_ns < *until.get_or_insert(now.mono_ns.saturating_add(wait_ns)) {
                return false;
            }
        }
        !self.heap.is_empty()
    }

    /// Since when records wait for those of empty partitions, if they do (monotonic ns).
    pub(crate) fn idle_since(&self) -> Option<u64> {
        let TaskIdle::Wait(wait) = self.idle else { return None };
        let wait_ns = nanos(wait);
        let until = self.idle_until.iter().flatten().min().filter(|_| !self.heap.is_empty())?;
        Some(until.saturating_sub(wait_ns))
    }

    /// When waiting for empty partitions ends, if records wait meanwhile (monotonic ns).
    pub(crate) fn ready_at(&self) -> Option<u64> {
        if self.heap.is_empty() {
            return None;
        }
        self.idle_until.iter().flatten().copied().max()
    }
}
