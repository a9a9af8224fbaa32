//! Compression of a batch's records.

use std::io::{Read, Write};

use bytes::Bytes;
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::BatchError;

/// A batch may not decompress to more. A broker's largest batch is far below.
const DECOMPRESSED_BYTES_MAX: usize = 512 << 20;
/// More than the best ratio lz4 can reach; a block that claims more is damaged.
const RATIO_MAX: usize = 256;

/// How a batch's records are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// LZ4 frames of independent 64 KiB blocks, as Kafka writes them.
    Lz4,
}

impl Compression {
    /// The codec that a batch's attributes name.
    pub(super) fn of(attributes: i16) -> Result<Self, BatchError> {
        match attributes & 7 {
            0 => Ok(Self::None),
            3 => Ok(Self::Lz4),
            1 => Err(BatchError::Codec { name: "gzip" }),
            2 => Err(BatchError::Codec { name: "snappy" }),
            4 => Err(BatchError::Codec { name: "zstd" }),
            _ => Err(BatchError::Codec { name: "an unknown codec" }),
        }
    }

    /// The codec's bits in a batch's attributes.
    pub(super) fn attributes(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Lz4 => 3,
        }
    }

    /// Appends the compressed records to `out`.
    pub(super) fn compress(self, records: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::None => out.extend_from_slice(records),
            Self::Lz4 => {
                // Kafka's reader takes independent blocks only.
                let info = FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max64KB);
                let mut encoder = FrameEncoder::with_frame_info(info, out);
                // Writing to memory does not fail.
                let _ = encoder.write_all(records);
                let _ = encoder.finish();
            }
        }
    }

    /// The records of a batch that says it has `count` of them.
    pub(super) fn decompress(self, section: Bytes, count: usize) -> Result<Bytes, BatchError> {
        match self {
            Self::None => Ok(section),
            Self::Lz4 => {
                let limit = section.len().saturating_mul(RATIO_MAX).min(DECOMPRESSED_BYTES_MAX);
                // A guess that saves growing; the count is not to be trusted with memory.
                let mut records = Vec::with_capacity((section.len() * 3).max(count).min(1 << 20).min(limit));
                FrameDecoder::new(&*section)
                    .take(limit as u64 + 1)
                    .read_to_end(&mut records)
                    .map_err(|error| BatchError::Decompress { detail: error.to_string() })?;
                if records.len() > limit {
                    return Err(BatchError::Decompressed { limit });
                }
                Ok(records.into())
            }
        }
    }
}
