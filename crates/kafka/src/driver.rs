//! The network thread: one a process, on which all connections live and all actors take their turns.
//!
//! An actor is a small machine (fetcher, producer, member, a call of the admin client) that starts
//! requests and looks for their answers; it never waits. What it shares with a stream thread lies
//! behind a lock that is taken once a batch, never once a record.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use millstream_log::{Call, Failure, Signal};
use millstream_types::{Clock, Error, ErrorKind, Now, Result};

use crate::call::{Slot, call};
use crate::client::{Client, ClientOptions};
use crate::failure::fatal;
use crate::net::{TcpTransport, Transport, TransportEvent, Waker};

/// The thread sleeps at most this long, in ms.
const SLEEP_MAX_MS: i64 = 60_000;

/// A machine on the network thread.
pub(crate) trait Actor: Send {
    /// Does what is due and takes the answers that came.
    fn turn(&mut self, client: &mut Client) -> Turn;
}

/// What an actor wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// A turn when an answer came or somebody woke the thread, at the latest at this time in ms of the
    /// monotonic clock.
    Until(i64),
    /// No more turns.
    Finished,
}

/// The network thread seen from the others. Dropping the last one ends the thread.
#[derive(Clone)]
pub(crate) struct Driver(Arc<Shared>);

struct Shared {
    inbox: Mutex<Sender<Box<dyn Actor>>>,
    /// None in tests, which take the turns themselves.
    waker: Option<Waker>,
    thread: Mutex<Option<JoinHandle<()>>>,
    signal: Arc<Signal>,
    health: Arc<Health>,
}

/// Whether the thread is there. It ends before its time only by a panic: a fault of ours, which those who wait for it
/// must hear of.
#[derive(Default)]
pub(crate) struct Health {
    has_failed: AtomicBool,
}

impl Health {
    /// Why nothing comes any more.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.has_failed.load(Ordering::Acquire).then(|| {
            fatal(
                "the thread that talks to the brokers has ended by a fault in Millstream (its panic was told on stderr): \
                 start the process again",
            )
        })
    }
}

impl Driver {
    /// Starts the thread.
    ///
    /// # Errors
    /// `Storage` when the system has no more threads or sockets.
    #[expect(clippy::disallowed_methods, reason = "the one home of the network thread")]
    pub(crate) fn start(options: ClientOptions, clock: Arc<dyn Clock>) -> Result<Self> {
        let storage = |what: &str, error: std::io::Error| Error::new(ErrorKind::Storage, what).with_source(error);
        let transport =
            TcpTransport::new(options.frame_bytes_max).map_err(|error| storage("the network cannot be used", error))?;
        let waker = transport.waker();
        let (inbox, actors) = channel();
        let signal = Arc::new(Signal::default());
        let mut engine = Engine::new(Client::new(options), transport);
        let (on_change, health) = (Arc::clone(&signal), Arc::new(Health::default()));
        let has_ended = Arc::clone(&health);
        let run = move || {
            if catch_unwind(AssertUnwindSafe(|| engine.run(&actors, &*clock, &on_change))).is_err() {
                has_ended.has_failed.store(true, Ordering::Release);
                on_change.notify();
            }
        };
        let thread = std::thread::Builder::new()
            .name("millstream-network".to_owned())
            .spawn(run)
            .map_err(|error| storage("the network thread cannot be started", error))?;
        let thread = Mutex::new(Some(thread));
        let shared = Shared { inbox: Mutex::new(inbox), waker: Some(waker), thread, signal, health };
        Ok(Self(Arc::new(shared)))
    }

    /// A driver without a thread, and what is added to it.
    #[cfg(test)]
    pub(crate) fn detached() -> (Self, Receiver<Box<dyn Actor>>) {
        let (inbox, actors) = channel();
        let signal = Arc::new(Signal::default());
        let (thread, health) = (Mutex::new(None), Arc::default());
        let shared = Shared { inbox: Mutex::new(inbox), waker: None, thread, signal, health };
        (Self(Arc::new(shared)), actors)
    }

    /// Gives an actor its turns from now on.
    pub(crate) fn add(&self, actor: impl Actor + 'static) {
        let inbox = self.0.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody listens any more when the thread has ended; then nobody waits for answers either.
        let _ = inbox.send(Box::new(actor));
        drop(inbox);
        self.wake();
    }

    /// A call, and the slot in which an actor puts its end.
    pub(crate) fn call<T: Send + 'static>(&self) -> (Call<T>, Slot<T>) {
        call(&self.0.health)
    }

    /// Why the actors have no turns any more.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.0.health.failure()
    }

    /// Gives all actors a turn soon: what they share was changed.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &self.0.waker {
            waker.wake();
        }
    }

    /// Moves when actors have changed what they share.
    pub(crate) fn signal(&self) -> &Arc<Signal> {
        &self.0.signal
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Without a sender the thread finds its inbox closed.
        *self.inbox.get_mut().unwrap_or_else(PoisonError::into_inner) = channel().0;
        if let Some(waker) = &self.waker {
            waker.wake();
        }
        if let Some(thread) = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            drop(thread.join());
        }
    }
}

/// Client, transport and actors, turn by turn: what the thread runs, and tests without one.
pub(crate) struct Engine<T> {
    client: Client,
    pub(crate) transport: T,
    actors: Vec<Box<dyn Actor>>,
    events: Vec<TransportEvent>,
}

impl<T: Transport> Engine<T> {
    pub(crate) fn new(client: Client, transport: T) -> Self {
        Self { client, transport, actors: Vec::new(), events: Vec::new() }
    }

    #[cfg(test)]
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn add(&mut self, actor: Box<dyn Actor>) {
        self.actors.push(actor);
    }

    /// Takes what came, gives everyone a turn and sends what they want sent. Gives the time of the
    /// next turn that is due, in ms.
    pub(crate) fn turn(&mut self, now: Now) -> i64 {
        for event in self.events.drain(..) {
            self.client.event(&mut self.transport, event);
        }
        self.client.turn(&mut self.transport, now);
        let mut due = i64::MAX;
        let client = &mut self.client;
        self.actors.retain_mut(|actor| match actor.turn(client) {
            Turn::Until(until) => {
                due = due.min(until);
                true
            }
            Turn::Finished => false,
        });
        due.min(self.client.turn(&mut self.transport, now))
    }

    /// Waits for something to come, for at most so long.
    pub(crate) fn wait(&mut self, timeout: Duration) {
        self.transport.poll(timeout, &mut self.events);
    }

    fn run(&mut self, inbox: &Receiver<Box<dyn Actor>>, clock: &dyn Clock, signal: &Signal) {
        use std::sync::mpsc::TryRecvError::{Disconnected, Empty};
        loop {
            loop {
                match inbox.try_recv() {
                    Ok(actor) => self.add(actor),
                    Err(Empty) => break,
                    Err(Disconnected) => return,
                }
            }
            let now = clock.now();
            let due = self.turn(now);
            // Stream threads look at what they share with the actors; most turns change it.
            signal.notify();
            let pause = due.saturating_sub(now.mono_ms()).clamp(0, SLEEP_MAX_MS);
            self.wait(Duration::from_millis(pause.unsigned_abs()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use millstream_log::{FailureKind, Outcome};
    use millstream_types::clock::SystemClock;
    use millstream_types::{Config, config::HostPort};

    struct Panicking;

    impl Actor for Panicking {
        fn turn(&mut self, _: &mut Client) -> Turn {
            panic!("a fault of ours, made by a test");
        }
    }

    #[test]
    fn who_waits_hears_of_a_network_thread_that_ended() {
        let config = Config::builder().application_id("app").bootstrap_servers("localhost:1").build().unwrap();
        let brokers = [HostPort { host: "localhost".to_owned(), port: 1 }];
        let client = Settings::of(&config, &brokers, 1).unwrap().client;
        let driver = Driver::start(client, Arc::new(SystemClock::new())).unwrap();
        let (mut before, _slot) = driver.call::<()>();
        assert!(matches!(before.poll(Now::default()), Outcome::Pending));
        driver.add(Panicking);
        while driver.failure().is_none() {
            driver.signal().wait(Duration::from_secs(60));
        }
        let (mut after, _slot) = driver.call::<()>();
        for call in [&mut before, &mut after] {
            assert!(
                matches!(call.poll(Now::default()), Outcome::Failed(failure) if failure.kind == FailureKind::Fatal)
            );
        }
    }
}
