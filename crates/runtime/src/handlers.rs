//! Exception handlers given in code, and what the configuration chooses where none is given.

use std::sync::Arc;

use millstream_topology::flow::{
    DeserializationExceptionHandler, FlowOptions, GlobalState, LogAndContinue, LogAndFail, ProcessingExceptionHandler,
    ProductionExceptionHandler, StreamsMetrics, TimestampExtraction,
};
use millstream_types::config::{HandlerChoice, TimestampExtractorChoice};
use millstream_types::{Config, ProcessingGuarantee};
use parking_lot::RwLock;

use crate::task::TaskOptions;

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

impl Handlers {
    /// What the nodes of a flow share: these handlers, else those the configuration names.
    pub fn flow_options(&self, config: &Config) -> FlowOptions {
        FlowOptions {
            processing_handler: self.processing.clone().unwrap_or_else(|| {
                chosen(config.processing_exception_handler(), Arc::new(LogAndFail), Arc::new(LogAndContinue))
            }),
            production_handler: self.production.clone().unwrap_or_else(|| {
                chosen(config.production_exception_handler(), Arc::new(LogAndFail), Arc::new(LogAndContinue))
            }),
            dead_letter_topic: config.dead_letter_queue_topic().map(Into::into),
            keeps_raw_records: self.processing.is_some() || config.dead_letter_queue_topic().is_some(),
            config: Some(Arc::new(config.clone())),
            metrics: StreamsMetrics::new(config),
            ..FlowOptions::default()
        }
    }

    /// Of an instance's options those for processors of global stores, which ask the processing handler only under
    /// `processing.exception.handler.global.enabled` (KIP-1270) and fail otherwise.
    pub fn global_flow_options(config: &Config, options: &FlowOptions) -> FlowOptions {
        if config.processing_exception_handler_global_enabled() {
            return options.clone();
        }
        FlowOptions { processing_handler: Arc::new(LogAndFail), ..options.clone() }
    }

    /// How a task treats its input under this configuration.
    pub fn task_options(&self, config: &Config, globals: Option<Arc<RwLock<GlobalState>>>) -> TaskOptions {
        TaskOptions {
            extraction: extraction(config.default_timestamp_extractor()),
            deserialization_handler: self.deserialization.clone().unwrap_or_else(|| {
                chosen(config.deserialization_exception_handler(), Arc::new(LogAndFail), Arc::new(LogAndContinue))
            }),
            dead_letter_topic: config.dead_letter_queue_topic().map(Into::into),
            idle: config.max_task_idle(),
            buffered_records_max: config.buffered_records_per_partition(),
            claims_first: config.processing_guarantee() == ProcessingGuarantee::AtMostOnce,
            globals,
        }
    }
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
