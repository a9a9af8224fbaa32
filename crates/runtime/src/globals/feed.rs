//! The topic of one global store.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_log::batch::RecordView;
use millstream_log::{Fetched, ReadPosition, TopicMetadata};
use millstream_state::CommitMark;
use millstream_topology::flow::{
    ErrorHandlerContext, GlobalFlow, GlobalState, HandlerDecision, Head, HeadOutcome, RawHead, TimestampExtraction,
};
use millstream_topology::graph::GlobalStore;
use millstream_types::{Error, ErrorKind, Now, Offset, Result, TaskId, Timestamp, TopicPartition};
use parking_lot::RwLock;

use crate::guard::guarded;
use crate::shared::Shared;

/// What Kafka Streams calls the task of global stores.
const GLOBAL_TASK: TaskId = TaskId { subtopology: -1, partition: -1 };

/// The topic that feeds a store, and how far it is read.
pub(super) struct Feed {
    pub(super) store: Arc<str>,
    pub(super) topic: Arc<str>,
    global: GlobalStore,
    head: Box<dyn Head>,
    /// The processor that keeps the store, if it is the user's; made anew at each opening.
    flow: Option<GlobalFlow>,
    topic_id: u128,
    partitions: Vec<FeedPartition>,
}

/// What is known of the topics of all global stores when they are opened.
#[derive(Default)]
pub(super) struct TopicFacts {
    pub(super) topics: BTreeMap<Arc<str>, TopicMetadata>,
    /// First and one past the last offset.
    pub(super) ranges: BTreeMap<TopicPartition, (Offset, Offset)>,
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
            global: global.clone(),
            head: global.new_head(),
            flow: None,
            topic_id: 0,
            partitions: Vec::new(),
        }
    }

    /// Decides where to read on: where the store's mark stands, or from the start when the store
    /// does not fit the topic.
    pub(super) fn open(
        &mut self,
        facts: &TopicFacts,
        shared: &Shared,
        state: &Arc<RwLock<GlobalState>>,
        now: Now,
    ) -> Result<()> {
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
        let (id, options) = (&shared.application_id, &shared.global_flow_options);
        // What an earlier one had not committed is read again.
        self.flow = self.global.new_flow(&shared.topology, id, options, state, now.wall_ms)?;
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

    pub(super) fn positions(&self) -> impl Iterator<Item = (TopicPartition, ReadPosition)> {
        self.partitions.iter().map(|partition| (partition.partition.clone(), partition.next.into()))
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
        let mut has_processed = false;
        let is_filling = !self.is_filled();
        for batch in &fetched.batches {
            let broken = |error| {
                let error = Error::new(ErrorKind::Corrupted, "a batch of records is broken").with_source(error);
                of_partition(error, &fetched.partition)
            };
            let mut records = batch.cursor(fetched.from).map_err(broken)?;
            while let Some(record) = records.next_record().map_err(broken)? {
                if self.flow.is_some() {
                    // As in Kafka Streams a restore passes over records without key.
                    if !is_filling || record.key.is_some() {
                        self.process(&record, &fetched.partition, shared, now)?;
                        has_processed = true;
                    }
                    continue;
                }
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
        if writes.is_empty() && !has_processed {
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
        let applied = match &mut self.flow {
            Some(flow) => {
                shared.metrics.add_dropped(flow.take_dropped());
                flow.commit(&mark, now.wall_ms)
            }
            None => state.write().apply(&self.store, writes, &mark),
        };
        applied.map_err(|error| error.with_context(|context| context.store = Some(Arc::clone(&self.store))))
    }

    /// Gives a record to the processor that keeps the store.
    fn process(
        &mut self,
        record: &RecordView<'_>,
        partition: &TopicPartition,
        shared: &Shared,
        now: Now,
    ) -> Result<()> {
        if !self.is_readable(record, partition, shared, now)? {
            shared.metrics.add_dropped(1);
            tracing::warn!(%partition, offset = %record.offset, "a record of a global store is dropped");
            return Ok(());
        }
        match &mut self.flow {
            Some(flow) => flow.process(&mut *self.head, partition, &record.to_raw(), now.wall_ms),
            None => Ok(()),
        }
    }

    /// Deletes what the store holds.
    pub(super) fn wipe(&mut self, state: &RwLock<GlobalState>) -> Result<()> {
        match &mut self.flow {
            Some(flow) => flow.wipe(),
            None => state.write().wipe(&self.store),
        }
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
        let has_processor = self.flow.is_some();
        if record.value.is_none() && !has_processor {
            return Ok(true);
        }
        // A processor sees the record's own time; rows are only tried out.
        let extraction = if has_processor {
            TimestampExtraction::FailOnInvalidTimestamp
        } else {
            TimestampExtraction::WallclockTimestampExtractor
        };
        let error = match self.head.decode(raw, Timestamp::UNKNOWN, now.wall_ms, &extraction) {
            HeadOutcome::Fatal(error) if has_processor => return Err(of_partition(error, partition)),
            HeadOutcome::Ready(_) | HeadOutcome::NegativeTimestamp(_) => return Ok(true),
            HeadOutcome::Undecodable(error) | HeadOutcome::Fatal(error) => error,
        };
        let error = of_partition(error, partition).with_context(|context| {
            context.offset = Some(record.offset);
            context.node = Some(Arc::clone(&self.global.source));
            context.store = Some(Arc::clone(&self.store));
        });
        let raw = record.to_raw();
        let context = ErrorHandlerContext {
            task: GLOBAL_TASK,
            node: Arc::clone(&self.global.source),
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
