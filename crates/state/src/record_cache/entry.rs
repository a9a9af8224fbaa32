//! What the cache holds under a key.

use bytes::Bytes;
use millstream_types::{Headers, Offset, Timestamp};

use crate::Origin;
use crate::bytes::RowPlace;
use crate::small_bytes::SmallBytes;

/// Bytes that Kafka Streams counts for an entry besides its key: three references of its list.
pub(super) const ENTRY_BYTES: usize = 24;

/// Bytes that it counts for the record's context: dirty flag, timestamp, offset, partition.
pub(super) const CONTEXT_BYTES: usize = 1 + 8 + 8 + 4;

/// A value and its time, lent without a copy.
pub(crate) type Lent<'a, V> = Option<(&'a V, Timestamp)>;

/// What a read or write of a known key waits for. In a large cache each line of memory is a miss,
/// so an entry with a small key and value is exactly one, and what only the flush needs (the typed
/// key, headers) or what has room [beside](Beside) its places in the orders lies elsewhere.
#[repr(align(64))]
pub(super) struct Entry<V> {
    pub(super) key_bytes: SmallBytes,
    pub(super) value: Held<V>,
    /// Timestamp of the value.
    pub(super) timestamp: Timestamp,
    /// Offset of the record of the last write.
    pub(super) origin_offset: Offset,
}

/// What lies beside an entry's places in the orders, which each use touches anyway.
#[derive(Clone, Copy)]
pub(super) struct Beside {
    /// Timestamp of the record of the last write.
    pub(super) origin_timestamp: Timestamp,
    /// Where the row below the cache lay when it was last read or written.
    pub(super) below: RowPlace,
}

impl Default for Beside {
    fn default() -> Self {
        Self { origin_timestamp: Timestamp::UNKNOWN, below: RowPlace::NONE }
    }
}

impl<V> Entry<V> {
    /// Without a row: an unwritten deletion of no bytes.
    pub(super) fn new(key_bytes: &[u8]) -> Self {
        Self {
            key_bytes: key_bytes.into(),
            value: Held::Deletion { size: 0, source: 0 },
            timestamp: Timestamp::UNKNOWN,
            origin_offset: Offset(-1),
        }
    }

    /// Reads what a read or write will need, and gives something that depends on it.
    pub(super) fn touch(&self) -> i64 {
        self.origin_offset.0 ^ self.timestamp.0 ^ i64::from(self.key_bytes.first().copied().unwrap_or_default())
    }

    pub(super) fn lent(&self) -> Lent<'_, V> {
        match &self.value {
            Held::Value { value, .. } => Some((value, self.timestamp)),
            Held::Deletion { .. } => None,
        }
    }
}

/// Has what was touched really read.
pub(super) fn touched(parts: impl Iterator<Item = i64>) {
    std::hint::black_box(parts.fold(0, |sum, part| sum ^ part));
}

/// A value, or a deletion that was not written yet. The bytes counted against the budget and the
/// number of the [source](super::sources) lie in each variant: there they fit beside the tag.
pub(super) enum Held<V> {
    Value { size: u32, source: u16, value: V },
    Deletion { size: u32, source: u16 },
}

impl<V> Held<V> {
    pub(super) fn new(value: Option<V>, size: u32, source: u16) -> Self {
        match value {
            Some(value) => Self::Value { size, source, value },
            None => Self::Deletion { size, source },
        }
    }

    pub(super) fn size(&self) -> u32 {
        let (Self::Value { size, .. } | Self::Deletion { size, .. }) = self;
        *size
    }

    pub(super) fn source(&self) -> u16 {
        let (Self::Value { source, .. } | Self::Deletion { source, .. }) = self;
        *source
    }
}

/// Bytes that an entry counts for, as Kafka Streams counts them.
pub(super) fn size(key_len: usize, value_len: usize, headers: &Headers, origin: &Origin) -> u32 {
    let headers: usize =
        headers.iter().map(|header| header.key.len() + header.value.as_ref().map_or(0, Bytes::len)).sum();
    let topic = origin.topic.as_ref().map_or(0, |topic| topic.len());
    let size = key_len + ENTRY_BYTES + CONTEXT_BYTES + value_len + headers + topic;
    u32::try_from(size).unwrap_or(u32::MAX)
}
