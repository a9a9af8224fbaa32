//! Text and raw bytes.

use bytes::Bytes;
use uuid::Uuid;

use crate::{Codec, CodecError};

/// UTF-8.
pub(super) struct StringCodec;

impl Codec<String> for StringCodec {
    fn encode(&self, value: &String, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(value.as_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<String, CodecError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => Err(CodecError::format(format!("not UTF-8 after {} bytes", error.valid_up_to()))),
        }
    }

    fn encoded_len(&self, value: &String) -> usize {
        value.len()
    }

    fn is_canonical(&self) -> bool {
        true
    }
}

/// The 36-character form. Not canonical: upper case is read too.
pub(super) struct UuidCodec;

/// Characters of a UUID with its hyphens.
const UUID_LEN: usize = uuid::fmt::Hyphenated::LENGTH;

impl Codec<Uuid> for UuidCodec {
    fn encode(&self, value: &Uuid, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let mut text = [0; UUID_LEN];
        out.extend_from_slice(value.hyphenated().encode_lower(&mut text).as_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Uuid, CodecError> {
        // The parser knows other forms as well, all of other lengths.
        if bytes.len() != UUID_LEN {
            return Err(CodecError::Length { expected: UUID_LEN, found: bytes.len() });
        }
        Uuid::try_parse_ascii(bytes).map_err(|_| CodecError::format("not a UUID"))
    }

    fn encoded_len(&self, _: &Uuid) -> usize {
        UUID_LEN
    }

    fn fixed_len(&self) -> Option<usize> {
        Some(UUID_LEN)
    }
}

/// Bytes as they are, owned.
pub(super) struct ByteArrayCodec;

impl Codec<Vec<u8>> for ByteArrayCodec {
    fn encode(&self, value: &Vec<u8>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(value);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, CodecError> {
        Ok(bytes.to_vec())
    }

    fn encoded_len(&self, value: &Vec<u8>) -> usize {
        value.len()
    }

    fn is_canonical(&self) -> bool {
        true
    }
}

/// Bytes as they are, shared.
pub(super) struct BytesCodec;

impl Codec<Bytes> for BytesCodec {
    fn encode(&self, value: &Bytes, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.extend_from_slice(value);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Bytes, CodecError> {
        Ok(Bytes::copy_from_slice(bytes))
    }

    fn encoded_len(&self, value: &Bytes) -> usize {
        value.len()
    }

    fn is_canonical(&self) -> bool {
        true
    }
}
