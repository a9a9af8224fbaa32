//! When a thread commits, and what follows a commit: local state, purged repartition topics.

use millstream_log::{FailureKind, Outcome};
use millstream_state::CommitMark;
use millstream_types::clock::nanos;
use millstream_types::{Error, ErrorKind, Now, Offset, Result, TaskId, TopicPartition};

use super::commit::{Commit, Progress};
use super::output::WriterOutput;
use super::{Refusal, StreamThread, TakeoverPause};
use crate::task::{Applied, StoreChangelog, Task};

/// First wait before local state is written again, and the longest.
const APPLY_BACKOFF_NS: (u64, u64) = (100_000_000, 10_000_000_000);
/// Longest time that local stores stay behind commits: what a crash costs is to read so much of their
/// changelogs again. A row that is written again meanwhile goes to its engine once.
const APPLY_NS_MAX: u64 = 10_000_000_000;
/// The same where there is little else to do.
const APPLY_NS_IDLE: u64 = 200_000_000;

impl StreamThread {
    /// Commits if it is time, a processor asked, or the stores hold too much; whether it did. A thread that has nothing
    /// else to do does not wait for the end of an interval that began when there was nothing to commit.
    pub(super) fn commit_if_due(&mut self, now: Now, is_idle: bool) -> Result<bool> {
        let is_due =
            self.is_commit_due(now) || is_idle && self.idle_commit_at().is_some_and(|at_ns| at_ns <= now.mono_ns);
        // A claim under way goes first: the two could overtake each other.
        if !is_due || self.claim.is_some() || self.commit.is_some() {
            return Ok(false);
        }
        self.pace.looked(now);
        self.count_lag();
        if !self.tasks.iter().any(Task::needs_commit) {
            return Ok(false);
        }
        self.start_commit(now)?;
        self.finish_commit(now)?;
        Ok(true)
    }

    /// When a thread that is idle commits what there is to commit.
    pub(super) fn idle_commit_at(&self) -> Option<u64> {
        let is_free = self.commit.is_none() && self.claim.is_none();
        let may_start = is_free && self.tasks.iter().any(Task::needs_commit);
        may_start.then(|| self.pace.idle_ns())
    }

    /// Whether it is time for a commit.
    pub(super) fn is_commit_due(&mut self, now: Now) -> bool {
        self.pace.is_due(now)
            || self.tasks.iter().any(Task::commit_requested)
            || self.uncommitted_bytes() > self.shared.uncommitted_bytes_max()
    }

    /// Flushes all tasks, in topological order, and starts the commit.
    pub(super) fn start_commit(&mut self, now: Now) -> Result<()> {
        self.pace.begun(now);
        let mut offsets = Vec::new();
        for task in &mut self.tasks {
            task.flush(&mut WriterOutput { writer: &mut *self.writer, now }, now)?;
        }
        let which = if self.is_apply_due(now) { Applied::All } else { Applied::Unlogged };
        for task in &mut self.tasks {
            offsets.extend(task.start_commit());
            task.seal(which);
        }
        let config = &self.shared.config;
        let mut commit = if config.is_exactly_once() {
            Commit::of_transaction(&mut *self.writer, &*self.member, offsets)
        } else {
            Commit::start(&mut *self.writer, offsets, nanos(config.task_timeout()), now)
        };
        for task in &self.tasks {
            commit.note_position(task.id(), task.position());
        }
        self.commit = Some(commit);
        Ok(())
    }

    /// Goes on with the commit under way; gives when to look again if it is not over.
    pub(super) fn finish_commit(&mut self, now: Now) -> Result<Option<u64>> {
        let Some(commit) = &mut self.commit else { return Ok(None) };
        match commit.poll(&mut *self.writer, &mut *self.member, now) {
            Progress::Pending { until_ns } => return Ok(Some(until_ns)),
            Progress::Failed(failure) => {
                self.commit = None;
                return Err(crate::shared::failed(failure));
            }
            Progress::Done => {}
        }
        let Some(commit) = self.commit.take() else { return Ok(None) };
        self.pace.done(now);
        self.shared.metrics.add_commits(1);
        self.trouble = None;
        for task in &mut self.tasks {
            task.committed();
        }
        self.note_purgeable(&commit);
        let topic_ids = &self.topic_ids;
        for task in &mut self.tasks {
            let id = task.id();
            let position = commit.position(id);
            task.settle(&mut |changelog, before| {
                let topic_id = changelog.and_then(|changelog| topic_ids.get(&changelog.topic)).copied();
                mark(&commit, id, changelog, before, topic_id.unwrap_or(0), position, now)
            })?;
        }
        self.has_idled = false;
        self.apply(now)?;
        if self.refusal.is_none() && !commit.offsets().is_empty() && self.mark_pace.is_due(now) {
            self.tasks.iter_mut().for_each(|task| task.renew_marks(now));
        }
        Ok(None)
    }

    /// Whether the local stores are to be brought up to the commit that starts now. In between their overlays grow.
    fn is_apply_due(&mut self, now: Now) -> bool {
        let behind_ns = now.mono_ns.saturating_sub(*self.applied_ns.get_or_insert(now.mono_ns));
        behind_ns >= APPLY_NS_MAX
            || self.has_idled && behind_ns >= APPLY_NS_IDLE
            || self.uncommitted_bytes() > self.shared.uncommitted_bytes_max()
    }

    /// Goes on with local state that was refused; gives when to try again: nothing is processed before.
    pub(super) fn apply_again(&mut self, now: Now) -> Result<Option<u64>> {
        match &self.refusal {
            None => Ok(None),
            Some(refusal) if now.mono_ns < refusal.retry_ns => Ok(Some(refusal.retry_ns)),
            Some(_) => self.apply(now),
        }
    }

    /// Where there is nothing to do and all is committed: brings the local stores up to that. Gives when it will be
    /// time for it.
    pub(super) fn apply_when_idle(&mut self, now: Now) -> Result<u64> {
        let is_committing = self.commit.is_some() || self.tasks.iter().any(Task::needs_commit);
        if is_committing || !self.tasks.iter().any(Task::is_behind) {
            return Ok(u64::MAX);
        }
        let due_ns = self.applied_ns.map_or(0, |applied_ns| applied_ns.saturating_add(APPLY_NS_IDLE));
        if now.mono_ns < due_ns {
            return Ok(due_ns);
        }
        self.tasks.iter_mut().for_each(|task| task.seal(Applied::All));
        Ok(self.apply(now)?.unwrap_or(u64::MAX))
    }

    /// The same for tasks that are given up, as far as it goes: what is not written heals from its changelog.
    pub(super) fn apply_at_last(&mut self) {
        if self.refusal.take().is_some() {
            return;
        }
        for task in self.tasks.iter_mut().filter(|task| !task.needs_commit()) {
            task.seal(Applied::All);
            if let Err(error) = task.apply() {
                tracing::warn!(%error, "local state cannot be written at the end; its next owner restores it");
            }
        }
    }

    fn uncommitted_bytes(&self) -> usize {
        self.tasks.iter().map(Task::uncommitted_bytes).sum()
    }

    /// Writes what is sealed to the local stores; gives when to try again if that did not work. The mark
    /// never moves past state that was not written.
    fn apply(&mut self, now: Now) -> Result<Option<u64>> {
        match self.tasks.iter_mut().try_for_each(Task::apply) {
            Ok(()) => {
                self.refusal = None;
                if !self.tasks.iter().any(Task::is_behind) {
                    self.applied_ns = Some(now.mono_ns);
                }
                Ok(None)
            }
            Err(error) if error.kind() == ErrorKind::Storage => Ok(Some(self.pause(error, now))),
            Err(error) => Err(error),
        }
    }

    /// The local store refuses (disk full, say): nothing is processed until it takes what is
    /// committed already.
    #[cold]
    fn pause(&mut self, error: Error, now: Now) -> u64 {
        let backoff_ns = self.refusal.as_ref().map_or(APPLY_BACKOFF_NS.0, |refusal| refusal.next_backoff_ns);
        let retry_ns = now.mono_ns.saturating_add(backoff_ns);
        let next_backoff_ns = backoff_ns.saturating_mul(2).min(APPLY_BACKOFF_NS.1);
        self.refusal = Some(Refusal { retry_ns, next_backoff_ns });
        self.control.publish(|metadata| {
            if metadata.paused.is_none() {
                tracing::error!(
                    thread = %metadata.name, %error,
                    "local state cannot be written; the thread pauses and tries again, nothing is lost"
                );
                metadata.paused = Some(error);
            }
        });
        retry_ns
    }

    /// The local store refuses while tasks are restored: their takeover begins again a little later,
    /// from where the marks stand. Running tasks go on meanwhile.
    #[cold]
    pub(super) fn pause_takeover(&mut self, error: Error, now: Now) {
        let is_running = |id: &TaskId| self.tasks.iter().any(|task| task.id() == *id);
        self.waiting = self.assigned.iter().filter(|id| !is_running(id)).copied().collect();
        self.takeover = None;
        let backoff_ns = self.takeover_pause.map_or(APPLY_BACKOFF_NS.0, |pause| pause.next_backoff_ns);
        self.takeover_pause = Some(TakeoverPause {
            retry_ns: now.mono_ns.saturating_add(backoff_ns),
            next_backoff_ns: backoff_ns.saturating_mul(2).min(APPLY_BACKOFF_NS.1),
        });
        self.control.publish(|metadata| {
            if metadata.paused.is_none() {
                tracing::error!(
                    thread = %metadata.name, %error,
                    "local state cannot be written while it is restored; the takeover is tried again, nothing is lost"
                );
                metadata.paused = Some(error);
            }
        });
    }

    /// Publishes how far the tasks are behind.
    pub(super) fn count_lag(&mut self) {
        let lag = self.tasks.iter().map(Task::lag).sum::<i64>();
        self.shared.metrics.move_lag(lag - self.lag);
        self.lag = lag;
    }

    /// Remembers up to where repartition topics are processed. Under `at_most_once` more may be committed, which a
    /// close gives back.
    fn note_purgeable(&mut self, commit: &Commit) {
        for (partition, committed) in commit.offsets() {
            let inputs = self.layout.subtopologies.iter().flat_map(|known| &known.inputs);
            if inputs.into_iter().any(|input| input.is_repartition && input.topic == partition.topic) {
                let processed = commit.processed(partition).min(committed.offset);
                self.purge.before.insert(partition.clone(), processed);
            }
        }
    }

    /// Deletes what is processed from repartition topics, when it is time.
    pub(super) fn purge(&mut self, now: Now) {
        if let Some(call) = &mut self.purge.call {
            match call.poll(now) {
                Outcome::Pending => return,
                Outcome::Done(()) => {}
                // It costs disk space only, and is tried again next time.
                Outcome::Failed(failure) if failure.kind == FailureKind::Fatal && !self.purge.has_warned => {
                    self.purge.has_warned = true;
                    tracing::warn!(%failure, "records of repartition topics are not deleted after they are processed");
                }
                Outcome::Failed(failure) => {
                    tracing::debug!(%failure, "records of repartition topics were not deleted");
                }
            }
            self.purge.call = None;
        }
        let last_ns = *self.purge.last_ns.get_or_insert(now.mono_ns);
        let interval_ns = nanos(self.shared.config.repartition_purge_interval());
        if self.purge.before.is_empty() || now.mono_ns.saturating_sub(last_ns) <= interval_ns {
            return;
        }
        self.purge.last_ns = Some(now.mono_ns);
        let before: Vec<(TopicPartition, Offset)> = std::mem::take(&mut self.purge.before).into_iter().collect();
        self.purge.call = Some(self.admin.delete_records(&before));
    }
}

/// The mark of a store for this commit.
fn mark(
    commit: &Commit,
    task: TaskId,
    changelog: Option<&StoreChangelog>,
    before: Option<CommitMark>,
    topic_id: u128,
    position: &[(TopicPartition, Offset)],
    now: Now,
) -> CommitMark {
    let partition = changelog.map(|changelog| {
        (TopicPartition::new(std::sync::Arc::clone(&changelog.topic), task.partition), changelog.is_source)
    });
    let written = match &partition {
        None => None,
        // The source topic is the changelog: its offset is that of the input.
        Some((partition, true)) => {
            position.iter().find(|(input, _)| input == partition).map(|(_, processed)| *processed)
        }
        Some((partition, false)) => commit.ack(partition).flatten(),
    };
    // An acknowledgement without offset leaves the old one: restoring repeats a little, loses
    // nothing.
    let changelog_offset = match written {
        Some(offset) => offset,
        None => before.map_or(Offset(-1), |mark| mark.changelog_offset),
    };
    CommitMark { changelog_offset, topic_id, leader_epoch: -1, position: position.to_vec(), wall_ms: now.wall_ms }
}
