//! Values with headers, as stores with headers keep them (KIP-1271).
//!
//! ```text
//! value    size of the headers (varint) | headers | value
//! headers  empty, or: count (varint) { name length (varint) | name | value length (varint), -1 for null | value }
//! ```
//!
//! Varints are Kafka's: zigzag, seven bits a byte. The header block is Kafka Streams'
//! `HeadersSerializer`'s.

use bytes::Bytes;
use millstream_types::{Codec, CodecError, Headers, Serde};

/// A value and the headers of the record that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Headed<V> {
    pub(crate) value: V,
    pub(crate) headers: Headers,
}

/// Encodes values with their headers, or without where the store does not keep them.
pub(crate) struct HeadedCodec<V> {
    pub(crate) values: Serde<V>,
    pub(crate) keeps_headers: bool,
}

impl<V: 'static> Codec<Headed<V>> for HeadedCodec<V> {
    fn encode(&self, value: &Headed<V>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        if self.keeps_headers {
            put_block(&value.headers, out);
        }
        self.values.encode(&value.value, out).map(drop)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Headed<V>, CodecError> {
        let (headers, value) = if self.keeps_headers { take_block(bytes)? } else { (Headers::new(), bytes) };
        Ok(Headed { value: self.values.decode(Some(value))?, headers })
    }

    fn decode_null(&self) -> Result<Headed<V>, CodecError> {
        Ok(Headed { value: self.values.decode(None)?, headers: Headers::new() })
    }

    fn is_null(&self, value: &Headed<V>) -> bool {
        self.values.is_null(&value.value)
    }
}

/// Appends the size of the headers and the headers.
pub(crate) fn put_block(headers: &Headers, out: &mut Vec<u8>) {
    if headers.is_empty() {
        out.push(0);
        return;
    }
    let mut block = Vec::new();
    put_varint(headers.len(), &mut block);
    for header in headers {
        put_varint(header.key.len(), &mut block);
        block.extend_from_slice(header.key.as_bytes());
        match &header.value {
            Some(value) => {
                put_varint(value.len(), &mut block);
                block.extend_from_slice(value);
            }
            // -1 in zigzag.
            None => block.push(1),
        }
    }
    put_varint(block.len(), out);
    out.extend_from_slice(&block);
}

/// Where the value begins behind a block of headers; the end if the block is cut.
pub(crate) fn block_len(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let len = take_len(&mut rest).ok().flatten().unwrap_or(usize::MAX);
    (bytes.len() - rest.len()).saturating_add(len).min(bytes.len())
}

fn take_block(bytes: &[u8]) -> Result<(Headers, &[u8]), CodecError> {
    let mut rest = bytes;
    let len = take_len(&mut rest)?.unwrap_or_default();
    let (mut block, value) = rest.split_at_checked(len).ok_or_else(cut)?;
    let mut headers = Headers::new();
    if block.is_empty() {
        return Ok((headers, value));
    }
    for _ in 0..take_len(&mut block)?.unwrap_or_default() {
        let key = take_bytes(&mut block)?.ok_or_else(cut)?;
        let key = std::str::from_utf8(key).map_err(|_| CodecError::format("a header whose name is not UTF-8"))?;
        let value = take_bytes(&mut block)?.map(Bytes::copy_from_slice);
        headers.add(key, value);
    }
    Ok((headers, value))
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, CodecError> {
    let Some(len) = take_len(rest)? else { return Ok(None) };
    let (bytes, after) = rest.split_at_checked(len).ok_or_else(cut)?;
    *rest = after;
    Ok(Some(bytes))
}

fn put_varint(number: usize, out: &mut Vec<u8>) {
    let mut left = (number as u64) << 1;
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

/// A length; `None` for -1.
fn take_len(rest: &mut &[u8]) -> Result<Option<usize>, CodecError> {
    let mut number = 0_u64;
    for shift in (0..35).step_by(7) {
        let (byte, after) = rest.split_first().ok_or_else(cut)?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return match (number & 1, number >> 1) {
                (0, len) => Ok(Some(usize::try_from(len).map_err(|_| cut())?)),
                (_, 0) => Ok(None),
                _ => Err(CodecError::format("a negative length among headers")),
            };
        }
    }
    Err(CodecError::format("a length among headers that takes more than five bytes"))
}

#[cold]
fn cut() -> CodecError {
    CodecError::format("headers that are cut")
}

impl<V> Headed<V> {
    /// The headers.
    pub(crate) fn headers(&self) -> &Headers {
        &self.headers
    }
}

#[cfg(test)]
mod tests {
    use millstream_types::Serdes;

    use super::*;

    fn headers() -> Headers {
        let mut headers = Headers::new();
        headers.add("h1", Some(Bytes::from_static(b"x")));
        headers.add("h2", None);
        headers
    }

    #[test]
    fn a_block_has_kafka_streams_bytes() {
        let mut bytes = Vec::new();
        put_block(&headers(), &mut bytes);
        // 10 bytes: 2 headers, "h1" = "x", "h2" = null.
        assert_eq!(bytes, [20, 4, 4, b'h', b'1', 2, b'x', 4, b'h', b'2', 1]);
        assert_eq!(block_len(&bytes), bytes.len());
        let mut bytes = Vec::new();
        put_block(&Headers::new(), &mut bytes);
        assert_eq!(bytes, [0]);
    }

    #[test]
    fn values_read_back_and_cut_ones_are_errors() {
        let codec = HeadedCodec { values: Serdes::string(), keeps_headers: true };
        let value = Headed { value: "v".to_owned(), headers: headers() };
        let mut bytes = Vec::new();
        codec.encode(&value, &mut bytes).unwrap();
        assert_eq!(codec.decode(&bytes).unwrap(), value);
        for len in 0..bytes.len() - 1 {
            assert!(codec.decode(&bytes[..len]).is_err(), "{len}");
        }
    }
}
