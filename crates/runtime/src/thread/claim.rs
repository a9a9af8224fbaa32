//! Under `at_most_once` offsets are committed before their records are processed: a thread claims what it
//! has fetched, and goes on with what it claimed before while the commit is under way.
//!
//! What is claimed and not processed when a thread fails is lost, which is the promise. When a thread
//! gives tasks up in order, the last commit goes back to what was processed.

use millstream_types::clock::nanos;
use millstream_types::{Now, ProcessingGuarantee, Result};

use super::StreamThread;
use super::commit::{Commit, Progress};
use super::output::WriterOutput;
use crate::shared::failed;
use crate::task::Task;

impl StreamThread {
    /// Whether nothing may be processed before its offset is committed.
    pub(super) fn claims_first(&self) -> bool {
        self.shared.config.processing_guarantee() == ProcessingGuarantee::AtMostOnce
    }

    /// Goes on with the claim under way and starts the next one; whether records came free.
    ///
    /// # Errors
    /// Of the commit; of a record that came to the head of its queue and cannot be read.
    pub(super) fn claim(&mut self, now: Now) -> Result<bool> {
        if !self.claims_first() {
            return Ok(false);
        }
        let progress = self.claim.is_some() && self.finish_claim(now)?.is_none();
        // Two commits at once could overtake each other.
        if self.claim.is_some() || self.is_commit_due(now) {
            return Ok(progress);
        }
        let offsets: Vec<_> = self.tasks.iter_mut().flat_map(Task::claim).collect();
        if offsets.is_empty() {
            return Ok(progress);
        }
        let timeout_ns = nanos(self.shared.config.task_timeout());
        self.claim = Some(Commit::of_offsets(&mut *self.member, offsets, timeout_ns, now));
        Ok(self.finish_claim(now)?.is_none() || progress)
    }

    /// Goes on with the claim under way; gives when to look again if it is not over.
    pub(super) fn finish_claim(&mut self, now: Now) -> Result<Option<u64>> {
        let Some(claim) = &mut self.claim else { return Ok(None) };
        match claim.poll(&mut *self.writer, &mut *self.member, now) {
            Progress::Pending { until_ns } => return Ok(Some(until_ns)),
            Progress::Failed(failure) => {
                self.claim = None;
                return Err(failed(failure));
            }
            Progress::Done => {}
        }
        self.claim = None;
        for task in &mut self.tasks {
            task.claimed(&mut WriterOutput { writer: &mut *self.writer, now }, now)?;
        }
        Ok(None)
    }
}
