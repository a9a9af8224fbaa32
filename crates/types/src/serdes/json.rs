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
            CodecError::format(format!("no JSON for this value: {error}"))
        })
    }

    fn decode(&self, bytes: &[u8]) -> Result<T, CodecError> {
        serde_json::from_slice(bytes).map_err(|error| CodecError::format(format!("not the JSON of this type: {error}")))
    }

    fn encoded_len(&self, value: &T) -> usize {
        let mut counter = Counter(0);
        serde_json::to_writer(&mut counter, value).map_or(0, |()| counter.0)
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
