//! Runs cases on many threads and gives their results in the order they came in.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::run;

/// How long a case may run.
const LIMIT: Duration = Duration::from_secs(30);
/// Stack of a worker: a deep topology recurses.
const STACK_BYTES: usize = 64 << 20;

/// Workers that run cases.
///
/// A case that takes too long keeps its thread; another takes that one's place.
pub struct Pool {
    jobs: Sender<Job>,
    waiting: Arc<Mutex<Receiver<Job>>>,
}

/// A case, and where its worker tells that it began, and then the result.
struct Job {
    case: String,
    news: Sender<Option<Json>>,
}

/// The result of a case, which may not be there yet.
pub struct Pending {
    id: Option<Json>,
    news: Receiver<Option<Json>>,
}

impl Pool {
    /// Starts as many workers as the machine has cores.
    #[must_use]
    pub fn start() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::of(cores)
    }

    /// Starts that many workers.
    #[must_use]
    pub fn of(workers: usize) -> Self {
        let (jobs, waiting) = channel();
        let pool = Self { jobs, waiting: Arc::new(Mutex::new(waiting)) };
        for _ in 0..workers {
            pool.start_worker();
        }
        pool
    }

    #[expect(clippy::disallowed_methods, reason = "the one place of this crate that starts workers")]
    fn start_worker(&self) {
        let waiting = Arc::clone(&self.waiting);
        let work = move || {
            // Held while waiting for a job, not while doing it.
            while let Ok(job) = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv() {
                // Whoever asked may be gone.
                let _ = job.news.send(None);
                let _ = job.news.send(Some(run(&job.case)));
            }
        };
        let name = "conformance".to_owned();
        // Without this worker the others go on; without any, a result says so.
        let _ = std::thread::Builder::new().name(name).stack_size(STACK_BYTES).spawn(work);
    }

    /// Gives a case to the next free worker.
    pub fn submit(&self, case: String) -> Pending {
        let id = serde_json::from_str::<Json>(&case).ok().and_then(|case| case.get("id").cloned());
        let (sender, news) = channel();
        // The receiver lives as long as this pool.
        let _ = self.jobs.send(Job { case, news: sender });
        Pending { id, news }
    }

    /// Waits for a result, at most for as long as a case may run.
    pub fn wait(&self, pending: Pending) -> Json {
        let outcome = match pending.news.recv() {
            Ok(_) => pending.news.recv_timeout(LIMIT),
            Err(_) => Err(RecvTimeoutError::Disconnected),
        };
        let mut special = match outcome {
            Ok(result) => return result.unwrap_or_default(),
            Err(RecvTimeoutError::Timeout) => json!({"timeout": true}),
            Err(RecvTimeoutError::Disconnected) => json!({"bad": "the worker ended"}),
        };
        self.start_worker();
        if let (Some(id), Json::Object(members)) = (pending.id, &mut special) {
            members.insert("id".to_owned(), id);
        }
        special
    }

    /// Results of all these cases, in their order.
    pub fn run_all(&self, cases: &[String]) -> Vec<Json> {
        let pending: Vec<Pending> = cases.iter().map(|case| self.submit(case.clone())).collect();
        pending.into_iter().map(|pending| self.wait(pending)).collect()
    }
}
