//! Codecs: how a type becomes bytes and what is null.

use std::fmt;

/// Turns values of `T` into the bytes of a log or store and back.
///
/// A codec also says what is null: for a plain type nothing is, for `Option<T>` it is `None`.
/// Every operator whose rule depends on a null key or value asks the codec.
pub trait Codec<T>: Send + Sync {
    /// Appends the bytes of `value`. Never called for a null ([`Self::is_null`]).
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError>;

    /// Reads a value from exactly these bytes.
    fn decode(&self, bytes: &[u8]) -> Result<T, CodecError>;

    /// The value that stands for Kafka's null. An error unless the type has one.
    fn decode_null(&self) -> Result<T, CodecError> {
        Err(CodecError::UnexpectedNull)
    }

    /// Whether this value is Kafka's null. False unless overridden.
    fn is_null(&self, value: &T) -> bool {
        let _ = value;
        false
    }

    /// Number of bytes [`Self::encode`] would append; sizes caches without encoding. The default
    /// encodes to find out.
    fn encoded_len(&self, value: &T) -> usize {
        let mut bytes = Vec::new();
        match self.encode(value, &mut bytes) {
            Ok(()) => bytes.len(),
            Err(_) => 0,
        }
    }

    /// Whether bytes and value are one to one, so that the original bytes may stand for an
    /// unchanged value. True for integers, strings and bytes; never for JSON.
    fn is_canonical(&self) -> bool {
        false
    }

    /// The part of a key's bytes that the default partitioner hashes: all of them, but for
    /// windowed keys only those of the inner key.
    fn partition_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes
    }

    /// Number of bytes that every value takes, where Kafka's `ListSerde` counts the type as of
    /// constant size (`short`, `int`, `long`, `float`, `double`, `UUID`); it then writes lists
    /// without lengths.
    fn fixed_len(&self) -> Option<usize> {
        None
    }
}

/// Bytes that do not fit a type, or a value that has no bytes.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// A null arrived where the type has none.
    #[error("null for a type that has none; read it as Option<T> to take nulls")]
    UnexpectedNull,
    /// A fixed-size type got another number of bytes.
    #[error("{expected} bytes expected, {found} found")]
    Length {
        /// Size the type has, in bytes.
        expected: usize,
        /// Bytes that were there.
        found: usize,
    },
    /// The bytes or the value break the format.
    #[error("{0}")]
    Format(Malformed),
}

/// A sentence on what is wrong with some bytes.
#[derive(Debug, Clone)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl CodecError {
    /// The bytes or the value break the format; say how.
    pub fn format(message: impl Into<String>) -> Self {
        Self::Format(Malformed(message.into()))
    }
}
