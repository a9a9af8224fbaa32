//! What a flow does with a record that a node cannot process or write: it asks the handlers, and obeys.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use millstream_types::{Error, ErrorKind, Timestamp};

use super::Flow;
use super::build::NodeIndex;
use super::env::{FlowEnv, SinkRecord};
use super::fault::{ErrorHandlerContext, HandlerDecision, HandlerResponse, Unwritten};
use super::processor::{ProcessorError, failed};

/// Why a node did not get through a record.
pub(super) enum Cause {
    /// It gave an error.
    Error(ProcessorError),
    /// It panicked, with this text.
    Panic(String),
}

impl Flow {
    /// Writes dead letters; what cannot be written is fatal, since it would be lost silently.
    pub fn send_dead_letters(&mut self, env: &mut dyn FlowEnv, response: &HandlerResponse) -> Result<(), Error> {
        for letter in &response.dead_letters {
            let key = letter.key.as_deref();
            env.send(SinkRecord {
                sink: None,
                topic: &letter.topic,
                partition: None,
                partition_key: key,
                key,
                value: letter.value.as_deref(),
                timestamp: Timestamp(letter.timestamp.0.max(0)),
                headers: &letter.headers,
            })?;
        }
        Ok(())
    }

    #[cold]
    pub(super) fn processing_failed(&mut self, env: &mut dyn FlowEnv, index: NodeIndex, cause: Cause) {
        let node = self.node(index).map_or_else(|| "?".into(), |node| Arc::clone(&node.name));
        let error = match cause {
            // Our own errors (a store that cannot be read, say) are not the record's fault: no
            // handler may skip them.
            Cause::Error(error) => {
                let error = failed(error);
                if error.kind() != ErrorKind::Processing {
                    let error = error.with_context(|context| self.fill(context, &node));
                    return self.fail(error);
                }
                error
            }
            Cause::Panic(text) => Error::new(ErrorKind::Processing, format!("the processor panicked: {text}")),
        };
        let error = error.with_context(|context| self.fill(context, &node));
        if self.is_starting {
            return self.fail(error);
        }
        // A row that leaves a cache or a buffer comes from another record than the one being read.
        let kept = || self.origin.raw.as_deref().cloned();
        let raw = if self.options.keeps_raw_records { kept() } else { env.source_record() };
        let raw = raw.map_or((None, None), |raw| (raw.key, raw.value));
        let context = self.handler_context(node, raw, self.origin.timestamp);
        let handler = Arc::clone(&self.options.processing_handler);
        let response = guarded(|| handler.handle(&context, &error));
        self.obey(env, response, error, true);
    }

    #[cold]
    pub(crate) fn production_failed(
        &mut self,
        env: &mut dyn FlowEnv,
        index: NodeIndex,
        record: Unwritten<'_>,
        error: Error,
    ) {
        let node = self.node(index).map_or_else(|| "?".into(), |node| Arc::clone(&node.name));
        let error = error.with_context(|context| {
            context.task = Some(self.build.task);
            context.node = Some(Arc::clone(&node));
            context.topic = Some(Arc::clone(record.topic));
        });
        let context = self.handler_context(node, record.raw, record.timestamp);
        let handler = Arc::clone(&self.options.production_handler);
        let response = guarded(|| match record.part {
            Some(part) => handler.handle_serialization(&context, part, &error),
            None => handler.handle(&context, &error),
        });
        self.obey(env, response, error, true);
    }

    fn obey(&mut self, env: &mut dyn FlowEnv, response: Result<HandlerResponse, Error>, error: Error, count: bool) {
        let response = match response {
            Ok(response) => response,
            Err(broken) => return self.fail(broken.with_source(error)),
        };
        if let Err(lost) = self.send_dead_letters(env, &response) {
            return self.fail(lost);
        }
        match response.decision {
            HandlerDecision::Resume if count => self.dropped += 1,
            HandlerDecision::Resume => {}
            HandlerDecision::Fail | HandlerDecision::Retry => self.fail(error),
        }
    }

    fn fill(&self, context: &mut millstream_types::Context, node: &Arc<str>) {
        context.task = Some(self.build.task);
        context.node.get_or_insert_with(|| Arc::clone(node));
        if let Some(topic) = &self.origin.topic {
            context.topic.get_or_insert_with(|| Arc::clone(topic));
            context.partition = Some(self.origin.partition);
            context.offset = Some(self.origin.offset);
        }
    }

    fn handler_context(
        &self,
        node: Arc<str>,
        raw: (Option<Bytes>, Option<Bytes>),
        timestamp: Timestamp,
    ) -> ErrorHandlerContext {
        ErrorHandlerContext {
            task: self.build.task,
            node,
            topic: self.origin.topic.clone(),
            partition: self.origin.partition,
            offset: self.origin.offset,
            timestamp,
            headers: self.origin_headers.clone(),
            raw_key: raw.0,
            raw_value: raw.1,
            dead_letter_topic: self.options.dead_letter_topic.clone(),
        }
    }
}

/// Runs a handler; one that panics is a fatal error of its own.
fn guarded(handle: impl FnOnce() -> HandlerResponse) -> Result<HandlerResponse, Error> {
    catch_unwind(AssertUnwindSafe(handle)).map_err(|panic| {
        Error::new(ErrorKind::Fatal, format!("the exception handler panicked: {}", panic_text(&*panic)))
    })
}

/// The text a panic carried.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "(no text)".to_owned(),
    }
}
