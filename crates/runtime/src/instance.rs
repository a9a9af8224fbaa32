//! One instance of an application: what its threads share, and where they come from.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use millstream_log::Log;
use millstream_state::{EngineProvider, MemoryBudget};
use millstream_topology::flow::{GlobalState, StreamsMetrics};
use millstream_topology::graph::Topology;
use millstream_types::{Clock, Config, Error, ErrorKind, Result};
use parking_lot::RwLock;

use crate::cleaner::Cleaner;
use crate::globals::GlobalThread;
use crate::handlers::Handlers;
use crate::listeners::{Listeners, StandbyUpdateListener, StateRestoreListener};
use crate::metrics::Metrics;
use crate::predecessors::Predecessors;
use crate::shared::Shared;
use crate::summary::Summary;
use crate::task_lock::TaskLocks;
use crate::thread::StreamThread;

/// What an instance runs on: parts that are code, given where configuration is data.
#[derive(Clone)]
pub struct Components {
    /// The log.
    pub log: Arc<dyn Log>,
    /// Opens the engines of stores.
    pub engines: Arc<dyn EngineProvider>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Exception handlers in place of the configured ones.
    pub handlers: Handlers,
}

/// An instance without threads around it: its steps are called by whoever made it, in whatever
/// order and at whatever time. `Streams` runs them on threads; simulations and tests by hand.
///
/// Dropping an instance and its threads without stopping them is what a crash does.
#[derive(Clone)]
pub struct Instance {
    shared: Arc<Shared>,
}

impl Instance {
    /// Prepares an instance.
    ///
    /// # Errors
    /// `Topology` with every problem of the topology; what opening a global store gives.
    pub fn new(topology: &Topology, config: &Config, components: &Components) -> Result<Self> {
        topology.check()?;
        if config.application_id().is_empty() {
            return Err(Error::new(ErrorKind::Configuration, "application.id is missing"));
        }
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        let memory = MemoryBudget::new(config.statestore_memory_max_bytes());
        memory.reserve(config.statestore_cache_max_bytes());
        components.engines.share_memory(&memory);
        let globals = globals(topology, &*components.engines)?;
        let flow_options = components.handlers.flow_options(config);
        let global_flow_options = Handlers::global_flow_options(config, &flow_options);
        let task_options = components.handlers.task_options(config, globals.clone());
        let shared = Shared {
            log: Arc::clone(&components.log),
            topology: topology.clone(),
            config: config.clone(),
            application_id: config.application_id().into(),
            process_id: components.engines.process_id(),
            engines: Arc::clone(&components.engines),
            flow_options: Arc::new(flow_options),
            global_flow_options: Arc::new(global_flow_options),
            task_options,
            globals,
            metrics: Arc::default(),
            task_locks: TaskLocks::default(),
            predecessors: Predecessors::default(),
            cleaner: Cleaner::new(config.state_cleanup_delay()),
            summary: Summary::new(config.log_summary_interval()),
            has_started: AtomicBool::new(false),
            endpoints: RwLock::default(),
            cache_bytes: AtomicUsize::new(0),
            uncommitted_bytes: AtomicUsize::new(0),
            memory,
            is_paused: AtomicBool::new(false),
            application_ends: AtomicBool::new(false),
            listeners: Listeners::default(),
        };
        shared.share_memory(config.num_stream_threads());
        Ok(Self { shared: Arc::new(shared) })
    }

    /// A stream thread; its number, from 1, is part of its identity in the group and, under
    /// `exactly_once_v2`, of its transactional id.
    pub fn stream_thread(&self, number: usize) -> StreamThread {
        StreamThread::new(Arc::clone(&self.shared), number)
    }

    /// The thread that fills the global stores; `None` when the topology has none.
    pub fn global_thread(&self) -> Option<GlobalThread> {
        let state = self.shared.globals.clone()?;
        Some(GlobalThread::new(Arc::clone(&self.shared), state))
    }

    /// Sets who hears of restores that begin from now on.
    pub fn set_global_state_restore_listener(&self, listener: impl StateRestoreListener + 'static) {
        self.shared.listeners.set_restore(Arc::new(listener));
    }

    /// Sets who hears of copies that are kept from now on.
    pub fn set_standby_update_listener(&self, listener: impl StandbyUpdateListener + 'static) {
        self.shared.listeners.set_standby(Arc::new(listener));
    }

    /// What the instance counts.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.shared.metrics)
    }

    /// The sensors that processors have made.
    pub fn sensors(&self) -> &StreamsMetrics {
        &self.shared.flow_options.metrics
    }

    /// The global stores; `None` when the topology has none.
    pub fn globals(&self) -> Option<Arc<RwLock<GlobalState>>> {
        self.shared.globals.clone()
    }

    /// Deletes the data of all stores. None may be open.
    pub(crate) fn clean_up(&self, engines: &dyn EngineProvider) -> Result<()> {
        for task in engines.tasks()? {
            engines.remove(task)?;
        }
        let Some(globals) = &self.shared.globals else { return Ok(()) };
        let mut globals = globals.write();
        self.shared.topology.global_stores().iter().try_for_each(|global| globals.wipe(&global.store.name))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("application_id", &self.shared.application_id).finish_non_exhaustive()
    }
}

fn globals(topology: &Topology, engines: &dyn EngineProvider) -> Result<Option<Arc<RwLock<GlobalState>>>> {
    if topology.global_stores().is_empty() {
        return Ok(None);
    }
    let mut state = GlobalState::default();
    state.set_filling(true);
    for global in topology.global_stores() {
        let engine = topology
            .open_global_engine(&global.store, engines)
            .map_err(|error| error.with_context(|context| context.store = Some(Arc::clone(&global.store.name))))?;
        state.add(global.store.clone(), engine);
    }
    Ok(Some(Arc::new(RwLock::new(state))))
}
