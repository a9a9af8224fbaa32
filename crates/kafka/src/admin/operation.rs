//! A call on the network thread: tried until it is done, refused for good, or out of time.

use millstream_log::{Failure, FailureKind};

use crate::call::Slot;
use crate::client::{Client, Node, Ticket};
use crate::driver::{Actor, Turn};
use crate::failure::unanswered;
use crate::protocol::Request;

/// One try. It is dropped and begun again after a retriable failure.
pub(super) trait Step<T>: Send {
    /// Does what is due; `None` while it waits.
    fn turn(&mut self, client: &mut Client) -> Option<Result<T, Failure>>;

    /// Begins again.
    fn restart(&mut self);

    /// When something is due though nothing has come, in ms.
    fn due_ms(&self) -> i64 {
        i64::MAX
    }
}

/// An actor that ends with a call.
pub(super) struct Operation<T> {
    step: Box<dyn Step<T>>,
    slot: Slot<T>,
    deadline_ms: Option<i64>,
    /// After a failure: why, and when to go on.
    pause: Option<(Failure, i64)>,
}

impl<T> Operation<T> {
    pub(super) fn new(step: Box<dyn Step<T>>, slot: Slot<T>) -> Self {
        Self { step, slot, deadline_ms: None, pause: None }
    }
}

impl<T: Send> Actor for Operation<T> {
    fn turn(&mut self, client: &mut Client) -> Turn {
        if self.slot.is_abandoned() {
            return Turn::Finished;
        }
        let now_ms = client.now().mono_ms();
        let timeout_ms = client.options().api_timeout_ms;
        let deadline_ms = *self.deadline_ms.get_or_insert(now_ms.saturating_add(timeout_ms));
        if let Some((failure, until)) = &self.pause {
            if now_ms >= deadline_ms {
                self.slot.end(Err(failure.clone()));
                return Turn::Finished;
            }
            if now_ms < *until {
                return Turn::Until(*until);
            }
            self.pause = None;
            self.step.restart();
        }
        match self.step.turn(client) {
            // A broker that nobody can reach: metadata or coordinator never come.
            None if now_ms >= deadline_ms => {
                let why = client.cluster().failure.clone().unwrap_or_else(|| "no broker could be asked".to_owned());
                let message = format!("no answer within {timeout_ms} ms: {why}");
                self.slot.end(Err(crate::failure::retriable(message)));
                Turn::Finished
            }
            None => Turn::Until(deadline_ms.min(self.step.due_ms())),
            Some(Err(failure)) if failure.kind == FailureKind::Retriable && now_ms < deadline_ms => {
                let until = now_ms + client.options().retry_backoff_ms;
                self.pause = Some((failure, until));
                Turn::Until(until)
            }
            Some(result) => {
                self.slot.end(result);
                Turn::Finished
            }
        }
    }
}

/// A request that is sent once and then waited for.
pub(super) struct Asked<R> {
    ticket: Option<Ticket<R>>,
}

impl<R> Default for Asked<R> {
    fn default() -> Self {
        Self { ticket: None }
    }
}

impl<R: Request + Send + 'static> Asked<R>
where
    R::Response: Send,
{
    /// The answer, once it is there. `what` names the call for people.
    pub(super) fn answer(
        &mut self,
        client: &mut Client,
        what: &str,
        has_effect: bool,
        node: impl FnOnce(&mut Client) -> Option<Node>,
        request: impl FnOnce() -> R,
    ) -> Option<Result<R::Response, Failure>> {
        let Some(ticket) = &self.ticket else {
            let node = node(client)?;
            self.ticket = Some(client.send(node, request()));
            return None;
        };
        let answer = ticket.take()?;
        self.ticket = None;
        Some(answer.map_err(|error| unanswered(what, error, has_effect)))
    }
}
