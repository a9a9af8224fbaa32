//! Bytes to values.

use bytes::{Buf, Bytes};

/// Items for which room is made before they are read. More are taken as they come, so a length that
/// lies costs nothing.
const ITEMS_AHEAD: usize = 256;
/// Memory that a message's lists and texts may take: this many times its own bytes, and some for small
/// ones. A list of empty texts takes one byte each on the wire and two dozen here.
const ALLOWED_TIMES: usize = 4;
const ALLOWED_LEAST: usize = 4 << 20;

/// What can be read.
pub trait Decode: Sized {
    /// Takes the value as `version` of its message has it.
    ///
    /// # Errors
    /// When the bytes are not of that form.
    fn decode(version: i16, input: &mut Reader) -> Result<Self, DecodeError>;

    /// Takes a value where a null may stand. Structures carry a marker byte, everything with a length
    /// says it by the length.
    ///
    /// # Errors
    /// When the bytes are not of that form.
    fn decode_nullable(version: i16, input: &mut Reader) -> Result<Option<Self>, DecodeError> {
        match i8::decode(version, input)? {
            marker if marker < 0 => Ok(None),
            _ => Self::decode(version, input).map(Some),
        }
    }
}

/// Bytes that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// More bytes were announced than there are.
    #[error("{wanted} bytes were announced, but only {left} are left")]
    Short {
        /// Announced.
        wanted: u64,
        /// There.
        left: usize,
    },
    /// A null where none may stand.
    #[error("a null stands where none is allowed")]
    Null,
    /// A number that never ends.
    #[error("a variable-length number has too many bytes")]
    Varint,
    /// Text that is no text.
    #[error("a string is not UTF-8")]
    Utf8,
    /// Bytes after the end.
    #[error("{0} bytes follow the message")]
    TooLong(usize),
    /// A message that would take far more memory than a broker has reason for.
    #[error("the message would take many times its own bytes of memory")]
    TooMuch,
    /// An answer to another request.
    #[error("correlation id {found} instead of {expected}")]
    Correlation {
        /// Of the request.
        expected: i32,
        /// Of the answer.
        found: i32,
    },
}

/// Reads values from shared bytes; what is taken out of them is a slice, not a copy.
#[derive(Clone, Debug)]
pub struct Reader {
    bytes: Bytes,
    /// Memory that values may still take.
    allowance: usize,
}

impl Reader {
    /// A reader of all these bytes.
    pub fn new(bytes: Bytes) -> Self {
        let allowance = bytes.len().saturating_mul(ALLOWED_TIMES).saturating_add(ALLOWED_LEAST);
        Self { bytes, allowance }
    }

    /// Counts memory that a value takes besides its own size.
    fn charge(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.allowance = self.allowance.checked_sub(bytes).ok_or(DecodeError::TooMuch)?;
        Ok(())
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.bytes.len()
    }

    /// Takes so many bytes, shared.
    ///
    /// # Errors
    /// `Short`.
    pub fn take(&mut self, count: u64) -> Result<Bytes, DecodeError> {
        let left = self.bytes.len();
        match usize::try_from(count) {
            Ok(count) if count <= left => Ok(self.bytes.split_to(count)),
            _ => Err(DecodeError::Short { wanted: count, left }),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let left = self.bytes.len();
        let Some(first) = self.bytes.first_chunk::<N>() else {
            return Err(DecodeError::Short { wanted: N as u64, left });
        };
        let array = *first;
        self.bytes.advance(N);
        Ok(array)
    }

    /// Takes an unsigned number of up to 64 bits, 7 bits a byte, the lowest first.
    ///
    /// # Errors
    /// `Short` or `Varint`.
    pub fn unsigned_varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array::<1>()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(DecodeError::Varint);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Varint)
    }

    /// Takes a length that is stored plus one; 0 is a null.
    fn length(&mut self) -> Result<Option<u64>, DecodeError> {
        Ok(self.unsigned_varint()?.checked_sub(1))
    }

    /// Takes the tagged fields, showing each to `visit` with a reader of its own bytes.
    ///
    /// # Errors
    /// What the form or `visit` gives.
    pub fn tags(
        &mut self,
        mut visit: impl FnMut(u64, &mut Reader) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let count = self.unsigned_varint()?;
        for _ in 0..count {
            let tag = self.unsigned_varint()?;
            let length = self.unsigned_varint()?;
            let mut field = Self { bytes: self.take(length)?, allowance: self.allowance };
            visit(tag, &mut field)?;
            self.allowance = field.allowance;
        }
        Ok(())
    }

    /// Passes over the tagged fields.
    ///
    /// # Errors
    /// What the form gives.
    pub fn skip_tags(&mut self) -> Result<(), DecodeError> {
        self.tags(|_, _| Ok(()))
    }
}

macro_rules! big_endian {
    ($($number:ty),+) => {$(
        impl Decode for $number {
            fn decode(_: i16, input: &mut Reader) -> Result<Self, DecodeError> {
                input.array().map(Self::from_be_bytes)
            }
        }
    )+};
}

big_endian!(i8, i16, u16, i32, u32, i64, f64, u128);

impl Decode for bool {
    fn decode(version: i16, input: &mut Reader) -> Result<Self, DecodeError> {
        Ok(i8::decode(version, input)? != 0)
    }
}

/// What says a null by its length must be there where no null is allowed.
fn present<T: Decode>(version: i16, input: &mut Reader) -> Result<T, DecodeError> {
    T::decode_nullable(version, input)?.ok_or(DecodeError::Null)
}

impl Decode for Bytes {
    fn decode(version: i16, input: &mut Reader) -> Result<Self, DecodeError> {
        present(version, input)
    }

    fn decode_nullable(_: i16, input: &mut Reader) -> Result<Option<Self>, DecodeError> {
        input.length()?.map(|length| input.take(length)).transpose()
    }
}

impl Decode for String {
    fn decode(version: i16, input: &mut Reader) -> Result<Self, DecodeError> {
        present(version, input)
    }

    fn decode_nullable(version: i16, input: &mut Reader) -> Result<Option<Self>, DecodeError> {
        let Some(bytes) = Bytes::decode_nullable(version, input)? else { return Ok(None) };
        input.charge(bytes.len())?;
        std::str::from_utf8(&bytes).map(|text| Some(text.to_owned())).map_err(|_| DecodeError::Utf8)
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(version: i16, input: &mut Reader) -> Result<Self, DecodeError> {
        present(version, input)
    }

    fn decode_nullable(version: i16, input: &mut Reader) -> Result<Option<Self>, DecodeError> {
        let Some(length) = input.length()? else { return Ok(None) };
        // Every item takes at least a byte.
        if length > input.left() as u64 {
            return Err(DecodeError::Short { wanted: length, left: input.left() });
        }
        let length = length as usize;
        let mut items = Vec::with_capacity(length.min(ITEMS_AHEAD));
        for _ in 0..length {
            input.charge(size_of::<T>())?;
            items.push(T::decode(version, input)?);
        }
        Ok(Some(items))
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(version: i16, input: &mut Reader) -> Result<Self, DecodeError> {
        T::decode_nullable(version, input)
    }
}
