//! Requests that are tried until they are answered for good: those to coordinators, which move, load
//! and wait for transactions to end.

use std::sync::Arc;

use millstream_log::{Failure, FailureKind};
use millstream_types::{Error, ErrorKind};

use crate::call::{refused, unanswered};
use crate::client::{Client, CoordinatorKind, RequestError, Ticket};
use crate::protocol::{ErrorCode, Request};

/// Pause while the coordinator still ends the last transaction, in ms.
const CONCURRENT_PAUSE_MS: i64 = 20;
/// How long one step is tried, in ms.
const TIMEOUT_MS: i64 = 60_000;

/// A request to a coordinator, tried until it is answered for good.
pub(crate) struct Tries<R> {
    ticket: Option<Ticket<R>>,
    pause_until: i64,
    deadline_ms: Option<i64>,
}

impl<R> Default for Tries<R> {
    fn default() -> Self {
        Self { ticket: None, pause_until: i64::MIN, deadline_ms: None }
    }
}

/// Whom a request is for.
#[derive(Clone, Copy)]
pub(crate) enum At<'a> {
    Coordinator(CoordinatorKind, &'a Arc<str>),
    Anyone,
}

impl<R: Request + Send + 'static> Tries<R>
where
    R::Response: Send,
{
    /// One turn: sends, waits, looks at the answer. `code` finds the worst code of an answer.
    pub(crate) fn turn(
        &mut self,
        client: &mut Client,
        what: &str,
        at: At<'_>,
        version_max: i16,
        request: impl FnOnce() -> R,
        code: impl FnOnce(&R::Response) -> i16,
    ) -> Option<Result<R::Response, Failure>> {
        let now_ms = client.now().mono_ms();
        let deadline_ms = *self.deadline_ms.get_or_insert(now_ms + TIMEOUT_MS);
        let Some(ticket) = &self.ticket else {
            if now_ms < self.pause_until {
                return None;
            }
            let node = match at {
                At::Coordinator(kind, key) => client.coordinator(kind, key),
                At::Anyone => Some(client.any_node()),
            };
            if let (At::Coordinator(kind, key), None) = (at, node)
                && let Some(failure) = client.coordinator_failure(kind, key)
            {
                return Some(Err(failure));
            }
            match node {
                Some(node) => self.ticket = Some(client.send_up_to(node, request(), version_max)),
                None if now_ms >= deadline_ms => {
                    return Some(Err(unanswered(
                        what,
                        RequestError::NotSent("no coordinator was found".to_owned()),
                        true,
                    )));
                }
                None => self.pause_until = now_ms + client.options().retry_backoff_ms,
            }
            return None;
        };
        let answer = ticket.take()?;
        self.ticket = None;
        let (failure, is_moved, is_concurrent) = match answer {
            Ok(response) => match ErrorCode(code(&response)) {
                ErrorCode::NONE => {
                    self.deadline_ms = None;
                    return Some(Ok(response));
                }
                code if code.is_retriable() => {
                    let is_concurrent = code == ErrorCode::CONCURRENT_TRANSACTIONS;
                    (failure_of(what, code, None), code.is_moved(), is_concurrent)
                }
                code => return Some(Err(failure_of(what, code, None))),
            },
            // Repeating is safe: the coordinator knows producer, epoch and what it did.
            Err(error) => match unanswered(what, error, true) {
                failure if failure.kind == FailureKind::Fatal => return Some(Err(failure)),
                failure => (failure, true, false),
            },
        };
        if now_ms >= deadline_ms {
            return Some(Err(Failure { kind: FailureKind::Unknown, ..failure }));
        }
        if let (At::Coordinator(kind, key), true) = (at, is_moved) {
            client.forget_coordinator(kind, key);
        }
        self.pause_until = now_ms + if is_concurrent { CONCURRENT_PAUSE_MS } else { client.options().retry_backoff_ms };
        None
    }

    /// When the next try is due, in ms.
    pub(crate) fn due_ms(&self) -> i64 {
        if self.ticket.is_none() && self.deadline_ms.is_some() { self.pause_until } else { i64::MAX }
    }
}

/// What an error of a write or of a transaction means for the writer.
pub(crate) fn failure_of(what: &str, code: ErrorCode, detail: Option<&str>) -> Failure {
    let failure = refused(what, code, detail);
    match code {
        ErrorCode::PRODUCER_FENCED
        | ErrorCode::INVALID_PRODUCER_EPOCH
        | ErrorCode::TRANSACTION_COORDINATOR_FENCED
        | ErrorCode::UNKNOWN_MEMBER_ID
        | ErrorCode::ILLEGAL_GENERATION
        | ErrorCode::FENCED_INSTANCE_ID
        | ErrorCode::STALE_MEMBER_EPOCH
        | ErrorCode::FENCED_MEMBER_EPOCH => {
            let error = Error::new(ErrorKind::Fenced, format!("{what}: another instance took over ({code})"));
            Failure { kind: FailureKind::Fenced, error }
        }
        // The transaction is lost; a new one may succeed once the producer is initialised again.
        ErrorCode::TRANSACTION_ABORTABLE
        | ErrorCode::INVALID_TXN_STATE
        | ErrorCode::INVALID_PRODUCER_ID_MAPPING
        | ErrorCode::UNKNOWN_PRODUCER_ID
        | ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER => Failure { kind: FailureKind::Unknown, ..failure },
        _ => failure,
    }
}

/// The first code that is an error; one that is final before those that may pass.
pub(crate) fn worst(codes: impl Iterator<Item = i16>) -> i16 {
    let mut errors: Vec<i16> = codes.filter(|code| *code != 0).collect();
    errors.sort_by_key(|code| ErrorCode(*code).is_retriable());
    errors.first().copied().unwrap_or(0)
}
