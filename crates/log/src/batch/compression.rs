//! Compression of a batch's records.

mod lz4;
mod snappy;

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::BatchError;

/// A batch may not decompress to more. A broker's largest batch is far below.
const DECOMPRESSED_BYTES_MAX: usize = 512 << 20;
/// Up to this size a batch may decompress, however well its records repeat.
const DECOMPRESSED_BYTES_SMALL: usize = 64 << 20;
/// Above it, to so many times its own size: a broker must send much to make us hold much.
const RATIO_MAX: usize = 32;
/// What a zstd frame's decoder may hold of what it has decoded: the window of zstd's highest level, with which Kafka's
/// producers may write.
const ZSTD_WINDOW_BYTES_MAX: u64 = 128 << 20;
/// Least room made at once.
const ROOM_MIN: usize = 4 << 10;

/// How a batch's records are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip: small, slow.
    Gzip,
    /// Snappy, in the framing that Kafka's clients write.
    Snappy,
    /// LZ4 frames of independent 64 KiB blocks, as Kafka writes them.
    Lz4,
    /// zstd: read in full; written at its fastest level.
    Zstd,
}

impl Compression {
    /// The codec that a batch's attributes name.
    pub(super) fn of(attributes: i16) -> Result<Self, BatchError> {
        match attributes & 7 {
            0 => Ok(Self::None),
            1 => Ok(Self::Gzip),
            2 => Ok(Self::Snappy),
            3 => Ok(Self::Lz4),
            4 => Ok(Self::Zstd),
            _ => Err(BatchError::Codec { name: "an unknown codec" }),
        }
    }

    /// The codec's bits in a batch's attributes.
    pub(super) fn attributes(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Snappy => 2,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// Appends the compressed records to `out`.
    pub(super) fn compress(self, records: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::None => out.extend_from_slice(records),
            Self::Gzip => gzip(records, out),
            Self::Snappy => snappy::compress(records, out),
            Self::Lz4 => lz4::compress(records, out),
            Self::Zstd => out.extend_from_slice(&compress_to_vec(records, CompressionLevel::Fastest)),
        }
    }

    /// The records of a batch.
    pub(super) fn decompress(self, section: Bytes) -> Result<Bytes, BatchError> {
        let limit = section.len().saturating_mul(RATIO_MAX);
        let limit = limit.clamp(DECOMPRESSED_BYTES_SMALL, DECOMPRESSED_BYTES_MAX);
        match self {
            Self::None => Ok(section),
            Self::Gzip => read_all(MultiGzDecoder::new(&*section), limit).map(Bytes::from),
            Self::Snappy => snappy::decompress(&section, limit).map(Bytes::from),
            Self::Lz4 => lz4::decompress(&section, limit).map(Bytes::from),
            Self::Zstd => {
                let decoder = StreamingDecoder::new_with_max_window_size(&*section, ZSTD_WINDOW_BYTES_MAX);
                let decoder = decoder.map_err(|error| BatchError::Decompress { detail: error.to_string() })?;
                read_all(decoder, limit).map(Bytes::from)
            }
        }
    }
}

fn gzip(records: &[u8], out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let mut encoder = GzEncoder::new(out, flate2::Compression::default());
    let _ = encoder.write_all(records);
    let _ = encoder.finish();
}

/// Everything a decoder gives, up to a limit.
fn read_all(mut decoder: impl Read, limit: usize) -> Result<Vec<u8>, BatchError> {
    let mut records = Vec::new();
    loop {
        make_room(&mut records, 1, limit);
        let room = records.capacity() - records.len();
        let read = decoder
            .by_ref()
            .take(room as u64)
            .read_to_end(&mut records)
            .map_err(|error| BatchError::Decompress { detail: error.to_string() })?;
        if records.len() > limit {
            return Err(BatchError::Decompressed { limit });
        }
        if read < room {
            return Ok(records);
        }
    }
}

/// Makes room for so many bytes more. It doubles in such a way that the last room is the limit and a byte: while that
/// is taken, no more than half of it is held besides.
fn make_room(records: &mut Vec<u8>, more: usize, limit: usize) {
    let needed = records.len().saturating_add(more);
    if needed <= records.capacity() {
        return;
    }
    let mut room = limit.saturating_add(1).max(needed);
    while room.div_ceil(2) >= needed.max(ROOM_MIN) {
        room = room.div_ceil(2);
    }
    records.reserve_exact(room - records.len());
}

fn damaged(what: &str) -> BatchError {
    BatchError::Decompress { detail: format!("its {what} is impossible") }
}
