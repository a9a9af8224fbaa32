//! Which broker coordinates a group or a transactional id, as far as it is known.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_log::Failure;

use super::Node;
use super::request::Ticket;
use crate::failure::{RequestError, refused, unanswered};
use crate::protocol::ErrorCode;
use crate::protocol::messages::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};

/// What a coordinator is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum CoordinatorKind {
    Group,
    Transaction,
}

impl CoordinatorKind {
    fn key_type(self) -> i8 {
        match self {
            Self::Group => 0,
            Self::Transaction => 1,
        }
    }
}

type Name = (CoordinatorKind, Arc<str>);

/// Coordinators by what they coordinate.
#[derive(Default)]
pub(super) struct Coordinators(BTreeMap<Name, Coordinator>);

/// A coordinator, and which broker was asked for it last.
struct Coordinator {
    state: State,
    asked: Node,
}

enum State {
    Asked(Ticket<FindCoordinatorRequest>),
    /// Since when, in ms.
    Known(i32, i64),
    /// Ask again from then on, in ms. `why`: what the brokers said, if asking is of no use.
    After {
        ms: i64,
        why: Option<Refusal>,
    },
}

/// Why brokers name no coordinator.
struct Refusal {
    failure: Failure,
    is_forbidden: bool,
}

/// What to do about a coordinator.
pub(super) enum Search {
    /// Since when, in ms.
    Known(i32, i64),
    Wait,
    /// This is to be asked now; and whose last answer was of no use.
    Ask(FindCoordinatorRequest, Option<Node>),
}

impl Coordinators {
    pub(super) fn search(&self, kind: CoordinatorKind, key: &Arc<str>, now_ms: i64) -> Search {
        let known = self.0.get(&(kind, Arc::clone(key)));
        match known.map(|known| &known.state) {
            Some(State::Known(id, since)) => Search::Known(*id, *since),
            Some(State::Asked(_)) => Search::Wait,
            Some(State::After { ms, .. }) if *ms > now_ms => Search::Wait,
            Some(State::After { .. }) | None => {
                let request =
                    FindCoordinatorRequest { key_type: kind.key_type(), coordinator_keys: vec![key.to_string()] };
                Search::Ask(request, known.map(|known| known.asked))
            }
        }
    }

    pub(super) fn asked(
        &mut self,
        kind: CoordinatorKind,
        key: &Arc<str>,
        asked: Node,
        ticket: Ticket<FindCoordinatorRequest>,
    ) {
        self.0.insert((kind, Arc::clone(key)), Coordinator { state: State::Asked(ticket), asked });
    }

    /// Asks again from then on, in ms.
    pub(super) fn forget(&mut self, kind: CoordinatorKind, key: &Arc<str>, ms: i64) {
        if let Some(known) = self.0.get_mut(&(kind, Arc::clone(key))) {
            known.state = State::After { ms, why: None };
        }
    }

    /// Why the brokers name no coordinator, if they say so for good.
    pub(super) fn failure(&self, kind: CoordinatorKind, key: &Arc<str>) -> Option<Failure> {
        self.refusal(kind, key).map(|why| why.failure.clone())
    }

    /// Whether it is that who asks has no right to.
    pub(super) fn is_forbidden(&self, kind: CoordinatorKind, key: &Arc<str>) -> bool {
        self.refusal(kind, key).is_some_and(|why| why.is_forbidden)
    }

    fn refusal(&self, kind: CoordinatorKind, key: &Arc<str>) -> Option<&Refusal> {
        match &self.0.get(&(kind, Arc::clone(key)))?.state {
            State::After { why, .. } => why.as_ref(),
            _ => None,
        }
    }

    /// Takes the answers that came. What was not found is asked for again at `retry_ms`.
    pub(super) fn take_answers(&mut self, now_ms: i64, retry_ms: i64) {
        for ((kind, key), coordinator) in &mut self.0 {
            let State::Asked(ticket) = &mut coordinator.state else { continue };
            let Some(answer) = ticket.take() else { continue };
            coordinator.state = match found(*kind, key, answer) {
                Ok(id) => State::Known(id, now_ms),
                Err(why) => State::After { ms: retry_ms, why },
            };
        }
    }

    /// When somebody may ask again next, in ms.
    pub(super) fn due_ms(&self, now_ms: i64) -> i64 {
        let pauses = self.0.values().filter_map(|coordinator| match coordinator.state {
            State::After { ms, .. } if ms > now_ms => Some(ms),
            _ => None,
        });
        pauses.min().unwrap_or(i64::MAX)
    }
}

/// The coordinator's broker; otherwise why asking again is of no use, if it is not.
fn found(
    kind: CoordinatorKind,
    key: &str,
    answer: Result<FindCoordinatorResponse, RequestError>,
) -> Result<i32, Option<Refusal>> {
    let what = match kind {
        CoordinatorKind::Group => format!("finding the coordinator of group {key}"),
        CoordinatorKind::Transaction => format!("finding the coordinator of transactional id {key}"),
    };
    match answer {
        Ok(response) => {
            let found = response.coordinators.into_iter().next().ok_or(None)?;
            match ErrorCode(found.error_code) {
                ErrorCode::NONE => Ok(found.node_id),
                code if code.is_retriable() => Err(None),
                code => Err(Some(Refusal {
                    failure: refused(&what, code, found.error_message.as_deref()),
                    is_forbidden: code == ErrorCode::GROUP_AUTHORIZATION_FAILED,
                })),
            }
        }
        Err(error) if error.is_retriable() => Err(None),
        Err(error) => Err(Some(Refusal { failure: unanswered(&what, error, false), is_forbidden: false })),
    }
}
