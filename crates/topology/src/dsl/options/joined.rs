//! `Joined`: serdes and name of a stream-table join; they matter when the stream is repartitioned for it.

use millstream_types::Serde;

/// Serdes and name of a stream-table join; they matter when the stream is repartitioned for it.
#[must_use]
pub struct Joined<K, V, VT> {
    pub(crate) key: Option<Serde<K>>,
    pub(crate) value: Option<Serde<V>>,
    pub(crate) other_value: Option<Serde<VT>>,
    pub(crate) name: Option<String>,
}

impl<K, V, VT> Joined<K, V, VT> {
    /// With these serdes: keys, stream values, table values.
    pub fn with(key: Serde<K>, value: Serde<V>, other_value: Serde<VT>) -> Self {
        Self { key: Some(key), value: Some(value), other_value: Some(other_value), name: None }
    }

    /// With this name.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }

    /// Serde of the keys.
    pub fn with_key_serde(mut self, serde: Serde<K>) -> Self {
        self.key = Some(serde);
        self
    }

    /// Serde of the values.
    pub fn with_value_serde(mut self, serde: Serde<V>) -> Self {
        self.value = Some(serde);
        self
    }

    /// Serde of the table's values.
    pub fn with_other_value_serde(mut self, serde: Serde<VT>) -> Self {
        self.other_value = Some(serde);
        self
    }

    /// Prefix of the repartition topic, and name of the join node.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl<K, V, VT> Default for Joined<K, V, VT> {
    fn default() -> Self {
        Self { key: None, value: None, other_value: None, name: None }
    }
}
