//! Records: typed inside a flow, raw at its edges.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Headers, Offset, Partition, Timestamp};

/// A typed record on its way through a topology. It moves by value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<K, V> {
    /// Key. What counts as null is said by the key's codec ([`Codec::is_null`](crate::Codec::is_null)).
    pub key: K,
    /// Value. What counts as null is said by the value's codec.
    pub value: V,
    /// Event time.
    pub timestamp: Timestamp,
    /// Headers, in order.
    pub headers: Headers,
}

impl<K, V> Record<K, V> {
    /// A record without headers.
    pub fn new(key: K, value: V, timestamp: Timestamp) -> Self {
        Self { key, value, timestamp, headers: Headers::new() }
    }

    /// The same record with another key.
    pub fn with_key<K2>(self, key: K2) -> Record<K2, V> {
        Record { key, value: self.value, timestamp: self.timestamp, headers: self.headers }
    }

    /// The same record with another value.
    pub fn with_value<V2>(self, value: V2) -> Record<K, V2> {
        Record { key: self.key, value, timestamp: self.timestamp, headers: self.headers }
    }

    /// Key, value, and the record without either.
    pub fn into_parts(self) -> (K, V, Record<(), ()>) {
        let rest = Record { key: (), value: (), timestamp: self.timestamp, headers: self.headers };
        (self.key, self.value, rest)
    }

    /// The same record with another timestamp.
    #[must_use]
    pub fn with_timestamp(self, timestamp: Timestamp) -> Self {
        Self { timestamp, ..self }
    }
}

/// A record as it lies in a log: bytes, no types. `None` is Kafka's null. Cloning shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// Position in its partition.
    pub offset: Offset,
    /// Timestamp the producer gave (`CreateTime`).
    pub timestamp: Timestamp,
    /// Key bytes.
    pub key: Option<Bytes>,
    /// Value bytes; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers, in order.
    pub headers: Headers,
}

/// Where the record being processed came from, as Kafka Streams' `RecordMetadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordMetadata {
    /// Topic the input record was read from; `None` below a punctuator.
    pub topic: Option<Arc<str>>,
    /// Partition it was read from; -1 below a punctuator.
    pub partition: Partition,
    /// Offset it was read at; -1 below a punctuator.
    pub offset: Offset,
}
