//! Kafka's record batch, format v2: the one batch format of the project, on the wire, in the
//! embedded log's files and in the simulation.
//!
//! ```text
//!   0  base offset            i64
//!   8  length of what follows i32
//!  12  leader epoch           i32
//!  16  magic, always 2        i8
//!  17  CRC-32C of the rest    u32
//!  21  attributes             i16   bits 0-2 codec, 3 append time, 4 transactional, 5 control
//!  23  last offset delta      i32
//!  27  base timestamp         i64
//!  35  max timestamp          i64
//!  43  producer id            i64   -1: none
//!  51  producer epoch         i16
//!  53  base sequence          i32   -1: none
//!  57  record count           i32
//!  61  records, compressed as one block if at all
//! ```
//!
//! Base offset and leader epoch lie outside the checksum: a broker sets them. A [`Batch`] is parsed
//! once and read by [`Records`]; a [`BatchBuilder`] writes one.

mod builder;
mod compression;
mod control;
mod error;
mod header;
mod record;
mod records;
#[cfg(test)]
mod tests;
mod varint;

use bytes::{Bytes, BytesMut};
use millstream_types::{Offset, Timestamp};

pub use builder::{BatchBuilder, Stamp};
pub use compression::Compression;
pub use control::Marker;
pub use error::BatchError;
pub use header::{BatchHeader, HEADER_LEN};
pub use record::{HeadersView, RecordView};
pub use records::Records;

/// One data batch as fetched: bytes shared with the fetch, records decoded lazily. Cloning shares.
#[derive(Clone, Debug)]
pub struct Batch {
    bytes: Bytes,
    header: BatchHeader,
}

impl Batch {
    /// Reads the batch that starts at the first byte. Gives it and its length in bytes; what
    /// follows is not looked at. Checks all lengths and the checksum, not the records.
    ///
    /// # Errors
    /// [`BatchError::Truncated`] when bytes are missing: the end of a fetch or a torn write. All
    /// others mean that these bytes will never be a batch.
    pub fn parse(bytes: Bytes) -> Result<(Self, usize), BatchError> {
        let header = BatchHeader::parse(&bytes)?;
        let len = header.len;
        if bytes.len() < len {
            return Err(BatchError::Truncated { needed: len, available: bytes.len() });
        }
        let bytes = if bytes.len() == len { bytes } else { bytes.slice(..len) };
        header.check(&bytes)?;
        Ok((Self { bytes, header }, len))
    }

    /// The parsed header.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Offset of the first record.
    pub fn base_offset(&self) -> Offset {
        Offset(self.header.base_offset)
    }

    /// Offset of the last record, were none compacted away.
    pub fn last_offset(&self) -> Offset {
        Offset(self.header.last_offset())
    }

    /// Timestamp of the first record when the batch was written.
    pub fn first_timestamp(&self) -> Timestamp {
        Timestamp(self.header.base_timestamp)
    }

    /// Largest timestamp in the batch.
    pub fn max_timestamp(&self) -> Timestamp {
        Timestamp(self.header.max_timestamp)
    }

    /// Producer id; -1 for none.
    pub fn producer_id(&self) -> i64 {
        self.header.producer_id
    }

    /// Producer epoch; -1 for none.
    pub fn producer_epoch(&self) -> i16 {
        self.header.producer_epoch
    }

    /// Sequence number of the first record; -1 for none.
    pub fn base_sequence(&self) -> i32 {
        self.header.base_sequence
    }

    /// Whether the batch is part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.header.is_transactional()
    }

    /// Whether this is a transaction marker and no data.
    pub fn is_control(&self) -> bool {
        self.header.is_control()
    }

    /// Number of records.
    pub fn count(&self) -> usize {
        self.header.count as usize
    }

    /// How the records are compressed.
    ///
    /// # Errors
    /// [`BatchError::Codec`] for a codec this library does not read.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        Compression::of(self.header.attributes)
    }

    /// The batch as it is stored.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The same batch at another offset. Copies the bytes only if they are shared.
    #[must_use]
    pub fn with_base_offset(self, offset: Offset) -> Self {
        let mut bytes = self.bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&*shared));
        if let Some(field) = bytes.get_mut(..8) {
            field.copy_from_slice(&offset.0.to_be_bytes());
        }
        Self { bytes: bytes.freeze(), header: BatchHeader { base_offset: offset.0, ..self.header } }
    }

    /// Reads the records from this offset on; those before it are skipped. A compressed batch is
    /// decompressed here, once for the returned cursor.
    pub fn cursor(&self, from: Offset) -> Result<Records, BatchError> {
        let section = self.bytes.slice(HEADER_LEN.min(self.bytes.len())..);
        let records = self.compression()?.decompress(section)?;
        Ok(Records::new(records, &self.header, from))
    }
}
