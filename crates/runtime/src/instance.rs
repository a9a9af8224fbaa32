//! One instance of an application: what its threads share, and where they come from.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use millstream_log::Log;
use millstream_state::EngineProvider;
use millstream_topology::flow::{
    DeserializationExceptionHandler, FlowOptions, GlobalState, LogAndContinue, LogAndFail, ProcessingExceptionHandler,
    ProductionExceptionHandler, TimestampExtraction,
};
use millstream_topology::graph::Topology;
use millstream_types::config::{HandlerChoice, TimestampExtractorChoice};
use millstream_types::{Clock, Config, Error, ErrorKind, Result};
use parking_lot::RwLock;

use crate::globals::GlobalThread;
use crate::metrics::Metrics;
use crate::shared::Shared;
use crate::task::TaskOptions;
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

/// Exception handlers; `None` takes the one that the configuration names.
#[derive(Clone, Default)]
pub struct Handlers {
    /// In place of `deserialization.exception.handler`.
    pub deserialization: Option<Arc<dyn DeserializationExceptionHandler>>,
    /// In place of `processing.exception.handler`.
    pub processing: Option<Arc<dyn ProcessingExceptionHandler>>,
    /// In place of `production.exception.handler`.
    pub production: Option<Arc<dyn ProductionExceptionHandler>>,
}

impl std::fmt::Debug for Handlers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handlers").finish_non_exhaustive()
    }
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
        let globals = globals(topology, &*components.engines)?;
        let dead_letter_topic: Option<Arc<str>> = config.dead_letter_queue_topic().map(Into::into);
        let handlers = &components.handlers;
        let flow_options = FlowOptions {
            processing_handler: handlers.processing.clone().unwrap_or_else(|| {
                chosen(config.processing_exception_handler(), Arc::new(LogAndFail), Arc::new(LogAndContinue))
            }),
            production_handler: handlers.production.clone().unwrap_or_else(|| {
                chosen(config.production_exception_handler(), Arc::new(LogAndFail), Arc::new(LogAndContinue))
            }),
            dead_letter_topic: dead_letter_topic.clone(),
        };
        let task_options = TaskOptions {
            extraction: extraction(config.default_timestamp_extractor()),
            deserialization_handler: handlers.deserialization.clone().unwrap_or_else(|| {
                chosen(config.deserialization_exception_handler(), Arc::new(LogAndFail), Arc::new(LogAndContinue))
            }),
            dead_letter_topic,
            idle: config.max_task_idle(),
            buffered_records_max: config.buffered_records_per_partition(),
            globals: globals.clone(),
        };
        let shared = Shared {
            log: Arc::clone(&components.log),
            topology: topology.clone(),
            config: config.clone(),
            application_id: config.application_id().into(),
            process_id: components.engines.process_id(),
            engines: Arc::clone(&components.engines),
            flow_options: Arc::new(flow_options),
            task_options,
            globals,
            are_globals_ready: AtomicBool::new(false),
            metrics: Arc::default(),
            task_locks: TaskLocks::default(),
        };
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

    /// What the instance counts.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.shared.metrics)
    }

    /// The global stores; `None` when the topology has none.
    pub fn globals(&self) -> Option<Arc<RwLock<GlobalState>>> {
        self.shared.globals.clone()
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
    for global in topology.global_stores() {
        let engine = engines
            .open(None, &global.store)
            .map_err(|error| error.with_context(|context| context.store = Some(Arc::clone(&global.store.name))))?;
        state.add(Arc::clone(&global.store.name), engine);
    }
    Ok(Some(Arc::new(RwLock::new(state))))
}

fn chosen<T: ?Sized>(choice: HandlerChoice, fail: Arc<T>, resume: Arc<T>) -> Arc<T> {
    match choice {
        HandlerChoice::Fail => fail,
        HandlerChoice::Continue => resume,
    }
}

fn extraction(choice: TimestampExtractorChoice) -> TimestampExtraction {
    match choice {
        TimestampExtractorChoice::FailOnInvalidTimestamp => TimestampExtraction::FailOnInvalidTimestamp,
        TimestampExtractorChoice::LogAndSkipOnInvalidTimestamp => TimestampExtraction::LogAndSkipOnInvalidTimestamp,
        TimestampExtractorChoice::UsePartitionTimeOnInvalidTimestamp => {
            TimestampExtraction::UsePartitionTimeOnInvalidTimestamp
        }
        TimestampExtractorChoice::WallclockTimestamp => TimestampExtraction::WallclockTimestampExtractor,
    }
}
