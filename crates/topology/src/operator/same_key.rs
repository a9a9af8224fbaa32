//! Whether two keys are one: their bytes say, since they decide where a row belongs.

use millstream_types::{CodecError, Serde};

/// Compares keys; keeps the room for their bytes.
pub(crate) struct SameKey<K> {
    serde: Serde<K>,
    one: Vec<u8>,
    other: Vec<u8>,
}

impl<K> SameKey<K> {
    pub(crate) fn new(serde: Serde<K>) -> Self {
        Self { serde, one: Vec::new(), other: Vec::new() }
    }

    pub(crate) fn is_same(&mut self, one: &K, other: &K) -> Result<bool, CodecError> {
        self.one.clear();
        self.other.clear();
        self.serde.encode(one, &mut self.one)?;
        self.serde.encode(other, &mut self.other)?;
        Ok(self.one == self.other)
    }
}
