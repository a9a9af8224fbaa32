//! One client's connection: its requests in order, some of them under way.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_log::{Call, Failure, FailureKind, Outcome, Pending};
use millstream_types::{Error, ErrorKind, Now};

use super::network::{Deliver, Fate, Link};

/// A client of the real log and its requests under way.
pub(super) struct Connection<C: ?Sized> {
    wire: Arc<Wire<C>>,
    pub(super) link: Link,
    what: &'static str,
}

struct Wire<C: ?Sized>(Mutex<Queue<C>>);

struct Queue<C: ?Sized> {
    /// Requests under way: when they arrive, and what they do then.
    under_way: VecDeque<(u64, Request<C>)>,
    client: Box<C>,
}

type Request<C> = Box<dyn FnOnce(&mut C) + Send>;

impl<C: ?Sized + Send + 'static> Connection<C> {
    pub(super) fn open(client: Box<C>, link: &Link, what: &'static str) -> Self {
        let wire = Arc::new(Wire(Mutex::new(Queue { under_way: VecDeque::new(), client })));
        link.keep(Arc::clone(&wire) as Arc<dyn Deliver>);
        Self { wire, link: link.clone(), what }
    }

    /// Uses the client at once, after everything that is under way; `None` when cut.
    pub(super) fn now<T>(&self, run: impl FnOnce(&mut C) -> T) -> Option<T> {
        if self.link.is_cut() {
            return None;
        }
        let mut queue = self.wire.lock();
        queue.deliver(u64::MAX);
        Some(run(&mut queue.client))
    }

    /// Reads what the client knows, without the network.
    pub(super) fn peek<T>(&self, read: impl FnOnce(&C) -> T) -> T {
        read(&self.wire.lock().client)
    }

    /// Loses all that is under way.
    pub(super) fn lose_under_way(&self) {
        self.wire.lock().under_way.clear();
    }

    /// Sends a request through the network. `effects` says how a lost answer looks.
    pub(super) fn request<T: Debug + Send + 'static>(
        &self,
        name: &'static str,
        effects: Effects,
        run: impl Fn(&mut C) -> Call<T> + Send + 'static,
    ) -> Call<T> {
        if self.link.is_cut() {
            return Call::pending(Never);
        }
        let fate = self.link.fate(effects == Effects::Idempotent);
        self.link.trace(format_args!("{}.{name} {fate:?}", self.what));
        let now_ns = self.link.now_ns();
        let reply = |state, due_ns| Call::pending(Reply { state, due_ns, name, effects, link: self.link.clone() });
        match fate {
            Fate::Retriable(delay) => reply(Answer::Refused, now_ns + delay),
            Fate::LostRequest(delay) => reply(Answer::Lost, now_ns + delay),
            Fate::LateRequest(delay) => {
                let slot = Arc::new(Mutex::new(None));
                let filled = Arc::clone(&slot);
                let request: Request<C> = Box::new(move |client| {
                    *filled.lock().unwrap_or_else(PoisonError::into_inner) = Some(run(client));
                });
                self.wire.lock().under_way.push_back((now_ns + delay, request));
                reply(Answer::Slot(slot), 0)
            }
            Fate::Straggler(delay) => {
                let request: Request<C> = Box::new(move |client| drop(run(client)));
                self.wire.lock().under_way.push_back((now_ns + 2 * delay, request));
                reply(Answer::Lost, now_ns + delay)
            }
            Fate::Pass | Fate::LateReply(_) | Fate::LostReply(_) | Fate::Duplicate => {
                let mut call = self.now(&run).unwrap_or_else(|| Call::pending(Never));
                if fate == Fate::Duplicate {
                    call = self.now(&run).unwrap_or_else(|| Call::pending(Never));
                }
                match fate {
                    Fate::LateReply(delay) => reply(Answer::Call(call), now_ns + delay),
                    Fate::LostReply(delay) => reply(Answer::LostAfter(call), now_ns + delay),
                    _ => reply(Answer::Call(call), 0),
                }
            }
        }
    }
}

/// What a request does to the log, and so how its loss looks to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effects {
    /// It only reads: a lost answer is simply asked for again.
    None,
    /// Twice is the same as once.
    Idempotent,
    /// A lost answer leaves the outcome unknown.
    Once,
}

impl<C: ?Sized> Wire<C> {
    fn lock(&self) -> MutexGuard<'_, Queue<C>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: ?Sized> Queue<C> {
    fn deliver(&mut self, now_ns: u64) {
        while self.under_way.front().is_some_and(|(due_ns, _)| *due_ns <= now_ns) {
            if let Some((_, request)) = self.under_way.pop_front() {
                request(&mut self.client);
            }
        }
    }
}

impl<C: ?Sized + Send> Deliver for Wire<C> {
    fn deliver(&self, now_ns: u64) {
        self.lock().deliver(now_ns);
    }
}

/// An answer on its way.
struct Reply<T> {
    state: Answer<T>,
    due_ns: u64,
    name: &'static str,
    effects: Effects,
    link: Link,
}

enum Answer<T> {
    Call(Call<T>),
    /// The request has not arrived yet, or it has.
    Slot(Arc<Mutex<Option<Call<T>>>>),
    /// It took effect; the answer never comes.
    LostAfter(Call<T>),
    Lost,
    Refused,
}

impl<T: Debug + Send> Pending<T> for Reply<T> {
    fn poll(&mut self, now: Now) -> Outcome<T> {
        if self.link.is_cut() {
            return Outcome::Pending;
        }
        let is_due = self.due_ns <= now.mono_ns;
        let outcome = match &mut self.state {
            Answer::Call(call) if is_due => call.poll(now),
            Answer::Slot(slot) => match &mut *slot.lock().unwrap_or_else(PoisonError::into_inner) {
                Some(call) => call.poll(now),
                None => Outcome::Pending,
            },
            Answer::LostAfter(call) => {
                // The log goes on with it, though nobody will hear of the end.
                let _ = call.poll(now);
                if is_due { self.lost() } else { Outcome::Pending }
            }
            Answer::Lost if is_due => self.lost(),
            Answer::Refused if is_due => failed(FailureKind::Retriable, ErrorKind::Retriable, "the broker is busy"),
            Answer::Call(_) | Answer::Lost | Answer::Refused => Outcome::Pending,
        };
        if !matches!(outcome, Outcome::Pending) {
            let name = self.name;
            match &outcome {
                Outcome::Failed(failure) => self.link.trace(format_args!("{name} failed {:?}", failure.kind)),
                done => self.link.trace(format_args!("{name} {done:?}")),
            }
        }
        outcome
    }
}

impl<T> Reply<T> {
    fn lost(&self) -> Outcome<T> {
        match self.effects {
            Effects::None => failed(FailureKind::Retriable, ErrorKind::Retriable, "no reply in time"),
            Effects::Idempotent | Effects::Once => {
                failed(FailureKind::Unknown, ErrorKind::Retriable, "no reply in time")
            }
        }
    }
}

fn failed<T>(kind: FailureKind, error: ErrorKind, message: &str) -> Outcome<T> {
    Outcome::Failed(Failure { kind, error: Error::new(error, message) })
}

/// What a dead instance hears.
pub(super) struct Never;

impl<T> Pending<T> for Never {
    fn poll(&mut self, _: Now) -> Outcome<T> {
        Outcome::Pending
    }
}
