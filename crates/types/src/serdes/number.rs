//! Types of a fixed number of bytes, big endian.

use crate::{Codec, CodecError};

/// The bytes as an array of the size the type has.
fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], CodecError> {
    bytes.try_into().map_err(|_| CodecError::Length { expected: N, found: bytes.len() })
}

/// Writes the codec of a number: how its bytes are made, how read, whether they are one to one.
macro_rules! number {
    ($codec:ident, $type:ty, $canonical:literal, $encode:expr, $decode:expr) => {
        pub(super) struct $codec;

        impl Codec<$type> for $codec {
            fn encode(&self, value: &$type, out: &mut Vec<u8>) -> Result<(), CodecError> {
                out.extend_from_slice(&$encode(*value));
                Ok(())
            }

            fn decode(&self, bytes: &[u8]) -> Result<$type, CodecError> {
                exactly(bytes).map($decode)
            }

            fn encoded_len(&self, _: &$type) -> usize {
                size_of::<$type>()
            }

            fn is_canonical(&self) -> bool {
                $canonical
            }

            fn fixed_len(&self) -> Option<usize> {
                Some(size_of::<$type>())
            }
        }
    };
}

number!(ShortCodec, i16, true, i16::to_be_bytes, i16::from_be_bytes);
number!(IntegerCodec, i32, true, i32::to_be_bytes, i32::from_be_bytes);
number!(LongCodec, i64, true, i64::to_be_bytes, i64::from_be_bytes);
number!(FloatCodec, f32, false, f32::to_be_bytes, f32::from_be_bytes);
number!(DoubleCodec, f64, false, double_to_bytes, f64::from_be_bytes);

/// Java writes one NaN only (`doubleToLongBits`); for floats it keeps the bits.
fn double_to_bytes(value: f64) -> [u8; 8] {
    const JAVA_NAN: u64 = 0x7ff8_0000_0000_0000;
    if value.is_nan() { JAVA_NAN.to_be_bytes() } else { value.to_be_bytes() }
}

/// One byte, 0 or 1. Not counted as of fixed length, since Kafka's `ListSerde` does not either.
pub(super) struct BooleanCodec;

impl Codec<bool> for BooleanCodec {
    fn encode(&self, value: &bool, out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.push(u8::from(*value));
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<bool, CodecError> {
        match exactly(bytes)? {
            [0] => Ok(false),
            [1] => Ok(true),
            [_] => Err(CodecError::format("a boolean is the byte 0 or 1")),
        }
    }

    fn encoded_len(&self, _: &bool) -> usize {
        1
    }

    fn is_canonical(&self) -> bool {
        true
    }
}
