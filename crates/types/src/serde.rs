//! A shared codec.

use std::fmt;
use std::sync::Arc;

use crate::{Codec, CodecError};

/// How a type is written to and read from topics and stores: a shared [`Codec`]. Cheap to clone.
pub struct Serde<T: ?Sized>(Arc<dyn Codec<T>>);

impl<T> Serde<T> {
    /// Wraps a codec.
    pub fn new(codec: impl Codec<T> + 'static) -> Self {
        Self(Arc::new(codec))
    }

    /// Whether both share one codec instance.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether the value is Kafka's null.
    pub fn is_null(&self, value: &T) -> bool {
        self.0.is_null(value)
    }

    /// Appends the value's bytes; a null appends nothing and gives `false`.
    pub fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<bool, CodecError> {
        if self.0.is_null(value) {
            return Ok(false);
        }
        self.0.encode(value, out)?;
        Ok(true)
    }

    /// Reads a value; `None` is Kafka's null.
    pub fn decode(&self, bytes: Option<&[u8]>) -> Result<T, CodecError> {
        match bytes {
            Some(bytes) => self.0.decode(bytes),
            None => self.0.decode_null(),
        }
    }

    /// Number of bytes the value would take; a null takes none.
    pub fn encoded_len(&self, value: &T) -> usize {
        if self.0.is_null(value) { 0 } else { self.0.encoded_len(value) }
    }

    /// The part of a key's bytes that the default partitioner hashes.
    pub fn partition_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.0.partition_bytes(bytes)
    }

    /// Whether bytes and value are one to one; see [`Codec::is_canonical`].
    pub fn is_canonical(&self) -> bool {
        self.0.is_canonical()
    }

    /// Number of bytes that every value takes; see [`Codec::fixed_len`].
    pub fn fixed_len(&self) -> Option<usize> {
        self.0.fixed_len()
    }
}

impl<T: ?Sized> Clone for Serde<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> fmt::Debug for Serde<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serde<{}>", std::any::type_name::<T>())
    }
}
