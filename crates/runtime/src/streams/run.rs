//! A thread under supervision.

use std::sync::Arc;

use millstream_types::{Error, Now};

use super::driver::Driven;
use super::supervisor::Supervisor;
use crate::globals::GlobalThread;
use crate::thread::{Step, StreamThread, ThreadControl, ThreadState};

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

/// A thread and who watches it.
pub(super) struct Run<T> {
    thread: T,
    supervisor: Arc<Supervisor>,
    seen: ThreadState,
    has_failed: bool,
    /// It does nothing before this time, unless it is to stop.
    from_ns: u64,
}

impl<T: Supervised> Run<T> {
    /// A thread that runs from a time on.
    pub(super) fn new(thread: T, supervisor: &Arc<Supervisor>, from_ns: u64) -> Self {
        Self { thread, supervisor: Arc::clone(supervisor), seen: ThreadState::Created, has_failed: false, from_ns }
    }
}

impl<T: Supervised> Driven for Run<T> {
    fn step(&mut self, now: Now) -> Step {
        if now.mono_ns < self.from_ns && !self.thread.control().is_stopping() {
            return Step::Idle { until_ns: self.from_ns };
        }
        self.thread.step(now)
    }

    fn observe(&mut self) {
        // Before the next step, with which the thread leaves the group.
        if !self.has_failed
            && let Some(error) = self.thread.error()
        {
            self.has_failed = true;
            let control = self.thread.control();
            if control.is_told_to_end() {
                // Another instance's handler has decided.
                self.supervisor.end_with(error);
            } else {
                self.supervisor.failed(control.name(), error);
            }
        }
        let state = self.thread.control().state();
        if state != self.seen {
            self.seen = state;
            self.supervisor.threads_changed();
        }
    }

    fn end(self: Box<Self>, bug: Option<Error>) {
        let Self { thread, supervisor, .. } = *self;
        let control = Arc::clone(thread.control());
        if let Some(bug) = bug {
            control.publish(|metadata| metadata.state = ThreadState::PendingShutdown);
            supervisor.failed(control.name(), &bug);
        }
        // Stores are closed before the thread is said to be over.
        drop(thread);
        control.publish(|metadata| metadata.state = ThreadState::Dead);
        supervisor.thread_ended(control.name());
    }
}
