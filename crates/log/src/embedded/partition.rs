//! One partition: its batches, its producers and its transactions.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use millstream_types::{Error, ErrorKind, Offset, Result, TopicPartition};

use super::failure::{Answer, at, fenced};
use super::storage::Storage;
use crate::batch::{Batch, BatchError, BatchHeader, Marker};
use crate::seam::{Failure, FailureKind, Isolation};

/// Batches of a producer that are remembered to recognise one sent again; as Kafka.
const BATCHES_REMEMBERED: usize = 5;
/// Producers remembered; the oldest ids go first.
const PRODUCERS_MAX: usize = 1000;
/// How far a search by time reads at once, in bytes.
const SEEK_BYTES: usize = 64 << 10;

/// A partition of the embedded log.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) name: TopicPartition,
    pub(super) topic_id: u128,
    storage: Storage,
    log_start: i64,
    end: i64,
    /// Open transactions: first offset by producer id.
    open: BTreeMap<i64, i64>,
    /// Aborted transactions, by the offset of their marker.
    aborted: Vec<Aborted>,
    producers: BTreeMap<i64, Producer>,
}

/// An aborted transaction in this partition.
#[derive(Clone, Copy, Debug)]
struct Aborted {
    producer_id: i64,
    first: i64,
    marker: i64,
}

/// What was last written by a producer.
#[derive(Debug)]
struct Producer {
    epoch: i16,
    next_sequence: i32,
    /// Base sequences of the last batches.
    sequences: VecDeque<i32>,
}

/// What a fetch gives.
pub(super) struct Slice {
    /// Data batches that count for the reader.
    pub(super) batches: Vec<Batch>,
    /// Their size, in bytes.
    pub(super) bytes: usize,
    /// Position after them.
    pub(super) next: i64,
}

impl Partition {
    /// A partition over storage that is empty.
    pub(super) fn new(name: TopicPartition, topic_id: u128, storage: Storage) -> Self {
        Self {
            name,
            topic_id,
            storage,
            log_start: 0,
            end: 0,
            open: BTreeMap::new(),
            aborted: Vec::new(),
            producers: BTreeMap::new(),
        }
    }

    /// A partition that was read from disk; [`observe`](Self::observe) has seen its batches.
    pub(super) fn recovered(self, storage: Storage, log_start: i64, end: i64) -> Self {
        Self { storage, log_start: log_start.min(end), end, ..self }
    }

    /// Takes note of a batch that is there already.
    pub(super) fn observe(&mut self, header: &BatchHeader, control: Option<&Batch>) -> Result<()> {
        if let Some(batch) = control.filter(|batch| batch.is_control()) {
            let marker = Marker::read(batch)?.ok_or(BatchError::Control { base: header.base_offset })?;
            self.ended(header.producer_id, marker, header.base_offset);
        } else if header.is_transactional() {
            self.open.entry(header.producer_id).or_insert(header.base_offset);
        }
        Ok(())
    }

    /// Open transactions: producer id and first offset.
    pub(super) fn open(&self) -> impl Iterator<Item = (i64, i64)> {
        self.open.iter().map(|(producer, first)| (*producer, *first))
    }

    /// The epoch a producer wrote with last; -1 when that is not known.
    pub(super) fn epoch_of(&self, producer_id: i64) -> i32 {
        self.producers.get(&producer_id).map_or(-1, |producer| i32::from(producer.epoch))
    }

    /// Whether this producer has an open transaction here.
    pub(super) fn is_open(&self, producer_id: i64) -> bool {
        self.open.contains_key(&producer_id)
    }

    /// Offset up to which records may be forgotten, those of open transactions never.
    pub(super) fn expired(&self, time: Option<i64>, bytes_max: Option<u64>) -> Option<i64> {
        let Storage::Disk(disk) = &self.storage else { return None };
        disk.expired(time, bytes_max).map(|offset| offset.min(self.end_for(Isolation::ReadCommitted)))
    }

    /// Makes everything appended durable. Gives whether there was anything to do.
    pub(super) fn sync(&mut self) -> Result<bool> {
        self.storage.sync().map_err(|error| at(error, &self.name))
    }

    /// Makes everything durable, whatever is known of it.
    pub(super) fn settle(&mut self) -> Result<()> {
        match &mut self.storage {
            Storage::Memory(_) => Ok(()),
            Storage::Disk(disk) => disk.settle().map_err(|error| at(error, &self.name)),
        }
    }

    /// Everything before this offset is known to be durable.
    pub(super) fn synced(&self) -> i64 {
        self.storage.synced()
    }

    /// Whether forgetting the records before this offset removes files.
    pub(super) fn has_files_before(&self, offset: i64) -> bool {
        self.storage.has_files_before(offset.min(self.end))
    }

    /// First offset that can be read.
    pub(super) fn log_start(&self) -> i64 {
        self.log_start
    }

    /// One past the last offset.
    pub(super) fn end(&self) -> i64 {
        self.end
    }

    /// One past the last offset that this reader may see.
    pub(super) fn end_for(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadUncommitted => self.end,
            Isolation::ReadCommitted => self.open.values().copied().min().unwrap_or(self.end),
        }
    }

    /// Appends a data batch; gives its last offset, or `None` if it was there already.
    pub(super) fn append(&mut self, batch: Batch) -> Answer<Option<Offset>> {
        let header = *batch.header();
        if header.is_control() || header.count < 1 || header.count - 1 != header.last_offset_delta {
            return Err(self.refuse(ErrorKind::Production, "a producer may append full data batches only"));
        }
        if self.is_duplicate(&header)? {
            return Ok(None);
        }
        let base = self.write(batch)?;
        if header.is_transactional() {
            self.open.entry(header.producer_id).or_insert(base);
        }
        self.remember(&header);
        Ok(Some(Offset(self.end - 1)))
    }

    /// Ends the open transaction of the marker's producer here, if there is one.
    pub(super) fn mark(&mut self, marker: Marker, bytes: &Bytes) -> Answer<()> {
        let (batch, _) = Batch::parse(bytes.clone()).map_err(|error| self.broken(error))?;
        let producer_id = batch.producer_id();
        if self.is_open(producer_id) {
            let offset = self.write(batch)?;
            self.ended(producer_id, marker, offset);
        }
        Ok(())
    }

    /// Batches from `from` on for a reader.
    pub(super) fn read(&self, from: i64, isolation: Isolation, bytes_max: usize) -> Result<Slice> {
        let limit = self.end_for(isolation);
        if from >= limit {
            return Ok(Slice { batches: Vec::new(), bytes: 0, next: from });
        }
        let mut batches = self.storage.read(from, limit, bytes_max).map_err(|error| at(error, &self.name))?;
        let next = batches.last().map_or(from, |batch| batch.last_offset().0 + 1);
        let is_left_out =
            |batch: &Batch| batch.is_control() || isolation == Isolation::ReadCommitted && self.is_aborted(batch);
        batches.retain(|batch| !is_left_out(batch));
        let bytes = batches.iter().map(|batch| batch.bytes().len()).sum();
        Ok(Slice { batches, bytes, next })
    }

    /// Forgets the records before this offset.
    pub(super) fn delete_before(&mut self, offset: i64) -> Result<()> {
        self.log_start = self.log_start.max(offset.min(self.end));
        let log_start = self.log_start;
        self.aborted.retain(|aborted| aborted.marker >= log_start);
        self.storage.delete_before(log_start).map_err(|error| at(error, &self.name))
    }

    /// Offset of the first record with a timestamp of at least `time`; the end if there is none.
    pub(super) fn offset_at(&self, time: i64) -> Result<i64> {
        let mut position = self.storage.seek_time(time).unwrap_or(self.end).max(self.log_start);
        while position < self.end {
            for batch in self.storage.read(position, self.end, SEEK_BYTES).map_err(|error| at(error, &self.name))? {
                if batch.max_timestamp().0 >= time && !batch.is_control() {
                    let mut records = batch.cursor(Offset(position))?;
                    while let Some(record) = records.next_record()? {
                        if record.timestamp.0 >= time {
                            return Ok(record.offset.0);
                        }
                    }
                }
                position = batch.last_offset().0 + 1;
            }
        }
        Ok(self.end)
    }

    /// Writes at the end; gives the base offset.
    fn write(&mut self, batch: Batch) -> Answer<i64> {
        let base = self.end;
        let batch = batch.with_base_offset(Offset(base));
        let next = batch.last_offset().0 + 1;
        self.storage
            .append(batch)
            .map_err(|error| Failure { kind: FailureKind::Fatal, error: at(error, &self.name) })?;
        self.end = next;
        Ok(base)
    }

    fn ended(&mut self, producer_id: i64, marker: Marker, offset: i64) {
        if let Some(first) = self.open.remove(&producer_id)
            && marker == Marker::Abort
        {
            self.aborted.push(Aborted { producer_id, first, marker: offset });
        }
    }

    fn is_aborted(&self, batch: &Batch) -> bool {
        if !batch.is_transactional() {
            return false;
        }
        let base = batch.base_offset().0;
        let later = self.aborted.partition_point(|aborted| aborted.marker <= base);
        let mut candidates = self.aborted.get(later..).unwrap_or_default().iter();
        candidates.any(|aborted| aborted.producer_id == batch.producer_id() && aborted.first <= base)
    }

    /// Whether this batch was appended before; an error when it is neither that nor the next one.
    fn is_duplicate(&self, header: &BatchHeader) -> Answer<bool> {
        let Some(producer) = self.producers.get(&header.producer_id) else {
            return Ok(false);
        };
        if header.producer_id < 0 || header.base_sequence < 0 {
            return Ok(false);
        }
        if header.producer_epoch < producer.epoch {
            let failure = fenced("a newer writer with the same id has taken over");
            return Err(Failure { error: at(failure.error, &self.name), ..failure });
        }
        if header.producer_epoch > producer.epoch {
            if header.base_sequence == 0 {
                return Ok(false);
            }
        } else if producer.sequences.contains(&header.base_sequence) {
            return Ok(true);
        } else if header.base_sequence == producer.next_sequence {
            return Ok(false);
        }
        Err(self.refuse(ErrorKind::Fatal, "a batch came out of sequence; one before it is missing"))
    }

    fn remember(&mut self, header: &BatchHeader) {
        if header.producer_id < 0 || header.base_sequence < 0 {
            return;
        }
        let fresh = || Producer { epoch: header.producer_epoch, next_sequence: 0, sequences: VecDeque::new() };
        let producer = self.producers.entry(header.producer_id).or_insert_with(fresh);
        if producer.epoch != header.producer_epoch {
            *producer = fresh();
        }
        if producer.sequences.len() == BATCHES_REMEMBERED {
            producer.sequences.pop_front();
        }
        producer.sequences.push_back(header.base_sequence);
        producer.next_sequence = next_sequence(header.base_sequence, header.count);
        if self.producers.len() > PRODUCERS_MAX {
            self.producers.pop_first();
        }
    }

    fn broken(&self, error: BatchError) -> Failure {
        Failure { kind: FailureKind::Fatal, error: at(error.into(), &self.name) }
    }

    fn refuse(&self, kind: ErrorKind, message: &str) -> Failure {
        Failure { kind: FailureKind::Fatal, error: at(Error::new(kind, message), &self.name) }
    }
}

/// The sequence number after `count` records; it wraps to 0 as Kafka's does.
pub(super) fn next_sequence(base: i32, count: i32) -> i32 {
    ((i64::from(base) + i64::from(count)) & i64::from(i32::MAX)) as i32
}
