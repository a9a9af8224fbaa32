//! Taking tasks over: ask the log, open the stores, restore them, start the task.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millstream_log::{Admin, Call, Isolation, Outcome, Writer};
use millstream_state::CacheBudget;
use millstream_topology::flow::Flow;
use millstream_types::clock::nanos;
use millstream_types::config::OffsetReset;
use millstream_types::{Error, ErrorKind, Now, Offset, Result, TaskId, TopicPartition};

use super::local_stores::{self, History, changelog_partition, offsets_precede_state};
use super::output::WriterOutput;
use super::restore::{Restore, StoreRestore, of_partition};
use super::rollback::hopeless;
use super::start::{InputStart, input_start, retention_ms};
use super::survey::{Survey, SurveyFacts};
use super::uncommitted::{Past, Uncommitted};
use crate::layout::{Layout, Subtopology};
use crate::query::ChangelogPosition;
use crate::shared::{Shared, failed};
use crate::task::{StoreChangelog, Task, TaskInput};
use crate::task_lock::TaskLock;

/// Some tasks on their way to a thread. They start one by one, as their stores are restored.
pub(crate) struct Takeover {
    tasks: Vec<NewTask>,
    stage: Stage,
    /// Ids of the topics met, for the marks of later commits.
    pub(crate) topic_ids: BTreeMap<Arc<str>, u128>,
    /// Whether the last poll moved anything.
    pub(crate) has_progressed: bool,
}

/// What a takeover needs of its thread.
pub(crate) struct Tools<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) admin: &'a mut dyn Admin,
    pub(crate) writer: &'a mut dyn Writer,
    pub(crate) cache: &'a CacheBudget,
    /// Tasks that had state and no committed offset at their last takeover.
    pub(crate) suspects: &'a mut BTreeSet<TaskId>,
}

struct NewTask {
    id: TaskId,
    subtopology: Subtopology,
    inputs: Vec<TaskInput>,
    ends: Vec<Offset>,
    flow: Option<Flow>,
    /// Held from before the stores are opened. Stands behind the flow, to be dropped after it.
    lock: Option<TaskLock>,
    /// Inputs for which no offset was committed.
    uncommitted: Vec<Uncommitted>,
    /// What the marks of the stores know of earlier commits.
    history: History,
}

/// An input that starts at a point in time: which offset is that?
struct Seek {
    partition: TopicPartition,
    call: Call<Vec<Offset>>,
}

enum Stage {
    Asking(Box<Survey>),
    Seeking(SurveyFacts, Vec<Seek>),
    Restoring(Restore),
}

impl Takeover {
    /// Starts asking.
    ///
    /// # Errors
    /// `Fatal` when the group assigns a task that the topology does not have.
    pub(crate) fn start(tools: &mut Tools<'_>, layout: &Layout, ids: &[TaskId]) -> Result<Self> {
        let mut tasks = Vec::with_capacity(ids.len());
        let (mut inputs, mut changelogs) = (Vec::new(), Vec::new());
        for id in ids {
            let Some(subtopology) = layout.of(*id) else {
                let message =
                    "the group assigned a task that this topology does not have; do all instances run the same one?";
                return Err(Error::new(ErrorKind::Fatal, message).with_context(|context| context.task = Some(*id)));
            };
            inputs.extend(subtopology.partitions(*id).map(|(partition, _)| partition));
            changelogs.extend(subtopology.changelogs.iter().map(|log| changelog_partition(log, *id)));
            tasks.push(NewTask {
                id: *id,
                subtopology: subtopology.clone(),
                inputs: Vec::new(),
                ends: Vec::new(),
                flow: None,
                lock: None,
                uncommitted: Vec::new(),
                history: History::default(),
            });
        }
        let shared = tools.shared;
        let survey = Survey::start(tools.admin, &shared.application_id, inputs, changelogs, shared.input_end());
        Ok(Self { tasks, stage: Stage::Asking(Box::new(survey)), topic_ids: BTreeMap::new(), has_progressed: true })
    }

    /// The tasks that have not started.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = TaskId> {
        self.tasks.iter().map(|task| task.id)
    }

    /// The open flows of tasks that have not started.
    pub(crate) fn open_flows(&mut self) -> impl Iterator<Item = &mut Flow> {
        self.tasks.iter_mut().filter_map(|task| task.flow.as_mut())
    }

    /// How far the stores of tasks that have not started are.
    pub(crate) fn positions(&self) -> Vec<ChangelogPosition> {
        let restoring = if let Stage::Restoring(restore) = &self.stage { restore.stores() } else { &[] };
        let position = |log: &StoreChangelog, task: &NewTask| {
            let partition = changelog_partition(log, task.id);
            let known = restoring.iter().find(|store| store.partition == partition);
            // As in Kafka Streams: what has not begun is counted from 0.
            let next = known.map_or(Offset(0), StoreRestore::position);
            ChangelogPosition { store: Arc::clone(&log.store), partition, next: Some(next) }
        };
        let of_task =
            |task: &NewTask| -> Vec<_> { task.subtopology.changelogs.iter().map(|log| position(log, task)).collect() };
        self.tasks.iter().flat_map(of_task).collect()
    }

    /// Why the log does not tell what must be known of the tasks, if it has not for longer than this.
    pub(crate) fn unanswered(&self, for_ns: u64, now: Now) -> Option<&Error> {
        if let Stage::Asking(survey) = &self.stage { survey.unanswered(for_ns, now) } else { None }
    }

    /// The changelogs that are being read.
    pub(crate) fn changelogs(&self) -> impl Iterator<Item = &TopicPartition> {
        let stores = if let Stage::Restoring(restore) = &self.stage { restore.stores() } else { &[] };
        stores.iter().filter(|store| !store.is_done()).map(|store| &store.partition)
    }

    /// Gives tasks up that were not started yet.
    pub(crate) fn remove(&mut self, ids: &[TaskId]) {
        self.tasks.retain(|task| !ids.contains(&task.id));
        if let Stage::Restoring(restore) = &mut self.stage {
            for id in ids {
                restore.remove(*id);
            }
        }
    }

    /// Goes on; gives the tasks that are ready to run. Over when [`tasks`](Self::tasks) is empty.
    ///
    /// # Errors
    /// What the log, a store or a processor's `init` gives; none of the tasks can start then.
    pub(crate) fn poll(&mut self, tools: &mut Tools<'_>, now: Now) -> Result<Vec<Task>> {
        self.has_progressed = false;
        if let Stage::Asking(survey) = &mut self.stage {
            let Some(facts) = survey.poll(tools.admin, now).map_err(failed)? else {
                let timeout = tools.shared.config.task_timeout();
                let lasting = survey.unanswered(nanos(timeout), now);
                return lasting.map_or_else(|| Ok(Vec::new()), |error| Err(hopeless(error.clone(), timeout)));
            };
            let seeking = self.locate(tools, &facts, now)?;
            self.stage = Stage::Seeking(facts, seeking);
        }
        if let Stage::Seeking(facts, seeking) = &mut self.stage {
            if !seek(&mut self.tasks, seeking, now)? {
                return Ok(Vec::new());
            }
            // Another thread of this process may not have heard yet that a task is not its own any more.
            if !self.tasks.iter_mut().all(|task| task.lock(tools.shared)) {
                return Ok(Vec::new());
            }
            let facts = std::mem::take(facts);
            self.topic_ids.extend(facts.topics.iter().map(|(name, topic)| (Arc::clone(name), topic.id)));
            let mut stores = Vec::new();
            for task in &mut self.tasks {
                task.open(tools, &facts, now, &mut stores)?;
            }
            let reader = tools.shared.log.reader(Isolation::ReadCommitted);
            self.stage = Stage::Restoring(Restore::start(reader, stores, tools.shared.listeners.restore())?);
        }
        self.restore(tools, now)
    }

    /// Decides where each input starts; those that start at a point in time are asked for.
    fn locate(&mut self, tools: &mut Tools<'_>, facts: &SurveyFacts, now: Now) -> Result<Vec<Seek>> {
        let mut seeking = Vec::new();
        let default = tools.shared.config.auto_offset_reset();
        for task in &mut self.tasks {
            for (partition, input) in task.subtopology.partitions(task.id) {
                let committed = facts.committed.get(&partition);
                let range = facts.range(&partition);
                // A repartition topic is ours alone: what is in it is still to be processed.
                let reset = if input.is_repartition { OffsetReset::Earliest } else { input.reset.unwrap_or(default) };
                let start = input_start(&partition, committed, range, reset, now.wall_ms)
                    .map_err(|error| error.with_context(|context| context.task = Some(task.id)))?;
                let position = match start {
                    InputStart::At(position) => position,
                    InputStart::AtTime(time) => {
                        let call = tools
                            .admin
                            .offsets(std::slice::from_ref(&partition), millstream_log::OffsetSpec::AtTime(time));
                        seeking.push(Seek { partition: partition.clone(), call });
                        range.0.into()
                    }
                };
                if committed.is_none() {
                    let is_internal = input.is_repartition;
                    task.uncommitted.push(Uncommitted { partition: partition.clone(), range, reset, is_internal });
                }
                task.ends.push(range.1);
                task.inputs.push(TaskInput {
                    is_committed: committed.is_some() && !facts.set_aside.contains(&partition),
                    partition,
                    source: Arc::clone(&input.source),
                    position,
                    metadata: committed.map(|committed| committed.metadata.clone()).unwrap_or_default(),
                });
            }
        }
        Ok(seeking)
    }

    fn restore(&mut self, tools: &mut Tools<'_>, now: Now) -> Result<Vec<Task>> {
        let Stage::Restoring(restore) = &mut self.stage else { return Ok(Vec::new()) };
        let tasks = &mut self.tasks;
        let metrics = &tools.shared.metrics;
        let restored = restore.step(now, &mut |which, work| {
            let task = tasks.iter_mut().find(|task| task.id == which.task);
            local_stores::restore(task.and_then(|task| task.flow.as_mut()), which, work, metrics)
        })?;
        metrics.add_restored(restored.unwrap_or(0));
        self.has_progressed |= restored.is_some();
        let mut ready = Vec::new();
        let mut left = Vec::with_capacity(self.tasks.len());
        for mut task in std::mem::take(&mut self.tasks) {
            if restore.is_done(task.id) && task.know_outputs(tools, now)? {
                task.check_history(tools, restore.stores())?;
                restore.remove(task.id);
                ready.extend(task.build(tools, now).map_err(begin_anew)?);
            } else {
                left.push(task);
            }
        }
        self.has_progressed |= !ready.is_empty();
        self.tasks = left;
        Ok(ready)
    }
}

/// Other tasks may have written something at their start already: all of it goes, as after any failed commit.
fn begin_anew(error: Error) -> Error {
    if error.kind() == ErrorKind::Storage {
        return Error::new(ErrorKind::Retriable, "a task cannot start: its local state refuses").with_source(error);
    }
    error
}

impl NewTask {
    /// Whether the stores are this thread's alone.
    fn lock(&mut self, shared: &Shared) -> bool {
        if self.lock.is_none() {
            self.lock = shared.task_locks.try_lock(self.id);
        }
        self.lock.is_some()
    }

    /// Makes the flow over the opened stores and decides where each is restored from.
    fn open(
        &mut self,
        tools: &mut Tools<'_>,
        facts: &SurveyFacts,
        now: Now,
        stores: &mut Vec<StoreRestore>,
    ) -> Result<()> {
        let mut flow = local_stores::open(tools.shared, tools.cache, &self.subtopology, self.id)?;
        // Changes that are not processed yet come as input, not as state.
        let source_end = |partition: &TopicPartition| {
            self.inputs.iter().find(|input| input.partition == *partition).map(|input| input.position.offset)
        };
        for log in &mut self.subtopology.changelogs {
            log.retention_ms = facts.topics.get(&log.topic).and_then(retention_ms);
        }
        let found =
            local_stores::restores(tools.shared, &mut flow, (&self.subtopology, self.id), facts, &source_end, now)?;
        self.history = found.history;
        stores.extend(found.stores);
        self.flow = Some(flow);
        Ok(())
    }

    /// Whether the log has told about all topics the task writes.
    fn know_outputs(&self, tools: &mut Tools<'_>, now: Now) -> Result<bool> {
        for topic in &self.subtopology.outputs {
            match tools.writer.partition_count(topic, now) {
                Outcome::Done(_) => {}
                Outcome::Pending => return Ok(false),
                Outcome::Failed(failure) => {
                    let error = failed(failure);
                    return Err(error.with_context(|context| {
                        context.task = Some(self.id);
                        context.topic = Some(Arc::clone(topic));
                    }));
                }
            }
        }
        Ok(true)
    }

    /// Looks whether inputs without a committed offset are new, or have lost it.
    ///
    /// The first time it may also mean that another owner made its first commit after we had asked for
    /// the offsets; only offsets asked for after the state was seen tell.
    fn check_history(&self, tools: &mut Tools<'_>, stores: &[StoreRestore]) -> Result<()> {
        let was_restored = stores.iter().any(|store| {
            store.task == self.id
                && store.records > 0
                && !self.subtopology.changelogs.iter().any(|log| log.is_source && log.store == store.name)
        });
        let past = Past {
            history: &self.history,
            was_restored,
            offsets_precede_state: offsets_precede_state(tools.shared),
            is_committed: self.uncommitted.len() < self.inputs.len(),
            is_directory_used: tools.shared.engines.is_reused(),
        };
        let Some(lost) = past.lost(&self.uncommitted) else {
            tools.suspects.remove(&self.id);
            for input in &self.uncommitted {
                let position = self.inputs.iter().find(|known| known.partition == input.partition);
                past.tell(self.id, input, position.map(|known| known.position.offset).unwrap_or_default());
            }
            return Ok(());
        };
        let is_new = tools.suspects.insert(self.id);
        let error = if is_new { Past::ask_again() } else { past.refuse(&lost.partition) };
        let error = error.with_context(|context| context.task = Some(self.id));
        Err(of_partition(error, &lost.partition))
    }

    fn build(&mut self, tools: &mut Tools<'_>, now: Now) -> Result<Option<Task>> {
        let Some(flow) = self.flow.take() else { return Ok(None) };
        let inputs = std::mem::take(&mut self.inputs);
        let ends: Vec<_> = inputs.iter().map(|input| input.partition.clone()).zip(self.ends.drain(..)).collect();
        let mut task = Task::new(flow, inputs, &self.subtopology.changelogs, &tools.shared.task_options)?;
        for (partition, end) in ends {
            task.set_end(&partition, end);
        }
        task.init(&mut WriterOutput { writer: tools.writer, now }, now)?;
        task.keep(self.lock.take());
        Ok(Some(task))
    }
}

/// Takes the answers for inputs that start at a point in time; whether all are there.
fn seek(tasks: &mut [NewTask], seeking: &mut Vec<Seek>, now: Now) -> Result<bool> {
    let mut problem = None;
    seeking.retain_mut(|Seek { partition, call }| match call.poll(now) {
        Outcome::Pending => true,
        Outcome::Done(offsets) => {
            // Its task may have been revoked meanwhile.
            let mut inputs = tasks.iter_mut().flat_map(|task| &mut task.inputs);
            let input = inputs.find(|input| input.partition == *partition);
            if let (Some(input), Some(offset)) = (input, offsets.first()) {
                input.position = (*offset).into();
            }
            false
        }
        Outcome::Failed(failure) => {
            problem = Some(failed(failure));
            false
        }
    });
    match problem {
        Some(error) => Err(error),
        None => Ok(seeking.is_empty()),
    }
}
