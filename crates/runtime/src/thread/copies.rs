//! Standby tasks: copies of stores that other processes write, kept up to date from their changelogs.
//!
//! A copy is a restore that never ends. It takes committed records only, and the mark it leaves is that of any
//! restore; so a task that becomes active closes its copy and is taken over like any other, with nothing left to
//! read but the tail.

use std::sync::Arc;

use millstream_log::{Admin, Call, CommittedOffset, Isolation, OffsetSpec, Outcome};
use millstream_state::CacheBudget;
use millstream_topology::flow::Flow;
use millstream_types::{ErrorKind, Now, Offset, Result, TaskId, TopicPartition};

use super::StreamThread;
use super::local_stores::{self, changelog_partition};
use super::restore::{Restore, StoreRestore, Work};
use super::survey::{Survey, SurveyFacts};
use crate::layout::{Layout, Subtopology};
use crate::listeners::{RestoreEar, StandbyEar, SuspendReason, logged};
use crate::query::{ChangelogPosition, TaskMetadata};
use crate::shared::{Shared, failed};
use crate::task_lock::TaskLock;

/// First wait before copies are opened again after a failure, and the longest.
const BACKOFF_NS: (u64, u64) = (100_000_000, 10_000_000_000);
/// Between two looks at the committed offsets of inputs that serve as changelogs.
const LOOK_NS: u64 = 1_000_000_000;

/// The copies that a thread keeps.
pub(crate) struct Copies {
    tasks: Vec<Copy>,
    stage: Stage,
    backoff_ns: u64,
}

/// The stores of one task.
struct Copy {
    id: TaskId,
    subtopology: Subtopology,
    flow: Option<Flow>,
    /// Stands behind the flow, to be dropped after it.
    lock: Option<TaskLock>,
    /// What the listener knows of: the stores that are kept.
    told: Vec<Told>,
    ear: StandbyEar,
}

/// A store that the listener knows to be kept.
struct Told {
    partition: TopicPartition,
    store: Arc<str>,
    /// Of the last record taken; -1 before.
    offset: Offset,
    log_end: Offset,
}

enum Stage {
    /// What the log knows of the changelogs is asked when it is not known.
    Asking(Option<Survey>),
    /// Waits for threads of this process that have the stores open.
    Locking(SurveyFacts),
    Keeping(Restore, Limits),
    /// After a failure.
    Pausing {
        until_ns: u64,
    },
}

/// How far inputs that serve as changelogs may be read: up to what the active task has committed.
struct Limits {
    partitions: Vec<TopicPartition>,
    asked: Option<Call<Vec<Option<CommittedOffset>>>>,
    look_ns: u64,
}

impl Copies {
    /// Keeps copies of these tasks from now on; those of `old` that stay are not opened again.
    fn new(layout: &Layout, ids: &[TaskId], old: Option<Self>, ear: &StandbyEar) -> Self {
        let mut old = old.map_or(Vec::new(), |old| old.tasks);
        let copy = |id: &TaskId| {
            if let Some(at) = old.iter().position(|copy| copy.id == *id) {
                return Some(old.swap_remove(at));
            }
            let subtopology = layout.of(*id)?.clone();
            Some(Copy { id: *id, subtopology, flow: None, lock: None, told: Vec::new(), ear: ear.clone() })
        };
        Self { tasks: ids.iter().filter_map(copy).collect(), stage: Stage::Asking(None), backoff_ns: BACKOFF_NS.0 }
    }

    pub(crate) fn tasks(&self) -> impl Iterator<Item = TaskId> {
        self.tasks.iter().map(|copy| copy.id)
    }

    /// The open flows of the copies.
    pub(crate) fn open_flows(&mut self) -> impl Iterator<Item = &mut Flow> {
        self.tasks.iter_mut().filter_map(|copy| copy.flow.as_mut())
    }

    /// How far the copies are.
    pub(crate) fn positions(&self) -> Vec<ChangelogPosition> {
        let kept = self.kept();
        let logs = self.tasks.iter().flat_map(|copy| copy.subtopology.changelogs.iter().map(move |log| (copy.id, log)));
        logs.map(|(task, log)| {
            let partition = changelog_partition(log, task);
            let known = kept.iter().find(|store| store.partition == partition);
            let next = Some(known.map_or(Offset(0), StoreRestore::position));
            ChangelogPosition { store: Arc::clone(&log.store), partition, next }
        })
        .collect()
    }

    /// What the copies follow, and how far they are.
    pub(crate) fn describe(&self) -> Vec<TaskMetadata> {
        let of_task = |copy: &Copy| {
            let kept = || self.kept().iter().filter(|store| store.task == copy.id);
            TaskMetadata {
                task_id: copy.id,
                topic_partitions: copy.changelogs(true).chain(copy.changelogs(false)).collect(),
                committed_offsets: kept().map(|store| (store.partition.clone(), store.position())).collect(),
                end_offsets: kept()
                    .filter(|store| store.log_end.0 >= 0)
                    .map(|store| (store.partition.clone(), store.log_end))
                    .collect(),
                time_current_idling_started: None,
            }
        };
        self.tasks.iter().map(of_task).collect()
    }

    /// The changelogs that are kept up with.
    pub(crate) fn changelogs(&self) -> impl Iterator<Item = &TopicPartition> {
        self.kept().iter().map(|store| &store.partition)
    }

    fn kept(&self) -> &[StoreRestore] {
        if let Stage::Keeping(restore, _) = &self.stage { restore.stores() } else { &[] }
    }

    /// Takes what is new; whether anything was. A failure that may pass closes the copies for a while.
    fn poll(&mut self, shared: &Shared, admin: &mut dyn Admin, now: Now) -> Result<bool> {
        match self.advance(shared, admin, now) {
            Err(error) if matches!(error.kind(), ErrorKind::Retriable | ErrorKind::Storage | ErrorKind::Fenced) => {
                tracing::warn!(%error, "standby tasks are opened again in {} ms", self.backoff_ns / 1_000_000);
                self.tasks.iter_mut().for_each(|copy| copy.close(SuspendReason::Migrated));
                self.stage = Stage::Pausing { until_ns: now.mono_ns.saturating_add(self.backoff_ns) };
                self.backoff_ns = self.backoff_ns.saturating_mul(2).min(BACKOFF_NS.1);
                Ok(false)
            }
            outcome => outcome,
        }
    }

    fn advance(&mut self, shared: &Shared, admin: &mut dyn Admin, now: Now) -> Result<bool> {
        match &mut self.stage {
            Stage::Pausing { until_ns } if now.mono_ns < *until_ns => return Ok(false),
            Stage::Pausing { .. } => self.stage = Stage::Asking(None),
            Stage::Asking(None) => self.stage = Stage::Asking(Some(survey(&self.tasks, shared, admin))),
            Stage::Asking(Some(survey)) => {
                let Some(facts) = survey.poll(admin, now).map_err(failed)? else { return Ok(false) };
                self.stage = Stage::Locking(facts);
            }
            Stage::Locking(facts) => {
                if !self.tasks.iter_mut().all(|copy| copy.lock(shared)) {
                    return Ok(false);
                }
                let facts = std::mem::take(facts);
                self.stage = self.open(shared, &facts, now)?;
            }
            Stage::Keeping(restore, limits) => {
                limits.poll(restore, shared, admin, now)?;
                let taken = keep(&mut self.tasks, restore, shared, now)?;
                if taken.is_some() {
                    self.backoff_ns = BACKOFF_NS.0;
                }
                return Ok(taken.is_some());
            }
        }
        Ok(true)
    }

    fn open(&mut self, shared: &Shared, facts: &SurveyFacts, now: Now) -> Result<Stage> {
        let mut stores = Vec::new();
        let mut sources = Vec::new();
        // Nothing is read or written through the caches of a copy.
        let cache = CacheBudget::new(0);
        for copy in &mut self.tasks {
            if copy.flow.is_none() {
                copy.flow = Some(local_stores::open(shared, &cache, &copy.subtopology, copy.id)?);
            }
            let Some(flow) = &mut copy.flow else { continue };
            let committed = |partition: &TopicPartition| facts.committed.get(partition).map(|known| known.offset);
            let of_task = (&copy.subtopology, copy.id);
            let mut found = local_stores::restores(shared, flow, of_task, facts, &committed, now)?.stores;
            let own_sources: Vec<TopicPartition> = copy.changelogs(true).collect();
            for store in found.iter_mut().filter(|store| !own_sources.contains(&store.partition)) {
                store.end = Offset(i64::MAX);
            }
            copy.tell_start(&found)?;
            stores.append(&mut found);
            sources.extend(own_sources);
        }
        let reader = shared.log.reader(Isolation::ReadCommitted);
        let restore = Restore::start(reader, stores, RestoreEar::default())?;
        Ok(Stage::Keeping(restore, Limits { partitions: sources, asked: None, look_ns: now.mono_ns }))
    }
}

fn survey(tasks: &[Copy], shared: &Shared, admin: &mut dyn Admin) -> Survey {
    let sources = tasks.iter().flat_map(|copy| copy.changelogs(true)).collect();
    let changelogs = tasks.iter().flat_map(|copy| copy.changelogs(false)).collect();
    Survey::start(admin, &shared.application_id, sources, changelogs, OffsetSpec::EndCommitted)
}

/// Reads a stretch of the changelogs; the number of records, `None` when nothing came.
fn keep(tasks: &mut [Copy], restore: &mut Restore, shared: &Shared, now: Now) -> Result<Option<u64>> {
    let taken = restore.step(now, &mut |which, work| {
        let Some(copy) = tasks.iter_mut().find(|copy| copy.id == which.task) else { return Ok(()) };
        let taken = match &work {
            Work::Records(records, _) => records.last().map(|last| (last.offset, records.len() as u64)),
            Work::Wipe => None,
        };
        local_stores::restore(copy.flow.as_mut(), which, work, &shared.metrics)?;
        taken.map_or(Ok(()), |(last, count)| copy.tell_loaded(which, last, count))
    })?;
    shared.metrics.add_updated(taken.unwrap_or(0));
    Ok(taken)
}

impl Copy {
    /// Tells of the stores that it did not tell of before.
    fn tell_start(&mut self, stores: &[StoreRestore]) -> Result<()> {
        for store in stores {
            if self.told.iter().any(|told| told.partition == store.partition) {
                continue;
            }
            let StoreRestore { partition, name, next, .. } = store;
            self.told.push(Told {
                partition: partition.clone(),
                store: Arc::clone(name),
                offset: Offset(next.0 - 1),
                log_end: Offset(-1),
            });
            self.ear.tell(|listener| listener.on_update_start(partition, name, *next))?;
        }
        Ok(())
    }

    fn tell_loaded(&mut self, store: &StoreRestore, last: Offset, count: u64) -> Result<()> {
        let StoreRestore { partition, name, log_end, .. } = store;
        if let Some(told) = self.told.iter_mut().find(|told| told.partition == *partition) {
            told.offset = last;
            told.log_end = *log_end;
        }
        self.ear.tell(|listener| listener.on_batch_loaded(partition, name, self.id, last, count, *log_end))
    }

    /// Closes the stores, then tells so.
    fn close(&mut self, reason: SuspendReason) {
        self.flow = None;
        self.lock = None;
        for Told { partition, store, offset, log_end } in std::mem::take(&mut self.told) {
            logged(self.ear.tell(|listener| listener.on_update_suspended(&partition, &store, offset, log_end, reason)));
        }
    }

    /// Whether the stores are this thread's alone.
    fn lock(&mut self, shared: &Shared) -> bool {
        if self.lock.is_none() {
            self.lock = shared.task_locks.try_lock(self.id);
        }
        self.lock.is_some()
    }

    /// Changelogs of its stores: inputs that serve as one, or the others.
    fn changelogs(&self, is_source: bool) -> impl Iterator<Item = TopicPartition> {
        let logs = self.subtopology.changelogs.iter().filter(move |log| log.is_source == is_source);
        logs.map(|log| changelog_partition(log, self.id))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        self.close(SuspendReason::Migrated);
    }
}

impl Limits {
    fn poll(&mut self, restore: &mut Restore, shared: &Shared, admin: &mut dyn Admin, now: Now) -> Result<()> {
        if self.partitions.is_empty() {
            return Ok(());
        }
        let Some(call) = &mut self.asked else {
            if now.mono_ns >= self.look_ns {
                self.asked = Some(admin.committed(&shared.application_id, &self.partitions));
            }
            return Ok(());
        };
        let committed = match call.poll(now) {
            Outcome::Pending => return Ok(()),
            Outcome::Done(committed) => committed,
            Outcome::Failed(failure) => return Err(failed(failure)),
        };
        self.asked = None;
        self.look_ns = now.mono_ns.saturating_add(LOOK_NS);
        for (partition, committed) in self.partitions.iter().zip(committed) {
            if let Some(committed) = committed {
                restore.extend(partition, committed.offset);
            }
        }
        Ok(())
    }
}

impl StreamThread {
    /// Keeps copies of these tasks and of no others. Some of them may have become active.
    pub(super) fn keep_copies_of(&mut self, mut standby: Vec<TaskId>, active: &[TaskId]) {
        let has_changelog = |id: &TaskId| self.layout.of(*id).is_some_and(|known| !known.changelogs.is_empty());
        standby.retain(has_changelog);
        let is_same =
            self.copies.as_ref().map_or(standby.is_empty(), |copies| copies.tasks().eq(standby.iter().copied()));
        if is_same {
            return;
        }
        let mut old = self.copies.take();
        let promoted = old.iter_mut().flat_map(|old| &mut old.tasks).filter(|copy| active.contains(&copy.id));
        promoted.for_each(|copy| copy.close(SuspendReason::Promoted));
        let ear = self.shared.listeners.standby();
        self.copies = (!standby.is_empty()).then(|| Copies::new(&self.layout, &standby, old, &ear));
    }

    /// Takes what is new in the changelogs of the copies; whether anything was.
    pub(super) fn update_copies(&mut self, now: Now) -> Result<bool> {
        let Some(copies) = &mut self.copies else { return Ok(false) };
        copies.poll(&self.shared, &mut *self.admin, now)
    }
}
