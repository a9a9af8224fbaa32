//! Lists by Kafka's `ListSerde`.
//!
//! ```text
//! elements of one size   00 | nulls (4) | index (4) * nulls | size (4) | element *
//! others                 01 | size (4) | { length (4), -1 for null | element } *
//! ```
//!
//! Numbers are big endian. In the first form nulls are named by index and take no room below.

use std::collections::BTreeSet;

use crate::{Codec, CodecError, Serde};

const CONSTANT_SIZE: u8 = 0;
const VARIABLE_SIZE: u8 = 1;
const NULL_LEN: i32 = -1;

struct ListCodec<T>(Serde<T>);

impl<T: 'static> Serde<Vec<T>> {
    /// A list, in the bytes of Kafka's `ListSerde`: elements of one size without lengths
    /// (numbers but not booleans, UUIDs), others each with its length. Elements may be null where
    /// their serde says so ([`Serde::optional`]).
    pub fn list(inner: Serde<T>) -> Self {
        Self::new(ListCodec(inner))
    }
}

impl<T> Codec<Vec<T>> for ListCodec<T> {
    fn encode(&self, value: &Vec<T>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let start = out.len();
        let written = match self.0.fixed_len() {
            Some(_) => self.encode_constant(value, out),
            None => self.encode_variable(value, out),
        };
        written.inspect_err(|_| out.truncate(start))
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<T>, CodecError> {
        let mut bytes = Cursor(bytes);
        let list = match (bytes.byte()?, self.0.fixed_len()) {
            (CONSTANT_SIZE, Some(len)) => self.decode_constant(&mut bytes, len)?,
            (CONSTANT_SIZE, None) => return Err(CodecError::format("a list without lengths, of a type without size")),
            (VARIABLE_SIZE, _) => self.decode_variable(&mut bytes)?,
            (other, _) => return Err(CodecError::format(format!("unknown list strategy {other}"))),
        };
        match bytes.0.len() {
            0 => Ok(list),
            more => Err(CodecError::format(format!("{more} bytes after the end of a list"))),
        }
    }

    fn encoded_len(&self, value: &Vec<T>) -> usize {
        let elements: usize = value.iter().map(|element| self.0.encoded_len(element)).sum();
        if self.0.fixed_len().is_some() {
            9 + 4 * self.nulls(value).count() + elements
        } else {
            5 + 4 * value.len() + elements
        }
    }
}

impl<T> ListCodec<T> {
    /// Indexes of the null elements.
    fn nulls<'a>(&'a self, value: &'a [T]) -> impl Iterator<Item = usize> + 'a {
        value.iter().enumerate().filter(|(_, element)| self.0.is_null(element)).map(|(index, _)| index)
    }

    fn encode_constant(&self, value: &[T], out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.push(CONSTANT_SIZE);
        put_len(self.nulls(value).count(), out)?;
        for index in self.nulls(value) {
            put_len(index, out)?;
        }
        put_len(value.len(), out)?;
        for element in value {
            self.0.encode(element, out)?;
        }
        Ok(())
    }

    fn encode_variable(&self, value: &[T], out: &mut Vec<u8>) -> Result<(), CodecError> {
        out.push(VARIABLE_SIZE);
        put_len(value.len(), out)?;
        let mut bytes = Vec::new();
        for element in value {
            bytes.clear();
            if self.0.encode(element, &mut bytes)? {
                put_len(bytes.len(), out)?;
                out.extend_from_slice(&bytes);
            } else {
                out.extend_from_slice(&NULL_LEN.to_be_bytes());
            }
        }
        Ok(())
    }

    fn decode_constant(&self, bytes: &mut Cursor<'_>, len: usize) -> Result<Vec<T>, CodecError> {
        let mut nulls = BTreeSet::new();
        for _ in 0..bytes.len()? {
            nulls.insert(bytes.len()?);
        }
        let size = bytes.len()?;
        // Believed only as far as there are bytes: each element takes some, here or as an index.
        if size > nulls.len() + bytes.0.len() / len.max(1) {
            return Err(CodecError::format(format!("a list of {size} elements in {} bytes", bytes.0.len())));
        }
        (0..size)
            .map(|index| self.0.decode(if nulls.contains(&index) { None } else { Some(bytes.take(len)?) }))
            .collect()
    }

    fn decode_variable(&self, bytes: &mut Cursor<'_>) -> Result<Vec<T>, CodecError> {
        let size = bytes.len()?;
        if size > bytes.0.len() / 4 {
            return Err(CodecError::format(format!("a list of {size} elements in {} bytes", bytes.0.len())));
        }
        let mut list = Vec::with_capacity(size);
        for _ in 0..size {
            list.push(match bytes.int()? {
                NULL_LEN => self.0.decode(None)?,
                len => self.0.decode(Some(bytes.take(to_len(len)?)?))?,
            });
        }
        Ok(list)
    }
}

/// A size or index as Kafka writes it: a positive `i32`.
fn put_len(len: usize, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let len = i32::try_from(len).map_err(|_| CodecError::format("a list or element of more than 2^31 - 1"))?;
    out.extend_from_slice(&len.to_be_bytes());
    Ok(())
}

fn to_len(len: i32) -> Result<usize, CodecError> {
    usize::try_from(len).map_err(|_| CodecError::format(format!("negative length {len} in a list")))
}

/// What is left to read.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) =
            self.0.split_at_checked(len).ok_or(CodecError::Length { expected: len, found: self.0.len() })?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, CodecError> {
        let (byte, rest) = self.0.split_first().ok_or(CodecError::Length { expected: 1, found: 0 })?;
        self.0 = rest;
        Ok(*byte)
    }

    fn int(&mut self) -> Result<i32, CodecError> {
        let (int, rest) = self.0.split_first_chunk().ok_or(CodecError::Length { expected: 4, found: self.0.len() })?;
        self.0 = rest;
        Ok(i32::from_be_bytes(*int))
    }

    /// A size, length or index.
    fn len(&mut self) -> Result<usize, CodecError> {
        to_len(self.int()?)
    }
}
