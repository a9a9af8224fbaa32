//! The bytes of a buffered record, as Kafka Streams' `BufferValue` and `ProcessorRecordContext`
//! have them.
//!
//! ```text
//! value      context | prior | old | new
//! context    timestamp (8) | offset (8) | length (4) topic | partition (4)
//!              | header count (4) | count times: length (4) name | length (4) value
//! prior, new length (4) bytes, or -1 for null
//! old        the same, or -2 when it equals prior
//! ```
//!
//! All numbers are big endian; a header's value may be null, too.

use std::sync::Arc;

use bytes::Bytes;
use millstream_types::{Header, Headers, Offset, Partition, Timestamp};

use crate::Origin;
use crate::small_bytes::SmallBytes;

const NULL: i32 = -1;
const SAME_AS_PRIOR: i32 = -2;

/// The row before the update last held.
#[derive(Clone)]
pub(super) enum OldValue {
    /// The same as before the first update held.
    Prior,
    /// Another one.
    Own(Option<SmallBytes>),
}

/// A record held, in bytes.
#[derive(Clone)]
pub(super) struct BufferValue {
    pub(super) origin: Origin,
    pub(super) headers: Headers,
    /// The row before the first update of its key that is held.
    pub(super) prior: Option<SmallBytes>,
    old: OldValue,
    pub(super) new: Option<SmallBytes>,
}

impl BufferValue {
    pub(super) fn new(
        (origin, headers): (Origin, Headers),
        prior: Option<SmallBytes>,
        old: Option<SmallBytes>,
        new: Option<SmallBytes>,
    ) -> Self {
        let old = if old == prior { OldValue::Prior } else { OldValue::Own(old) };
        Self { origin, headers, prior, old, new }
    }

    pub(super) fn old(&self) -> Option<&SmallBytes> {
        match &self.old {
            OldValue::Prior => self.prior.as_ref(),
            OldValue::Own(old) => old.as_ref(),
        }
    }

    /// Bytes that Kafka Streams reckons for the value; `max_bytes` of a buffer is measured in these.
    pub(super) fn reckoned_len(&self) -> u64 {
        let len = |bytes: Option<&SmallBytes>| bytes.map_or(0, |bytes| bytes.len());
        let own_old = match &self.old {
            OldValue::Prior => 0,
            OldValue::Own(old) => len(old.as_ref()),
        };
        // Java counts UTF-16 units, not bytes.
        let chars = |text: &str| text.encode_utf16().count();
        let topic = self.origin.topic.as_deref().map_or(0, chars);
        let header = |header: &Header| chars(&header.key) + header.value.as_ref().map_or(0, Bytes::len);
        let headers: usize = self.headers.iter().map(header).sum();
        (len(self.prior.as_ref()) + own_old + len(self.new.as_ref()) + 8 + 8 + topic + 4 + headers) as u64
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        encode_context(&self.origin, &self.headers, out);
        put_sized(out, self.prior.as_deref());
        match &self.old {
            OldValue::Prior if self.prior.is_some() => out.extend_from_slice(&SAME_AS_PRIOR.to_be_bytes()),
            OldValue::Prior => put_sized(out, None),
            OldValue::Own(old) => put_sized(out, old.as_deref()),
        }
        put_sized(out, self.new.as_deref());
    }

    /// Reads a value; what follows it stays in the reader. `None` if these are no value's bytes.
    pub(super) fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        let context = reader.context()?;
        let prior = reader.sized()?.map(SmallBytes::from);
        let old = match reader.i32()? {
            SAME_AS_PRIOR => prior.clone(),
            len => reader.bytes_or_null(len)?.map(SmallBytes::from),
        };
        let new = reader.sized()?.map(SmallBytes::from);
        Some(Self::new(context, prior, old, new))
    }
}

fn encode_context(origin: &Origin, headers: &Headers, out: &mut Vec<u8>) {
    out.extend_from_slice(&origin.timestamp.0.to_be_bytes());
    out.extend_from_slice(&origin.offset.0.to_be_bytes());
    put_sized(out, Some(origin.topic.as_deref().unwrap_or_default().as_bytes()));
    out.extend_from_slice(&origin.partition.0.to_be_bytes());
    out.extend_from_slice(&(headers.len() as u32).to_be_bytes());
    for header in headers {
        put_sized(out, Some(header.key.as_bytes()));
        put_sized(out, header.value.as_deref());
    }
}

fn put_sized(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
            out.extend_from_slice(bytes);
        }
        None => out.extend_from_slice(&NULL.to_be_bytes()),
    }
}

/// Bytes being read. Every method gives `None` when they end too early.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn bytes_or_null(&mut self, len: i32) -> Option<Option<&'a [u8]>> {
        if len == NULL {
            return Some(None);
        }
        let (bytes, rest) = self.0.split_at_checked(usize::try_from(len).ok()?)?;
        self.0 = rest;
        Some(Some(bytes))
    }

    /// Bytes with their length in front; `Some(None)` is a null.
    pub(super) fn sized(&mut self) -> Option<Option<&'a [u8]>> {
        let len = self.i32()?;
        self.bytes_or_null(len)
    }

    pub(super) fn context(&mut self) -> Option<(Origin, Headers)> {
        let timestamp = Timestamp(self.i64()?);
        let offset = Offset(self.i64()?);
        let topic = std::str::from_utf8(self.sized()??).ok()?;
        let partition = Partition(self.i32()?);
        let count = self.i32()?;
        let mut headers = Headers::new();
        for _ in 0..count {
            let name = std::str::from_utf8(self.sized()??).ok()?;
            headers.add(name, self.sized()?.map(Bytes::copy_from_slice));
        }
        let topic = (!topic.is_empty()).then(|| Arc::from(topic));
        Some((Origin { topic, partition, offset, timestamp, ..Origin::NONE }, headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        use std::fmt::Write;
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    fn small(bytes: &[u8]) -> SmallBytes {
        SmallBytes::from(bytes)
    }

    fn context(headers: &[(&str, Option<&'static [u8]>)]) -> (Origin, Headers) {
        let origin = Origin {
            topic: Some("a-app".into()),
            partition: Partition(1),
            offset: Offset(0),
            timestamp: Timestamp(1000),
            raw: None,
        };
        let headers =
            headers.iter().map(|(name, value)| Header { key: (*name).into(), value: value.map(Bytes::from_static) });
        (origin, headers.collect())
    }

    #[track_caller]
    fn check(value: &BufferValue, bytes: &str) {
        let mut out = Vec::new();
        value.encode(&mut out);
        assert_eq!(hex(&out), bytes.replace(' ', ""));
        let mut reader = Reader(&out);
        let back = BufferValue::decode(&mut reader).unwrap();
        assert!(reader.0.is_empty());
        assert_eq!((&back.origin, &back.headers), (&value.origin, &value.headers));
        assert_eq!(back.prior.as_deref(), value.prior.as_deref());
        assert_eq!(back.old().map(|old| &**old), value.old().map(|old| &**old));
        assert_eq!(back.new.as_deref(), value.new.as_deref());
        for len in 0..out.len() {
            assert!(BufferValue::decode(&mut Reader(&out[..len])).is_none(), "{len}");
        }
    }

    const CONTEXT: &str = "00000000000003e8 0000000000000000 00000005 612d617070 00000001";

    #[test]
    fn values_have_kafka_streams_bytes() {
        let header: &[(&str, Option<&'static [u8]>)] = &[("h1", Some(b"x")), ("n", None)];
        check(
            &BufferValue::new(context(header), None, None, Some(small(&[0, 1]))),
            &format!(
                "{CONTEXT} 00000002 00000002 6831 00000001 78 00000001 6e ffffffff ffffffff ffffffff 00000002 0001"
            ),
        );
        check(
            &BufferValue::new(context(&[]), Some(small(b"p")), Some(small(b"p")), None),
            &format!("{CONTEXT} 00000000 00000001 70 fffffffe ffffffff"),
        );
        check(
            &BufferValue::new(context(&[]), Some(small(b"p")), Some(small(b"o")), Some(small(b""))),
            &format!("{CONTEXT} 00000000 00000001 70 00000001 6f 00000000"),
        );
    }

    #[test]
    fn an_old_value_that_is_the_prior_one_is_reckoned_once() {
        let len = |prior, old, new| BufferValue::new(context(&[("h", Some(b"xy"))]), prior, old, new).reckoned_len();
        let base = 8 + 8 + 5 + 4 + 3;
        assert_eq!(len(None, None, Some(small(b"abc"))), base + 3);
        assert_eq!(len(Some(small(b"ab")), Some(small(b"ab")), Some(small(b"abc"))), base + 5);
        assert_eq!(len(Some(small(b"ab")), Some(small(b"a")), None), base + 3);
        assert_eq!(len(Some(small(b"ab")), None, None), base + 2);
    }
}
