//! Transactions that threads of an earlier run have left open and no thread of this one ends: it has fewer, or writes no
//! transactions any more. Until their timeout they would hold up who reads committed records, our own restores among
//! them.
//!
//! A thread that has the number of an earlier one ends its transaction by registering its writer; for all other numbers
//! this does the same.

use std::sync::atomic::{AtomicBool, Ordering};

use millstream_log::{Call, FailureKind, Log, Outcome, Writer};
use millstream_state::EngineProvider;
use millstream_types::Now;
use parking_lot::Mutex;

/// Wait before registering again, after a failure without effect.
const BACKOFF_NS: u64 = 100_000_000;

/// The threads of earlier runs.
#[derive(Default)]
pub(crate) struct Predecessors {
    state: Mutex<State>,
    /// Whether some of them may have open transactions.
    is_busy: AtomicBool,
}

#[derive(Default)]
struct State {
    left: Vec<Predecessor>,
    /// Highest number that is kept for later runs.
    kept: usize,
    /// Highest number of a thread of this run that writes transactions.
    used: usize,
}

/// A thread that is gone.
struct Predecessor {
    number: usize,
    writer: Box<dyn Writer>,
    call: Call<()>,
    retry_ns: Option<u64>,
}

impl Predecessors {
    /// Begins to end the transactions of threads numbered higher than those that are about to start. `transactional_id`
    /// gives the id of a thread's number.
    pub(crate) fn begin(
        &self,
        engines: &dyn EngineProvider,
        log: &dyn Log,
        starting: usize,
        transactional_id: impl Fn(usize) -> String,
    ) {
        let mut state = self.state.lock();
        state.kept = engines.kept_threads();
        let numbers = starting + 1..=state.kept;
        state.left.extend(numbers.map(|number| {
            let mut writer = log.writer(Some(&transactional_id(number)));
            let call = writer.init();
            Predecessor { number, writer, call, retry_ns: None }
        }));
        if !state.left.is_empty() {
            tracing::info!(threads = state.left.len(), "ending what threads of an earlier run may have left open");
            self.is_busy.store(true, Ordering::Release);
        }
    }

    /// A thread of this number takes the place of an earlier one and writes transactions: later runs must know.
    pub(crate) fn replace(&self, engines: &dyn EngineProvider, number: usize) {
        let mut state = self.state.lock();
        // Registering an id for the dead would now fence the living.
        state.left.retain(|gone| gone.number != number);
        state.used = state.used.max(number);
        let highest = state.used.max(state.kept);
        state.keep(engines, highest);
    }

    /// Goes on; cheap where nothing is left. Called with each step of every thread, so that it does not depend on one
    /// of them.
    pub(crate) fn poll(&self, engines: &dyn EngineProvider, now: Now) {
        if !self.is_busy.load(Ordering::Acquire) {
            return;
        }
        let Some(mut state) = self.state.try_lock() else { return };
        let mut is_forgotten = true;
        state.left.retain_mut(|gone| match gone.turn(now) {
            None => true,
            Some(is_ended) => {
                is_forgotten &= is_ended;
                false
            }
        });
        if state.left.is_empty() {
            self.is_busy.store(false, Ordering::Release);
            if is_forgotten {
                let used = state.used;
                state.keep(engines, used);
            }
        }
    }
}

impl State {
    fn keep(&mut self, engines: &dyn EngineProvider, highest: usize) {
        if highest == self.kept {
            return;
        }
        match engines.keep_threads(highest) {
            Ok(()) => self.kept = highest,
            // It costs a wait after a crash, at most.
            Err(error) => tracing::warn!(%error, "the number of threads is not kept for later starts"),
        }
    }
}

impl Predecessor {
    /// Whether its transaction has ended, once that is known.
    fn turn(&mut self, now: Now) -> Option<bool> {
        if let Some(retry_ns) = self.retry_ns {
            if now.mono_ns < retry_ns {
                return None;
            }
            self.retry_ns = None;
            self.call = self.writer.init();
        }
        match self.call.poll(now) {
            Outcome::Pending => None,
            Outcome::Done(()) => Some(true),
            Outcome::Failed(failure) if failure.kind == FailureKind::Fatal => {
                tracing::warn!(%failure, thread = self.number, "a transaction of an earlier run ends by its timeout only");
                Some(false)
            }
            Outcome::Failed(_) => {
                self.retry_ns = Some(now.mono_ns.saturating_add(BACKOFF_NS));
                None
            }
        }
    }
}
