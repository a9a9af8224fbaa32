//! What a thread does about errors: begin anew from the last commit, or end.

use std::time::Duration;

use millstream_log::{Departure, GroupTopology};
use millstream_state::CacheBudget;
use millstream_types::clock::nanos;
use millstream_types::{Error, ErrorKind, Now};

use super::{Phase, Step, StreamThread};

/// Repeated failures that were answered by beginning anew.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    first_ns: u64,
    last_ns: u64,
}

/// What has not passed in time.
pub(super) fn hopeless(error: Error, timeout: Duration) -> Error {
    let message = format!("the same trouble for longer than task.timeout.ms ({} ms)", timeout.as_millis());
    let context = error.context().clone();
    Error::new(ErrorKind::Fatal, message).with_source(error).with_context(|known| *known = context)
}

impl StreamThread {
    /// Decides by the error's kind. What was not committed is dropped in every case: flows, caches,
    /// overlays and queues are never trusted after an error.
    pub(super) fn recover(&mut self, error: Error, now: Now) -> Step {
        let is_retriable = matches!(error.kind(), ErrorKind::Fenced | ErrorKind::Retriable);
        if !is_retriable {
            return self.die(error);
        }
        if self.is_hopeless(now) {
            return self.die(hopeless(error, self.shared.config.task_timeout()));
        }
        tracing::warn!(thread = %self.control.metadata().name, %error, "beginning anew from the last commit");
        // An offset commit of ours that is still on its way could take back what the next ones say: it must find another
        // membership.
        let must_join = error.kind() == ErrorKind::Fenced || self.claims_first();
        self.roll_back(must_join);
        Step::Progress
    }

    /// Drops every task and registers the writer again, which aborts its transaction; the tasks
    /// are then built again from what is committed.
    pub(super) fn roll_back(&mut self, must_join: bool) {
        self.shared.metrics.add_rollbacks(1);
        self.drop_tasks();
        // First: what waits to be written is not to be written by the next membership.
        let init = self.writer.init();
        if must_join {
            if self.claims_first() {
                // Who joins again without having left may get the same epoch, by which such a commit counts.
                drop(self.member.leave(Departure::Leave));
            }
            self.join();
        } else {
            self.waiting.clone_from(&self.assigned);
        }
        self.phase = Phase::Initialising(init);
    }

    /// Drops every task and looks topics up anew, then joins with what there is now. What was not
    /// committed is processed again.
    pub(super) fn lay_out_anew(&mut self) {
        tracing::info!(thread = %self.control.metadata().name, "topics have changed; they are looked at anew");
        self.must_lay_out = false;
        self.drop_tasks();
        self.phase = Phase::Setup(Box::default());
    }

    /// Joins the group, as if for the first time.
    pub(super) fn join(&mut self) {
        self.assigned.clear();
        self.copies = None;
        self.waiting.clear();
        self.is_settled = false;
        let subtopologies = self.layout.subtopologies.iter();
        self.member.join(GroupTopology { subtopologies: subtopologies.map(|known| known.facts.clone()).collect() });
    }

    /// Ends with an error: nothing more is committed.
    pub(super) fn die(&mut self, error: Error) -> Step {
        // Whoever runs the thread tells it to the user.
        tracing::debug!(thread = %self.control.metadata().name, %error, "the stream thread ends");
        self.drop_tasks();
        self.copies = None;
        // Whether this succeeds changes nothing for us: a transaction that cannot be aborted ends by
        // its timeout.
        drop(self.writer.abort());
        self.error = Some(error);
        self.phase = Phase::Failed;
        Step::Progress
    }

    /// Drops all tasks with what they have not committed.
    fn drop_tasks(&mut self) {
        for task in &mut self.tasks {
            task.close();
        }
        self.tasks.clear();
        self.commit = None;
        self.claim = None;
        self.refusal = None;
        self.takeover = None;
        self.takeover_pause = None;
        self.waiting.clear();
        if self.revoking.take().is_some() {
            self.member.revoked();
        }
        self.reader.assign(&[]);
        self.cache = CacheBudget::new(self.shared.cache_bytes());
        self.batch = 1;
        self.count_lag();
        self.standstill.forget();
        self.set_held_up(Vec::new());
    }

    /// Whether failures follow each other for longer than `task.timeout.ms` without a commit.
    pub(super) fn is_hopeless(&mut self, now: Now) -> bool {
        let timeout_ns = nanos(self.shared.config.task_timeout());
        let mut trouble = match self.trouble {
            Some(known) if now.mono_ns.saturating_sub(known.last_ns) <= timeout_ns => known,
            _ => Trouble { first_ns: now.mono_ns, last_ns: now.mono_ns },
        };
        trouble.last_ns = now.mono_ns;
        self.trouble = Some(trouble);
        now.mono_ns.saturating_sub(trouble.first_ns) > timeout_ns
    }
}
