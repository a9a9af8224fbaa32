//! Requests that are tried until they are answered for good: those to coordinators, which move, load
//! and wait for transactions to end.

use std::collections::BTreeSet;
use std::sync::Arc;

use millstream_log::{Failure, FailureKind};
use millstream_types::{Error, ErrorKind, TopicPartition};

use crate::client::{Client, CoordinatorKind, Ticket};
use crate::failure::{RequestError, refused, retriable, unanswered};
use crate::protocol::{ErrorCode, Request};

/// Pause while the coordinator still ends the last transaction, in ms.
const CONCURRENT_PAUSE_MS: i64 = 20;
/// How long one step is tried, in ms.
const TIMEOUT_MS: i64 = 60_000;

/// A request to a coordinator, tried until it is answered for good.
pub(crate) struct Tries<R> {
    ticket: Option<Ticket<R>>,
    pause_until: i64,
    /// When to look again whether the coordinator is known, should nothing happen before, in ms.
    look_again_ms: i64,
    deadline_ms: Option<i64>,
}

impl<R> Default for Tries<R> {
    fn default() -> Self {
        Self { ticket: None, pause_until: i64::MIN, look_again_ms: i64::MIN, deadline_ms: None }
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
    /// One turn: sends, waits, looks at the answer, of which `verdict` says what it means.
    pub(crate) fn turn<V: Into<Verdict>>(
        &mut self,
        client: &mut Client,
        what: &str,
        at: At<'_>,
        version_max: i16,
        request: impl FnOnce() -> R,
        verdict: impl FnOnce(&R::Response) -> V,
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
                None => self.look_again_ms = now_ms + client.options().retry_backoff_ms,
            }
            return None;
        };
        let answer = ticket.take()?;
        self.ticket = None;
        let (failure, is_moved, is_concurrent) = match answer {
            Ok(response) => match verdict(&response).into() {
                Verdict::Done => {
                    self.deadline_ms = None;
                    return Some(Ok(response));
                }
                Verdict::Incomplete => {
                    (retriable(format!("{what}: the broker's answer leaves partitions out")), false, false)
                }
                Verdict::Refused(code, partition) => {
                    let of = partition.map(|partition| format!(", {partition}")).unwrap_or_default();
                    let failure = failure_of(&format!("{what}{of}"), code, None);
                    if !code.is_retriable() {
                        return Some(Err(failure));
                    }
                    (failure, code.is_moved(), code == ErrorCode::CONCURRENT_TRANSACTIONS)
                }
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
        let is_waiting = self.ticket.is_none() && self.deadline_ms.is_some();
        if is_waiting { self.pause_until.max(self.look_again_ms) } else { i64::MAX }
    }
}

/// What an error of a write or of a transaction means for the writer.
pub(crate) fn failure_of(what: &str, code: ErrorCode, detail: Option<&str>) -> Failure {
    let failure = refused(what, code, detail);
    match code {
        ErrorCode::PRODUCER_FENCED
        | ErrorCode::INVALID_PRODUCER_EPOCH
        | ErrorCode::UNKNOWN_MEMBER_ID
        | ErrorCode::ILLEGAL_GENERATION
        | ErrorCode::FENCED_INSTANCE_ID
        | ErrorCode::STALE_MEMBER_EPOCH
        | ErrorCode::FENCED_MEMBER_EPOCH => {
            let error = Error::new(ErrorKind::Fenced, format!("{what}: another instance took over ({code})"));
            Failure { kind: FailureKind::Fenced, error }
        }
        // The transaction is lost; a new one may succeed once the producer is initialised again. Nor does a
        // broker that is just being stopped always know what it has done.
        ErrorCode::UNKNOWN_SERVER_ERROR
        | ErrorCode::TRANSACTION_ABORTABLE
        | ErrorCode::INVALID_TXN_STATE
        | ErrorCode::INVALID_PRODUCER_ID_MAPPING
        | ErrorCode::UNKNOWN_PRODUCER_ID
        | ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER => {
            // Whoever appends meanwhile is given the error alone, and is to begin anew as well.
            let error = Error::new(ErrorKind::Retriable, failure.error.message().to_owned());
            Failure { kind: FailureKind::Unknown, error }
        }
        _ => failure,
    }
}

/// What an answer says.
pub(crate) enum Verdict {
    Done,
    /// An error, of one partition or of all.
    Refused(ErrorCode, Option<TopicPartition>),
    /// Of some partitions it says nothing.
    Incomplete,
}

impl From<i16> for Verdict {
    fn from(code: i16) -> Self {
        ErrorCode::check(code).map_or_else(|code| Self::Refused(code, None), |()| Self::Done)
    }
}

/// Which of several codes counts: one that is final before those that may pass, and last of all that
/// nothing was tried because of another one.
fn rank(code: i16) -> u8 {
    match ErrorCode(code) {
        ErrorCode::NONE => 3,
        ErrorCode::OPERATION_NOT_ATTEMPTED => 2,
        code if code.is_retriable() => 1,
        _ => 0,
    }
}

impl Verdict {
    /// The first code that counts of a group's and of what is in it. An answer that leaves the group out says nothing.
    pub(crate) fn of_group(group: impl IntoIterator<Item = i16>, inside: impl IntoIterator<Item = i16>) -> Self {
        let mut group = group.into_iter().peekable();
        if group.peek().is_none() {
            return Self::Incomplete;
        }
        group.chain(inside).min_by_key(|code| rank(*code)).unwrap_or(0).into()
    }

    /// The first code that counts of the partitions', of which there should be so many.
    pub(crate) fn of<'a>(expected: usize, codes: impl Iterator<Item = (&'a str, i32, i16)>) -> Self {
        // What is told twice is not told of two.
        let mut told = BTreeSet::new();
        let codes = codes.inspect(|(topic, partition, _)| {
            told.insert((*topic, *partition));
        });
        match codes.min_by_key(|(_, _, code)| rank(*code)) {
            Some((topic, partition, code)) if code != 0 => {
                Self::Refused(ErrorCode(code), Some(TopicPartition::new(topic, partition)))
            }
            _ if told.len() < expected => Self::Incomplete,
            _ => Self::Done,
        }
    }
}
