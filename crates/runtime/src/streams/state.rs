//! The states of an instance, and who hears of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::guard::guarded;

/// State of an instance, as Kafka Streams' `KafkaStreams.State`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Made, not started.
    Created,
    /// Tasks are being assigned or restored.
    Rebalancing,
    /// All threads run all their tasks.
    Running,
    /// Closing: committing and closing tasks.
    PendingShutdown,
    /// Closed.
    NotRunning,
    /// An error ends the instance: the other threads commit and close their tasks.
    PendingError,
    /// Ended by an error.
    Error,
}

impl State {
    /// Whether the step is one that Kafka Streams takes.
    pub fn may_become(self, next: Self) -> bool {
        use State::{Created, Error, NotRunning, PendingError, PendingShutdown, Rebalancing, Running};
        matches!(
            (self, next),
            (Created, Rebalancing | PendingShutdown)
                | (Rebalancing, Running | PendingShutdown | PendingError)
                | (Running, Rebalancing | PendingShutdown | PendingError)
                | (PendingShutdown, NotRunning)
                | (PendingError, Error)
        )
    }

    /// Whether the instance is at work.
    pub fn is_running_or_rebalancing(self) -> bool {
        matches!(self, Self::Running | Self::Rebalancing)
    }

    /// Whether it was never started.
    pub fn has_not_started(self) -> bool {
        self == Self::Created
    }

    /// Whether it is about to end.
    pub fn is_shutting_down(self) -> bool {
        matches!(self, Self::PendingShutdown | Self::PendingError)
    }

    /// Whether nothing follows.
    pub fn has_completed_shutdown(self) -> bool {
        matches!(self, Self::NotRunning | Self::Error)
    }

    /// Whether it was started and is not about to end: at work, or ended.
    pub fn has_started_or_finished_shutting_down(self) -> bool {
        self.is_running_or_rebalancing() || self.has_completed_shutdown()
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Created => "CREATED",
            Self::Rebalancing => "REBALANCING",
            Self::Running => "RUNNING",
            Self::PendingShutdown => "PENDING_SHUTDOWN",
            Self::NotRunning => "NOT_RUNNING",
            Self::PendingError => "PENDING_ERROR",
            Self::Error => "ERROR",
        })
    }
}

/// Hears of every change: new and old state.
pub type StateListener = Arc<dyn Fn(State, State) + Send + Sync>;

/// The state, its listener and those who wait for it.
pub(crate) struct StateCell {
    inner: Mutex<Inner>,
    changed: Condvar,
}

struct Inner {
    state: State,
    listener: Option<StateListener>,
    /// Changes the listener has not heard of. One thread at a time tells it, in order; a listener
    /// that itself changes the state only queues.
    untold: VecDeque<(State, State)>,
    is_telling: bool,
}

impl StateCell {
    pub(crate) fn new() -> Self {
        let inner = Inner { state: State::Created, listener: None, untold: VecDeque::new(), is_telling: false };
        Self { inner: Mutex::new(inner), changed: Condvar::new() }
    }

    pub(crate) fn get(&self) -> State {
        self.inner.lock().state
    }

    pub(crate) fn is_running_or_rebalancing(&self) -> bool {
        self.get().is_running_or_rebalancing()
    }

    pub(crate) fn set_listener(&self, listener: StateListener) {
        self.inner.lock().listener = Some(listener);
    }

    /// Takes a step if it is one; whether it was taken.
    pub(crate) fn become_state(&self, next: State) -> bool {
        let mut inner = self.inner.lock();
        let old = inner.state;
        if !old.may_become(next) {
            return false;
        }
        inner.state = next;
        inner.untold.push_back((next, old));
        self.changed.notify_all();
        tracing::info!(from = %old, to = %next, "state");
        if std::mem::replace(&mut inner.is_telling, true) {
            return true;
        }
        while let Some((new, old)) = inner.untold.pop_front() {
            let listener = inner.listener.clone();
            // The listener may ask for the state, or close the instance.
            drop(inner);
            if let Some(Err(error)) = listener.map(|listener| guarded("state listener", || listener(new, old))) {
                tracing::error!(%error, "the state listener is at fault");
            }
            inner = self.inner.lock();
        }
        inner.is_telling = false;
        true
    }

    /// Waits until the state is one of these; whether it is.
    pub(crate) fn wait_for(&self, states: &[State], timeout: Duration) -> bool {
        let mut inner = self.inner.lock();
        !self.changed.wait_while_for(&mut inner, |inner| !states.contains(&inner.state), timeout).timed_out()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_kafka_streams_steps_are_taken() {
        let cell = StateCell::new();
        assert!(!cell.become_state(State::Running));
        assert!(cell.become_state(State::Rebalancing));
        assert!(cell.become_state(State::Running));
        assert!(cell.become_state(State::PendingError));
        assert!(!cell.become_state(State::PendingShutdown));
        assert!(cell.become_state(State::Error));
        assert!(cell.get().has_completed_shutdown());
    }

    #[test]
    fn a_listener_hears_changes_in_order_even_those_it_makes_itself() {
        let cell = Arc::new(StateCell::new());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (inside, list) = (Arc::clone(&cell), Arc::clone(&heard));
        cell.set_listener(Arc::new(move |new, old| {
            if new == State::Running {
                inside.become_state(State::PendingShutdown);
            }
            list.lock().push(format!("{old}->{new}"));
        }));
        cell.become_state(State::Rebalancing);
        cell.become_state(State::Running);
        assert_eq!(*heard.lock(), ["CREATED->REBALANCING", "REBALANCING->RUNNING", "RUNNING->PENDING_SHUTDOWN"]);
    }
}
