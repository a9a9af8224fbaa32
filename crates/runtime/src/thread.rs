//! A stream thread: a loop over one step, which this is.
//!
//! A step polls the group and the log, fills the queues of its tasks, processes a bounded number
//! of records, fires timers and commits when due. It never blocks, sleeps or reads a clock: time
//! is handed in, and what is under way is polled again. The thread is the unit of commit and of
//! rolling back: all its tasks commit together, and all are dropped together when a commit failed.

mod claim;
mod commit;
mod commit_pace;
mod control;
mod copies;
mod fit;
mod local_stores;
mod output;
mod queries;
mod restore;
mod rollback;
mod run;
mod settle;
mod setup;
mod standstill;
mod start;
mod survey;
mod takeover;
mod topic_watch;
mod uncommitted;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use millstream_log::{Admin, Call, Departure, Member, Reader, ReaderEvent, Writer};
use millstream_state::CacheBudget;
use millstream_types::clock::nanos;
use millstream_types::{Error, Now, Offset, TaskId, TopicPartition};

pub(crate) use control::ThreadControl;
pub use control::{ThreadMetadata, ThreadState};
use copies::Copies;
pub(crate) use queries::marked;

use crate::layout::Layout;
use crate::pace::Pace;
use crate::shared::Shared;
use crate::task::Task;
use commit::Commit;
use commit_pace::CommitPace;
use rollback::Trouble;
use setup::Setup;
use standstill::Standstill;
use takeover::{Takeover, Tools};
use topic_watch::TopicWatch;

/// How often the age of quiet stores' marks is looked at.
const MARK_PACE: Duration = Duration::from_secs(5 * 60);

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was done; there may be more.
    Progress,
    /// Nothing can be done before the log changes or this time comes (monotonic ns).
    Idle {
        /// When to step again at the latest.
        until_ns: u64,
    },
    /// The thread is over. [`StreamThread::error`] says whether by an error.
    Stopped,
}

/// One stream thread. See the [module](self).
pub struct StreamThread {
    shared: Arc<Shared>,
    control: Arc<ThreadControl>,
    admin: Box<dyn Admin>,
    member: Box<dyn Member>,
    reader: Box<dyn Reader>,
    writer: Box<dyn Writer>,
    phase: Phase,
    layout: Layout,
    watch: TopicWatch,
    standstill: Standstill,
    /// Whether the layout is out of date: after the next commit topics are looked up anew.
    must_lay_out: bool,
    /// Tasks that run, ascending, which is topological order.
    tasks: Vec<Task>,
    /// Tasks the group gave us, running or not.
    assigned: Vec<TaskId>,
    /// Tasks of those whose takeover has not begun.
    waiting: Vec<TaskId>,
    /// Tasks on their way to us.
    takeover: Option<Takeover>,
    takeover_pause: Option<TakeoverPause>,
    /// Copies of tasks that others run.
    copies: Option<Copies>,
    /// Tasks that had state and no committed offset when they were taken over last.
    suspects: BTreeSet<TaskId>,
    /// Tasks to close, and to tell the group, after the next commit.
    revoking: Option<Vec<TaskId>>,
    commit: Option<Commit>,
    /// Offsets on their way to be committed before their records are processed (`at_most_once`).
    claim: Option<Commit>,
    /// When local stores were brought up to a commit last.
    applied_ns: Option<u64>,
    /// Local stores refuse what is committed.
    refusal: Option<Refusal>,
    /// Whether there was nothing to do since the last commit.
    has_idled: bool,
    /// When the marks of quiet stores are looked at.
    mark_pace: Pace,
    topic_ids: BTreeMap<Arc<str>, u128>,
    cache: CacheBudget,
    /// Records per task and step: grows while nothing else is to do, as in Kafka Streams.
    batch: usize,
    pace: CommitPace,
    purge: Purge,
    trouble: Option<Trouble>,
    error: Option<Error>,
    events: Vec<ReaderEvent>,
    lag: i64,
    /// Whether the group has answered since the last join.
    is_settled: bool,
}

enum Phase {
    /// Checks and creates topics, then joins.
    Setup(Box<Setup>),
    /// Registers the writer, which fences its predecessor.
    Initialising(Call<()>),
    /// The next attempt to register, after one failed without effect.
    InitialisingAgain {
        at_ns: u64,
    },
    Running,
    Leaving(Call<()>),
    /// Ended by an error, and still a member of the group: whoever watches the thread decides on the
    /// application before another thread is given the same record.
    Failed,
    Dead,
}

/// Committed state that could not be written.
struct Refusal {
    retry_ns: u64,
    next_backoff_ns: u64,
}

/// A takeover that local state did not let go on.
#[derive(Clone, Copy)]
struct TakeoverPause {
    retry_ns: u64,
    next_backoff_ns: u64,
}

/// Deleting what is processed from repartition topics.
#[derive(Default)]
struct Purge {
    last_ns: Option<u64>,
    before: BTreeMap<TopicPartition, Offset>,
    call: Option<Call<()>>,
    /// Whether was said that it may not be done.
    has_warned: bool,
}

impl StreamThread {
    pub(crate) fn new(shared: Arc<Shared>, number: usize) -> Self {
        let config = &shared.config;
        let name: Arc<str> = shared.thread_name(number).into();
        let is_first = !shared.has_started.swap(true, Ordering::Relaxed);
        let threads = config.num_stream_threads().max(1);
        let writes_transactions = config.is_exactly_once();
        if is_first {
            let starting = if writes_transactions { threads } else { 0 };
            shared
                .predecessors
                .begin(&*shared.engines, &*shared.log, starting, |number| shared.transactional_id(number));
        }
        if writes_transactions {
            shared.predecessors.replace(&*shared.engines, number);
        }
        let member = shared.log.member(shared.member(number, is_first));
        let mut writer = shared.log.writer(writes_transactions.then(|| shared.transactional_id(number)).as_deref());
        writer.write_for(&member.metadata().member_id);
        let control = ThreadControl::new(name);
        if number > threads {
            // The next start may not have a thread of that number, to come back for the membership.
            control.set_departure(Departure::Leave);
        }
        Self {
            control: Arc::new(control),
            admin: shared.log.admin(),
            member,
            reader: shared.log.reader(shared.isolation()),
            writer,
            phase: Phase::Setup(Box::default()),
            layout: Layout::default(),
            watch: TopicWatch::default(),
            standstill: Standstill::new(nanos(config.transaction_timeout())),
            must_lay_out: false,
            tasks: Vec::new(),
            assigned: Vec::new(),
            waiting: Vec::new(),
            takeover: None,
            takeover_pause: None,
            copies: None,
            suspects: BTreeSet::new(),
            revoking: None,
            commit: None,
            claim: None,
            applied_ns: None,
            refusal: None,
            has_idled: false,
            mark_pace: Pace::new(MARK_PACE),
            topic_ids: BTreeMap::new(),
            cache: CacheBudget::new(shared.cache_bytes()),
            batch: 1,
            pace: CommitPace::new(config),
            purge: Purge::default(),
            trouble: None,
            error: None,
            events: Vec::new(),
            lag: 0,
            is_settled: false,
            shared,
        }
    }

    /// Does what can be done now.
    pub fn step(&mut self, now: Now) -> Step {
        self.shared.predecessors.poll(&*self.shared.engines, now);
        self.shared.summary.poll(&self.shared.metrics, now);
        if self.state() == ThreadState::Running {
            self.shared.cleaner.poll(&*self.shared.engines, &self.shared.task_locks, now);
        }
        self.serve_queries();
        let outcome = self.advance(now);
        let step = outcome.unwrap_or_else(|error| self.recover(error, now));
        self.publish();
        step
    }

    /// Asks the thread to commit, close its tasks and leave the group; steps do it.
    pub fn stop(&self) {
        self.control.stop();
    }

    /// Why the thread is over, if by an error.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// What it is doing.
    pub fn metadata(&self) -> ThreadMetadata {
        self.control.metadata()
    }

    /// A running task, for looking at its stores.
    pub fn task_mut(&mut self, id: TaskId) -> Option<&mut Task> {
        self.tasks.iter_mut().find(|task| task.id() == id)
    }

    pub(crate) fn control(&self) -> &Arc<ThreadControl> {
        &self.control
    }

    /// What a takeover works with.
    fn tools<'a>(
        shared: &'a Shared,
        admin: &'a mut Box<dyn Admin>,
        writer: &'a mut Box<dyn Writer>,
        cache: &'a CacheBudget,
        suspects: &'a mut BTreeSet<TaskId>,
    ) -> Tools<'a> {
        Tools { shared, admin: &mut **admin, writer: &mut **writer, cache, suspects }
    }

    pub(crate) fn state(&self) -> ThreadState {
        match &self.phase {
            Phase::Dead => ThreadState::Dead,
            Phase::Leaving(_) | Phase::Failed => ThreadState::PendingShutdown,
            _ if self.control.is_stopping() => ThreadState::PendingShutdown,
            Phase::Setup(_) => ThreadState::Starting,
            _ if self.revoking.is_some() => ThreadState::PartitionsRevoked,
            Phase::Running if self.takeover.is_none() && self.waiting.is_empty() && self.is_settled => {
                ThreadState::Running
            }
            _ => ThreadState::PartitionsAssigned,
        }
    }

    /// Tells the owner what has changed.
    fn publish(&mut self) {
        let state = self.state();
        let (takeover, copies) = (&self.takeover, &self.copies);
        let (tasks, waiting) = (&self.tasks, &self.waiting);
        let is_paused = self.refusal.is_some() || self.takeover_pause.is_some();
        let is_behind = tasks.iter().any(Task::is_behind);
        self.control.publish(|metadata| {
            metadata.state = state;
            let is_same = metadata.active.len() == tasks.len()
                && metadata.active.iter().zip(tasks).all(|(known, task)| *known == task.id());
            if !is_same {
                metadata.active = tasks.iter().map(Task::id).collect();
            }
            metadata.is_behind = is_behind;
            metadata.standby.clear();
            metadata.standby.extend(copies.iter().flat_map(Copies::tasks));
            metadata.restoring.clear();
            metadata.restoring.extend(takeover.iter().flat_map(Takeover::tasks).chain(waiting.iter().copied()));
            if !is_paused {
                metadata.paused = None;
            }
        });
    }
}

impl std::fmt::Debug for StreamThread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamThread").field("metadata", &self.metadata()).finish_non_exhaustive()
    }
}
