//! Snappy in the framing of Java's `SnappyOutputStream`, which Kafka's clients write; other clients write
//! one bare block, so both are read.
//!
//! ```text
//! 82 'S' 'N' 'A' 'P' 'P' 'Y' 00 | version i32 | least version i32 | blocks: length i32, snappy block
//! ```

use super::{damaged, make_room};
use crate::batch::BatchError;

const MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// Version and least version that can read it.
const VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
/// Bytes of records in a block.
const BLOCK_LEN: usize = 32 << 10;

pub(super) fn compress(records: &[u8], out: &mut Vec<u8>) {
    out.extend(MAGIC);
    out.extend(VERSIONS);
    let mut encoder = snap::raw::Encoder::new();
    for block in records.chunks(BLOCK_LEN) {
        let start = out.len();
        out.resize(start + 4 + snap::raw::max_compress_len(block.len()), 0);
        // The target is as large as the worst case asks for, so this does not fail.
        let len = encoder.compress(block, out.get_mut(start + 4..).unwrap_or_default()).unwrap_or(0);
        out.truncate(start + 4 + len);
        if let Some(field) = out.get_mut(start..start + 4) {
            field.copy_from_slice(&(len as u32).to_be_bytes());
        }
    }
}

pub(super) fn decompress(section: &[u8], limit: usize) -> Result<Vec<u8>, BatchError> {
    let mut records = Vec::new();
    let Some(mut rest) = section.strip_prefix(&MAGIC) else {
        block(section, limit, &mut records)?;
        return Ok(records);
    };
    rest = rest.get(VERSIONS.len()..).ok_or_else(|| damaged("snappy header"))?;
    while !rest.is_empty() {
        let (length, tail) = rest.split_first_chunk::<4>().ok_or_else(|| damaged("block length"))?;
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| damaged("block length"))?;
        let (compressed, tail) = tail.split_at_checked(length).ok_or_else(|| damaged("block length"))?;
        block(compressed, limit, &mut records)?;
        rest = tail;
    }
    Ok(records)
}

/// Appends one block's bytes; what it claims is looked at before there is room made for it.
fn block(compressed: &[u8], limit: usize, records: &mut Vec<u8>) -> Result<(), BatchError> {
    let failed = |error: snap::Error| BatchError::Decompress { detail: error.to_string() };
    let length = snap::raw::decompress_len(compressed).map_err(failed)?;
    let start = records.len();
    if start.saturating_add(length) > limit {
        return Err(BatchError::Decompressed { limit });
    }
    make_room(records, length, limit);
    records.resize(start + length, 0);
    let target = records.get_mut(start..).unwrap_or_default();
    snap::raw::Decoder::new().decompress(compressed, target).map_err(failed)?;
    Ok(())
}
