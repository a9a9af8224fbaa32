//! From the states of threads to the state of the instance, and from a thread's error to its end or
//! to another thread in its place.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use millstream_log::Departure;
use millstream_types::{Error, ErrorKind, Result};
use parking_lot::{Condvar, Mutex};

use super::Streams;
use super::driver::{self, Driven};
use super::replacements::Replacements;
use super::roster::Roster;
use super::run::Run;
use super::state::{State, StateCell};
use crate::guard::guarded;
use crate::instance::{Components, Instance};
use crate::thread::{ThreadControl, ThreadMetadata, ThreadState};

/// What becomes of the application when a stream thread ended with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamThreadExceptionResponse {
    /// Another thread takes its place and its tasks, from the last commit on. The instance runs on; a
    /// record that nobody can process ends the next thread just so. The first one in a minute begins at once,
    /// those that follow after pauses that grow up to 5 s. The thread of global stores cannot be replaced: the
    /// instance ends.
    ReplaceThread,
    /// This instance ends: its other threads commit and close, the state becomes ERROR.
    ShutdownClient,
    /// All instances end, as by `ShutdownClient`: the group tells the others.
    ShutdownApplication,
}

/// Decides what becomes of the application when a stream thread ended with an error.
pub type UncaughtExceptionHandler = Arc<dyn Fn(&Error) -> StreamThreadExceptionResponse + Send + Sync>;

/// Starts, watches and ends the threads of an instance.
pub(crate) struct Supervisor {
    pub(super) state: StateCell,
    pub(crate) instance: Instance,
    pub(crate) components: Components,
    threads: Mutex<Threads>,
    /// A thread has ended.
    ended: Condvar,
}

#[derive(Default)]
struct Threads {
    roster: Roster,
    replacements: Replacements,
    handles: Vec<JoinHandle<()>>,
    is_started: bool,
    handler: Option<UncaughtExceptionHandler>,
    error: Option<Error>,
}

impl Supervisor {
    pub(super) fn new(instance: Instance, components: Components) -> Self {
        Self { state: StateCell::new(), instance, components, threads: Mutex::default(), ended: Condvar::new() }
    }

    pub(super) fn set_handler(&self, handler: UncaughtExceptionHandler) {
        self.threads.lock().handler = Some(handler);
    }

    pub(super) fn error(&self) -> Option<Error> {
        self.threads.lock().error.clone()
    }

    pub(super) fn metadata(&self) -> Vec<ThreadMetadata> {
        self.threads.lock().roster.metadata()
    }

    pub(crate) fn stream_threads(&self) -> Vec<Arc<ThreadControl>> {
        self.threads.lock().roster.stream_threads().cloned().collect()
    }

    pub(crate) fn is_own_thread(&self, name: &str) -> bool {
        self.threads.lock().roster.find(name).is_some()
    }

    /// Starts the threads that the configuration asks for.
    ///
    /// # Errors
    /// `State` when it was started or closed before, or the system gives no thread.
    pub(super) fn start(self: &Arc<Self>) -> Result<()> {
        if std::mem::replace(&mut self.threads.lock().is_started, true) || self.state.get() != State::Created {
            return Err(self.cannot_start());
        }
        let count = self.instance.shared().config.num_stream_threads().max(1);
        let global = self.instance.global_thread();
        let streams: Vec<_> = (1..=count).map(|number| self.instance.stream_thread(number)).collect();
        let mut threads = self.threads.lock();
        if let Some(global) = &global {
            threads.roster.add_global(Arc::clone(global.control()));
        }
        for (thread, number) in streams.iter().zip(1..) {
            threads.roster.add(number, Arc::clone(thread.control()));
        }
        drop(threads);
        // Only now: a close that comes from here on finds the threads and stops them.
        if !self.state.become_state(State::Rebalancing) {
            self.threads.lock().roster.clear();
            self.finish();
            return Err(self.cannot_start());
        }
        let mut outcome = Ok(());
        if let Some(global) = global {
            let name = Arc::clone(global.control().name());
            outcome = self.spawn(&name, Box::new(Run::new(global, self, 0)));
        }
        for thread in streams {
            let name = Arc::clone(thread.control().name());
            outcome = outcome.and(self.spawn(&name, Box::new(Run::new(thread, self, 0))));
        }
        outcome
    }

    fn cannot_start(&self) -> Error {
        Error::new(ErrorKind::State, format!("an application starts once; its state is {}", self.state.get()))
    }

    /// Runs a thread that is on the list.
    fn spawn(self: &Arc<Self>, name: &Arc<str>, run: Box<dyn Driven>) -> Result<()> {
        let (log, clock) = (Arc::clone(&self.components.log), Arc::clone(&self.components.clock));
        match driver::spawn(name, run, log, clock) {
            Ok(handle) => {
                let mut threads = self.threads.lock();
                threads.handles.retain(|handle| !handle.is_finished());
                threads.handles.push(handle);
                Ok(())
            }
            Err(error) => {
                self.end_with(&error);
                self.thread_ended(name);
                Err(error)
            }
        }
    }

    /// Starts one more stream thread; `None` when the instance does not run.
    ///
    /// # Errors
    /// `State` when the system gives no thread.
    pub(super) fn add_thread(self: &Arc<Self>) -> Result<Option<Arc<str>>> {
        self.add_thread_from(0)
    }

    /// The same with a thread that does nothing before a time.
    fn add_thread_from(self: &Arc<Self>, from_ns: u64) -> Result<Option<Arc<str>>> {
        let thread = {
            let mut threads = self.threads.lock();
            if !self.state.is_running_or_rebalancing() {
                drop(threads);
                tracing::warn!(state = %self.state.get(), "no stream thread can be added in this state");
                return Ok(None);
            }
            let number = threads.roster.next_number();
            let thread = self.instance.stream_thread(number);
            threads.roster.add(number, Arc::clone(thread.control()));
            self.share_memory(&threads.roster);
            thread
        };
        let name = Arc::clone(thread.control().name());
        // A close since then has stopped all that are on the list: the thread ends with its first step.
        self.spawn(&name, Box::new(Run::new(thread, self, from_ns)))?;
        Ok(Some(name))
    }

    /// Stops one stream thread and waits until it has ended, unless it is the calling one; `None` when
    /// there is none or the instance does not run.
    ///
    /// # Errors
    /// `State` when it has not ended in time; it ends as soon as it can.
    pub(super) fn remove_thread(&self, timeout: Option<Duration>) -> Result<Option<Arc<str>>> {
        let current = std::thread::current();
        let caller = current.name().unwrap_or_default();
        let mut threads = self.threads.lock();
        if !self.state.is_running_or_rebalancing() {
            tracing::warn!(state = %self.state.get(), "no stream thread can be removed in this state");
            return Ok(None);
        }
        let Some(control) = threads.roster.to_remove(caller) else { return Ok(None) };
        // Nobody comes back for its membership.
        control.set_departure(Departure::Leave);
        control.stop();
        self.share_memory(&threads.roster);
        self.components.log.wake();
        let name = Arc::clone(control.name());
        if *name == *caller {
            return Ok(Some(name));
        }
        let is_alive =
            |threads: &mut Threads| threads.roster.find(&name).is_some() && control.state() != ThreadState::Dead;
        match timeout {
            None => self.ended.wait_while(&mut threads, is_alive),
            Some(timeout) if self.ended.wait_while_for(&mut threads, is_alive, timeout).timed_out() => {
                let message = format!("{name} did not stop within {} ms; it goes on stopping", timeout.as_millis());
                return Err(Error::new(ErrorKind::State, message));
            }
            Some(_) => {}
        }
        Ok(Some(name))
    }

    /// The record caches have one budget, shared by the threads that live.
    fn share_memory(&self, roster: &Roster) {
        self.instance.shared().share_memory(roster.live());
    }

    /// Starts an orderly end.
    pub(super) fn shut_down(&self) {
        self.state.become_state(State::PendingShutdown);
        self.stop_all(false);
        self.finish();
    }

    pub(super) fn is_over(&self) -> bool {
        self.threads.lock().roster.is_over()
    }

    /// Waits until all threads have ended; whether they have.
    pub(super) fn wait_until_over(&self, timeout: Duration) -> bool {
        let mut threads = self.threads.lock();
        self.ended.wait_while_for(&mut threads, |threads| !threads.roster.is_over(), timeout);
        if !threads.roster.is_over() {
            return false;
        }
        let handles = std::mem::take(&mut threads.handles);
        drop(threads);
        for handle in handles {
            // It has ended but for its last instructions; a panic was reported already.
            drop(handle.join());
        }
        true
    }

    /// Says what becomes of the memberships when the threads end.
    pub(super) fn set_departure(&self, departure: Departure) {
        for control in self.threads.lock().roster.all() {
            control.set_departure(departure);
        }
    }

    fn stop_all(&self, ends_application: bool) {
        let threads = self.threads.lock();
        for control in threads.roster.all() {
            if ends_application {
                control.end_application();
            }
            control.stop();
        }
        drop(threads);
        self.components.log.wake();
    }

    /// A thread's state has changed: running is who runs on all threads.
    pub(super) fn threads_changed(&self) {
        let states: Vec<ThreadState> = self.threads.lock().roster.all().map(|control| control.state()).collect();
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

    /// A thread ends with an error: asks the handler what becomes of the application.
    pub(super) fn failed(self: &Arc<Self>, thread: &str, error: &Error) {
        let (handler, is_global) = {
            let threads = self.threads.lock();
            (threads.handler.clone(), threads.roster.is_global(thread))
        };
        let response = match handler {
            None => StreamThreadExceptionResponse::ShutdownClient,
            Some(handler) => guarded("uncaught exception handler", || handler(error)).unwrap_or_else(|broken| {
                tracing::error!(error = %broken, "the uncaught exception handler is at fault");
                StreamThreadExceptionResponse::ShutdownClient
            }),
        };
        tracing::error!(target: Streams::THREAD_ENDED, thread, %error, ?response, "a thread ended with an error");
        match response {
            StreamThreadExceptionResponse::ReplaceThread if !is_global => {
                let mut threads = self.threads.lock();
                // The group is to give its tasks away at once.
                if let Some(control) = threads.roster.find(thread) {
                    control.set_departure(Departure::Leave);
                }
                let from_ns = threads.replacements.next_ns(self.components.clock.now());
                drop(threads);
                // Where no thread can be made, that error has ended the instance.
                drop(self.add_thread_from(from_ns));
            }
            StreamThreadExceptionResponse::ReplaceThread => {
                tracing::error!(thread, "the thread of global stores cannot be replaced; the instance shuts down");
                self.end_with(error);
            }
            StreamThreadExceptionResponse::ShutdownClient => self.end_with(error),
            StreamThreadExceptionResponse::ShutdownApplication => {
                self.instance.shared().application_ends.store(true, Ordering::Release);
                // Those that are members say so when they leave.
                self.stop_all(true);
                self.end_with(error);
            }
        }
    }

    /// Ends the instance with an error.
    pub(super) fn end_with(&self, error: &Error) {
        self.threads.lock().error.get_or_insert_with(|| error.clone());
        self.state.become_state(State::PendingError);
        self.stop_all(false);
    }

    /// A thread has ended: by an error, removed, or because the instance ends.
    pub(super) fn thread_ended(&self, name: &str) {
        let mut threads = self.threads.lock();
        threads.roster.ended(name, self.state.is_running_or_rebalancing());
        self.share_memory(&threads.roster);
        drop(threads);
        self.threads_changed();
        self.finish();
        self.ended.notify_all();
    }

    /// Takes the last step if no thread is left and the end was under way.
    fn finish(&self) {
        if self.is_over() {
            let _ = self.state.become_state(State::Error) || self.state.become_state(State::NotRunning);
            self.ended.notify_all();
        }
    }
}
