//! LZ4 frames, as Kafka writes them.

use lz4_flex::block;
use lz4_flex::frame::FrameDecoder;

use super::{damaged, make_room, read_all};
use crate::batch::BatchError;

/// Magic number, flags (version 1, independent blocks), block size (64 KiB) and header checksum.
const FRAME_HEADER: [u8; 7] = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82];
/// Bytes of records in a block.
const BLOCK_LEN: usize = 64 << 10;
/// In a block's length: the block is not compressed.
const RAW_BLOCK: u32 = 1 << 31;
/// More than the best ratio lz4 can reach; a block that claims more is damaged.
const RATIO_MAX: usize = 256;

/// Writes one frame. By hand, since a frame encoder brings buffers of its own for every batch.
pub(super) fn compress(records: &[u8], out: &mut Vec<u8>) {
    out.extend(FRAME_HEADER);
    for block in records.chunks(BLOCK_LEN) {
        let start = out.len();
        out.resize(start + 4 + block::get_maximum_output_size(block.len()), 0);
        let target = out.get_mut(start + 4..).unwrap_or_default();
        // The target is as large as the worst case asks for, so this does not fail.
        let len = block::compress_into(block, target).unwrap_or(usize::MAX);
        let length = if len < block.len() {
            out.truncate(start + 4 + len);
            len as u32
        } else {
            out.truncate(start + 4);
            out.extend_from_slice(block);
            block.len() as u32 | RAW_BLOCK
        };
        if let Some(field) = out.get_mut(start..start + 4) {
            field.copy_from_slice(&length.to_le_bytes());
        }
    }
    out.extend([0; 4]);
}

/// Reads one frame. Frames of dependent blocks, which Kafka refuses but other writers may send,
/// take the library's slower way.
pub(super) fn decompress(frame: &[u8], limit: usize) -> Result<Vec<u8>, BatchError> {
    match frame {
        [0x04, 0x22, 0x4d, 0x18, flags, descriptor, ..] if flags & 0b1110_0001 == 0b0110_0000 => {
            let block_len = match (descriptor >> 4) & 7 {
                4 => 64 << 10,
                5 => 256 << 10,
                6 => 1 << 20,
                7 => 4 << 20,
                _ => return Err(damaged("block size")),
            };
            let header_len = if flags & 0b1000 != 0 { 15 } else { 7 };
            let checksum_len = if flags & 0b1_0000 != 0 { 4 } else { 0 };
            let blocks = frame.get(header_len..).ok_or_else(|| damaged("frame header"))?;
            decompress_blocks(blocks, block_len, checksum_len, limit)
        }
        [] => Err(damaged("frame header")),
        _ => read_all(FrameDecoder::new(frame), limit),
    }
}

/// The batch's own checksum covers all this, so those of blocks and content are skipped.
fn decompress_blocks(
    mut rest: &[u8],
    block_len: usize,
    checksum_len: usize,
    limit: usize,
) -> Result<Vec<u8>, BatchError> {
    let mut records = Vec::new();
    loop {
        let (length, tail) = rest.split_first_chunk::<4>().ok_or_else(|| damaged("block length"))?;
        let length = u32::from_le_bytes(*length);
        if length == 0 {
            return Ok(records);
        }
        let len = (length & !RAW_BLOCK) as usize;
        let (block, tail) = tail.split_at_checked(len).ok_or_else(|| damaged("block length"))?;
        rest = tail.get(checksum_len..).ok_or_else(|| damaged("block checksum"))?;
        let start = records.len();
        if length & RAW_BLOCK != 0 {
            make_room(&mut records, block.len(), limit);
            records.extend_from_slice(block);
        } else {
            // No block grows by more than the ratio, whatever the frame allows.
            let room = block_len.min(len.saturating_mul(RATIO_MAX));
            let left = limit.saturating_add(1).saturating_sub(start);
            let (room, is_cut) = (room.min(left), room > left);
            make_room(&mut records, room, limit);
            records.resize(start + room, 0);
            let target = records.get_mut(start..).unwrap_or_default();
            let written = block::decompress_into(block, target).map_err(|error| {
                if is_cut {
                    BatchError::Decompressed { limit }
                } else {
                    BatchError::Decompress { detail: error.to_string() }
                }
            })?;
            records.truncate(start + written);
        }
        if records.len() > limit {
            return Err(BatchError::Decompressed { limit });
        }
    }
}
