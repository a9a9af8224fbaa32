//! What happens when a record cannot be read, processed or written: the exception handlers.

use std::sync::Arc;

use bytes::Bytes;
use millstream_types::{Error, Headers, Offset, Partition, TaskId, Timestamp};

/// What a handler decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandlerDecision {
    /// Drop the record at this point and go on. It counts as dropped.
    Resume,
    /// Stop: the error goes to the uncaught exception handler.
    Fail,
    /// Process again from the last commit; only for retriable production errors, else as `Fail`.
    Retry,
}

/// A handler's decision and the records it wants written to dead letter topics (KIP-1034). They
/// are written with the task's own producer, so inside its transaction, also on `Fail`.
#[derive(Clone, Debug)]
pub struct HandlerResponse {
    /// What to do.
    pub decision: HandlerDecision,
    /// Records for dead letter topics.
    pub dead_letters: Vec<DeadLetter>,
}

impl HandlerResponse {
    /// Drop the record and go on.
    pub fn resume() -> Self {
        Self { decision: HandlerDecision::Resume, dead_letters: Vec::new() }
    }

    /// Stop.
    pub fn fail() -> Self {
        Self { decision: HandlerDecision::Fail, dead_letters: Vec::new() }
    }

    /// Process again from the last commit.
    pub fn retry() -> Self {
        Self { decision: HandlerDecision::Retry, dead_letters: Vec::new() }
    }

    /// Adds records for dead letter topics.
    #[must_use]
    pub fn with_dead_letters(mut self, records: impl IntoIterator<Item = DeadLetter>) -> Self {
        self.dead_letters.extend(records);
        self
    }
}

/// A record for a dead letter topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Topic to write to.
    pub topic: Arc<str>,
    /// Key bytes.
    pub key: Option<Bytes>,
    /// Value bytes.
    pub value: Option<Bytes>,
    /// Timestamp, ms since the epoch.
    pub timestamp: Timestamp,
    /// Headers.
    pub headers: Headers,
}

/// What a handler is told about the record that failed.
#[derive(Clone, Debug)]
pub struct ErrorHandlerContext {
    /// The task.
    pub task: TaskId,
    /// The node that failed, or the source that could not read.
    pub node: Arc<str>,
    /// Topic of the input record; `None` below a punctuator.
    pub topic: Option<Arc<str>>,
    /// Its partition; -1 below a punctuator.
    pub partition: Partition,
    /// Its offset; -1 below a punctuator.
    pub offset: Offset,
    /// Its timestamp, ms since the epoch.
    pub timestamp: Timestamp,
    /// Its headers.
    pub headers: Headers,
    /// Key bytes of the input record; for production errors of the failed output record.
    pub raw_key: Option<Bytes>,
    /// Value bytes of the input record; for production errors of the failed output record.
    pub raw_value: Option<Bytes>,
    /// `errors.dead.letter.queue.topic.name`, for the built-in handlers.
    pub dead_letter_topic: Option<Arc<str>>,
}

impl ErrorHandlerContext {
    /// The record the built-in handlers write to the configured dead letter topic: the raw key and
    /// value, the source timestamp, the source headers and headers that say what happened
    /// (`__streams.errors.exception`, `.message`, `.stacktrace`, `.topic`, `.partition`, `.offset`).
    /// `None` when no topic is configured.
    pub fn dead_letter(&self, error: &Error) -> Option<DeadLetter> {
        let topic = self.dead_letter_topic.clone()?;
        let mut headers = self.headers.clone();
        let mut add = |name: &str, text: Option<String>| headers.add(name, text.map(Bytes::from));
        add("__streams.errors.exception", Some(format!("{:?}", error.kind())));
        add("__streams.errors.message", Some(error.to_string()));
        add("__streams.errors.stacktrace", Some(error.report()));
        add("__streams.errors.topic", self.topic.as_deref().map(str::to_owned));
        add("__streams.errors.partition", Some(self.partition.to_string()));
        add("__streams.errors.offset", Some(self.offset.to_string()));
        Some(DeadLetter {
            topic,
            key: self.raw_key.clone(),
            value: self.raw_value.clone(),
            timestamp: self.timestamp,
            headers,
        })
    }
}

/// Decides on records that a source cannot read.
pub trait DeserializationExceptionHandler: Send + Sync {
    /// Called once per record.
    fn handle(&self, context: &ErrorHandlerContext, error: &Error) -> HandlerResponse;
}

/// Decides on records that user code failed on, at the innermost node that failed (KIP-1033).
pub trait ProcessingExceptionHandler: Send + Sync {
    /// Called once per failure.
    fn handle(&self, context: &ErrorHandlerContext, error: &Error) -> HandlerResponse;
}

/// Decides on records that cannot be serialised for a sink or are refused by the log.
pub trait ProductionExceptionHandler: Send + Sync {
    /// Called once per record.
    fn handle(&self, context: &ErrorHandlerContext, error: &Error) -> HandlerResponse;

    /// Called once per record of which a part cannot be serialised; [`handle`](Self::handle) decides by default.
    fn handle_serialization(
        &self,
        context: &ErrorHandlerContext,
        part: SerializationExceptionOrigin,
        error: &Error,
    ) -> HandlerResponse {
        let _ = part;
        self.handle(context, error)
    }
}

/// Which part of a record could not be serialised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SerializationExceptionOrigin {
    /// Its key.
    Key,
    /// Its value.
    Value,
}

/// A record that a sink could not write.
pub(crate) struct Unwritten<'a> {
    pub(crate) topic: &'a Arc<str>,
    /// Key and value as far as they were serialised.
    pub(crate) raw: (Option<Bytes>, Option<Bytes>),
    pub(crate) timestamp: Timestamp,
    /// What could not be serialised; `None` where all could.
    pub(crate) part: Option<SerializationExceptionOrigin>,
}

/// Logs the error and stops: the default of all three. Writes a dead letter where one is configured.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogAndFail;

/// Logs the error, drops the record and goes on. Writes a dead letter where one is configured.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogAndContinue;

fn log_and(decision: HandlerDecision, what: &str, context: &ErrorHandlerContext, error: &Error) -> HandlerResponse {
    let ErrorHandlerContext { task, node, topic, partition, offset, .. } = context;
    let topic = topic.as_deref().unwrap_or_default();
    if decision == HandlerDecision::Resume {
        tracing::warn!(%task, %node, topic, %partition, %offset, %error, "{what}, the record is dropped");
    } else {
        tracing::error!(%task, %node, topic, %partition, %offset, %error, "{what}");
    }
    HandlerResponse { decision, dead_letters: context.dead_letter(error).into_iter().collect() }
}

const UNREADABLE: &str = "a record could not be read";
const FAILED: &str = "a processor failed on a record";
const UNWRITABLE: &str = "a record could not be written";

impl DeserializationExceptionHandler for LogAndFail {
    fn handle(&self, context: &ErrorHandlerContext, error: &Error) -> HandlerResponse {
        log_and(HandlerDecision::Fail, UNREADABLE, context, error)
    }
}

impl ProcessingExceptionHandler for LogAndFail {
    fn handle(&self, context: &ErrorHandlerContext, error: &Error) -> HandlerResponse {
        log_and(HandlerDecision::Fail, FAILED, context, error)
    }
}

impl ProductionExceptionHandler for LogAndFail {
    fn handle(&self, context: &ErrorHandlerContext, error: &Error) -> HandlerResponse {
        log_and(HandlerDecision::Fail, UNWRITABLE, context, error)
    }
}

impl DeserializationExceptionHandler for LogAndContinue {
    fn handle(&self, context: &ErrorHandlerContext, error: &Error) -> HandlerResponse {
        log_and(HandlerDecision::Resume, UNREADABLE, context, error)
    }
}

impl ProcessingExceptionHandler for LogAndContinue {
    fn handle(&self, context: &ErrorHandlerContext, error: &Error) -> HandlerResponse {
        log_and(HandlerDecision::Resume, FAILED, context, error)
    }
}

impl ProductionExceptionHandler for LogAndContinue {
    fn handle(&self, context: &ErrorHandlerContext, error: &Error) -> HandlerResponse {
        log_and(HandlerDecision::Resume, UNWRITABLE, context, error)
    }
}
