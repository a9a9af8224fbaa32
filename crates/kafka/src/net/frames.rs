//! From a stream of bytes to frames: each has its length, four bytes, before it.

use std::io::{self, Read};

use bytes::Bytes;

/// Bytes read at once when no long frame has begun.
const STAGING_BYTES: usize = 64 * 1024;
const LENGTH: usize = 4;

/// Collects bytes until frames are whole. Every frame has memory of its own, so what shares a part of
/// it keeps no other frame alive; a long frame is read straight into its own.
#[derive(Debug)]
pub(crate) struct FrameBuffer {
    staging: Box<[u8]>,
    /// The part of `staging` that is read and not yet a frame.
    start: usize,
    end: usize,
    /// A frame that has begun and how much of it has come.
    partial: Option<(Vec<u8>, usize)>,
    frame_bytes_max: usize,
    /// Whether the last turn ended before the socket was empty.
    pub(super) has_more: bool,
}

/// A frame that is longer than allowed, or shorter than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length} bytes was announced; at most {max} are taken")]
pub(crate) struct FrameTooLong {
    length: i64,
    max: usize,
}

impl FrameBuffer {
    pub(crate) fn new(frame_bytes_max: usize) -> Self {
        let staging = vec![0; STAGING_BYTES].into_boxed_slice();
        Self { staging, start: 0, end: 0, partial: None, frame_bytes_max, has_more: false }
    }

    /// Reads once. After this, [`next`](Self::next) must be called until it has no more.
    pub(crate) fn read_from(&mut self, input: &mut impl Read) -> io::Result<usize> {
        let (room, filled) = match &mut self.partial {
            Some((frame, filled)) => (frame.get_mut(*filled..), filled),
            None => (self.staging.get_mut(self.end..), &mut self.end),
        };
        let count = input.read(room.unwrap_or_default())?;
        *filled += count;
        Ok(count)
    }

    /// Takes the next whole frame.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, FrameTooLong> {
        if let Some((frame, filled)) = &mut self.partial {
            if *filled < frame.len() {
                return Ok(None);
            }
            let frame = std::mem::take(frame);
            self.partial = None;
            return Ok(Some(Bytes::from(frame)));
        }
        let staged = self.staging.get(self.start..self.end).unwrap_or_default();
        let Some((length, rest)) = staged.split_first_chunk::<LENGTH>() else {
            self.staging.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            return Ok(None);
        };
        let length = i64::from(i32::from_be_bytes(*length));
        let length = match usize::try_from(length) {
            Ok(length) if length <= self.frame_bytes_max => length,
            _ => return Err(FrameTooLong { length, max: self.frame_bytes_max }),
        };
        if let Some(frame) = rest.get(..length) {
            let frame = Bytes::copy_from_slice(frame);
            self.start += LENGTH + length;
            return Ok(Some(frame));
        }
        // Fresh zeroed memory is only taken from the system where bytes are written, so a length that
        // lies costs nothing.
        let mut frame = vec![0; length];
        let filled = rest.len();
        if let Some(head) = frame.get_mut(..filled) {
            head.copy_from_slice(rest);
        }
        self.partial = Some((frame, filled));
        (self.start, self.end) = (0, 0);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(frames: &[Vec<u8>]) -> Vec<u8> {
        let mut stream = Vec::new();
        for frame in frames {
            stream.extend_from_slice(&(frame.len() as u32).to_be_bytes());
            stream.extend_from_slice(frame);
        }
        stream
    }

    #[test]
    fn frames_come_out_whole_however_the_bytes_come_in() {
        let frames = vec![b"one".to_vec(), Vec::new(), b"three".to_vec(), vec![7; 3 * STAGING_BYTES], b"five".to_vec()];
        let stream = stream(&frames);
        for step in [1, 2, 3, 5, 7, 1000, STAGING_BYTES, stream.len()] {
            let mut buffer = FrameBuffer::new(4 * STAGING_BYTES);
            let mut found = Vec::new();
            for mut part in stream.chunks(step) {
                while !part.is_empty() {
                    buffer.read_from(&mut part).expect("bytes");
                    while let Some(frame) = buffer.next().expect("frames") {
                        found.push(frame.to_vec());
                    }
                }
            }
            assert_eq!(found, frames, "steps of {step}");
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_before_it_comes() {
        for length in [11_i32, i32::MAX, -1] {
            let mut buffer = FrameBuffer::new(10);
            buffer.read_from(&mut &length.to_be_bytes()[..]).expect("bytes");
            assert_eq!(buffer.next(), Err(FrameTooLong { length: i64::from(length), max: 10 }));
        }
    }
}
