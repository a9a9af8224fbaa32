//! Rows of a store back to values.

use std::sync::Arc;

use millstream_types::{CodecError, Error, ErrorKind, Result, Serde, Timestamp};

use crate::StoreFormat;
use crate::bytes::{Cell, TIMESTAMP_LEN};

/// Reads local values.
pub(crate) struct Decoder<V> {
    pub(crate) values: Serde<V>,
    /// Whether rows have a timestamp of their own, which changelog and record cache keep.
    pub(super) is_timestamped: bool,
    /// What of it the engine keeps.
    pub(super) format: StoreFormat,
    pub(super) store: Arc<str>,
}

impl<V> Clone for Decoder<V> {
    fn clone(&self) -> Self {
        Self {
            values: self.values.clone(),
            is_timestamped: self.is_timestamped,
            format: self.format,
            store: Arc::clone(&self.store),
        }
    }
}

impl<V> Decoder<V> {
    /// Of values alone.
    pub(crate) fn plain(values: Serde<V>, store: Arc<str>) -> Self {
        Self { values, is_timestamped: false, format: StoreFormat::Plain, store }
    }

    pub(crate) fn decode(&self, bytes: &[u8]) -> Result<(V, Timestamp)> {
        let (timestamp, value) = if self.format == StoreFormat::Plain {
            (Timestamp::UNKNOWN, bytes)
        } else {
            let parts = bytes.split_first_chunk::<TIMESTAMP_LEN>();
            let (timestamp, value) =
                parts.ok_or_else(|| self.unreadable(&CodecError::format("a value without its timestamp")))?;
            (Timestamp(i64::from_be_bytes(*timestamp)), value)
        };
        let value = self.values.decode(Some(value)).map_err(|error| self.unreadable(&error))?;
        Ok((value, timestamp))
    }

    pub(crate) fn cell(&self, cell: Cell<V>) -> Result<(V, Timestamp)> {
        match cell {
            Cell::Typed(value, timestamp) => Ok((value, timestamp)),
            Cell::Bytes(bytes) => self.decode(&bytes),
        }
    }

    #[cold]
    pub(crate) fn unreadable(&self, error: &CodecError) -> Error {
        let message = "the store holds a row that its serde cannot read; if the serde has changed, reset the application or give the store another name";
        Error::new(ErrorKind::Corrupted, message)
            .with_source(error.clone())
            .with_context(|context| context.store = Some(Arc::clone(&self.store)))
    }

    #[cold]
    pub(crate) fn unwritable(&self, what: &str, error: CodecError) -> Error {
        Error::new(ErrorKind::Production, format!("the {what} cannot be serialised for the store"))
            .with_source(error)
            .with_context(|context| context.store = Some(Arc::clone(&self.store)))
    }
}
