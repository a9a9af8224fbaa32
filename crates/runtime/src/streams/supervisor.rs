//! From the states of threads to the state of the instance, and from a thread's error to its end.

use std::sync::Arc;
use std::time::Duration;

use millstream_log::{Departure, Log};
use millstream_types::{Error, Now};
use parking_lot::{Condvar, Mutex};

use super::driver::Driven;
use super::state::{State, StateCell};
use crate::globals::GlobalThread;
use crate::guard::guarded;
use crate::thread::{Step, StreamThread, ThreadControl, ThreadMetadata, ThreadState};

/// What becomes of the application when a stream thread ended with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamThreadExceptionResponse {
    /// This instance ends: its other threads commit and close, the state becomes ERROR.
    ShutdownClient,
    /// All instances end. The others are not told yet: this one ends as by `ShutdownClient`.
    ShutdownApplication,
}

/// Decides what becomes of the application when a stream thread ended with an error.
pub type UncaughtExceptionHandler = Arc<dyn Fn(&Error) -> StreamThreadExceptionResponse + Send + Sync>;

/// Watches the threads of an instance.
pub(super) struct Supervisor {
    pub(super) state: StateCell,
    log: Arc<dyn Log>,
    threads: Mutex<Threads>,
    over: Condvar,
}

#[derive(Default)]
struct Threads {
    stream: Vec<Arc<ThreadControl>>,
    global: Option<Arc<ThreadControl>>,
    /// Threads that have not ended.
    alive: usize,
    handler: Option<UncaughtExceptionHandler>,
    error: Option<Error>,
}

impl Supervisor {
    pub(super) fn new(log: Arc<dyn Log>) -> Self {
        Self { state: StateCell::new(), log, threads: Mutex::default(), over: Condvar::new() }
    }

    pub(super) fn set_handler(&self, handler: UncaughtExceptionHandler) {
        self.threads.lock().handler = Some(handler);
    }

    pub(super) fn error(&self) -> Option<Error> {
        self.threads.lock().error.clone()
    }

    pub(super) fn metadata(&self) -> Vec<ThreadMetadata> {
        self.threads.lock().stream.iter().map(|thread| thread.metadata()).collect()
    }

    /// Takes note of the threads that are about to start.
    pub(super) fn watch(&self, stream: Vec<Arc<ThreadControl>>, global: Option<Arc<ThreadControl>>) {
        let mut threads = self.threads.lock();
        threads.alive = stream.len() + usize::from(global.is_some());
        threads.stream = stream;
        threads.global = global;
    }

    /// The threads do not start after all: the instance was closed meanwhile.
    pub(super) fn unwatch(&self) {
        let mut threads = self.threads.lock();
        threads.alive = 0;
        threads.stream.clear();
        threads.global = None;
        drop(threads);
        self.state.become_state(State::NotRunning);
        self.over.notify_all();
    }

    pub(super) fn is_own_thread(&self, name: &str) -> bool {
        let threads = self.threads.lock();
        threads.stream.iter().chain(&threads.global).any(|thread| **thread.name() == *name)
    }

    /// Starts an orderly end.
    pub(super) fn shut_down(&self) {
        self.state.become_state(State::PendingShutdown);
        self.stop_all();
        if self.threads.lock().alive == 0 {
            self.state.become_state(State::NotRunning);
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.threads.lock().alive == 0
    }

    /// Waits until all threads have ended; whether they have.
    pub(super) fn wait_until_over(&self, timeout: Duration) -> bool {
        let mut threads = self.threads.lock();
        self.over.wait_while_for(&mut threads, |threads| threads.alive > 0, timeout);
        threads.alive == 0
    }

    /// A thread could not be made.
    pub(super) fn not_started(&self, error: &Error) {
        self.failed(error);
        self.ended();
    }

    /// Says what becomes of the memberships when the threads end.
    pub(super) fn set_departure(&self, departure: Departure) {
        for thread in &self.threads.lock().stream {
            thread.set_departure(departure);
        }
    }

    fn stop_all(&self) {
        let threads = self.threads.lock();
        for thread in threads.stream.iter().chain(&threads.global) {
            thread.stop();
        }
        drop(threads);
        self.log.wake();
    }

    /// A thread's state has changed: running is who runs on all threads.
    fn threads_changed(&self) {
        let threads = self.threads.lock();
        let states: Vec<ThreadState> =
            threads.stream.iter().chain(&threads.global).map(|thread| thread.state()).collect();
        drop(threads);
        let is_running = states.iter().all(|state| matches!(state, ThreadState::Running | ThreadState::Dead))
            && states.contains(&ThreadState::Running);
        let is_rebalancing = states
            .iter()
            .any(|state| matches!(state, ThreadState::PartitionsAssigned | ThreadState::PartitionsRevoked));
        if is_running {
            self.state.become_state(State::Running);
        } else if is_rebalancing && self.state.get() == State::Running {
            self.state.become_state(State::Rebalancing);
        }
    }

    /// A thread ends with an error: asks the handler and ends the others.
    fn failed(&self, error: &Error) {
        let handler = {
            let mut threads = self.threads.lock();
            threads.error.get_or_insert_with(|| error.clone());
            threads.handler.clone()
        };
        let response = match handler {
            None => StreamThreadExceptionResponse::ShutdownClient,
            Some(handler) => guarded("uncaught exception handler", || handler(error)).unwrap_or_else(|broken| {
                tracing::error!(error = %broken, "the uncaught exception handler is at fault");
                StreamThreadExceptionResponse::ShutdownClient
            }),
        };
        tracing::error!(%error, ?response, "a thread ended with an error; the instance shuts down");
        self.state.become_state(State::PendingError);
        self.stop_all();
    }

    /// A thread has ended, by an error or because it was asked to.
    fn ended(&self) {
        let alive = {
            let mut threads = self.threads.lock();
            threads.alive = threads.alive.saturating_sub(1);
            threads.alive
        };
        if alive == 0 {
            // Either a close or an error was under way.
            let _ = self.state.become_state(State::Error) || self.state.become_state(State::NotRunning);
            self.over.notify_all();
        }
    }
}

/// A thread that can be supervised.
pub(super) trait Supervised: Send + 'static {
    fn step(&mut self, now: Now) -> Step;
    fn control(&self) -> &Arc<ThreadControl>;
    fn error(&self) -> Option<&Error>;
}

impl Supervised for StreamThread {
    fn step(&mut self, now: Now) -> Step {
        self.step(now)
    }

    fn control(&self) -> &Arc<ThreadControl> {
        self.control()
    }

    fn error(&self) -> Option<&Error> {
        self.error()
    }
}

impl Supervised for GlobalThread {
    fn step(&mut self, now: Now) -> Step {
        self.step(now)
    }

    fn control(&self) -> &Arc<ThreadControl> {
        self.control()
    }

    fn error(&self) -> Option<&Error> {
        self.error()
    }
}

/// A thread under supervision.
pub(super) struct Run<T> {
    thread: T,
    supervisor: Arc<Supervisor>,
    seen: ThreadState,
    has_failed: bool,
}

impl<T: Supervised> Run<T> {
    pub(super) fn new(thread: T, supervisor: &Arc<Supervisor>) -> Self {
        Self { thread, supervisor: Arc::clone(supervisor), seen: ThreadState::Created, has_failed: false }
    }
}

impl<T: Supervised> Driven for Run<T> {
    fn step(&mut self, now: Now) -> Step {
        self.thread.step(now)
    }

    fn observe(&mut self) {
        // Before the next step, with which the thread leaves the group.
        if !self.has_failed
            && let Some(error) = self.thread.error()
        {
            self.has_failed = true;
            self.supervisor.failed(error);
        }
        let state = self.thread.control().state();
        if state != self.seen {
            self.seen = state;
            self.supervisor.threads_changed();
        }
    }

    fn end(self: Box<Self>, bug: Option<Error>) {
        let Self { thread, supervisor, .. } = *self;
        if let Some(bug) = bug {
            supervisor.failed(&bug);
        }
        thread.control().publish(|metadata| metadata.state = ThreadState::Dead);
        // Stores are closed before the instance says it is closed.
        drop(thread);
        supervisor.ended();
    }
}
