//! Doors for what makes bytes wrong; no part of the API.

use std::io::Cursor;

use bytes::Bytes;
use millstream_types::Offset;

use crate::net::FrameBuffer;
use crate::protocol::messages::fetch::AbortedTransaction;
use crate::reader::sort;

/// Longest frame taken here.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// Reads a stream of frames in pieces; whether all are whole.
pub fn frames(stream: &[u8]) -> bool {
    let mut buffer = FrameBuffer::new(FRAME_BYTES_MAX);
    for piece in stream.chunks(7) {
        let mut piece = Cursor::new(piece);
        while piece.position() < piece.get_ref().len() as u64 {
            if buffer.read_from(&mut piece).is_err() {
                return false;
            }
            loop {
                match buffer.next() {
                    Ok(Some(frame)) => assert!(frame.len() <= FRAME_BYTES_MAX, "a frame is longer than allowed"),
                    Ok(None) => break,
                    Err(_) => return false,
                }
            }
        }
    }
    true
}

/// Sorts what a fetch from this offset gave, as a reader of committed records does; whether it is
/// all batches.
pub fn fetched(records: Bytes, from: i64) -> bool {
    let aborted = |producer_id, first_offset| AbortedTransaction { producer_id, first_offset };
    let aborted = [aborted(9, 2), aborted(7, 0)];
    let Ok(sorted) = sort(records, from, Some(&aborted)) else { return false };
    assert!(sorted.next >= from, "a fetch leads back");
    let mut next = 0;
    for batch in &sorted.batches {
        assert!(batch.base_offset() >= Offset(next) && !batch.is_control(), "batches out of order");
        next = batch.last_offset().0 + 1;
    }
    true
}
