//! Calls of the seam: an actor finds the answer, who asked polls for it.

use std::sync::{Arc, Mutex, PoisonError};

use millstream_log::{Call, Failure, FailureKind, Outcome, Pending};
use millstream_types::{Error, ErrorKind, Now};

use crate::client::RequestError;
use crate::protocol::ErrorCode;

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

struct Wait<T>(Slot<T>);

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
            other => {
                *state = other;
                Outcome::Pending
            }
        }
    }
}

/// A call and the slot that ends it.
pub(crate) fn call<T: Send + 'static>() -> (Call<T>, Slot<T>) {
    let slot = Slot(Arc::new(Mutex::new(State::Open)));
    (Call::pending(Wait(slot.clone())), slot)
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

/// A failure that had no effect and may pass.
pub(crate) fn retriable(message: impl Into<String>) -> Failure {
    Failure { kind: FailureKind::Retriable, error: Error::new(ErrorKind::Retriable, message) }
}

/// A failure that repeating does not mend.
pub(crate) fn fatal(message: impl Into<String>) -> Failure {
    Failure { kind: FailureKind::Fatal, error: Error::new(ErrorKind::Fatal, message) }
}

/// What a broker's error code means for a request of which it says that nothing was done.
pub(crate) fn refused(what: &str, code: ErrorCode, detail: Option<&str>) -> Failure {
    let detail = detail.filter(|detail| !detail.is_empty()).map(|detail| format!(": {detail}")).unwrap_or_default();
    let remedy = remedy(code).map(|remedy| format!("; {remedy}")).unwrap_or_default();
    let message = format!("{what}: the broker answers {code}{detail}{remedy}");
    if code.is_retriable() { retriable(message) } else { fatal(message) }
}

/// What a user can do about a refusal.
fn remedy(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            "the principal needs rights on the topic: DESCRIBE, and READ, WRITE, CREATE or DELETE as it is used"
        }
        ErrorCode::GROUP_AUTHORIZATION_FAILED => "the principal needs READ and DESCRIBE on the group",
        ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => {
            "the principal needs WRITE and DESCRIBE on transactional ids that begin with the application.id"
        }
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED => "the principal lacks rights on the cluster",
        ErrorCode::INVALID_TRANSACTION_TIMEOUT => {
            "lower transaction.timeout.ms, or raise transaction.max.timeout.ms of the brokers"
        }
        ErrorCode::MESSAGE_TOO_LARGE => "raise max.message.bytes of the topic, or write smaller records",
        ErrorCode::INVALID_REPLICATION_FACTOR => "lower replication.factor, or start more brokers",
        ErrorCode::POLICY_VIOLATION => "a policy of the brokers forbids it",
        ErrorCode::TOPIC_DELETION_DISABLED => "set delete.topic.enable=true on the brokers",
        _ => return None,
    })
}

/// What a missing answer means. `has_effect`: whether it matters that the request may have been done.
pub(crate) fn unanswered(what: &str, error: RequestError, has_effect: bool) -> Failure {
    let kind = match &error {
        error if has_effect && error.is_in_doubt() => FailureKind::Unknown,
        error if error.is_retriable() => FailureKind::Retriable,
        _ => FailureKind::Fatal,
    };
    let of = if kind == FailureKind::Fatal { ErrorKind::Fatal } else { ErrorKind::Retriable };
    Failure { kind, error: Error::new(of, format!("{what} failed")).with_source(error) }
}
