//! From the configuration to the options of the one task.

use std::sync::Arc;

use millstream_runtime::{Handlers, TaskOptions};
use millstream_topology::flow::{
    DeserializationExceptionHandler, FlowOptions, GlobalState, LogAndContinue, LogAndFail, TimestampExtraction,
};
use millstream_types::Config;
use millstream_types::config::{HandlerChoice, TimestampExtractorChoice};
use parking_lot::RwLock;

pub(super) fn flow_options(config: &Config, handlers: &Handlers) -> FlowOptions {
    let mut options = FlowOptions { dead_letter_topic: dead_letter_topic(config), ..FlowOptions::default() };
    if config.processing_exception_handler() == HandlerChoice::Continue {
        options.processing_handler = Arc::new(LogAndContinue);
    }
    if config.production_exception_handler() == HandlerChoice::Continue {
        options.production_handler = Arc::new(LogAndContinue);
    }
    if let Some(handler) = &handlers.processing {
        options.processing_handler = Arc::clone(handler);
    }
    if let Some(handler) = &handlers.production {
        options.production_handler = Arc::clone(handler);
    }
    options
}

pub(super) fn task_options(config: &Config, handlers: &Handlers, globals: Arc<RwLock<GlobalState>>) -> TaskOptions {
    let configured: Arc<dyn DeserializationExceptionHandler> = match config.deserialization_exception_handler() {
        HandlerChoice::Continue => Arc::new(LogAndContinue),
        HandlerChoice::Fail => Arc::new(LogAndFail),
    };
    TaskOptions {
        extraction: extraction(config),
        deserialization_handler: handlers.deserialization.clone().unwrap_or(configured),
        dead_letter_topic: dead_letter_topic(config),
        idle: config.max_task_idle(),
        buffered_records_max: config.buffered_records_per_partition(),
        globals: Some(globals),
    }
}

fn extraction(config: &Config) -> TimestampExtraction {
    match config.default_timestamp_extractor() {
        TimestampExtractorChoice::LogAndSkipOnInvalidTimestamp => TimestampExtraction::LogAndSkipOnInvalidTimestamp,
        TimestampExtractorChoice::UsePartitionTimeOnInvalidTimestamp => {
            TimestampExtraction::UsePartitionTimeOnInvalidTimestamp
        }
        TimestampExtractorChoice::WallclockTimestamp => TimestampExtraction::WallclockTimestampExtractor,
        TimestampExtractorChoice::FailOnInvalidTimestamp => TimestampExtraction::FailOnInvalidTimestamp,
    }
}

fn dead_letter_topic(config: &Config) -> Option<Arc<str>> {
    config.dead_letter_queue_topic().map(Arc::from)
}
