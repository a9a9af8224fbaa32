//! Queries from their request to their result.

use std::sync::Arc;

use millstream_state::StateStore;
use millstream_state::query::{FailureReason, Query, QueryFailure, ReadView};
use millstream_types::{Clock, Partition, Result};

use super::gather::Gather;
use super::mailbox::Job;
use super::{Found, InvalidStateStore, Positions, QueryFuture, QueryResult, Role, StateQueryRequest, StateQueryResult};
use crate::guard::guarded;
use crate::streams::{State, Streams};
use crate::thread::{StreamThread, ThreadMetadata, ThreadState, marked};

impl Streams {
    /// Asks the stores of a name that this instance has, of running tasks, of tasks that are being restored and of
    /// copies, and waits for their answers: Kafka Streams' `query` (KIP-796). A partition that cannot answer is a
    /// failure in the result.
    ///
    /// Blocks until each stream thread that has such a store has answered, between two of its records: for as
    /// long as a processor takes for one. In asynchronous code use [`query_async`](Self::query_async).
    ///
    /// # Errors
    /// With an [`InvalidStateStore`] as cause: there is no such store, the application does not run, or the caller is
    /// one of its stream threads.
    pub fn query<Q: Query>(&self, request: &StateQueryRequest<Q>) -> Result<StateQueryResult<Q::Result>> {
        self.check_caller(&request.store)?;
        Ok(self.query_async(request)?.wait())
    }

    /// As [`query`](Self::query), as a future of any runtime. The question is on its way when this returns.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn query_async<Q: Query>(&self, request: &StateQueryRequest<Q>) -> Result<QueryFuture<Q::Result>> {
        self.check_known(&request.store)?;
        self.check_running(&request.store)?;
        let gather = Gather::new();
        if let Some(mut store) = self.open_global(&request.store)? {
            let clock = &*self.supervisor.components.clock;
            gather.promise().keep(StateQueryResult::of_global(answer_of_global(request, &mut *store, clock)));
            return Ok(QueryFuture { gather, finish: Some(Box::new(merged)) });
        }
        let asked = Arc::new(Asked { request: request.clone(), clock: Arc::clone(&self.supervisor.components.clock) });
        self.ask_threads(has_task(|partition| request.wants(partition)), || {
            let (promise, asked) = (gather.promise(), Arc::clone(&asked));
            Box::new(move |thread| promise.keep(asked.answers(thread)))
        });
        let partitions = request.partitions.clone();
        let finish = move |parts| {
            let mut result = merged(parts);
            result.add_missing(partitions.into_iter().flatten());
            result
        };
        Ok(QueryFuture { gather, finish: Some(Box::new(finish)) })
    }

    /// Gives each of these stream threads a job.
    pub(super) fn ask_threads(&self, asks: impl Fn(&ThreadMetadata) -> bool, mut job: impl FnMut() -> Job) {
        for control in self.supervisor.stream_threads() {
            if asks(&control.metadata()) {
                control.mailbox().post(job());
            }
        }
        self.supervisor.components.log.wake();
    }

    pub(super) fn check_running(&self, store: &str) -> Result<()> {
        match self.state() {
            State::Created => Err(InvalidStateStore::NotStarted.error(store)),
            state if !state.is_running_or_rebalancing() => Err(InvalidStateStore::Stopped(state).error(store)),
            _ => Ok(()),
        }
    }

    pub(super) fn check_known(&self, store: &str) -> Result<()> {
        let topology = &self.supervisor.instance.shared().topology;
        let is_local = topology.facts().stores.iter().any(|known| *known.name == *store);
        let is_global = || topology.global_stores().iter().any(|known| *known.store.name == *store);
        if is_local || is_global() { Ok(()) } else { Err(InvalidStateStore::Unknown.error(store)) }
    }

    /// A stream thread that waits for stream threads would wait for ever.
    pub(super) fn check_caller(&self, store: &str) -> Result<()> {
        if self.is_on_own_thread() { Err(InvalidStateStore::OwnThread.error(store)) } else { Ok(()) }
    }

    /// Whether the caller is a closure or a processor of the topology.
    pub(crate) fn is_on_own_thread(&self) -> bool {
        std::thread::current().name().is_some_and(|name| self.supervisor.is_own_thread(name))
    }

    /// A global store of that name, to be read on this thread.
    pub(super) fn open_global(&self, store: &str) -> Result<Option<Box<dyn StateStore>>> {
        let shared = self.supervisor.instance.shared();
        match &shared.globals {
            Some(state) => shared.topology.global_reader(store, state, self.is_on_own_thread()),
            None => Ok(None),
        }
    }
}

/// Whether a thread has a task of one of these partitions, in whatever role.
pub(super) fn has_task(wants: impl Fn(i32) -> bool) -> impl Fn(&ThreadMetadata) -> bool {
    move |thread| thread.active.iter().chain(&thread.standby).chain(&thread.restoring).any(|task| wants(task.partition))
}

fn merged<R>(parts: Vec<StateQueryResult<R>>) -> StateQueryResult<R> {
    let mut parts = parts.into_iter();
    let mut result = parts.next().unwrap_or_default();
    parts.for_each(|part| result.merge(part));
    result
}

/// A request on its way to the threads.
struct Asked<Q> {
    request: StateQueryRequest<Q>,
    clock: Arc<dyn Clock>,
}

impl<Q: Query> Asked<Q> {
    /// Of a thread's stores.
    fn answers(&self, thread: &mut StreamThread) -> StateQueryResult<Q::Result> {
        let (state, name) = (thread.state(), Arc::clone(thread.control().name()));
        let mut result = StateQueryResult::default();
        thread.each_store(&self.request.store, &mut |found| {
            let task = found.task;
            if self.request.wants(task.partition) {
                let who = || format!("{name} for task {task}");
                let answer = timed(&self.request, &*self.clock, who, || self.answer(found, state));
                result.add(task.partition, answer);
            }
            false
        });
        result
    }

    fn answer(&self, found: Found<'_>, state: ThreadState) -> QueryResult<Q::Result> {
        let Found { task, role, store, positions } = found;
        let request = &self.request;
        if request.requires_active && (role != Role::Active || state != ThreadState::Running) {
            let message = format!(
                "a running active task was asked for, and task {task} is {role:?} on a thread that is {state:?}"
            );
            return QueryResult::failed(FailureReason::NotActive, message);
        }
        let position = match (request.view, positions) {
            (ReadView::Committed, _) => marked(store).unwrap_or_default(),
            (ReadView::SkipCache, Positions { committed, .. }) => committed,
            (ReadView::Latest, Positions { latest, .. }) => latest,
        };
        if !request.requires_active && !position.is_past(&request.bound, Partition(task.partition)) {
            let message = format!(
                "the store of task {task} stands at {position} and has not come to the bound {}",
                request.bound.position()
            );
            let failure = QueryFailure::new(FailureReason::NotUpToBound, message);
            return QueryResult::new(Err(failure), Some(position));
        }
        QueryResult::new(run(request, store), Some(position))
    }
}

fn answer_of_global<Q: Query>(
    request: &StateQueryRequest<Q>,
    store: &mut dyn StateStore,
    clock: &dyn Clock,
) -> QueryResult<Q::Result> {
    timed(
        request,
        clock,
        || "the calling thread".to_owned(),
        || {
            let position = marked(store).unwrap_or_default();
            QueryResult::new(run(request, store), Some(position))
        },
    )
}

/// An answer, with who gave it and how long it took if the request wants to know.
fn timed<Q: Query>(
    request: &StateQueryRequest<Q>,
    clock: &dyn Clock,
    who: impl FnOnce() -> String,
    answer: impl FnOnce() -> QueryResult<Q::Result>,
) -> QueryResult<Q::Result> {
    if !request.collects_info {
        return answer();
    }
    let start_ns = clock.now().mono_ns;
    let mut answer = answer();
    let ns = clock.now().mono_ns.saturating_sub(start_ns);
    answer.add_execution_info(format!("handled by {} in {ns} ns", who()));
    answer
}

/// Runs the query; one that panics has failed.
fn run<Q: Query>(request: &StateQueryRequest<Q>, store: &mut dyn StateStore) -> Result<Q::Result, QueryFailure> {
    let outcome = guarded("query", || request.query.run(store, request.view));
    outcome.unwrap_or_else(|panic| Err(QueryFailure::of_store(&panic)))
}
