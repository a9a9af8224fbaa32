//! What a flow is made from besides its nodes: who it belongs to, and what its nodes share.

use std::collections::BTreeSet;
use std::sync::Arc;

use millstream_types::{Config, TaskId};

use super::fault::{LogAndFail, ProcessingExceptionHandler, ProductionExceptionHandler};
use super::metrics::StreamsMetrics;

/// Position of a node in its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeIndex(pub u32);

/// What a flow is told about its task when it is built.
#[derive(Clone, Debug)]
pub struct FlowBuild {
    /// The task.
    pub task: TaskId,
    /// Application id: prefix of internal topics.
    pub application_id: Arc<str>,
    /// Topics that get the prefix.
    pub internal_topics: Arc<BTreeSet<Arc<str>>>,
}

/// What the nodes of a flow share: handlers and the dead letter topic.
#[derive(Clone)]
pub struct FlowOptions {
    /// Decides when user code fails.
    pub processing_handler: Arc<dyn ProcessingExceptionHandler>,
    /// Decides when a record cannot be serialised or written.
    pub production_handler: Arc<dyn ProductionExceptionHandler>,
    /// `errors.dead.letter.queue.topic.name`.
    pub dead_letter_topic: Option<Arc<str>>,
    /// Whether the processing handler may ask for the bytes of input records: rows in caches and buffers keep theirs,
    /// too.
    pub keeps_raw_records: bool,
    /// How often, by the wall clock, an operator looks for what has become due with time: an outer join
    /// for records without a partner, windows for those that closed; in ms.
    pub emit_interval_ms: i64,
    /// The application's configuration, for processors that ask; none for a flow of its own.
    pub config: Option<Arc<Config>>,
    /// Where processors keep sensors of their own.
    pub metrics: StreamsMetrics,
}

/// Kafka Streams' `__emit.interval.ms...` settings, which only its test driver changes.
const EMIT_INTERVAL_MS: i64 = 1000;

impl Default for FlowOptions {
    fn default() -> Self {
        Self {
            processing_handler: Arc::new(LogAndFail),
            production_handler: Arc::new(LogAndFail),
            dead_letter_topic: None,
            keeps_raw_records: false,
            emit_interval_ms: EMIT_INTERVAL_MS,
            config: None,
            metrics: StreamsMetrics::default(),
        }
    }
}

impl FlowBuild {
    /// A topic's name in the log: internal ones get the application id in front.
    pub(super) fn topic(&self, name: &Arc<str>) -> Arc<str> {
        if self.internal_topics.contains(name) {
            format!("{}-{name}", self.application_id).into()
        } else {
            Arc::clone(name)
        }
    }
}
