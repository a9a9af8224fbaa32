//! What the threads of one instance share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use millstream_log::{Departure, EndpointPartitions, Failure, FailureKind, Isolation, Log, MemberConfig, OffsetSpec};
use millstream_state::{EngineProvider, MemoryBudget};
use millstream_topology::flow::{FlowOptions, GlobalState};
use millstream_topology::graph::Topology;
use millstream_types::clock::millis;
use millstream_types::config::TopologyUpgrade;
use millstream_types::{Config, Error, ErrorKind};
use parking_lot::RwLock;

use crate::cleaner::Cleaner;
use crate::listeners::Listeners;
use crate::metrics::Metrics;
use crate::predecessors::Predecessors;
use crate::summary::Summary;
use crate::task::TaskOptions;
use crate::task_lock::TaskLocks;

/// What the threads of an instance share; what changes while it runs is atomic or locked.
pub(crate) struct Shared {
    pub(crate) log: Arc<dyn Log>,
    pub(crate) topology: Topology,
    pub(crate) config: Config,
    pub(crate) application_id: Arc<str>,
    pub(crate) process_id: Arc<str>,
    pub(crate) engines: Arc<dyn EngineProvider>,
    pub(crate) flow_options: Arc<FlowOptions>,
    /// Those of the processors of global stores.
    pub(crate) global_flow_options: Arc<FlowOptions>,
    pub(crate) task_options: TaskOptions,
    pub(crate) globals: Option<Arc<RwLock<GlobalState>>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) task_locks: TaskLocks,
    pub(crate) predecessors: Predecessors,
    pub(crate) cleaner: Cleaner,
    pub(crate) summary: Summary,
    /// Whether a stream thread was made.
    pub(crate) has_started: AtomicBool,
    /// Which process has what, as the group said last.
    pub(crate) endpoints: RwLock<Vec<EndpointPartitions>>,
    /// Bytes for the record caches of one thread.
    pub(crate) cache_bytes: AtomicUsize,
    /// Bytes of uncommitted writes above which one thread commits early.
    pub(crate) uncommitted_bytes: AtomicUsize,
    /// What the stores of all threads may hold.
    pub(crate) memory: MemoryBudget,
    /// Whether nothing is to be processed for now.
    pub(crate) is_paused: AtomicBool,
    /// Whether the whole application ends: this instance asked for it, or was told.
    pub(crate) application_ends: AtomicBool,
    /// Who hears of restores and copies.
    pub(crate) listeners: Listeners,
}

impl Shared {
    /// What tasks may see of their inputs: under exactly-once only what is committed.
    pub(crate) fn isolation(&self) -> Isolation {
        if self.config.is_exactly_once() { Isolation::ReadCommitted } else { Isolation::ReadUncommitted }
    }

    /// Where a reader of the inputs ends.
    pub(crate) fn input_end(&self) -> OffsetSpec {
        if self.config.is_exactly_once() { OffsetSpec::EndCommitted } else { OffsetSpec::EndUncommitted }
    }

    /// What becomes of the membership of a thread that ends and was told this. Where nothing was said: who comes back with
    /// another id would find the tasks taken by one that is gone. A static member comes back by its `group.instance.id`.
    ///
    /// Where the whole application ends, all leave: the group forgets that only when nobody is in it any more, and tells
    /// it until then to all that start.
    pub(crate) fn departure(&self, told: Option<Departure>) -> Departure {
        if self.application_ends.load(Ordering::Acquire) {
            return Departure::Leave;
        }
        if let Some(told) = told {
            told
        } else if self.engines.keeps_process_id() || self.config.group_instance_id().is_some() {
            Departure::LeaveToOthers
        } else {
            Departure::Leave
        }
    }

    /// Whether tasks may run: not while a global store is being filled.
    pub(crate) fn may_run(&self) -> bool {
        self.globals.as_ref().is_none_or(|globals| !globals.read().is_filling())
    }

    /// Name of a stream thread, counted from 1.
    pub(crate) fn thread_name(&self, number: usize) -> String {
        format!("{}-StreamThread-{number}", self.client_id())
    }

    /// What a stream thread, counted from 1, is as a member of the group. The first one of the instance tells of all that
    /// start with it.
    pub(crate) fn member(&self, number: usize, is_first: bool) -> MemberConfig {
        let config = &self.config;
        let member_id = |number: usize| -> Arc<str> {
            format!("{}-{}-StreamThread-{number}", self.application_id, self.process_id).into()
        };
        let threads = if is_first { config.num_stream_threads().max(1) } else { 0 };
        MemberConfig {
            group: Arc::clone(&self.application_id),
            member_id: member_id(number),
            // As Kafka Streams numbers them.
            instance_id: config.group_instance_id().map(|id| format!("{id}-{number}").into()),
            process_members: (1..=threads).map(member_id).collect(),
            process_id: Arc::clone(&self.process_id),
            session_timeout_ms: millis(config.session_timeout()),
            standby_replicas: config.num_standby_replicas(),
            endpoint: config.application_server().cloned(),
            client_tags: config.client_tags().into_iter().collect(),
            may_renew_group: config.topology_upgrade() == TopologyUpgrade::Auto,
            max_poll_interval_ms: millis(config.max_poll_interval()),
        }
    }

    /// `transactional.id` of a stream thread, counted from 1.
    pub(crate) fn transactional_id(&self, number: usize) -> String {
        format!("{}-{}-{number}", self.application_id, self.process_id)
    }

    /// `client.id`, or application and process id.
    pub(crate) fn client_id(&self) -> String {
        match self.config.client_id() {
            Some(id) => id.to_owned(),
            None => format!("{}-{}", self.application_id, self.process_id),
        }
    }

    /// Bytes for the record caches of one thread.
    pub(crate) fn cache_bytes(&self) -> usize {
        self.cache_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of uncommitted writes above which one thread commits early.
    pub(crate) fn uncommitted_bytes_max(&self) -> usize {
        self.uncommitted_bytes.load(Ordering::Relaxed)
    }

    /// Shares the record caches' bytes among so many stream threads, the global thread counted as one
    /// more. Uncommitted writes of all threads get at most half of the memory.
    pub(crate) fn share_memory(&self, threads: usize) {
        let part = self.memory.bytes_max() / 2 / threads.max(1);
        let uncommitted = self.config.statestore_uncommitted_max_bytes().min(part);
        self.uncommitted_bytes.store(uncommitted, Ordering::Relaxed);
        let shares = threads.max(1) + usize::from(self.globals.is_some());
        self.cache_bytes.store(self.config.statestore_cache_max_bytes() / shares, Ordering::Relaxed);
    }

    /// Stops processing on all threads, or goes on.
    pub(crate) fn set_paused(&self, is_paused: bool) {
        self.is_paused.store(is_paused, Ordering::Release);
        self.log.wake();
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.is_paused.load(Ordering::Acquire)
    }
}

/// A failed operation as an error whose kind says what to do about it.
pub(crate) fn failed(failure: Failure) -> Error {
    let kind = match failure.kind {
        FailureKind::Retriable | FailureKind::Unknown => ErrorKind::Retriable,
        FailureKind::Fenced => ErrorKind::Fenced,
        FailureKind::Fatal => return failure.error,
    };
    if failure.error.kind() == kind {
        return failure.error;
    }
    let context = failure.error.context().clone();
    Error::new(kind, failure.error.message().to_owned())
        .with_source(failure.error)
        .with_context(|known| *known = context)
}
