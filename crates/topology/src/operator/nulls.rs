//! What counts as null: by the serdes, since a plain type has no null.

use millstream_types::Serde;

/// Which keys and values are null; nothing is where no serde is known.
pub(crate) struct Nulls<K, V> {
    pub(crate) key: Option<Serde<K>>,
    pub(crate) value: Option<Serde<V>>,
}

impl<K, V> Nulls<K, V> {
    pub(crate) fn key(&self, key: &K) -> bool {
        self.key.as_ref().is_some_and(|serde| serde.is_null(key))
    }

    pub(crate) fn value(&self, value: &V) -> bool {
        self.value.as_ref().is_some_and(|serde| serde.is_null(value))
    }
}

impl<K, V> Clone for Nulls<K, V> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), value: self.value.clone() }
    }
}
