//! What can be wrong with a batch.

use millstream_types::{Error, ErrorKind};

/// Bytes that are not a batch, or not one that this library reads.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// Bytes are missing at the end.
    #[error("batch of {needed} bytes, but only {available} are there")]
    Truncated {
        /// Bytes the batch takes, as far as known.
        needed: usize,
        /// Bytes that were there.
        available: usize,
    },
    /// The length field is impossible.
    #[error("batch length field says {length}")]
    Length {
        /// What the field says.
        length: i32,
    },
    /// A format other than v2.
    #[error("record batch of format v{magic}; only v2 is read (written by Kafka 0.11 and later)")]
    Magic {
        /// The format's number.
        magic: u8,
    },
    /// The checksum differs: the bytes were damaged.
    #[error("batch checksum is {found:#010x}, {expected:#010x} expected")]
    Crc {
        /// Checksum the header names.
        expected: u32,
        /// Checksum of the bytes.
        found: u32,
    },
    /// Offsets that cannot be.
    #[error("batch offsets are impossible: base {base}, last {delta} after it")]
    Offsets {
        /// Base offset.
        base: i64,
        /// Last offset delta.
        delta: i32,
    },
    /// More records than the bytes can hold, or fewer than none.
    #[error("batch cannot hold {count} records")]
    Count {
        /// What the header says.
        count: i32,
    },
    /// A codec this library does not read.
    #[error("batch is compressed with {name}; none, gzip, snappy, lz4 and zstd are read")]
    Codec {
        /// Kafka's name of the codec.
        name: &'static str,
    },
    /// The compressed block is damaged.
    #[error("the compressed records of the batch are damaged: {detail}")]
    Decompress {
        /// What the decoder says.
        detail: String,
    },
    /// The decompressed block is too large to be true.
    #[error("batch decompresses to more than {limit} bytes")]
    Decompressed {
        /// The limit, in bytes.
        limit: usize,
    },
    /// A record breaks the format.
    #[error("record {index} of the batch at offset {base} is malformed: {what}")]
    Record {
        /// Number of the record in the batch, from 0.
        index: usize,
        /// Base offset of the batch.
        base: i64,
        /// Which part.
        what: &'static str,
    },
    /// A control batch without a transaction marker.
    #[error("control batch at offset {base} is no transaction marker")]
    Control {
        /// Base offset of the batch.
        base: i64,
    },
}

impl From<BatchError> for Error {
    fn from(error: BatchError) -> Self {
        Self::new(ErrorKind::Corrupted, "a record batch cannot be read").with_source(error)
    }
}
