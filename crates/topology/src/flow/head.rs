//! The head of a record queue: one decoded record in a typed slot that is used again and again.

use std::any::Any;

use millstream_types::{Error, ErrorKind, Headers, Offset, Record, Serde, Timestamp};

use super::source::TimestampExtractor;

/// A record as read, before it has types.
#[derive(Clone, Debug)]
pub struct RawHead<'a> {
    /// Its offset.
    pub offset: Offset,
    /// Timestamp in the log.
    pub timestamp: Timestamp,
    /// Key bytes.
    pub key: Option<&'a [u8]>,
    /// Value bytes.
    pub value: Option<&'a [u8]>,
    /// Headers.
    pub headers: Headers,
}

/// What became of a record that was to be the head.
#[derive(Debug)]
pub enum HeadOutcome {
    /// It is in the slot; this is its extracted timestamp, not negative.
    Ready(Timestamp),
    /// Its bytes do not decode: ask the deserialisation exception handler.
    Undecodable(Error),
    /// Its extracted timestamp is negative: drop it and count it (KIP-93).
    NegativeTimestamp(Timestamp),
    /// The timestamp extractor refuses to go on.
    Fatal(Error),
}

/// A slot for the head of one queue of a source. Made by [`Flow::new_head`](super::Flow::new_head).
pub trait Head: Send {
    /// Decodes a record into the slot and extracts its timestamp. `partition_time` is the largest
    /// timestamp taken from the queue so far (-1 at first); `wall_ms` the wall clock.
    fn decode(
        &mut self,
        raw: RawHead<'_>,
        partition_time: Timestamp,
        wall_ms: i64,
        default: &TimestampExtraction,
    ) -> HeadOutcome;

    /// The record for a reader that leaves it; `None` when the slot is empty.
    fn lend(&self) -> Option<&(dyn Any + Send)>;

    /// The slot, to take the record out of.
    fn give(&mut self) -> &mut (dyn Any + Send);
}

/// Timestamp extractors without a type: `default.timestamp.extractor`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampExtraction {
    /// The record's; a negative one is an error (`FailOnInvalidTimestamp`).
    #[default]
    FailOnInvalidTimestamp,
    /// The record's; a record with a negative one is dropped (`LogAndSkipOnInvalidTimestamp`).
    LogAndSkipOnInvalidTimestamp,
    /// The record's, or the partition time for a negative one (`UsePartitionTimeOnInvalidTimestamp`).
    UsePartitionTimeOnInvalidTimestamp,
    /// The wall clock (`WallclockTimestampExtractor`).
    WallclockTimestampExtractor,
}

/// The typed slot.
pub(crate) struct TypedHead<K, V> {
    pub(crate) key: Serde<K>,
    pub(crate) value: Serde<V>,
    pub(crate) extractor: Option<TimestampExtractor<K, V>>,
    pub(crate) slot: Option<Record<K, V>>,
}

impl<K: Send + 'static, V: Send + 'static> Head for TypedHead<K, V> {
    fn decode(
        &mut self,
        raw: RawHead<'_>,
        partition_time: Timestamp,
        wall_ms: i64,
        default: &TimestampExtraction,
    ) -> HeadOutcome {
        self.slot = None;
        let undecodable = |what: &str, bytes: Option<&[u8]>, error| {
            // What it holds is never told: errors end in logs.
            let message = match bytes {
                Some(bytes) => format!("the {what} of {} bytes cannot be read", bytes.len()),
                None => format!("the {what} null cannot be read"),
            };
            HeadOutcome::Undecodable(Error::new(ErrorKind::Deserialization, message).with_source(error))
        };
        let key = match self.key.decode(raw.key) {
            Ok(key) => key,
            Err(error) => return undecodable("key", raw.key, error),
        };
        let value = match self.value.decode(raw.value) {
            Ok(value) => value,
            Err(error) => return undecodable("value", raw.value, error),
        };
        let record = self.slot.insert(Record { key, value, timestamp: raw.timestamp, headers: raw.headers });
        let timestamp = match &self.extractor {
            Some(TimestampExtractor::BuiltIn(built_in)) => extract(*built_in, record, partition_time, wall_ms),
            Some(TimestampExtractor::Custom(extractor)) => extractor(record, partition_time),
            None => extract(*default, record, partition_time, wall_ms),
        };
        let timestamp = match timestamp {
            Ok(timestamp) => timestamp,
            Err(error) => {
                self.slot = None;
                return HeadOutcome::Fatal(
                    Error::new(ErrorKind::Processing, "the timestamp extractor failed").with_source(Extraction(error)),
                );
            }
        };
        if timestamp.0 < 0 {
            self.slot = None;
            return HeadOutcome::NegativeTimestamp(timestamp);
        }
        record.timestamp = timestamp;
        HeadOutcome::Ready(timestamp)
    }

    fn lend(&self) -> Option<&(dyn Any + Send)> {
        self.slot.as_ref().map(|record| record as _)
    }

    fn give(&mut self) -> &mut (dyn Any + Send) {
        &mut self.slot
    }
}

/// Why an extractor failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Extraction(super::ProcessorError);

fn extract<K, V>(
    kind: TimestampExtraction,
    record: &Record<K, V>,
    partition_time: Timestamp,
    wall_ms: i64,
) -> Result<Timestamp, super::ProcessorError> {
    match kind {
        TimestampExtraction::WallclockTimestampExtractor => Ok(Timestamp(wall_ms)),
        _ if record.timestamp.0 >= 0 => Ok(record.timestamp),
        TimestampExtraction::FailOnInvalidTimestamp => Err(format!(
            "the record has the invalid (negative) timestamp {}; its producer may be older than timestamps, or the \
             topic's message.timestamp.type is wrong; another timestamp extractor can skip or replace it",
            record.timestamp
        )
        .into()),
        TimestampExtraction::LogAndSkipOnInvalidTimestamp => Ok(record.timestamp),
        TimestampExtraction::UsePartitionTimeOnInvalidTimestamp if partition_time.0 < 0 => {
            Err("the record has a negative timestamp and no earlier record of its partition lends one".into())
        }
        TimestampExtraction::UsePartitionTimeOnInvalidTimestamp => Ok(partition_time),
    }
}
