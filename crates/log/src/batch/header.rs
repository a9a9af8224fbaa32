//! The 61 bytes before a batch's records.

use super::BatchError;

/// Bytes before the first record.
pub const HEADER_LEN: usize = 61;
/// Bytes that the length field does not count: base offset and the field itself.
const LENGTH_END: usize = 12;
/// The checksum covers everything from here.
pub(super) const CRC_FROM: usize = 21;
/// The least a record takes: length, attributes, two deltas, key length, value length, headers.
const RECORD_LEN_MIN: usize = 7;

pub(super) const APPEND_TIME: i16 = 1 << 3;
pub(super) const TRANSACTIONAL: i16 = 1 << 4;
pub(super) const CONTROL: i16 = 1 << 5;

/// A batch's header, as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Length of the whole batch in bytes, header included.
    pub len: usize,
    /// Epoch of the leader that wrote it.
    pub leader_epoch: i32,
    /// Checksum of the bytes from the attributes on.
    pub crc: u32,
    /// Codec and flags.
    pub attributes: i16,
    /// Offset of the last record, from the base offset.
    pub last_offset_delta: i32,
    /// Timestamp that the records' deltas count from.
    pub base_timestamp: i64,
    /// Largest timestamp.
    pub max_timestamp: i64,
    /// Producer id; -1 for none.
    pub producer_id: i64,
    /// Producer epoch; -1 for none.
    pub producer_epoch: i16,
    /// Sequence number of the first record; -1 for none.
    pub base_sequence: i32,
    /// Number of records.
    pub count: i32,
}

impl BatchHeader {
    /// Reads a header and checks what it says of lengths. The records need not be there.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let mut at = Fields { bytes, at: 0 };
        let base_offset = i64::from_be_bytes(at.take()?);
        let length = i32::from_be_bytes(at.take()?);
        let leader_epoch = i32::from_be_bytes(at.take()?);
        let [magic] = at.take()?;
        if magic != 2 {
            return Err(BatchError::Magic { magic });
        }
        let crc = u32::from_be_bytes(at.take()?);
        let header = Self {
            base_offset,
            len: usize::try_from(length).map_or(0, |length| length.saturating_add(LENGTH_END)),
            leader_epoch,
            crc,
            attributes: i16::from_be_bytes(at.take()?),
            last_offset_delta: i32::from_be_bytes(at.take()?),
            base_timestamp: i64::from_be_bytes(at.take()?),
            max_timestamp: i64::from_be_bytes(at.take()?),
            producer_id: i64::from_be_bytes(at.take()?),
            producer_epoch: i16::from_be_bytes(at.take()?),
            base_sequence: i32::from_be_bytes(at.take()?),
            count: i32::from_be_bytes(at.take()?),
        };
        if header.len < HEADER_LEN {
            return Err(BatchError::Length { length });
        }
        // The offset behind the batch is one, too.
        let overflows =
            base_offset.checked_add(i64::from(header.last_offset_delta)).is_none_or(|last| last == i64::MAX);
        if base_offset < 0 || header.last_offset_delta < 0 || overflows {
            return Err(BatchError::Offsets { base: base_offset, delta: header.last_offset_delta });
        }
        let section = header.len - HEADER_LEN;
        let fits = usize::try_from(header.count)
            .is_ok_and(|count| header.is_compressed() || count <= section / RECORD_LEN_MIN);
        // Compaction may leave fewer records than offsets, never more.
        if !fits || i64::from(header.count) > i64::from(header.last_offset_delta) + 1 {
            return Err(BatchError::Count { count: header.count });
        }
        Ok(header)
    }

    /// Compares the checksum with the whole batch's bytes.
    pub fn check(&self, batch: &[u8]) -> Result<(), BatchError> {
        let found = crc32c::crc32c(batch.get(CRC_FROM..).unwrap_or_default());
        if found == self.crc { Ok(()) } else { Err(BatchError::Crc { expected: self.crc, found }) }
    }

    /// Offset of the last record, were none compacted away.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// Whether the batch is part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether this is a transaction marker and no data.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// The timestamp of all records where the broker sets it (`LogAppendTime`).
    pub(super) fn append_time(&self) -> Option<i64> {
        (self.attributes & APPEND_TIME != 0).then_some(self.max_timestamp)
    }

    fn is_compressed(&self) -> bool {
        self.attributes & 7 != 0
    }
}

struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], BatchError> {
        let truncated = BatchError::Truncated { needed: HEADER_LEN, available: self.bytes.len() };
        let field = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>()).ok_or(truncated)?;
        self.at += N;
        Ok(*field)
    }
}
