//! The step of a stream thread: what is done, in which order.

use std::sync::atomic::Ordering;

use millstream_log::{Call, FailureKind, MemberEvent, Outcome, ReaderEvent, SHUTDOWN_APPLICATION};
use millstream_types::clock::nanos;
use millstream_types::{Error, ErrorKind, Now, Result, TaskId};

use super::copies::Copies;
use super::output::WriterOutput;
use super::restore::of_partition;
use super::start::out_of_range;
use super::takeover::Takeover;
use super::{Phase, Step, StreamThread};
use crate::shared::failed;
use crate::task::Task;

/// Bytes of records taken from the log in one step.
const FETCH_BYTES: usize = 1 << 20;
/// Wait before registering the writer again, after a failure without effect.
const INIT_BACKOFF_NS: u64 = 100_000_000;
/// Wait for an operation under way; its end wakes the thread earlier.
const PENDING_NS: u64 = 100_000_000;

impl StreamThread {
    /// One step, as far as nothing goes wrong.
    pub(super) fn advance(&mut self, now: Now) -> Result<Step> {
        let may_leave =
            matches!(self.phase, Phase::Setup(_) | Phase::Initialising(_) | Phase::InitialisingAgain { .. });
        if may_leave && self.control.is_stopping() {
            return Ok(self.leave());
        }
        match &mut self.phase {
            Phase::Dead => Ok(Step::Stopped),
            Phase::Failed => {
                // A member that cannot leave is expelled in the end.
                drop(self.leave_group());
                self.phase = Phase::Dead;
                Ok(Step::Stopped)
            }
            Phase::Leaving(call) => match call.poll(now) {
                Outcome::Pending => Ok(pending(now)),
                // The session ends by itself where leaving failed.
                Outcome::Done(()) | Outcome::Failed(_) => {
                    self.phase = Phase::Dead;
                    Ok(Step::Stopped)
                }
            },
            Phase::Setup(setup) => {
                let Some(layout) = setup.poll(&self.shared, &mut *self.admin, now)? else { return Ok(pending(now)) };
                self.layout = layout;
                let init = self.writer.init();
                self.join();
                self.phase = Phase::Initialising(init);
                Ok(Step::Progress)
            }
            Phase::Initialising(_) | Phase::InitialisingAgain { .. } => self.initialise(now),
            Phase::Running => self.run(now),
        }
    }

    fn initialise(&mut self, now: Now) -> Result<Step> {
        self.poll_member(now)?;
        match &mut self.phase {
            Phase::Initialising(call) => match call.poll(now) {
                Outcome::Pending => return Ok(pending(now)),
                Outcome::Done(()) => self.phase = Phase::Running,
                Outcome::Failed(failure) if failure.kind == FailureKind::Fatal => return Err(failure.error),
                Outcome::Failed(failure) => {
                    tracing::warn!(%failure, "registering the writer is tried again");
                    self.phase = Phase::InitialisingAgain { at_ns: now.mono_ns.saturating_add(INIT_BACKOFF_NS) };
                }
            },
            Phase::InitialisingAgain { at_ns } if now.mono_ns < *at_ns => return Ok(Step::Idle { until_ns: *at_ns }),
            Phase::InitialisingAgain { .. } => self.phase = Phase::Initialising(self.writer.init()),
            _ => {}
        }
        Ok(Step::Progress)
    }

    fn run(&mut self, now: Now) -> Result<Step> {
        self.cache.set_bytes_max(self.shared.cache_bytes());
        self.poll_member(now)?;
        if !matches!(self.phase, Phase::Running) {
            return Ok(Step::Progress);
        }
        let commit_ns = self.finish_commit(now)?;
        // What is processed while a transaction ends belongs to the next one. All else waits for it, and so does
        // everything where offsets follow outputs, or come before them.
        let is_leaving = self.control.is_stopping() || self.revoking.is_some() || self.must_lay_out;
        if let Some(until_ns) = commit_ns.filter(|_| is_leaving || !self.shared.config.is_exactly_once()) {
            return Ok(Step::Idle { until_ns });
        }
        self.must_lay_out |= self.watch.poll(&self.shared, &self.layout, &mut *self.admin, now)?;
        let is_leaving = self.control.is_stopping() || self.revoking.is_some() || self.must_lay_out;
        if let Some(until_ns) = self.apply_again(now)?
            && !is_leaving
        {
            return Ok(Step::Idle { until_ns });
        }
        if is_leaving && commit_ns.is_none() {
            return self.let_go(now);
        }
        if !self.shared.may_run() {
            return Ok(pending(now));
        }
        let mut progress = commit_ns.is_none() && self.take_over(now)?;
        progress |= self.update_copies(now)?;
        progress |= self.fetch(now)?;
        self.look_for_standstill(now);
        progress |= self.claim(now)?;
        let is_paused = self.shared.is_paused();
        let processed = if is_paused { 0 } else { self.process(now)? };
        let punctuated = !is_paused && self.punctuate(now)?;
        if processed > 0 {
            self.pace.came(processed, now);
        }
        progress |= processed > 0 || punctuated;
        let committed = self.commit_if_due(now, !progress)?;
        if processed > 0 {
            self.batch = if punctuated || committed { (self.batch / 2).max(1) } else { self.batch.saturating_add(1) };
        }
        progress |= committed;
        self.purge(now);
        let send_ns = self.writer.send_lingering(now);
        if progress {
            return Ok(Step::Progress);
        }
        self.has_idled = true;
        let apply_ns = self.apply_when_idle(now)?;
        let wake_ns = [send_ns, commit_ns, self.idle_commit_at()].into_iter().flatten().fold(apply_ns, u64::min);
        Ok(Step::Idle { until_ns: self.next_deadline(now).min(wake_ns) })
    }

    /// Takes in what the group has to say.
    fn poll_member(&mut self, now: Now) -> Result<()> {
        let mut events = Vec::new();
        self.member.poll(now, &mut events);
        for event in events {
            match event {
                MemberEvent::Assigned { active, standby } => {
                    // First: a task that becomes active must find its stores closed.
                    self.keep_copies_of(standby, &active);
                    self.assigned(active);
                }
                MemberEvent::Revoke { tasks } => self.revoke(tasks),
                MemberEvent::Endpoints(endpoints) => *self.shared.endpoints.write() = endpoints,
                MemberEvent::Lost => {
                    tracing::warn!(thread = %self.control.metadata().name, "expelled from the group; joining again");
                    if self.layout.has_patterns {
                        // Perhaps the group was made anew, for topics that this thread has not seen yet.
                        self.lay_out_anew();
                    } else {
                        self.roll_back(true);
                    }
                }
                MemberEvent::Status { code, detail } => {
                    if code == SHUTDOWN_APPLICATION {
                        self.control.tell_to_end();
                        // The other threads of the instance are stopped before they hear of it.
                        self.shared.application_ends.store(true, Ordering::Release);
                    }
                    return Err(cannot_run(code, &detail));
                }
                MemberEvent::Failed(failure)
                    if matches!(failure.kind, FailureKind::Retriable | FailureKind::Unknown) =>
                {
                    tracing::warn!(%failure, "a request to the group failed and is repeated");
                }
                MemberEvent::Failed(failure) => return Err(failed(failure)),
            }
        }
        Ok(())
    }

    fn assigned(&mut self, active: Vec<TaskId>) {
        self.is_settled = true;
        let is_gone = |task: &Task| !active.contains(&task.id());
        if self.tasks.iter().any(is_gone) {
            // Not ours any more without having been revoked. What they wrote lies in the transaction
            // of all: the others cannot be committed without them.
            self.assigned = active;
            self.roll_back(self.claims_first());
            return;
        }
        self.waiting.retain(|task| active.contains(task));
        if let Some(takeover) = &mut self.takeover {
            let gone: Vec<TaskId> = takeover.tasks().filter(|task| !active.contains(task)).collect();
            takeover.remove(&gone);
        }
        self.waiting.extend(active.iter().filter(|task| !self.assigned.contains(task)));
        self.assigned = active;
    }

    fn revoke(&mut self, tasks: Vec<TaskId>) {
        self.assigned.retain(|task| !tasks.contains(task));
        self.waiting.retain(|task| !tasks.contains(task));
        if let Some(takeover) = &mut self.takeover {
            takeover.remove(&tasks);
        }
        if self.tasks.iter().any(|task| tasks.contains(&task.id())) {
            self.revoking = Some(tasks);
        } else {
            self.member.revoked();
        }
    }

    /// Closes tasks that are committed, or lost.
    fn close(&mut self, ids: &[TaskId]) {
        self.waiting.retain(|task| !ids.contains(task));
        if let Some(takeover) = &mut self.takeover {
            takeover.remove(ids);
        }
        for task in self.tasks.iter_mut().filter(|task| ids.contains(&task.id())) {
            task.close();
        }
        self.tasks.retain(|task| !ids.contains(&task.id()));
        self.count_lag();
        self.assign_reader();
    }

    /// Commits, then gives tasks up: those revoked, or all when the thread stops.
    fn let_go(&mut self, now: Now) -> Result<Step> {
        if let Some(until_ns) = self.finish_claim(now)? {
            return Ok(Step::Idle { until_ns });
        }
        let revoking = self.revoking.as_deref().filter(|_| !self.control.is_stopping());
        for task in &mut self.tasks {
            if revoking.is_none_or(|tasks| tasks.contains(&task.id())) {
                task.prepare_close();
            }
        }
        // Also where local stores refuse: what a task has written since lies in the transaction of all, and would be
        // committed without its offsets. State that cannot be applied is no reason to stay: it heals from its changelog.
        if self.tasks.iter().any(Task::needs_commit) {
            self.start_commit(now)?;
            if let Some(until_ns) = self.finish_commit(now)? {
                return Ok(Step::Idle { until_ns });
            }
        }
        self.apply_at_last();
        if self.control.is_stopping() {
            return Ok(self.leave());
        }
        if let Some(tasks) = self.revoking.take() {
            self.close(&tasks);
            self.member.revoked();
        } else if self.must_lay_out {
            self.lay_out_anew();
        }
        Ok(Step::Progress)
    }

    /// Closes everything and leaves the group.
    fn leave(&mut self) -> Step {
        let ids: Vec<TaskId> = self.tasks.iter().map(Task::id).collect();
        self.close(&ids);
        self.takeover = None;
        self.copies = None;
        self.refusal = None;
        self.phase = Phase::Leaving(self.leave_group());
        Step::Progress
    }

    fn leave_group(&mut self) -> Call<()> {
        if self.control.ends_application() {
            self.member.request_shutdown();
        }
        self.member.leave(self.shared.departure(self.control.departure()))
    }

    /// Goes on taking tasks over; whether anything moved.
    fn take_over(&mut self, now: Now) -> Result<bool> {
        if self.takeover_pause.is_some_and(|pause| now.mono_ns < pause.retry_ns) {
            return Ok(false);
        }
        if self.takeover.is_none()
            && let Some(task) = self.waiting.iter().find(|task| !self.layout.has(**task)).copied()
        {
            return self.meet_unknown_task(task, now);
        }
        let mut tools = Self::tools(&self.shared, &mut self.admin, &mut self.writer, &self.cache, &mut self.suspects);
        if self.takeover.is_none() && !self.waiting.is_empty() {
            let tasks = std::mem::take(&mut self.waiting);
            self.takeover = Some(Takeover::start(&mut tools, &self.layout, &tasks)?);
        }
        let Some(takeover) = &mut self.takeover else { return Ok(false) };
        let ready = match takeover.poll(&mut tools, now) {
            Ok(ready) => ready,
            Err(error) if error.kind() == ErrorKind::Storage && !self.is_hopeless(now) => {
                self.pause_takeover(error, now);
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let progress = takeover.has_progressed;
        if !ready.is_empty() {
            self.topic_ids.extend(takeover.topic_ids.iter().map(|(topic, id)| (topic.clone(), *id)));
        }
        if takeover.tasks().next().is_none() {
            self.takeover = None;
            self.takeover_pause = None;
        }
        if !ready.is_empty() {
            self.tasks.extend(ready);
            self.tasks.sort_by_key(Task::id);
            self.assign_reader();
        }
        Ok(progress)
    }

    /// A task of a partition that was not there when topics were looked at: they are looked at anew, which says
    /// whether internal topics still fit.
    fn meet_unknown_task(&mut self, task: TaskId, now: Now) -> Result<bool> {
        if self.is_hopeless(now) {
            let known = self.layout.of(task).map_or(0, |subtopology| subtopology.facts.tasks);
            let message = format!(
                "the group assigned task {task}, and the topics of its sub-topology have {known} partitions; do all \
                 instances run the same topology?"
            );
            return Err(Error::new(ErrorKind::Fatal, message).with_context(|context| context.task = Some(task)));
        }
        self.must_lay_out = true;
        Ok(true)
    }

    /// Finds out whether something holds reading up that is not for us to end.
    fn look_for_standstill(&mut self, now: Now) {
        let (tasks, takeover, copies) = (&self.tasks, &self.takeover, &self.copies);
        let reads_committed = self.shared.config.is_exactly_once();
        let read = || {
            let inputs = tasks.iter().filter(|_| reads_committed).flat_map(|task| task.positions().map(|(at, _)| at));
            let restored = takeover.iter().flat_map(Takeover::changelogs);
            let kept = copies.iter().flat_map(Copies::changelogs);
            inputs.chain(restored).chain(kept).cloned().collect()
        };
        let unanswered = takeover.as_ref().and_then(|takeover| takeover.unanswered(self.standstill.answer_ns(), now));
        if self.standstill.hear(unanswered) | self.standstill.poll(read, &mut *self.admin, now) {
            let held_up = self.standstill.held_up();
            self.set_held_up(held_up);
        }
    }

    pub(super) fn set_held_up(&mut self, held_up: Vec<Error>) {
        let count = held_up.len() as i64;
        self.control.publish(|metadata| {
            let before = std::mem::replace(&mut metadata.held_up, held_up).len() as i64;
            self.shared.metrics.move_held_up(count - before);
        });
    }

    /// Reads on where the queues of all tasks end.
    fn assign_reader(&mut self) {
        let of_task = |task: &Task| task.positions().map(|(at, next)| (at.clone(), next)).collect::<Vec<_>>();
        let positions: Vec<_> = self.tasks.iter().flat_map(of_task).collect();
        self.reader.assign(&positions);
        for task in &self.tasks {
            for partition in task.paused() {
                self.reader.pause(partition);
            }
        }
    }

    /// Fills the queues from the log; whether anything came.
    fn fetch(&mut self, now: Now) -> Result<bool> {
        let mut events = std::mem::take(&mut self.events);
        self.reader.poll(now, FETCH_BYTES, &mut events);
        let has_come = !events.is_empty();
        for event in events.drain(..) {
            match event {
                ReaderEvent::Fetched(fetched) => {
                    let Some(task) = self.tasks.iter_mut().find(|task| task.reads(&fetched.partition)) else {
                        continue;
                    };
                    task.add(&mut WriterOutput { writer: &mut *self.writer, now }, now, fetched)?;
                }
                ReaderEvent::OutOfRange { partition, position, log_start, log_end } => {
                    let is_committed = self.tasks.iter().any(|task| task.is_committed(&partition, position));
                    return Err(of_partition(out_of_range(position, (log_start, log_end), is_committed), &partition));
                }
                ReaderEvent::Gone { partition } if self.layout.is_matched(&partition.topic) => {
                    tracing::warn!(%partition, "a topic that a pattern matched was deleted; going on without it");
                    self.lay_out_anew();
                    return Ok(true);
                }
                ReaderEvent::Gone { partition } => {
                    let message = "the source topic was deleted, or deleted and created again; to go on with a new topic of that \
                                   name, delete the group's offsets of it while the application is stopped, or reset the \
                                   application";
                    return Err(of_partition(Error::new(ErrorKind::Fatal, message), &partition));
                }
                ReaderEvent::Failed(failure) => return Err(failed(failure)),
            }
        }
        self.events = events;
        self.control_flow();
        Ok(has_come)
    }

    /// Processes up to as many records of each task as the batch allows.
    fn process(&mut self, now: Now) -> Result<usize> {
        // The log is slower than we are; its acknowledgements wake the thread.
        if self.writer.is_full() {
            return Ok(0);
        }
        let mut processed = 0;
        let mut dropped = 0;
        for at in 0..self.tasks.len() {
            // Whoever asks does not wait for all tasks.
            self.serve_queries();
            let Some(task) = self.tasks.get_mut(at) else { break };
            processed += task.process(&mut WriterOutput { writer: &mut *self.writer, now }, now, self.batch)?;
            dropped += task.take_dropped();
        }
        self.control_flow();
        self.shared.metrics.add_processed(processed as u64);
        self.shared.metrics.add_dropped(dropped);
        Ok(processed)
    }

    /// Pauses full partitions and resumes those that are not any more.
    fn control_flow(&mut self) {
        for task in &mut self.tasks {
            for change in task.take_flow_control() {
                if change.pause {
                    self.reader.pause(&change.partition);
                } else {
                    self.reader.resume(&change.partition);
                }
            }
        }
    }

    /// Fires the timers that are due, stream time first, as Kafka Streams does.
    fn punctuate(&mut self, now: Now) -> Result<bool> {
        let mut fired = 0;
        for task in &mut self.tasks {
            let mut output = WriterOutput { writer: &mut *self.writer, now };
            fired += u64::from(task.punctuate_stream_time(&mut output, now)?);
            fired += u64::from(task.punctuate_wall_clock(&mut output, now)?);
        }
        self.shared.metrics.add_punctuations(fired);
        Ok(fired > 0)
    }

    /// When there may be something to do though the log stays as it is.
    fn next_deadline(&self, now: Now) -> u64 {
        let mut until_ns = now.mono_ns.saturating_add(nanos(self.shared.config.poll()).max(1));
        for task in &self.tasks {
            if let Some(ready_ns) = task.ready_at() {
                until_ns = until_ns.min(ready_ns);
            }
            if let Some(due_ms) = task.next_wall_clock_timer() {
                let wait_ms = u64::try_from(due_ms.saturating_sub(now.wall_ms)).unwrap_or(0);
                until_ns = until_ns.min(now.mono_ns.saturating_add(wait_ms.saturating_mul(1_000_000)));
            }
        }
        until_ns.max(now.mono_ns + 1)
    }
}

fn pending(now: Now) -> Step {
    Step::Idle { until_ns: now.mono_ns.saturating_add(PENDING_NS) }
}

/// What a status of the group means for its users.
fn cannot_run(code: i8, detail: &str) -> Error {
    let (kind, remedy) = match code {
        1 => (ErrorKind::Configuration, "; create the source topics, then start the application again"),
        2 => (ErrorKind::Topology, "; topics that are read together must have equally many partitions"),
        3 => (
            ErrorKind::Configuration,
            "; the brokers do not create these internal topics: look whether the application may CREATE them, and at \
             replication.factor",
        ),
        SHUTDOWN_APPLICATION => (
            ErrorKind::Fatal,
            "; who starts is told so until all members have left, and one that was killed stays until its session ends \
             (group.streams.session.timeout.ms of the brokers, 45 s)",
        ),
        _ => (ErrorKind::Fatal, ""),
    };
    Error::new(kind, format!("the group cannot run (status {code}): {detail}{remedy}"))
}
