//! A cursor over a batch's records.

use bytes::Bytes;
use millstream_types::{Offset, Timestamp};

use super::record::{read_bytes, read_header};
use super::{BatchError, BatchHeader, HeadersView, RecordView, varint};

/// Reads a batch record by record. Owns its bytes (shared with the batch where that is not
/// compressed), allocates nothing per record, and can show the current record again.
///
/// ```
/// # use millstream_log::batch::{Batch, BatchBuilder, Compression, Stamp};
/// # use millstream_types::{Headers, Offset, Timestamp};
/// let mut builder = BatchBuilder::new();
/// builder.append(Timestamp(5), Some(b"k"), Some(b"v"), &Headers::new());
/// let (batch, _) = Batch::parse(builder.finish(Stamp::NONE, Compression::None))?;
///
/// let mut records = batch.cursor(Offset(0))?;
/// assert!(records.advance()?);
/// assert_eq!(records.current().and_then(|record| record.value), Some(&b"v"[..]));
/// assert!(!records.advance()?);
/// # Ok::<(), millstream_log::batch::BatchError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Records {
    bytes: Bytes,
    /// Where the next record starts.
    at: usize,
    /// Number of the next record.
    index: usize,
    count: usize,
    base_offset: i64,
    last_offset_delta: i32,
    base_timestamp: i64,
    append_time: Option<i64>,
    from: i64,
    current: Option<Span>,
}

/// A record as positions, so that the cursor borrows nothing.
#[derive(Clone, Copy, Debug)]
struct Span {
    offset: i64,
    timestamp: i64,
    key: Field,
    value: Field,
    headers_at: usize,
    headers_count: usize,
    end: usize,
}

#[derive(Clone, Copy, Debug)]
struct Field {
    at: usize,
    /// -1 is null.
    len: isize,
}

impl Records {
    pub(super) fn new(bytes: Bytes, header: &BatchHeader, from: Offset) -> Self {
        Self {
            bytes,
            at: 0,
            index: 0,
            count: header.count as usize,
            base_offset: header.base_offset,
            last_offset_delta: header.last_offset_delta,
            base_timestamp: header.base_timestamp,
            append_time: header.append_time(),
            from: from.0,
            current: None,
        }
    }

    /// Moves to the next record; `false` at the end.
    ///
    /// # Errors
    /// [`BatchError::Record`] when the bytes break the format; the cursor is at its end then.
    #[inline]
    pub fn advance(&mut self) -> Result<bool, BatchError> {
        while self.index < self.count {
            match read(self) {
                Ok(span) => {
                    self.at = span.end;
                    self.index += 1;
                    if span.offset >= self.from {
                        self.current = Some(span);
                        return Ok(true);
                    }
                }
                Err(what) => return Err(self.fail(what)),
            }
        }
        self.current = None;
        if self.at < self.bytes.len() {
            return Err(self.fail("bytes are left after the last record"));
        }
        Ok(false)
    }

    /// The record that the last [`advance`](Self::advance) moved to.
    #[inline]
    pub fn current(&self) -> Option<RecordView<'_>> {
        let span = self.current.as_ref()?;
        let section = self.bytes.get(span.headers_at..span.end)?;
        Some(RecordView {
            offset: Offset(span.offset),
            timestamp: Timestamp(span.timestamp),
            key: self.field(span.key),
            value: self.field(span.value),
            headers: HeadersView { shared: &self.bytes, section, count: span.headers_count },
            shared: &self.bytes,
        })
    }

    /// Moves to the next record and gives it.
    #[inline]
    pub fn next_record(&mut self) -> Result<Option<RecordView<'_>>, BatchError> {
        Ok(if self.advance()? { self.current() } else { None })
    }

    /// Keys of the records after the current one, in order, as far as they can be read; null ones are
    /// empty. Reads no further than asked and moves nothing: a hint of what comes.
    pub fn keys_ahead(&self) -> impl Iterator<Item = &[u8]> {
        let mut at = self.at;
        (self.index..self.count).map_while(move |_| key_at(&self.bytes, &mut at))
    }

    /// Bytes that the records take decompressed, all of them.
    pub fn bytes_len(&self) -> usize {
        self.bytes.len()
    }

    /// Records not yet read, those under the first offset asked for included.
    pub fn remaining(&self) -> usize {
        self.count - self.index
    }

    #[inline]
    fn field(&self, field: Field) -> Option<&[u8]> {
        let len = usize::try_from(field.len).ok()?;
        self.bytes.get(field.at..field.at + len)
    }

    #[cold]
    fn fail(&mut self, what: &'static str) -> BatchError {
        let index = self.index;
        self.index = self.count;
        self.at = self.bytes.len();
        self.current = None;
        BatchError::Record { index, base: self.base_offset, what }
    }
}

/// Reads the record at the cursor.
#[inline]
fn read(records: &Records) -> Result<Span, &'static str> {
    let bytes = &*records.bytes;
    let mut at = records.at;
    let len = varint::read_i32(bytes, &mut at).ok_or("its length")?;
    let end = usize::try_from(len).ok().and_then(|len| at.checked_add(len)).ok_or("its length")?;
    // Nothing of this record may reach into the next.
    let bytes = bytes.get(..end).ok_or("it is longer than the batch")?;
    at += 1; // Attributes: none are in use.
    let timestamp_delta = varint::read_i64(bytes, &mut at).ok_or("its timestamp")?;
    let offset_delta = varint::read_i32(bytes, &mut at).ok_or("its offset")?;
    if offset_delta < 0 || offset_delta > records.last_offset_delta {
        return Err("its offset");
    }
    let key = span(bytes, &mut at).ok_or("its key")?;
    let value = span(bytes, &mut at).ok_or("its value")?;
    let headers_count = varint::read_i32(bytes, &mut at).ok_or("its headers")?;
    let headers_at = at;
    if headers_count != 0 {
        let count = usize::try_from(headers_count).map_err(|_| "its headers")?;
        for _ in 0..count {
            read_header(bytes, &mut at).ok_or("its headers")?;
        }
    }
    if at != end {
        return Err("its length");
    }
    Ok(Span {
        offset: records.base_offset.saturating_add(i64::from(offset_delta)),
        timestamp: records.append_time.unwrap_or_else(|| records.base_timestamp.wrapping_add(timestamp_delta)),
        key,
        value,
        headers_at,
        headers_count: headers_count as usize,
        end,
    })
}

/// The key of the record at `at`, which then stands at the next.
#[inline]
fn key_at<'a>(bytes: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let len = varint::read_i32(bytes, at)?;
    let end = at.checked_add(usize::try_from(len).ok()?)?;
    *at += 1; // Attributes.
    varint::read_i64(bytes, at)?;
    varint::read_i32(bytes, at)?;
    let key = read_bytes(bytes, at)?;
    *at = end;
    Some(key.unwrap_or_default())
}

#[inline]
fn span(bytes: &[u8], at: &mut usize) -> Option<Field> {
    let field = read_bytes(bytes, at)?;
    let len = field.map_or(-1, |field| field.len() as isize);
    Some(Field { at: *at - len.max(0) as usize, len })
}
