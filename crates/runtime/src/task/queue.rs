//! One queue of a task: the records of one input partition, of which only the head is decoded.

use std::collections::VecDeque;
use std::sync::Arc;

use millstream_log::ReadPosition;
use millstream_log::batch::{Batch, Records};
use millstream_state::Origin;
use millstream_topology::flow::{
    DeserializationExceptionHandler, ErrorHandlerContext, Flow, HandlerDecision, Head, HeadOutcome, NodeIndex, RawHead,
    TimestampExtraction,
};
use millstream_types::{Error, ErrorKind, Headers, Offset, Result, Timestamp, TopicPartition};

use super::env::TaskEnv;
use crate::guard::guarded;

/// What all queues of a task share.
pub(crate) struct QueueRules {
    pub(crate) extraction: TimestampExtraction,
    pub(crate) handler: Arc<dyn DeserializationExceptionHandler>,
    pub(crate) dead_letter_topic: Option<Arc<str>>,
}

/// The FIFO queue of one input partition. Batches wait as bytes; the record in front is decoded
/// when it becomes the head, as in Kafka Streams, so an extractor sees the partition time of the
/// records before it.
pub(crate) struct RecordQueue {
    pub(crate) partition: TopicPartition,
    pub(crate) source: NodeIndex,
    pub(crate) head: Box<dyn Head>,
    pub(crate) state: HeadState,
    /// Where the head comes from, with its extracted timestamp.
    pub(crate) origin: Origin,
    pub(crate) headers: Headers,
    /// Stands at the head.
    pub(crate) cursor: Option<Records>,
    waiting: VecDeque<Waiting>,
    waiting_records: usize,
    /// Records that may still pass before the stores hear again which keys come.
    ahead: usize,
    /// Largest timestamp taken out; -1 before the first.
    pub(crate) partition_time: Timestamp,
    /// Where reading goes on when everything here is processed.
    pub(crate) next: ReadPosition,
    /// Leader epoch of the batch that the head is from, or the last one was; -1 before the first.
    leader_epoch: i32,
    /// One past the last offset the log is known to have; `None` before it was asked.
    pub(crate) end: Option<Offset>,
}

/// A batch that waits, read from this offset on.
struct Waiting {
    batch: Batch,
    from: Offset,
    /// Its topic where that is not the queue's own: a queue of the test driver holds the records of
    /// every topic that a pattern matches.
    topic: Option<Arc<str>>,
}

/// What stands at the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadState {
    /// The queue is empty.
    None,
    /// A decoded record.
    Ready,
    /// Nothing but records came that are undecodable or of no time; the last one stands here with timestamp -1, so that
    /// the offset after it can be committed (KAFKA-6502).
    Corrupted,
}

impl RecordQueue {
    pub(crate) fn new(partition: TopicPartition, source: NodeIndex, head: Box<dyn Head>, next: ReadPosition) -> Self {
        let origin =
            Origin { topic: Some(Arc::clone(&partition.topic)), partition: partition.partition, ..Origin::NONE };
        Self {
            partition,
            source,
            head,
            state: HeadState::None,
            origin,
            headers: Headers::new(),
            cursor: None,
            waiting: VecDeque::new(),
            waiting_records: 0,
            ahead: 0,
            partition_time: Timestamp::UNKNOWN,
            next,
            leader_epoch: -1,
            end: None,
        }
    }

    /// Appends batches; records before `from` are skipped. A `topic` is given where it is not the
    /// queue's own.
    pub(crate) fn add(&mut self, batches: Vec<Batch>, from: Offset, topic: Option<&Arc<str>>) {
        for batch in batches {
            self.waiting_records += batch.count();
            self.waiting.push_back(Waiting { batch, from, topic: topic.cloned() });
        }
    }

    /// Records waiting, the head included.
    pub(crate) fn len(&self) -> usize {
        let open = self.cursor.as_ref().map_or(0, Records::remaining);
        self.waiting_records + open + usize::from(self.state != HeadState::None)
    }

    /// Records between the last one fetched and the end of the log, if that is known.
    pub(crate) fn lag(&self) -> Option<i64> {
        self.end.map(|end| end.0.saturating_sub(self.next.offset.0).max(0))
    }

    /// What may be committed: everything before it is processed. With the head's offset goes the head's epoch, as in Kafka
    /// Streams; it tells a log that was cut as well as that of the record before.
    pub(crate) fn committable(&self) -> ReadPosition {
        if self.state == HeadState::None {
            return self.next;
        }
        ReadPosition { offset: self.origin.offset, leader_epoch: self.leader_epoch }
    }

    /// Lets the stores know which keys come next, now and then.
    pub(crate) fn read_ahead(&mut self, flow: &mut Flow) {
        if self.ahead == 0
            && let Some(cursor) = &self.cursor
        {
            let head = cursor.current().and_then(|record| record.key);
            self.ahead = flow.read_ahead(self.source, head.into_iter().chain(cursor.keys_ahead()));
        }
        self.ahead = self.ahead.saturating_sub(1);
    }

    /// Takes the head out, after it was processed.
    pub(crate) fn pop(&mut self) {
        self.partition_time = self.partition_time.max(self.origin.timestamp);
        self.state = HeadState::None;
    }

    /// Decodes records until one can stand at the head.
    ///
    /// # Errors
    /// What the handler does not continue from, a broken batch, an extractor that refuses.
    pub(crate) fn fill(&mut self, flow: &mut Flow, env: &mut TaskEnv<'_>, rules: &QueueRules) -> Result<()> {
        let mut corrupted = None;
        while self.state == HeadState::None && self.advance()? {
            let Some(view) = self.cursor.as_ref().and_then(Records::current) else { break };
            let headers = view.headers.to_headers();
            let offset = view.offset;
            let raw = RawHead {
                offset,
                timestamp: view.timestamp,
                key: view.key,
                value: view.value,
                headers: headers.clone(),
            };
            match self.head.decode(raw, self.partition_time, env.wall_ms, &rules.extraction) {
                HeadOutcome::Ready(timestamp) => {
                    self.origin.offset = offset;
                    self.origin.timestamp = timestamp;
                    self.headers = headers;
                    self.state = HeadState::Ready;
                }
                HeadOutcome::Undecodable(error) => {
                    self.undecodable(error, flow, env, rules)?;
                    corrupted = Some(offset);
                }
                HeadOutcome::NegativeTimestamp(timestamp) => {
                    tracing::warn!(
                        partition = %self.partition, %offset, %timestamp,
                        "a record with a negative timestamp is dropped"
                    );
                    flow.count_dropped(1);
                    corrupted = Some(offset);
                }
                HeadOutcome::Fatal(error) => return Err(self.located(error, flow, offset)),
            }
        }
        if let (HeadState::None, Some(offset)) = (self.state, corrupted) {
            self.origin.offset = offset;
            self.origin.timestamp = Timestamp::UNKNOWN;
            self.state = HeadState::Corrupted;
        }
        Ok(())
    }

    /// Moves the cursor to the next record; `false` when there is none.
    fn advance(&mut self) -> Result<bool> {
        loop {
            if let Some(cursor) = &mut self.cursor {
                let moved = cursor.advance();
                if moved.map_err(|error| broken(&self.partition, error))? {
                    return Ok(true);
                }
                self.cursor = None;
            }
            let Some(Waiting { batch, from, topic }) = self.waiting.pop_front() else { return Ok(false) };
            self.waiting_records -= batch.count();
            self.leader_epoch = batch.header().leader_epoch;
            if topic.is_some() {
                self.origin.topic = topic;
            }
            self.cursor = Some(batch.cursor(from).map_err(|error| broken(&self.partition, error))?);
        }
    }

    /// Asks the deserialisation handler about the record under the cursor.
    #[cold]
    fn undecodable(&self, error: Error, flow: &mut Flow, env: &mut TaskEnv<'_>, rules: &QueueRules) -> Result<()> {
        let Some(raw) = self.cursor.as_ref().and_then(Records::current).map(|view| view.to_raw()) else {
            return Err(error);
        };
        let error = self.located(error, flow, raw.offset);
        let node = flow.node_name(self.source).cloned().unwrap_or_else(|| "?".into());
        let context = ErrorHandlerContext {
            task: flow.task(),
            node,
            topic: self.origin.topic.clone(),
            partition: self.partition.partition,
            offset: raw.offset,
            timestamp: raw.timestamp,
            headers: raw.headers,
            raw_key: raw.key,
            raw_value: raw.value,
            dead_letter_topic: rules.dead_letter_topic.clone(),
        };
        let response = guarded("deserialization exception handler", || rules.handler.handle(&context, &error))
            .map_err(|broken| self.located(broken.with_source(error.clone()), flow, raw.offset))?;
        flow.send_dead_letters(env, &response)?;
        match response.decision {
            HandlerDecision::Resume => {
                flow.count_dropped(1);
                Ok(())
            }
            HandlerDecision::Fail | HandlerDecision::Retry => Err(error),
        }
    }

    fn located(&self, error: Error, flow: &Flow, offset: Offset) -> Error {
        error.with_context(|context| {
            context.task = Some(flow.task());
            context.node = flow.node_name(self.source).cloned();
            context.topic.clone_from(&self.origin.topic);
            context.partition = Some(self.partition.partition);
            context.offset = Some(offset);
        })
    }
}

/// A batch that passed its checksum and still cannot be read.
fn broken(partition: &TopicPartition, error: millstream_log::batch::BatchError) -> Error {
    Error::new(ErrorKind::Corrupted, "a batch of records is broken").with_source(error).with_context(|context| {
        context.topic = Some(Arc::clone(&partition.topic));
        context.partition = Some(partition.partition);
    })
}
