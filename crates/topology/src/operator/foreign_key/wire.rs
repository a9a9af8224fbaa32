//! What goes over the two topics of a foreign-key join.
//!
//! ```text
//! subscription   version, 0x80 without hash (1) | instruction (1) | [hash (16)] | primary key | [partition (4)]
//! response       version, 0x80 without hash (1) | [hash (16)] | right value, empty for none
//! ```
//!
//! Subscriptions are written in version 1; version 0, read too, has no partition. Responses have
//! version 0.

use millstream_types::{Codec, CodecError, Serde};

use super::Hash;

const WITHOUT_HASH: u8 = 0x80;
const HASH_LEN: usize = 16;
const PARTITION_LEN: usize = 4;

/// What the right side is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instruction {
    /// Forget the subscription.
    Delete,
    /// Forget it and answer that there is nothing.
    DeleteAndAnswer,
    /// Keep it and answer in any case.
    Answer,
    /// Keep it and answer only with a row.
    AnswerIfPresent,
}

/// A left row's interest in a right row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription<K> {
    /// Hash of the left value; `None` when it was deleted.
    pub(crate) hash: Option<Hash>,
    pub(crate) instruction: Instruction,
    /// Key of the left row.
    pub(crate) primary_key: K,
    /// Partition of the left row, where the answer has to go; `None` in version 0.
    pub(crate) partition: Option<i32>,
}

/// The right side's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response<VO> {
    /// Hash of the left value that asked.
    pub(crate) hash: Option<Hash>,
    /// The right row, if there is one.
    pub(crate) value: Option<VO>,
    /// Where it goes; not written.
    pub(crate) partition: Option<i32>,
}

impl Instruction {
    fn code(self) -> u8 {
        match self {
            Self::Delete => 0,
            Self::DeleteAndAnswer => 1,
            Self::Answer => 2,
            Self::AnswerIfPresent => 3,
        }
    }

    fn of(code: u8) -> Result<Self, CodecError> {
        match code {
            0 => Ok(Self::Delete),
            1 => Ok(Self::DeleteAndAnswer),
            2 => Ok(Self::Answer),
            3 => Ok(Self::AnswerIfPresent),
            _ => Err(CodecError::format(format!("a subscription with the unknown instruction {code}"))),
        }
    }

    /// Whether the subscription is kept.
    pub(crate) fn is_kept(self) -> bool {
        matches!(self, Self::Answer | Self::AnswerIfPresent)
    }
}

/// Writes and reads subscriptions.
pub(crate) struct SubscriptionCodec<K>(pub(crate) Serde<K>);

impl<K> Codec<Subscription<K>> for SubscriptionCodec<K> {
    fn encode(&self, subscription: &Subscription<K>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let version = u8::from(subscription.partition.is_some());
        out.push(version | if subscription.hash.is_none() { WITHOUT_HASH } else { 0 });
        out.push(subscription.instruction.code());
        out.extend(subscription.hash.iter().flatten());
        if !self.0.encode(&subscription.primary_key, out)? {
            return Err(CodecError::UnexpectedNull);
        }
        out.extend(subscription.partition.iter().flat_map(|partition| partition.to_be_bytes()));
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Subscription<K>, CodecError> {
        let (version, hash_and_rest) = match bytes {
            [version, instruction, rest @ ..] => ((*version, *instruction), rest),
            _ => return Err(CodecError::format("a subscription without version and instruction")),
        };
        let (version, instruction) = version;
        let (hash, rest) = read_hash(version, hash_and_rest)?;
        let (key, partition) = match version & !WITHOUT_HASH {
            0 => (rest, None),
            1 => {
                let (key, partition) = rest
                    .split_last_chunk::<PARTITION_LEN>()
                    .ok_or_else(|| CodecError::format("a subscription without partition"))?;
                (key, Some(i32::from_be_bytes(*partition)))
            }
            other => return Err(CodecError::format(format!("a subscription of the unknown version {other}"))),
        };
        let primary_key = self.0.decode(Some(key))?;
        Ok(Subscription { hash, instruction: Instruction::of(instruction)?, primary_key, partition })
    }
}

/// Writes and reads responses.
pub(crate) struct ResponseCodec<VO>(pub(crate) Serde<VO>);

impl<VO> Codec<Response<VO>> for ResponseCodec<VO> {
    fn encode(&self, response: &Response<VO>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.push(if response.hash.is_none() { WITHOUT_HASH } else { 0 });
        out.extend(response.hash.iter().flatten());
        if let Some(value) = &response.value {
            self.0.encode(value, out)?;
        }
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Response<VO>, CodecError> {
        let (version, rest) = bytes.split_first().ok_or_else(|| CodecError::format("a response without version"))?;
        if version & !WITHOUT_HASH != 0 {
            return Err(CodecError::format(format!("a response of the unknown version {}", version & !WITHOUT_HASH)));
        }
        let (hash, value) = read_hash(*version, rest)?;
        // As there: a value of no bytes is none.
        let value = if value.is_empty() { None } else { Some(self.0.decode(Some(value))?) };
        Ok(Response { hash, value, partition: None })
    }
}

fn read_hash(version: u8, bytes: &[u8]) -> Result<(Option<Hash>, &[u8]), CodecError> {
    if version & WITHOUT_HASH != 0 {
        return Ok((None, bytes));
    }
    let (hash, rest) = bytes
        .split_first_chunk::<HASH_LEN>()
        .ok_or_else(|| CodecError::format("the hash of a foreign-key join's record is cut off"))?;
    Ok((Some(*hash), rest))
}

#[cfg(test)]
mod tests {
    use millstream_types::{Serdes, murmur3_128};

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
    }

    #[track_caller]
    fn check(hash: Option<&str>, instruction: Instruction, key: &str, partition: Option<i32>, expected: &str) {
        let serde = Serde::new(SubscriptionCodec(Serdes::string()));
        let hash = hash.map(|value| murmur3_128(value.as_bytes()));
        let subscription = Subscription { hash, instruction, primary_key: key.to_owned(), partition };
        let mut bytes = Vec::new();
        serde.encode(&subscription, &mut bytes).expect("a subscription");
        assert_eq!(hex(&bytes), expected);
        assert_eq!(serde.decode(Some(&bytes)).expect("a subscription"), subscription);
    }

    #[test]
    fn subscriptions_have_the_bytes_of_kafka_streams() {
        let inserted = "010366a2390c5bf9746ee261ca3110c92f794c3100000001";
        check(Some("R1:a"), Instruction::AnswerIfPresent, "L1", Some(1), inserted);
        check(None, Instruction::DeleteAndAnswer, "L2", Some(0), "81014c3200000000");
        check(None, Instruction::Delete, "L2", None, "80004c32");
    }

    #[test]
    fn responses_have_the_bytes_of_kafka_streams() {
        let serde = Serde::new(ResponseCodec(Serdes::string()));
        let mut bytes = Vec::new();
        serde.encode(&Response { hash: None, value: None, partition: Some(1) }, &mut bytes).expect("a response");
        assert_eq!(hex(&bytes), "80");
        let full = Response { hash: Some([7; 16]), value: Some("v".to_owned()), partition: None };
        bytes.clear();
        serde.encode(&full, &mut bytes).expect("a response");
        assert_eq!(hex(&bytes), format!("00{}76", "07".repeat(16)));
        assert_eq!(serde.decode(Some(&bytes)).expect("a response"), full);
    }

    #[test]
    fn damage_is_told() {
        let subscriptions = Serde::new(SubscriptionCodec(Serdes::string()));
        for bytes in [&[1][..], &[1, 3, 0], &[2, 0x80], &[0x81, 9, 0, 0, 0, 0], &[0x81, 0, 1]] {
            assert!(subscriptions.decode(Some(bytes)).is_err(), "{bytes:?}");
        }
        let responses = Serde::new(ResponseCodec(Serdes::string()));
        for bytes in [&[][..], &[1], &[0, 1, 2]] {
            assert!(responses.decode(Some(bytes)).is_err(), "{bytes:?}");
        }
    }
}
