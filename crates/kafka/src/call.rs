//! Calls of the seam: an actor finds the answer, who asked polls for it.

use std::sync::{Arc, Mutex, PoisonError};

use millstream_log::{Call, Failure, Outcome, Pending};
use millstream_types::Now;

use crate::driver::Health;

/// Where an actor puts the end of a call.
pub(crate) struct Slot<T>(Arc<Mutex<State<T>>>);

enum State<T> {
    Open,
    Over(Outcome<T>),
    /// The answer is taken, or nobody wants it any more.
    Closed,
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Ends by itself when the network thread has ended: no actor does it then.
struct Wait<T>(Slot<T>, Arc<Health>);

impl<T> Drop for Wait<T> {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = State::Closed;
    }
}

impl<T: Send> Pending<T> for Wait<T> {
    fn poll(&mut self, _: Now) -> Outcome<T> {
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Closed) {
            State::Over(outcome) => outcome,
            State::Open if let Some(failure) = self.1.failure() => Outcome::Failed(failure),
            other => {
                *state = other;
                Outcome::Pending
            }
        }
    }
}

/// A call and the slot that ends it.
pub(crate) fn call<T: Send + 'static>(health: &Arc<Health>) -> (Call<T>, Slot<T>) {
    let slot = Slot(Arc::new(Mutex::new(State::Open)));
    (Call::pending(Wait(slot.clone(), Arc::clone(health))), slot)
}

impl<T> Slot<T> {
    /// Ends the call, unless nobody wants the answer any more.
    pub(crate) fn end(&self, result: Result<T, Failure>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Open) {
            *state = State::Over(match result {
                Ok(answer) => Outcome::Done(answer),
                Err(failure) => Outcome::Failed(failure),
            });
        }
    }

    /// Whether nobody wants the answer any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        matches!(*self.0.lock().unwrap_or_else(PoisonError::into_inner), State::Closed)
    }
}
