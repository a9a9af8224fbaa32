//! The topic of one global store.

use std::sync::Arc;

use millstream_log::Fetched;
use millstream_log::batch::RecordView;
use millstream_state::CommitMark;
use millstream_topology::flow::{
    ErrorHandlerContext, GlobalState, HandlerDecision, Head, HeadOutcome, RawHead, TimestampExtraction,
};
use millstream_topology::graph::GlobalStore;
use millstream_types::{Error, ErrorKind, Now, Offset, Result, TaskId, Timestamp, TopicPartition};
use parking_lot::RwLock;

use super::bootstrap::TopicFacts;
use crate::guard::guarded;
use crate::shared::Shared;

/// What Kafka Streams calls the task of global stores.
const GLOBAL_TASK: TaskId = TaskId { subtopology: -1, partition: -1 };

/// The topic that feeds a store, and how far it is read.
pub(super) struct Feed {
    pub(super) store: Arc<str>,
    pub(super) topic: Arc<str>,
    source: Arc<str>,
    head: Box<dyn Head>,
    topic_id: u128,
    partitions: Vec<FeedPartition>,
}

struct FeedPartition {
    partition: TopicPartition,
    next: Offset,
    /// Where the topic ended at the start: tasks wait until this is read.
    end: Offset,
}

impl Feed {
    pub(super) fn new(global: &GlobalStore) -> Self {
        Self {
            store: Arc::clone(&global.store.name),
            topic: Arc::clone(&global.topic),
            source: Arc::clone(&global.source),
            head: global.new_head(),
            topic_id: 0,
            partitions: Vec::new(),
        }
    }

    /// Decides where to read on: where the store's mark stands, or from the start when the store
    /// does not fit the topic.
    pub(super) fn open(&mut self, facts: &TopicFacts, state: &RwLock<GlobalState>) -> Result<()> {
        let topic_id = facts.topics.get(&self.topic).map_or(0, |topic| topic.id);
        let mut mark = state.read().mark(&self.store)?;
        let ranges: Vec<_> = facts.ranges.iter().filter(|(partition, _)| partition.topic == self.topic).collect();
        if let Some(known) = &mark {
            let fits = known.position.iter().all(|(partition, last)| {
                let range = ranges.iter().find(|(known, _)| *known == partition).map(|(_, range)| *range);
                range.is_some_and(|(start, end)| last.next() >= *start && last.next() <= *end)
            });
            if !fits || (known.topic_id != 0 && known.topic_id != topic_id) {
                tracing::warn!(store = %self.store, topic = %self.topic, "the global store does not fit its topic and is filled anew");
                state.write().wipe(&self.store)?;
                mark = None;
            }
        }
        self.topic_id = topic_id;
        self.partitions = ranges
            .into_iter()
            .map(|(partition, (start, end))| {
                let position = mark.as_ref().map(|mark| mark.position.as_slice()).unwrap_or_default();
                let last = position.iter().find(|(known, _)| known == partition);
                let next = last.map_or(*start, |(_, last)| last.next());
                FeedPartition { partition: partition.clone(), next, end: *end }
            })
            .collect();
        Ok(())
    }

    pub(super) fn positions(&self) -> impl Iterator<Item = (TopicPartition, Offset)> {
        self.partitions.iter().map(|partition| (partition.partition.clone(), partition.next))
    }

    /// Whether everything that was there at the start is read.
    pub(super) fn is_filled(&self) -> bool {
        self.partitions.iter().all(|partition| partition.next >= partition.end)
    }

    /// Applies what was fetched of one partition: readable records with a key.
    pub(super) fn take(
        &mut self,
        fetched: &Fetched,
        shared: &Shared,
        state: &RwLock<GlobalState>,
        now: Now,
    ) -> Result<()> {
        let mut writes = Vec::new();
        for batch in &fetched.batches {
            let broken = |error| {
                let error = Error::new(ErrorKind::Corrupted, "a batch of records is broken").with_source(error);
                of_partition(error, &fetched.partition)
            };
            let mut records = batch.cursor(fetched.from).map_err(broken)?;
            while let Some(record) = records.next_record().map_err(broken)? {
                match record.key {
                    Some(key) if self.is_readable(&record, &fetched.partition, shared, now)? => {
                        writes.push((key.to_vec(), record.value.map(<[u8]>::to_vec), record.timestamp));
                    }
                    _ => {
                        shared.metrics.add_dropped(1);
                        tracing::warn!(partition = %fetched.partition, offset = %record.offset, "a record of a global table is dropped");
                    }
                }
            }
        }
        if let Some(known) = self.partitions.iter_mut().find(|known| known.partition == fetched.partition) {
            known.next = fetched.next;
        }
        if writes.is_empty() {
            return Ok(());
        }
        let last = |known: &FeedPartition| (known.partition.clone(), Offset(known.next.0 - 1));
        let mark = CommitMark {
            changelog_offset: Offset(-1),
            topic_id: self.topic_id,
            leader_epoch: -1,
            position: self.partitions.iter().filter(|known| known.next.0 > 0).map(last).collect(),
            wall_ms: now.wall_ms,
        };
        state
            .write()
            .apply(&self.store, writes, &mark)
            .map_err(|error| error.with_context(|context| context.store = Some(Arc::clone(&self.store))))
    }

    /// Whether the record decodes; if not, the deserialisation handler decides. There are no dead
    /// letters here: nothing writes.
    fn is_readable(
        &mut self,
        record: &RecordView<'_>,
        partition: &TopicPartition,
        shared: &Shared,
        now: Now,
    ) -> Result<bool> {
        let raw = RawHead {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key,
            value: record.value,
            headers: record.headers.to_headers(),
        };
        // A tombstone has no value to decode; plain types would refuse it.
        let outcome = match record.value {
            None => return Ok(true),
            Some(_) => self.head.decode(
                raw,
                Timestamp::UNKNOWN,
                now.wall_ms,
                &TimestampExtraction::WallclockTimestampExtractor,
            ),
        };
        let error = match outcome {
            HeadOutcome::Ready(_) | HeadOutcome::NegativeTimestamp(_) => return Ok(true),
            HeadOutcome::Undecodable(error) | HeadOutcome::Fatal(error) => error,
        };
        let error = of_partition(error, partition).with_context(|context| {
            context.offset = Some(record.offset);
            context.node = Some(Arc::clone(&self.source));
            context.store = Some(Arc::clone(&self.store));
        });
        let raw = record.to_raw();
        let context = ErrorHandlerContext {
            task: GLOBAL_TASK,
            node: Arc::clone(&self.source),
            topic: Some(Arc::clone(&partition.topic)),
            partition: partition.partition,
            offset: raw.offset,
            timestamp: raw.timestamp,
            headers: raw.headers,
            raw_key: raw.key,
            raw_value: raw.value,
            dead_letter_topic: None,
        };
        let handler = &shared.task_options.deserialization_handler;
        let response = guarded("deserialization exception handler", || handler.handle(&context, &error))?;
        if response.decision == HandlerDecision::Resume { Ok(false) } else { Err(error) }
    }
}

fn of_partition(error: Error, partition: &TopicPartition) -> Error {
    error.with_context(|context| {
        context.topic = Some(Arc::clone(&partition.topic));
        context.partition = Some(partition.partition);
    })
}
