//! From one key to another, for rows whose keys are only the beginning of what they are kept under.

use millstream_types::Result;

use super::Core;
use crate::bytes::ByteRange;

/// Bytes of the first and the last key, both inclusive; `None` is an open end.
pub(crate) struct KeyBounds {
    pub(crate) from: Option<Vec<u8>>,
    pub(crate) to: Option<Vec<u8>>,
}

impl KeyBounds {
    pub(crate) fn hold(&self, key: &[u8]) -> bool {
        self.from.as_deref().is_none_or(|from| from <= key) && self.to.as_deref().is_none_or(|to| key <= to)
    }

    /// The rows that may be of these keys. One of the last key may lie behind all that its bytes begin with.
    pub(crate) fn range(&self) -> ByteRange {
        ByteRange { from: self.from.clone(), to: None }
    }
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> Core<K, V> {
    /// Says in bytes which keys are meant.
    pub(crate) fn key_bounds(&self, from: Option<&K>, to: Option<&K>) -> Result<KeyBounds> {
        let bound = |key: Option<&K>| {
            let mut bytes = Vec::new();
            key.map(|key| self.encode_key(key, &mut bytes).map(|()| bytes)).transpose()
        };
        Ok(KeyBounds { from: bound(from)?, to: bound(to)? })
    }
}
