//! A record of a batch, borrowed.

use std::sync::Arc;

use bytes::Bytes;
use millstream_types::{Header, Headers, Offset, RawRecord, Timestamp};

use super::varint;

/// A record that borrows its batch's bytes.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    /// Position in its partition.
    pub offset: Offset,
    /// Timestamp: the producer's, or the broker's where the topic says so.
    pub timestamp: Timestamp,
    /// Key bytes; `None` is Kafka's null.
    pub key: Option<&'a [u8]>,
    /// Value bytes; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers, not yet decoded.
    pub headers: HeadersView<'a>,
    pub(super) shared: &'a Bytes,
}

impl RecordView<'_> {
    /// The record on its own; key, value and header values share the batch's bytes and keep them
    /// alive.
    pub fn to_raw(&self) -> RawRecord {
        RawRecord {
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key.map(|key| self.shared.slice_ref(key)),
            value: self.value.map(|value| self.shared.slice_ref(value)),
            headers: self.headers.to_headers(),
        }
    }
}

/// The headers of a record, not yet decoded.
#[derive(Clone, Copy, Debug)]
pub struct HeadersView<'a> {
    pub(super) shared: &'a Bytes,
    pub(super) section: &'a [u8],
    pub(super) count: usize,
}

impl<'a> HeadersView<'a> {
    /// Number of headers.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Name and value of each header, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let section = self.section;
        let mut at = 0;
        // The section was checked when the record was read, so nothing is cut short here.
        (0..self.count).map_while(move |_| read_header(section, &mut at))
    }

    /// The headers decoded; values share the batch's bytes. Does not allocate when there are none.
    pub fn to_headers(&self) -> Headers {
        if self.is_empty() {
            return Headers::new();
        }
        self.iter()
            .map(|(key, value)| Header {
                // As Java does: what is not UTF-8 is replaced.
                key: Arc::from(String::from_utf8_lossy(key)),
                value: value.map(|value| self.shared.slice_ref(value)),
            })
            .collect()
    }
}

/// Reads one header and moves `at` past it.
pub(super) fn read_header<'a>(bytes: &'a [u8], at: &mut usize) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    let key = read_bytes(bytes, at)??;
    let value = read_bytes(bytes, at)?;
    Some((key, value))
}

/// Reads a length and as many bytes; a length of -1 is null. The outer `None`: malformed.
#[inline]
#[expect(clippy::option_option, reason = "malformed, null and present; an enum would only be matched once")]
pub(super) fn read_bytes<'a>(bytes: &'a [u8], at: &mut usize) -> Option<Option<&'a [u8]>> {
    let len = varint::read_i32(bytes, at)?;
    if len < 0 {
        return (len == -1).then_some(None);
    }
    let end = at.checked_add(len as usize)?;
    let field = bytes.get(*at..end)?;
    *at = end;
    Some(Some(field))
}
