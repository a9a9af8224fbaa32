//! Keys and values of a buffer to bytes and back.

use std::sync::Arc;

use millstream_types::{CodecError, Error, ErrorKind, Result, Serde};

use crate::small_bytes::SmallBytes;

/// The serdes of a buffer, and its name for errors.
pub(super) struct BufferSerdes<K, V> {
    pub(super) keys: Serde<K>,
    pub(super) values: Serde<V>,
    pub(super) store: Arc<str>,
}

impl<K, V> BufferSerdes<K, V> {
    /// Appends a key's bytes.
    pub(super) fn encode_key(&self, key: &K, out: &mut Vec<u8>) -> Result<()> {
        match self.keys.encode(key, out) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.unwritable("key", CodecError::UnexpectedNull)),
            Err(error) => Err(self.unwritable("key", error)),
        }
    }

    /// A value's bytes; none for one that is null. `scratch` is overwritten.
    pub(super) fn encode(&self, value: Option<&V>, scratch: &mut Vec<u8>) -> Result<Option<SmallBytes>> {
        let Some(value) = value else { return Ok(None) };
        scratch.clear();
        let is_some = self.values.encode(value, scratch).map_err(|error| self.unwritable("value", error))?;
        Ok(is_some.then(|| scratch.as_slice().into()))
    }

    pub(super) fn key(&self, bytes: &[u8]) -> Result<K> {
        self.keys.decode(Some(bytes)).map_err(|error| self.unreadable().with_source(error))
    }

    pub(super) fn value(&self, bytes: Option<&[u8]>) -> Result<Option<V>> {
        let decode = |bytes| self.values.decode(Some(bytes)).map_err(|error| self.unreadable().with_source(error));
        bytes.map(decode).transpose()
    }

    /// What the buffer or its changelog holds cannot be read.
    #[cold]
    pub(super) fn unreadable(&self) -> Error {
        let message = "the buffer holds a record that cannot be read; if its serdes have changed, reset the application or give it another name";
        Error::new(ErrorKind::Corrupted, message).with_context(|context| context.store = Some(Arc::clone(&self.store)))
    }

    #[cold]
    fn unwritable(&self, what: &str, error: CodecError) -> Error {
        Error::new(ErrorKind::Production, format!("the {what} cannot be serialised for the buffer"))
            .with_source(error)
            .with_context(|context| context.store = Some(Arc::clone(&self.store)))
    }
}
