//! Threads: the one place that makes them. A thread steps, and waits where a step has nothing to do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use millstream_log::Log;
use millstream_types::{Clock, Error, ErrorKind, Now, Result};

use crate::guard::panic_text;
use crate::thread::Step;

/// Stack of a thread: records are pushed depth first, so deep topologies need room.
const STACK_BYTES: usize = 8 << 20;

/// What a thread drives.
pub(crate) trait Driven: Send + 'static {
    /// One step.
    fn step(&mut self, now: Now) -> Step;

    /// Called after each step.
    fn observe(&mut self);

    /// Called once, when the last step is over; with the error if one of ours panicked.
    fn end(self: Box<Self>, bug: Option<Error>);
}

/// Runs something on a thread of its own.
///
/// # Errors
/// `State` when the system gives no thread.
#[expect(clippy::disallowed_methods, reason = "the one home of threads")]
pub(crate) fn spawn(
    name: &str,
    mut driven: Box<dyn Driven>,
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
) -> Result<JoinHandle<()>> {
    let run = move || {
        // A panic that comes up to here is a bug of ours: user code is caught at its node. It must
        // not end the thread silently.
        let outcome = catch_unwind(AssertUnwindSafe(|| drive(&mut *driven, &*log, &*clock)));
        let bug = outcome.err().map(|panic| {
            Error::new(ErrorKind::Fatal, format!("a stream thread panicked, which is a bug: {}", panic_text(&*panic)))
        });
        driven.end(bug);
    };
    Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(run).map_err(|error| {
        Error::new(ErrorKind::State, format!("the system gives no thread for {name}")).with_source(error)
    })
}

fn drive(driven: &mut dyn Driven, log: &dyn Log, clock: &dyn Clock) {
    loop {
        let now = clock.now();
        let step = driven.step(now);
        driven.observe();
        match step {
            Step::Progress => {}
            Step::Idle { until_ns } => log.wait(Duration::from_nanos(until_ns.saturating_sub(now.mono_ns))),
            Step::Stopped => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use millstream_log::{EmbeddedLog, Options};
    use millstream_types::clock::SystemClock;

    use super::*;

    /// Panics in its second step.
    struct Broken {
        steps: u32,
        ended: mpsc::Sender<Option<Error>>,
    }

    impl Driven for Broken {
        fn step(&mut self, _: Now) -> Step {
            self.steps += 1;
            assert!(self.steps < 2, "an invariant is broken");
            Step::Progress
        }

        fn observe(&mut self) {}

        fn end(self: Box<Self>, bug: Option<Error>) {
            self.ended.send(bug).unwrap();
        }
    }

    #[test]
    fn a_bug_of_ours_becomes_an_error_and_is_never_silent() {
        let (ended, outcome) = mpsc::channel();
        let log = Arc::new(EmbeddedLog::memory(Options::default()));
        let thread = spawn("broken", Box::new(Broken { steps: 0, ended }), log, Arc::new(SystemClock::new())).unwrap();
        let bug = outcome.recv().unwrap().expect("the panic is reported");
        assert_eq!(bug.kind(), ErrorKind::Fatal);
        assert!(bug.to_string().contains("an invariant is broken"), "{bug}");
        thread.join().unwrap();
    }
}
