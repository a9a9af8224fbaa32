//! Values to bytes.

use bytes::Bytes;

/// What can be written.
pub trait Encode {
    /// Appends the value as `version` of its message has it.
    fn encode(&self, version: i16, out: &mut Vec<u8>);

    /// Appends a null of this type. Structures carry a marker byte, everything with a length says it
    /// by the length.
    fn encode_null(out: &mut Vec<u8>)
    where
        Self: Sized,
    {
        out.push(0xff);
    }

    /// Appends the value where a null could stand.
    fn encode_present(&self, version: i16, out: &mut Vec<u8>) {
        out.push(1);
        self.encode(version, out);
    }
}

macro_rules! big_endian {
    ($($number:ty),+) => {$(
        impl Encode for $number {
            fn encode(&self, _: i16, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
        }
    )+};
}

big_endian!(i8, i16, u16, i32, u32, i64, f64, u128);

impl Encode for bool {
    fn encode(&self, _: i16, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

/// Implements the three ways of a value whose length, plus one, stands before it.
macro_rules! with_length {
    ($type:ty, $item:ident, $version:ident, $out:ident, $body:expr) => {
        fn encode(&self, $version: i16, $out: &mut Vec<u8>) {
            let $item = self;
            unsigned_varint($item.len() as u64 + 1, $out);
            $body
        }

        fn encode_null(out: &mut Vec<u8>) {
            out.push(0);
        }

        fn encode_present(&self, version: i16, out: &mut Vec<u8>) {
            self.encode(version, out);
        }
    };
}

impl Encode for String {
    with_length!(String, text, _version, out, out.extend_from_slice(text.as_bytes()));
}

impl Encode for Bytes {
    with_length!(Bytes, bytes, _version, out, out.extend_from_slice(bytes));
}

impl<T: Encode> Encode for Vec<T> {
    with_length!(Vec<T>, items, version, out, {
        for item in items {
            item.encode(version, out);
        }
    });
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, version: i16, out: &mut Vec<u8>) {
        match self {
            Some(value) => value.encode_present(version, out),
            None => T::encode_null(out),
        }
    }
}

pub(super) fn unsigned_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Tagged fields of one structure, in ascending order of their tags.
#[derive(Debug, Default)]
pub struct Tags {
    count: u64,
    bytes: Vec<u8>,
}

impl Tags {
    /// Adds a field.
    pub fn add(&mut self, tag: u32, value: &impl Encode, version: i16) {
        let mut field = Vec::new();
        value.encode(version, &mut field);
        self.count += 1;
        unsigned_varint(u64::from(tag), &mut self.bytes);
        unsigned_varint(field.len() as u64, &mut self.bytes);
        self.bytes.extend_from_slice(&field);
    }

    /// Ends the structure.
    pub fn write(&self, out: &mut Vec<u8>) {
        unsigned_varint(self.count, out);
        out.extend_from_slice(&self.bytes);
    }
}

/// Ends a structure that has no tagged fields.
pub fn no_tags(out: &mut Vec<u8>) {
    out.push(0);
}
