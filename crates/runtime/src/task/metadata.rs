//! The text that is committed with an input offset, in Kafka Streams' bytes.
//!
//! ```text
//! base64 of:  02 | partition time (8) | [count (4) { name length (4) name value (8) }*]
//! ```
//!
//! Version 1 (time only) and empty text are read too; what is unknown is ignored.

use std::collections::BTreeMap;

use millstream_types::Timestamp;

const VERSION: u8 = 2;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What Kafka Streams keeps beside a committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitMetadata {
    /// Largest timestamp taken from the partition; -1 before the first.
    pub(crate) partition_time: Timestamp,
    /// Last emitted window close per store that emits on close.
    pub(crate) processors: BTreeMap<String, i64>,
}

impl Default for CommitMetadata {
    fn default() -> Self {
        Self { partition_time: Timestamp::UNKNOWN, processors: BTreeMap::new() }
    }
}

impl CommitMetadata {
    /// The text.
    pub(crate) fn encode(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.partition_time.0.to_be_bytes());
        if !self.processors.is_empty() {
            bytes.extend_from_slice(&(self.processors.len() as i32).to_be_bytes());
            for (name, value) in &self.processors {
                bytes.extend_from_slice(&(name.len() as i32).to_be_bytes());
                bytes.extend_from_slice(name.as_bytes());
                bytes.extend_from_slice(&value.to_be_bytes());
            }
        }
        to_base64(&bytes)
    }

    /// Reads the text; what cannot be read gives time -1, as in Kafka Streams.
    pub(crate) fn decode(text: &str) -> Self {
        Self::parse(text).unwrap_or_default()
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = from_base64(text)?;
        let mut rest = bytes.as_slice();
        let [version] = take::<1>(&mut rest)?;
        if !(1..=VERSION).contains(&version) {
            return None;
        }
        let partition_time = Timestamp(i64::from_be_bytes(take(&mut rest)?));
        let mut processors = BTreeMap::new();
        if version == VERSION && !rest.is_empty() {
            let count = i32::from_be_bytes(take(&mut rest)?);
            for _ in 0..count {
                let len = usize::try_from(i32::from_be_bytes(take(&mut rest)?)).ok()?;
                let (name, tail) = rest.split_at_checked(len)?;
                rest = tail;
                let value = i64::from_be_bytes(take(&mut rest)?);
                processors.insert(String::from_utf8_lossy(name).into_owned(), value);
            }
        }
        Some(Self { partition_time, processors })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

fn to_base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().enumerate().fold(0u32, |bits, (at, byte)| bits | u32::from(*byte) << (16 - 8 * at));
        for at in 0..4 {
            let digit = ALPHABET.get((bits >> (18 - 6 * at) & 63) as usize).copied().unwrap_or(b'=');
            text.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for chunk in digits.chunks(4) {
        let mut bits = 0u32;
        for (at, digit) in chunk.iter().enumerate() {
            let value = ALPHABET.iter().position(|known| known == digit)?;
            bits |= (value as u32) << (18 - 6 * at);
        }
        let whole = bits.to_be_bytes();
        bytes.extend_from_slice(whole.get(1..chunk.len())?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, time: i64, processors: &[(&str, i64)]) {
        let expected = CommitMetadata {
            partition_time: Timestamp(time),
            processors: processors.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        };
        assert_eq!(CommitMetadata::decode(text), expected);
        assert_eq!(expected.encode(), text);
    }

    #[test]
    fn bytes_equal_kafka_streams() {
        check("AgAAAAAAAAfQ", 2000, &[]);
        check("AgAAAAAAAOpgAAAAAQAAAA53aW5jbG9zZS1jb3VudAAAAAAAAOpg", 60000, &[("winclose-count", 60000)]);
    }

    #[test]
    fn what_is_unknown_is_ignored() {
        for text in ["", "?", "AwAAAAAAAAfQ", "Ag=="] {
            assert_eq!(CommitMetadata::decode(text), CommitMetadata::default(), "{text}");
        }
        assert_eq!(CommitMetadata::decode("AQAAAAAAAAfQ").partition_time, Timestamp(2000));
    }
}
