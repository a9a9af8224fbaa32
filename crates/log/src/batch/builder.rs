//! Writing batches.

use bytes::Bytes;
use millstream_types::{Headers, Timestamp};

use super::header::{CONTROL, CRC_FROM, TRANSACTIONAL};
use super::{Compression, HEADER_LEN, varint};

/// Who writes a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Producer id; -1 for none.
    pub producer_id: i64,
    /// Producer epoch; -1 for none.
    pub producer_epoch: i16,
    /// Sequence number of the first record; -1 for none.
    pub base_sequence: i32,
    /// Whether the batch is part of a transaction.
    pub is_transactional: bool,
}

impl Stamp {
    /// A writer without id: neither idempotent nor transactional.
    pub const NONE: Self = Self { producer_id: -1, producer_epoch: -1, base_sequence: -1, is_transactional: false };
}

/// Writes records straight into one growing buffer; reusable after each
/// [`finish`](Self::finish).
#[derive(Debug, Default)]
pub struct BatchBuilder {
    /// Room for the header, then records.
    buffer: Vec<u8>,
    /// The same compressed; kept for the next batch.
    spare: Vec<u8>,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    /// The buffer does not grow beyond this on its own, in bytes; 0 for no limit.
    bytes_max: usize,
}

impl BatchBuilder {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch that is to be finished before it is larger than this. One that is larger is
    /// no error; the limit saves memory that would never be used.
    pub fn with_limit(bytes_max: usize) -> Self {
        Self { bytes_max, ..Self::default() }
    }

    /// Appends a record. Its offset is one more than the last one's.
    pub fn append(&mut self, timestamp: Timestamp, key: Option<&[u8]>, value: Option<&[u8]>, headers: &Headers) {
        if self.count == 0 {
            self.buffer.clear();
            self.buffer.resize(HEADER_LEN, 0);
            self.base_timestamp = timestamp.0;
            self.max_timestamp = timestamp.0;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp.0);
        let timestamp_delta = timestamp.0.wrapping_sub(self.base_timestamp);
        let offset_delta = i64::from(self.count);
        let len = 1 + varint::len(timestamp_delta) + varint::len(offset_delta) + body_len(key, value, headers);
        self.reserve(len + 5);
        let out = &mut self.buffer;
        varint::write(out, len as i64);
        out.push(0);
        varint::write(out, timestamp_delta);
        varint::write(out, offset_delta);
        write_bytes(out, key);
        write_bytes(out, value);
        varint::write(out, headers.len() as i64);
        for header in headers {
            write_bytes(out, Some(header.key.as_bytes()));
            write_bytes(out, header.value.as_deref());
        }
        self.count += 1;
    }

    /// Makes room: doubles the buffer, but not past the limit.
    #[inline]
    fn reserve(&mut self, additional: usize) {
        let (len, capacity) = (self.buffer.len(), self.buffer.capacity());
        if capacity - len < additional {
            let needed = len + additional;
            let doubled = if self.bytes_max == 0 { capacity * 2 } else { (capacity * 2).min(self.bytes_max) };
            self.buffer.reserve_exact(doubled.max(needed) - len);
        }
    }

    /// Bytes of the batch so far, uncompressed.
    pub fn len(&self) -> usize {
        if self.count == 0 { 0 } else { self.buffer.len() }
    }

    /// Records so far.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Whether nothing was appended since the last [`finish`](Self::finish).
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Drops what was appended.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// The batch's bytes, at base offset 0; the builder is empty again. Empty bytes when nothing
    /// was appended.
    pub fn finish(&mut self, stamp: Stamp, compression: Compression) -> Bytes {
        self.finish_with(stamp, compression, 0)
    }

    pub(super) fn finish_control(&mut self, stamp: Stamp) -> Bytes {
        self.finish_with(stamp, Compression::None, CONTROL)
    }

    fn finish_with(&mut self, stamp: Stamp, compression: Compression, flags: i16) -> Bytes {
        if self.count == 0 {
            return Bytes::new();
        }
        let transactional = if stamp.is_transactional { TRANSACTIONAL } else { 0 };
        let attributes = compression.attributes() | transactional | flags;
        let bytes = match compression {
            Compression::None => {
                self.write_header(stamp, attributes);
                self.take()
            }
            Compression::Gzip | Compression::Snappy | Compression::Lz4 | Compression::Zstd => {
                std::mem::swap(&mut self.buffer, &mut self.spare);
                self.buffer.clear();
                self.buffer.resize(HEADER_LEN, 0);
                compression.compress(self.spare.get(HEADER_LEN..).unwrap_or_default(), &mut self.buffer);
                self.write_header(stamp, attributes);
                let bytes = Bytes::copy_from_slice(&self.buffer);
                std::mem::swap(&mut self.buffer, &mut self.spare);
                bytes
            }
        };
        self.count = 0;
        bytes
    }

    /// The buffer as shared bytes. A nearly full buffer is given away; a small batch is copied out,
    /// so that a log in memory does not keep the slack.
    fn take(&mut self) -> Bytes {
        let capacity = self.buffer.capacity();
        if self.buffer.len() * 8 < capacity * 7 {
            return Bytes::copy_from_slice(&self.buffer);
        }
        std::mem::replace(&mut self.buffer, Vec::with_capacity(capacity)).into()
    }

    fn write_header(&mut self, stamp: Stamp, attributes: i16) {
        let length = self.buffer.len() - 12;
        let mut header = [0u8; HEADER_LEN];
        let mut rest = &mut header[..];
        let mut put = |field: &[u8]| {
            let (head, tail) = std::mem::take(&mut rest).split_at_mut(field.len());
            head.copy_from_slice(field);
            rest = tail;
        };
        put(&0i64.to_be_bytes());
        put(&(length as i32).to_be_bytes());
        put(&0i32.to_be_bytes());
        put(&[2]);
        put(&0u32.to_be_bytes());
        put(&attributes.to_be_bytes());
        put(&(self.count - 1).to_be_bytes());
        put(&self.base_timestamp.to_be_bytes());
        put(&self.max_timestamp.to_be_bytes());
        put(&stamp.producer_id.to_be_bytes());
        put(&stamp.producer_epoch.to_be_bytes());
        put(&stamp.base_sequence.to_be_bytes());
        put(&self.count.to_be_bytes());
        if let Some(head) = self.buffer.first_chunk_mut::<HEADER_LEN>() {
            *head = header;
        }
        let crc = crc32c::crc32c(self.buffer.get(CRC_FROM..).unwrap_or_default());
        if let Some(field) = self.buffer.get_mut(CRC_FROM - 4..CRC_FROM) {
            field.copy_from_slice(&crc.to_be_bytes());
        }
    }

    /// Most bytes that a record with these parts takes.
    pub fn record_len_max(key: Option<&[u8]>, value: Option<&[u8]>, headers: &Headers) -> usize {
        // Length (5), attributes (1), timestamp delta (10), offset delta (5).
        21 + body_len(key, value, headers)
    }
}

/// Bytes of a record after its deltas.
#[inline]
fn body_len(key: Option<&[u8]>, value: Option<&[u8]>, headers: &Headers) -> usize {
    let mut len = bytes_len(key) + bytes_len(value) + varint::len(headers.len() as i64);
    for header in headers {
        len += bytes_len(Some(header.key.as_bytes())) + bytes_len(header.value.as_deref());
    }
    len
}

#[inline]
fn bytes_len(bytes: Option<&[u8]>) -> usize {
    bytes.map_or(1, |bytes| varint::len(bytes.len() as i64) + bytes.len())
}

#[inline]
fn write_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => out.push(1), // -1, zig-zag.
        Some(bytes) => {
            varint::write(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}
