//! What may be null: `Option<T>`, and `()` which always is.

use crate::{Codec, CodecError, Serde};

/// `None` is Kafka's null; `Some` is written by the inner serde.
struct OptionCodec<T>(Serde<T>);

impl<T> Codec<Option<T>> for OptionCodec<T> {
    fn encode(&self, value: &Option<T>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        match value {
            Some(value) => self.0.encode(value, out).map(|_| ()),
            None => Err(CodecError::UnexpectedNull),
        }
    }

    fn decode(&self, bytes: &[u8]) -> Result<Option<T>, CodecError> {
        self.0.decode(Some(bytes)).map(Some)
    }

    fn decode_null(&self) -> Result<Option<T>, CodecError> {
        Ok(None)
    }

    fn is_null(&self, value: &Option<T>) -> bool {
        value.as_ref().is_none_or(|value| self.0.is_null(value))
    }

    fn encoded_len(&self, value: &Option<T>) -> usize {
        value.as_ref().map_or(0, |value| self.0.encoded_len(value))
    }

    fn is_canonical(&self) -> bool {
        self.0.is_canonical()
    }

    fn partition_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.0.partition_bytes(bytes)
    }

    fn fixed_len(&self) -> Option<usize> {
        self.0.fixed_len()
    }
}

impl<T: 'static> Serde<T> {
    /// The same encoding for values that may be null: `None` is Kafka's null, also a tombstone.
    pub fn optional(self) -> Serde<Option<T>> {
        Serde::new(OptionCodec(self))
    }
}

/// Kafka's `Void`.
pub(super) struct VoidCodec;

impl Codec<()> for VoidCodec {
    fn encode(&self, (): &(), _: &mut Vec<u8>) -> Result<(), CodecError> {
        Err(CodecError::UnexpectedNull)
    }

    fn decode(&self, bytes: &[u8]) -> Result<(), CodecError> {
        Err(CodecError::format(format!("void is always null, but {} bytes were found", bytes.len())))
    }

    fn decode_null(&self) -> Result<(), CodecError> {
        Ok(())
    }

    fn is_null(&self, (): &()) -> bool {
        true
    }

    fn encoded_len(&self, (): &()) -> usize {
        0
    }
}
