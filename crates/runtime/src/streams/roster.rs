//! The threads of an instance: which there are, how many live, what they share.

use std::sync::Arc;

use crate::thread::{ThreadControl, ThreadMetadata, ThreadState};

/// The threads of an instance.
#[derive(Default)]
pub(super) struct Roster {
    stream: Vec<Listed>,
    global: Option<Arc<ThreadControl>>,
    /// Threads that have not ended.
    alive: usize,
}

/// A stream thread on the list.
struct Listed {
    number: usize,
    control: Arc<ThreadControl>,
}

impl Listed {
    /// Whether it is neither over nor about to be.
    fn is_live(&self) -> bool {
        let state = self.control.state();
        !self.control.is_stopping() && !matches!(state, ThreadState::PendingShutdown | ThreadState::Dead)
    }
}

impl Roster {
    /// The smallest number that no thread has which is not over, as Kafka Streams numbers them.
    pub(super) fn next_number(&self) -> usize {
        let is_free = |number: &usize| self.stream.iter().all(|thread| thread.number != *number);
        // One more than there are threads is enough to find one.
        (1..=self.stream.len() + 1).find(is_free).unwrap_or(1)
    }

    /// Takes up a stream thread that is about to start.
    pub(super) fn add(&mut self, number: usize, control: Arc<ThreadControl>) {
        self.stream.push(Listed { number, control });
        self.alive += 1;
    }

    /// Takes up the global thread.
    pub(super) fn add_global(&mut self, control: Arc<ThreadControl>) {
        self.global = Some(control);
        self.alive += 1;
    }

    /// A thread has ended, or never started; one that was replaced or removed leaves the list.
    pub(super) fn ended(&mut self, name: &str, leaves: bool) {
        self.alive = self.alive.saturating_sub(1);
        if leaves {
            self.stream.retain(|thread| **thread.control.name() != *name);
        }
    }

    /// Forgets threads that do not start after all.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_over(&self) -> bool {
        self.alive == 0
    }

    /// Stream threads that are neither over nor about to be.
    pub(super) fn live(&self) -> usize {
        self.stream.iter().filter(|thread| thread.is_live()).count()
    }

    /// The thread to remove: the first that lives, and the calling one only if there is no other.
    pub(super) fn to_remove(&self, caller: &str) -> Option<Arc<ThreadControl>> {
        let mut live = self.stream.iter().filter(|thread| thread.is_live()).map(|thread| &thread.control);
        let other = live.clone().find(|control| **control.name() != *caller);
        other.or_else(|| live.next()).cloned()
    }

    /// The stream threads.
    pub(super) fn stream_threads(&self) -> impl Iterator<Item = &Arc<ThreadControl>> {
        self.stream.iter().map(|thread| &thread.control)
    }

    /// All threads.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<ThreadControl>> {
        self.stream.iter().map(|thread| &thread.control).chain(&self.global)
    }

    pub(super) fn is_global(&self, name: &str) -> bool {
        self.global.as_ref().is_some_and(|control| **control.name() == *name)
    }

    pub(super) fn find(&self, name: &str) -> Option<&Arc<ThreadControl>> {
        self.all().find(|control| **control.name() == *name)
    }

    pub(super) fn metadata(&self) -> Vec<ThreadMetadata> {
        self.stream.iter().map(|thread| thread.control.metadata()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(name: &str) -> Arc<ThreadControl> {
        Arc::new(ThreadControl::new(name.into()))
    }

    #[test]
    fn a_number_is_given_again_once_its_thread_is_over() {
        let mut roster = Roster::default();
        for expected in 1..=3 {
            assert_eq!(roster.next_number(), expected);
            roster.add(expected, control(&format!("t-{expected}")));
        }
        roster.ended("t-2", true);
        assert_eq!(roster.next_number(), 2);
        roster.ended("t-1", true);
        assert_eq!(roster.next_number(), 1);
    }

    #[test]
    fn the_calling_thread_is_removed_only_if_it_is_the_last() {
        let mut roster = Roster::default();
        roster.add(1, control("t-1"));
        roster.add(2, control("t-2"));
        assert_eq!(&**roster.to_remove("t-1").unwrap().name(), "t-2");
        assert_eq!(&**roster.to_remove("main").unwrap().name(), "t-1");
        roster.to_remove("t-1").unwrap().stop();
        assert_eq!(roster.live(), 1);
        assert_eq!(&**roster.to_remove("t-1").unwrap().name(), "t-1");
        roster.to_remove("t-1").unwrap().stop();
        assert!(roster.to_remove("main").is_none());
    }
}
