//! Reading a topic.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use millstream_log::batch::{Batch, BatchError, RecordView};
use millstream_log::{Fetched, Isolation, Log, OffsetSpec, Reader, ReaderEvent};
use millstream_types::clock::{SystemClock, nanos};
use millstream_types::{Clock, CodecError, Error, ErrorKind, Offset, Partition, Record, Result, Serde, TopicPartition};

use super::{answer, partition_count};

/// Bytes asked for at once.
const POLL_BYTES: usize = 1 << 20;

/// Reads all partitions of one topic from their start: committed records only, each partition in
/// order. It belongs to no group and remembers nothing. See [`Producer`](super::Producer) for an
/// example.
pub struct Consumer<K, V> {
    log: Arc<dyn Log>,
    clock: SystemClock,
    reader: Box<dyn Reader>,
    key: Serde<K>,
    value: Serde<V>,
    events: Vec<ReaderEvent>,
    /// What was fetched and not given out yet.
    ready: VecDeque<Result<ConsumedRecord<K, V>>>,
}

/// A record and where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumedRecord<K, V> {
    /// Partition of the topic.
    pub partition: Partition,
    /// Offset in the partition.
    pub offset: Offset,
    /// The record.
    pub record: Record<K, V>,
}

impl<K, V> Consumer<K, V> {
    /// Opens a topic for reading.
    ///
    /// # Errors
    /// What the log gives, for example for a topic that does not exist and is not made.
    pub fn new(log: Arc<dyn Log>, topic: &str, key: Serde<K>, value: Serde<V>) -> Result<Self> {
        let clock = SystemClock::new();
        let count = partition_count(&*log, &clock, topic)?;
        let partitions: Vec<TopicPartition> = (0..count).map(|number| TopicPartition::new(topic, number)).collect();
        let starts = answer(&*log, log.admin().offsets(&partitions, OffsetSpec::Start))?;
        let mut reader = log.reader(Isolation::ReadCommitted);
        let positions = partitions.into_iter().zip(starts.into_iter().map(Into::into));
        reader.assign(&positions.collect::<Vec<_>>());
        Ok(Self { log, clock, reader, key, value, events: Vec::new(), ready: VecDeque::new() })
    }

    /// The next records; waits up to `timeout` for the first. Empty when none came.
    ///
    /// # Errors
    /// `Deserialization` when the next record does not fit the serdes: a plain type has no null, take `….optional()` for
    /// tombstones. `Corrupted` when a batch cannot be read. What the log gives. After these the next call goes on behind
    /// what the error is about. `Fatal` when the next record was deleted before it was read, or with its whole topic:
    /// nothing more comes of that partition.
    pub fn poll(&mut self, timeout: Duration) -> Result<Vec<ConsumedRecord<K, V>>> {
        let timeout_ns = nanos(timeout);
        let give_up_ns = self.clock.now().mono_ns.saturating_add(timeout_ns);
        loop {
            let now = self.clock.now();
            if self.ready.is_empty() {
                let mut events = std::mem::take(&mut self.events);
                self.reader.poll(now, POLL_BYTES, &mut events);
                events.drain(..).for_each(|event| self.take(event));
                self.events = events;
            }
            let is_error = self.ready.front().is_some_and(Result::is_err);
            let records = self.ready.iter().take_while(|record| record.is_ok()).count();
            if is_error || records > 0 || now.mono_ns >= give_up_ns {
                return self.ready.drain(..records.max(usize::from(is_error))).collect();
            }
            self.log.wait(Duration::from_nanos(give_up_ns - now.mono_ns));
        }
    }

    fn take(&mut self, event: ReaderEvent) {
        let error = match event {
            ReaderEvent::Fetched(fetched) => {
                for batch in &fetched.batches {
                    if let Err(error) = self.read(&fetched, batch) {
                        let error = Error::new(ErrorKind::Corrupted, "a batch cannot be read").with_source(error);
                        self.ready.push_back(Err(located(error, &fetched.partition, Some(batch.base_offset()))));
                    }
                }
                return;
            }
            ReaderEvent::OutOfRange { partition, position, log_start, log_end } => {
                let message = format!("offset {position} is not in the log, which goes from {log_start} to {log_end}");
                located(Error::new(ErrorKind::Fatal, message), &partition, Some(position))
            }
            ReaderEvent::Gone { partition } => {
                located(Error::new(ErrorKind::Fatal, "the topic was deleted"), &partition, None)
            }
            ReaderEvent::Failed(failure) => failure.error,
        };
        self.ready.push_back(Err(error));
    }

    /// Takes the records of a batch, up to where it cannot be read.
    fn read(&mut self, fetched: &Fetched, batch: &Batch) -> Result<(), BatchError> {
        let mut cursor = batch.cursor(fetched.from)?;
        let partition = fetched.partition.partition;
        while let Some(view) = cursor.next_record()? {
            let offset = view.offset;
            let record = self.typed(&view).map_err(|unfit| {
                let error = Error::new(ErrorKind::Deserialization, "a record does not fit the serdes given");
                located(error.with_source(unfit), &fetched.partition, Some(offset))
            });
            self.ready.push_back(record.map(|record| ConsumedRecord { partition, offset, record }));
        }
        Ok(())
    }

    fn typed(&self, view: &RecordView<'_>) -> Result<Record<K, V>, CodecError> {
        Ok(Record {
            key: self.key.decode(view.key)?,
            value: self.value.decode(view.value)?,
            timestamp: view.timestamp,
            headers: view.headers.to_headers(),
        })
    }
}

fn located(error: Error, partition: &TopicPartition, offset: Option<Offset>) -> Error {
    error.with_context(|context| {
        context.topic = Some(Arc::clone(&partition.topic));
        context.partition = Some(partition.partition);
        context.offset = offset;
    })
}
