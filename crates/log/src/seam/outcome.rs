//! Operations under way and how they end.

use std::fmt;

use millstream_types::{Error, Now};

/// How a started operation stands.
#[derive(Debug)]
pub enum Outcome<T> {
    /// Not over; poll again.
    Pending,
    /// Done, with its answer.
    Done(T),
    /// Over without success; the kind says what is known about its effect.
    Failed(Failure),
}

/// An operation that did not succeed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What is known about the operation's effect, and so what to do.
    pub kind: FailureKind,
    /// What happened, for people.
    pub error: Error,
}

/// What is known about a failed operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// It had no effect and may be repeated.
    Retriable,
    /// Another instance took over; nothing of this client counts any more.
    Fenced,
    /// It may or may not have had its effect (a lost reply). Ask the log before going on.
    Unknown,
    /// It had no effect and repeating is of no use.
    Fatal,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// An operation under way. Implementers of the seam write this; users hold a [`Call`].
pub trait Pending<T>: Send {
    /// How it stands. After the first answer other than `Pending` it is not polled again.
    fn poll(&mut self, now: Now) -> Outcome<T>;
}

/// A started operation. Dropping it abandons the answer, not the operation.
pub struct Call<T>(State<T>);

enum State<T> {
    Ready(Option<Outcome<T>>),
    Waiting(Box<dyn Pending<T>>),
}

impl<T> Call<T> {
    /// An operation that is over already, with success.
    pub fn done(answer: T) -> Self {
        Self(State::Ready(Some(Outcome::Done(answer))))
    }

    /// An operation that is over already, without success.
    pub fn failed(kind: FailureKind, error: Error) -> Self {
        Self(State::Ready(Some(Outcome::Failed(Failure { kind, error }))))
    }

    /// An operation under way.
    pub fn pending(pending: impl Pending<T> + 'static) -> Self {
        Self(State::Waiting(Box::new(pending)))
    }

    /// How it stands. Gives its answer once; afterwards `Pending` for ever.
    pub fn poll(&mut self, now: Now) -> Outcome<T> {
        match &mut self.0 {
            State::Ready(outcome) => outcome.take().unwrap_or(Outcome::Pending),
            State::Waiting(pending) => pending.poll(now),
        }
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Ready(_) => "Call(ready)",
            State::Waiting(_) => "Call(waiting)",
        })
    }
}
