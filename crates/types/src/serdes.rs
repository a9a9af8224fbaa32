//! Kafka's own encodings, under Kafka's names.
//!
//! A record meets these at its two edges: a source decodes with them, a sink and a store encode.
//! [`SerdeRegistry`] finds the default for a type.

mod json;
mod list;
mod number;
mod optional;
mod registry;
mod text;
mod windowed;

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use ::serde::Serialize;
use ::serde::de::DeserializeOwned;
use bytes::Bytes;
use uuid::Uuid;

use crate::Serde;

pub use registry::SerdeRegistry;

/// The built-in serdes, named as in Kafka's `Serdes`. Each call gives the same shared instance, so
/// that source and sink of one type count as sharing it ([`Serde::is_same`]).
///
/// ```
/// use millstream_types::Serdes;
///
/// let mut bytes = Vec::new();
/// Serdes::long().encode(&258, &mut bytes)?;
/// assert_eq!(bytes, [0, 0, 0, 0, 0, 0, 1, 2]);
/// assert_eq!(Serdes::string().decode(Some(b"mill"))?, "mill");
/// assert_eq!(Serdes::string().optional().decode(None)?, None);
/// # Ok::<(), millstream_types::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Serdes;

/// Writes one constructor: a shared instance behind a function.
macro_rules! shared {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $codec:expr;)*) => {
        $(
            $(#[$doc])*
            pub fn $name() -> Serde<$type> {
                static SHARED: LazyLock<Serde<$type>> = LazyLock::new(|| Serde::new($codec));
                SHARED.clone()
            }
        )*
    };
}

impl Serdes {
    shared! {
        /// UTF-8 text. Bytes that are not UTF-8 are an error; Java would replace them.
        string: String = text::StringCodec;
        /// `i16`, big endian.
        short: i16 = number::ShortCodec;
        /// `i32`, big endian.
        integer: i32 = number::IntegerCodec;
        /// `i64`, big endian.
        long: i64 = number::LongCodec;
        /// `f32`, IEEE 754, big endian.
        float: f32 = number::FloatCodec;
        /// `f64`, IEEE 754, big endian. Every NaN is written as Java's.
        double: f64 = number::DoubleCodec;
        /// One byte, 0 or 1; anything else is an error.
        boolean: bool = number::BooleanCodec;
        /// The 36 characters of a UUID, lower case.
        uuid: Uuid = text::UuidCodec;
        /// Raw bytes, owned.
        byte_array: Vec<u8> = text::ByteArrayCodec;
        /// Raw bytes, shared. Decoding copies them once.
        bytes: Bytes = text::BytesCodec;
        /// Kafka's `Void`: always null; any bytes are an error.
        void: () = optional::VoidCodec;
    }

    /// A list by Kafka's `ListSerde`; see [`Serde::list`].
    pub fn list<T: 'static>(inner: Serde<T>) -> Serde<Vec<T>> {
        Serde::list(inner)
    }

    /// JSON text; see [`Serde::json`].
    pub fn json<T: Serialize + DeserializeOwned + 'static>() -> Serde<T> {
        Serde::json()
    }
}

impl Serde<String> {
    /// Same as [`Serdes::string`].
    pub fn string() -> Self {
        Serdes::string()
    }
}

impl Serde<i16> {
    /// Same as [`Serdes::short`].
    pub fn i16() -> Self {
        Serdes::short()
    }
}

impl Serde<i32> {
    /// Same as [`Serdes::integer`].
    pub fn i32() -> Self {
        Serdes::integer()
    }
}

impl Serde<i64> {
    /// Same as [`Serdes::long`].
    pub fn i64() -> Self {
        Serdes::long()
    }
}

impl Serde<f32> {
    /// Same as [`Serdes::float`].
    pub fn f32() -> Self {
        Serdes::float()
    }
}

impl Serde<f64> {
    /// Same as [`Serdes::double`].
    pub fn f64() -> Self {
        Serdes::double()
    }
}

impl Serde<bool> {
    /// Same as [`Serdes::boolean`].
    pub fn bool() -> Self {
        Serdes::boolean()
    }
}

impl Serde<Uuid> {
    /// Same as [`Serdes::uuid`].
    pub fn uuid() -> Self {
        Serdes::uuid()
    }
}

impl Serde<Vec<u8>> {
    /// Same as [`Serdes::byte_array`].
    pub fn byte_array() -> Self {
        Serdes::byte_array()
    }
}

impl Serde<Bytes> {
    /// Same as [`Serdes::bytes`].
    pub fn bytes() -> Self {
        Serdes::bytes()
    }
}

impl Serde<()> {
    /// Same as [`Serdes::void`].
    pub fn void() -> Self {
        Serdes::void()
    }
}
