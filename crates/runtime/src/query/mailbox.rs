//! How others ask a stream thread to do something with its stores, between two records.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::thread::StreamThread;

/// Something to be done by a stream thread.
pub(crate) type Job = Box<dyn FnOnce(&mut StreamThread) + Send>;

/// What waits for a stream thread. A thread looks once a step, at one flag.
#[derive(Default)]
pub(crate) struct Mailbox {
    has_mail: AtomicBool,
    jobs: Mutex<Jobs>,
}

#[derive(Default)]
struct Jobs {
    waiting: Vec<Job>,
    is_closed: bool,
}

impl Mailbox {
    /// Leaves a job; one for a thread that is over is dropped at once.
    pub(crate) fn post(&self, job: Job) {
        let mut jobs = self.jobs.lock();
        if !jobs.is_closed {
            jobs.waiting.push(job);
            self.has_mail.store(true, Ordering::Release);
        }
    }

    /// Whether there is something to do.
    pub(crate) fn has_mail(&self) -> bool {
        self.has_mail.load(Ordering::Acquire)
    }

    /// Takes all jobs.
    pub(crate) fn take(&self) -> Vec<Job> {
        let mut jobs = self.jobs.lock();
        self.has_mail.store(false, Ordering::Release);
        std::mem::take(&mut jobs.waiting)
    }

    /// The thread is over: drops what waits and all that is still to come.
    pub(crate) fn close(&self) {
        let mut jobs = self.jobs.lock();
        jobs.is_closed = true;
        let dropped = std::mem::take(&mut jobs.waiting);
        drop(jobs);
        // Those who wait for them are told by this.
        drop(dropped);
    }
}
