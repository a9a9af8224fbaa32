//! JSON text of any type that serde knows.

use std::io;

use ::serde::Serialize;
use ::serde::de::DeserializeOwned;

use crate::{Codec, CodecError, Serde};

struct JsonCodec;

impl<T: Serialize + DeserializeOwned> Codec<T> for JsonCodec {
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let start = out.len();
        serde_json::to_writer(&mut *out, value).map_err(|error| {
            // The writer may have got half of the text.
            out.truncate(start);
            CodecError::format(format!("no JSON for this value: {}", fault(&error)))
        })
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, CodecError> {
        serde_json::from_slice(bytes)
            .map_err(|error| CodecError::format(format!("not the JSON of this type: {}", fault(&error))))
    }

    fn encoded_len(&self, value: &T) -> usize {
        let mut counter = Counter(0);
        serde_json::to_writer(&mut counter, value).map_or(0, |()| counter.0)
    }
}

/// What is wrong, without what the text holds: errors end in logs.
fn fault(error: &serde_json::Error) -> String {
    /// What serde says of a value that does not fit, with the value behind it, and what the type wants.
    const KINDS: [&str; 5] = ["invalid type", "invalid value", "invalid length", "unknown variant", "unknown field"];
    let text = error.to_string();
    let names_fields_only = text.starts_with("missing field") || text.starts_with("duplicate field");
    if names_fields_only || !error.is_data() {
        return text;
    }
    // The type's own words come last, whatever the text before them holds.
    let expected = text.rfind(", expected ").and_then(|at| text.get(at..));
    match (KINDS.iter().find(|kind| text.starts_with(**kind)), expected) {
        (Some(kind), Some(expected)) => format!("{kind}{expected}"),
        (kind, _) => kind.map_or("a value that does not fit", |kind| *kind).to_owned(),
    }
}

/// Counts bytes and keeps none.
struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Serde<T> {
    /// JSON text, without spaces, fields in the order the type declares them.
    ///
    /// For `Option<T>` this writes `None` as the text `null`; `Serde::<T>::json().optional()`
    /// makes it Kafka's null instead, which is what a deletion needs.
    pub fn json() -> Self {
        Self::new(JsonCodec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::serde::Deserialize;

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        price: i64,
        kind: Kind,
    }

    #[derive(Debug, Serialize, Deserialize)]
    enum Kind {
        Buy,
        Sell,
    }

    /// Does not take what it is given, and says what that was.
    #[derive(Debug, Serialize)]
    struct Telling;

    impl<'de> Deserialize<'de> for Telling {
        fn deserialize<D: ::serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            let text = String::deserialize(from)?;
            Err(::serde::de::Error::custom(format!("{text} is not what was meant")))
        }
    }

    #[track_caller]
    fn check<T: DeserializeOwned + Serialize + std::fmt::Debug>(text: &str, expected: &str) {
        let error = Codec::<T>::decode(&JsonCodec, text.as_bytes()).unwrap_err().to_string();
        assert_eq!(error, format!("not the JSON of this type: {expected}"));
    }

    #[test]
    fn errors_tell_what_the_type_wants_and_not_what_the_text_holds() {
        check::<i64>(r#""secret, expected secret""#, "invalid type, expected i64 at line 1 column 25");
        check::<u8>("4711", "invalid value, expected u8 at line 1 column 4");
        check::<Order>(r#"{"secret":1}"#, "unknown field, expected `price` or `kind` at line 1 column 9");
        check::<Order>(r#"{"price":1}"#, "missing field `kind` at line 1 column 11");
        check::<Order>(
            r#"{"price":1,"kind":"secret"}"#,
            "unknown variant, expected `Buy` or `Sell` at line 1 column 26",
        );
        check::<Telling>(r#""secret""#, "a value that does not fit");
        check::<Order>(r#"{"price":secret}"#, "expected value at line 1 column 10");
    }
}
