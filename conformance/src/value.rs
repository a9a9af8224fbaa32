//! One dynamic value for all types of the case format, and a serde for each declared type.

use std::sync::Arc;

use millstream_types::{Codec, CodecError, Serde, Serdes, Timestamp, Window, Windowed};
use serde_json::{Value as Json, json};

use crate::stop::{Stop, bad};

/// A key or value of a case.
#[derive(Clone, Debug)]
pub(crate) enum Val {
    Null,
    Str(String),
    I64(i64),
    I32(i32),
    F64(f64),
    Bytes(Vec<u8>),
    /// A windowed key: inner key, start, end.
    Win(Box<Val>, i64, i64),
}

impl PartialEq for Val {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Str(one), Self::Str(two)) => one == two,
            (Self::I64(one), Self::I64(two)) => one == two,
            (Self::I32(one), Self::I32(two)) => one == two,
            // As `Double.equals`: a NaN equals itself, the zeros differ.
            (Self::F64(one), Self::F64(two)) => one.to_bits() == two.to_bits(),
            (Self::Bytes(one), Self::Bytes(two)) => one == two,
            (Self::Win(one, start, end), Self::Win(two, other_start, other_end)) => {
                one == two && start == other_start && end == other_end
            }
            _ => false,
        }
    }
}

impl Val {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Str(text.into())
    }

    pub(crate) fn as_i64(&self) -> Option<i64> {
        match self {
            Self::I64(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The text the functions of the catalogue work on.
    pub(crate) fn show(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Str(text) => text.clone(),
            Self::I64(number) => number.to_string(),
            Self::I32(number) => number.to_string(),
            Self::F64(number) => {
                // As `Double.doubleToLongBits`, which knows one NaN.
                let bits = if number.is_nan() { 0x7ff8_0000_0000_0000 } else { number.to_bits() };
                format!("{bits:016x}")
            }
            Self::Bytes(bytes) => hex(bytes),
            Self::Win(key, start, end) => format!("{}@{start}/{end}", key.show()),
        }
    }

    /// FNV-1a 64 of the shown text.
    pub(crate) fn hash(&self) -> u64 {
        self.show()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    }

    pub(crate) fn json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Str(text) => json!(text),
            Self::I64(number) => json!(number),
            Self::I32(number) => json!(number),
            Self::F64(number) if number.is_nan() => json!("NaN"),
            Self::F64(number) if number.is_infinite() => json!(if *number > 0.0 { "Infinity" } else { "-Infinity" }),
            Self::F64(number) => json!(number),
            Self::Bytes(bytes) => json!(hex(bytes)),
            Self::Win(key, start, end) => json!({"k": key.json(), "s": start, "e": end}),
        }
    }
}

impl From<Option<Val>> for Val {
    fn from(value: Option<Val>) -> Self {
        value.unwrap_or(Val::Null)
    }
}

impl From<Option<i64>> for Val {
    fn from(value: Option<i64>) -> Self {
        value.map_or(Val::Null, Val::I64)
    }
}

impl From<Windowed<Val>> for Val {
    fn from(key: Windowed<Val>) -> Self {
        Val::Win(Box::new(key.key), key.window.start.0, key.window.end.0)
    }
}

/// A type that tables of a topology under test have: it can be shown to the catalogue's functions.
pub(crate) trait Shown: Clone + Send + 'static {
    fn val(&self) -> Val;
}

impl Shown for Val {
    fn val(&self) -> Val {
        self.clone()
    }
}

impl Shown for i64 {
    fn val(&self) -> Val {
        Val::I64(*self)
    }
}

impl Shown for Windowed<Val> {
    fn val(&self) -> Val {
        self.clone().into()
    }
}

/// A type of the case format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Str,
    I64,
    I32,
    F64,
    Bytes,
    /// A time-windowed key and the window size.
    Time(Box<Type>, i64),
    /// A session-windowed key.
    Session(Box<Type>),
}

impl Type {
    pub(crate) fn parse(name: &str) -> Result<Self, Stop> {
        let inside = |prefix: &str| name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(')'));
        Ok(match name {
            "string" => Self::Str,
            "i64" => Self::I64,
            "i32" => Self::I32,
            "f64" => Self::F64,
            "bytes" => Self::Bytes,
            _ => {
                if let Some(inner) = inside("sw(") {
                    return Ok(Self::Session(Box::new(Self::parse(inner)?)));
                }
                let parts = inside("w(").and_then(|inner| inner.rsplit_once(','));
                let (inner, size) = parts.ok_or_else(|| bad(format!("type {name}")))?;
                let size = size.parse().map_err(|_| bad(format!("type {name}")))?;
                Self::Time(Box::new(Self::parse(inner)?), size)
            }
        })
    }

    pub(crate) fn is_windowed(&self) -> bool {
        matches!(self, Self::Time(..) | Self::Session(_))
    }

    /// The serde of the type: Kafka's own form, as Millstream writes it.
    pub(crate) fn serde(&self) -> Serde<Val> {
        match self {
            Self::Str => lifted(Serdes::string(), Val::Str, |val| val.as_str().map(str::to_owned)),
            Self::I64 => lifted(Serdes::long(), Val::I64, Val::as_i64),
            Self::I32 => lifted(Serdes::integer(), Val::I32, |val| match val {
                Val::I32(number) => Some(*number),
                _ => None,
            }),
            Self::F64 => lifted(Serdes::double(), Val::F64, |val| match val {
                Val::F64(number) => Some(*number),
                _ => None,
            }),
            Self::Bytes => lifted(Serdes::byte_array(), Val::Bytes, |val| match val {
                Val::Bytes(bytes) => Some(bytes.clone()),
                _ => None,
            }),
            Self::Time(inner, size) => lifted(Serde::time_windowed(inner.serde(), *size), Val::from, windowed),
            Self::Session(inner) => lifted(Serde::session_windowed(inner.serde()), Val::from, windowed),
        }
    }

    pub(crate) fn read(&self, json: Option<&Json>) -> Result<Val, Stop> {
        let Some(json) = json.filter(|json| !json.is_null()) else { return Ok(Val::Null) };
        let wrong = || bad(format!("want {self:?}, got {json}"));
        Ok(match self {
            Self::Str => Val::text(json.as_str().ok_or_else(wrong)?),
            Self::I64 => Val::I64(json.as_i64().ok_or_else(wrong)?),
            Self::I32 => Val::I32(json.as_i64().ok_or_else(wrong)? as i32),
            Self::F64 => Val::F64(match json.as_str() {
                Some("NaN") => f64::NAN,
                Some("Infinity") => f64::INFINITY,
                Some("-Infinity") => f64::NEG_INFINITY,
                _ => json.as_f64().ok_or_else(wrong)?,
            }),
            Self::Bytes => Val::Bytes(json.as_str().and_then(unhex).ok_or_else(wrong)?),
            Self::Time(inner, _) | Self::Session(inner) => {
                let bound = |name| json.get(name).and_then(Json::as_i64).ok_or_else(wrong);
                Val::Win(Box::new(inner.read(json.get("k"))?), bound("s")?, bound("e")?)
            }
        })
    }
}

pub(crate) fn windowed(val: &Val) -> Option<Windowed<Val>> {
    match val {
        Val::Win(key, start, end) => {
            let window = Window { start: Timestamp(*start), end: Timestamp(*end) };
            Some(Windowed { key: (**key).clone(), window })
        }
        _ => None,
    }
}

/// One of Millstream's serdes, for the variant of [`Val`] that holds its type.
struct Lifted<T> {
    serde: Serde<T>,
    into: Arc<dyn Fn(T) -> Val + Send + Sync>,
    from: Arc<dyn Fn(&Val) -> Option<T> + Send + Sync>,
}

fn lifted<T: 'static>(
    serde: Serde<T>,
    into: impl Fn(T) -> Val + Send + Sync + 'static,
    from: impl Fn(&Val) -> Option<T> + Send + Sync + 'static,
) -> Serde<Val> {
    Serde::new(Lifted { serde, into: Arc::new(into), from: Arc::new(from) })
}

impl<T> Codec<Val> for Lifted<T> {
    fn encode(&self, value: &Val, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let typed = (self.from)(value).ok_or_else(|| CodecError::format(format!("{value:?} is of another type")))?;
        self.serde.encode(&typed, out).map(|_| ())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Val, CodecError> {
        self.serde.decode(Some(bytes)).map(|value| (self.into)(value))
    }

    fn decode_null(&self) -> Result<Val, CodecError> {
        Ok(Val::Null)
    }

    fn is_null(&self, value: &Val) -> bool {
        value.is_null()
    }

    fn is_canonical(&self) -> bool {
        self.serde.is_canonical()
    }

    fn partition_bytes<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.serde.partition_bytes(bytes)
    }
}

/// The default serde: bytes that say their type, so that a serde the library lost never fails.
pub(crate) struct Packed;

impl Codec<Val> for Packed {
    fn encode(&self, value: &Val, out: &mut Vec<u8>) -> Result<(), CodecError> {
        match value {
            Val::Null => return Err(CodecError::UnexpectedNull),
            Val::Str(text) => pack(b's', text.as_bytes(), out),
            Val::I64(number) => pack(b'l', &number.to_be_bytes(), out),
            Val::I32(number) => pack(b'i', &number.to_be_bytes(), out),
            Val::F64(number) => pack(b'd', &number.to_be_bytes(), out),
            Val::Bytes(bytes) => pack(b'b', bytes, out),
            Val::Win(key, start, end) => {
                out.push(b'W');
                if !key.is_null() {
                    self.encode(key, out)?;
                }
                out.extend_from_slice(&start.to_be_bytes());
                out.extend_from_slice(&end.to_be_bytes());
            }
        }
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Val, CodecError> {
        let broken = || CodecError::format("packed bytes that are broken");
        let (tag, body) = bytes.split_first().ok_or_else(broken)?;
        let long = |bytes: &[u8]| bytes.try_into().map(i64::from_be_bytes).map_err(|_| broken());
        Ok(match tag {
            b's' => Val::Str(String::from_utf8_lossy(body).into_owned()),
            b'l' => Val::I64(long(body)?),
            b'i' => Val::I32(body.try_into().map(i32::from_be_bytes).map_err(|_| broken())?),
            b'd' => Val::F64(body.try_into().map(f64::from_be_bytes).map_err(|_| broken())?),
            b'b' => Val::Bytes(body.to_vec()),
            b'W' => {
                let (rest, end) = body.split_last_chunk::<8>().ok_or_else(broken)?;
                let (key, start) = rest.split_last_chunk::<8>().ok_or_else(broken)?;
                let key = if key.is_empty() { Val::Null } else { self.decode(key)? };
                Val::Win(Box::new(key), i64::from_be_bytes(*start), i64::from_be_bytes(*end))
            }
            _ => return Err(broken()),
        })
    }

    fn decode_null(&self) -> Result<Val, CodecError> {
        Ok(Val::Null)
    }

    fn is_null(&self, value: &Val) -> bool {
        value.is_null()
    }
}

fn pack(tag: u8, body: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(body);
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('?');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let bytes =
        digits?.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit) as u8).collect();
    Some(bytes)
}
