//! Windowed keys in topics.
//!
//! ```text
//! time window     key | start (8)
//! session window  key | end (8) | start (8)
//! ```
//!
//! Times are milliseconds since 1970-01-01 UTC, big endian. Stores have layouts of their own.

use crate::{Codec, CodecError, Serde, Timestamp, Window, Windowed};

/// Bytes of one time.
const TIME_LEN: usize = 8;

/// Kafka's `TimeWindowedSerde`.
struct TimeWindowedCodec<K> {
    inner: Serde<K>,
    window_size_ms: i64,
    /// Bytes behind the start: a changelog has a sequence number there.
    tail: usize,
}

/// Bytes of the sequence number in the keys of a changelog.
const SEQUENCE_LEN: usize = 4;

/// Kafka's `SessionWindowedSerde`.
struct SessionWindowedCodec<K> {
    inner: Serde<K>,
}

impl<K> Codec<Windowed<K>> for TimeWindowedCodec<K> {
    fn encode(&self, value: &Windowed<K>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        encode_key(&self.inner, &value.key, out)?;
        out.extend_from_slice(&value.window.start.0.to_be_bytes());
        out.resize(out.len() + self.tail, 0);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Windowed<K>, CodecError> {
        let (key, start) = split_time(without_tail(bytes, self.tail), TIME_LEN)?;
        let window = window(start, start.saturating_add(self.window_size_ms))?;
        Ok(Windowed { key: self.inner.decode(Some(key))?, window })
    }

    fn encoded_len(&self, value: &Windowed<K>) -> usize {
        self.inner.encoded_len(&value.key) + TIME_LEN + self.tail
    }

    fn partition_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.inner.partition_bytes(without_tail(bytes, TIME_LEN + self.tail))
    }
}

impl<K> Codec<Windowed<K>> for SessionWindowedCodec<K> {
    fn encode(&self, value: &Windowed<K>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        encode_key(&self.inner, &value.key, out)?;
        out.extend_from_slice(&value.window.end.0.to_be_bytes());
        out.extend_from_slice(&value.window.start.0.to_be_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Windowed<K>, CodecError> {
        let (rest, start) = split_time(bytes, 2 * TIME_LEN)?;
        let (key, end) = split_time(rest, TIME_LEN)?;
        Ok(Windowed { key: self.inner.decode(Some(key))?, window: window(start, end)? })
    }

    fn encoded_len(&self, value: &Windowed<K>) -> usize {
        self.inner.encoded_len(&value.key) + 2 * TIME_LEN
    }

    fn is_canonical(&self) -> bool {
        self.inner.is_canonical()
    }

    fn partition_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.inner.partition_bytes(without_tail(bytes, 2 * TIME_LEN))
    }
}

/// A windowed key has no place for a null inside.
fn encode_key<K>(inner: &Serde<K>, key: &K, out: &mut Vec<u8>) -> Result<(), CodecError> {
    if inner.encode(key, out)? { Ok(()) } else { Err(CodecError::format("a windowed key must not be null")) }
}

/// Takes the time off the end; `least` is the size a whole tail has.
fn split_time(bytes: &[u8], least: usize) -> Result<(&[u8], i64), CodecError> {
    match bytes.split_last_chunk::<TIME_LEN>() {
        Some((rest, time)) if bytes.len() >= least => Ok((rest, i64::from_be_bytes(*time))),
        _ => Err(CodecError::format(format!("a windowed key has at least {least} bytes, {} found", bytes.len()))),
    }
}

/// Bytes too short for a tail are given back whole: they fail to decode elsewhere.
fn without_tail(bytes: &[u8], tail: usize) -> &[u8] {
    bytes.len().checked_sub(tail).and_then(|end| bytes.get(..end)).unwrap_or(bytes)
}

/// As Kafka's windows, none starts before 1970 or ends before its start.
fn window(start: i64, end: i64) -> Result<Window, CodecError> {
    if start < 0 || end < start {
        return Err(CodecError::format(format!("no window goes from {start} to {end}")));
    }
    Ok(Window { start: Timestamp(start), end: Timestamp(end) })
}

impl<K: 'static> Serde<Windowed<K>> {
    /// Keys of tumbling, hopping and sliding windows, as Kafka's `TimeWindowedSerde`. The bytes
    /// hold the start only, so reading needs the size in milliseconds; an end past the largest
    /// time becomes the largest time. Partitioners hash the inner key.
    pub fn time_windowed(inner: Serde<K>, window_size_ms: i64) -> Self {
        Self::new(TimeWindowedCodec { inner, window_size_ms, tail: 0 })
    }

    /// Keys of the changelog of a store of such windows, as Kafka's `TimeWindowedSerde.forChangelog`: a
    /// sequence number of four bytes follows the start. It is not looked at when read; unlike there it is
    /// also written, as 0, so that what is written reads back.
    pub fn time_windowed_changelog(inner: Serde<K>, window_size_ms: i64) -> Self {
        Self::new(TimeWindowedCodec { inner, window_size_ms, tail: SEQUENCE_LEN })
    }

    /// Keys of session windows, as Kafka's `SessionWindowedSerde`: start and end, both inclusive.
    pub fn session_windowed(inner: Serde<K>) -> Self {
        Self::new(SessionWindowedCodec { inner })
    }
}
