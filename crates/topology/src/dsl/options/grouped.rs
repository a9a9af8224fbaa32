//! `Grouped`: how a grouping is repartitioned, if it must be; its name names the repartition topic.

use millstream_types::Serde;

/// How a grouping is repartitioned, if it must be; its name names the repartition topic.
///
/// ```
/// use millstream_topology::{Grouped, StreamsBuilder};
/// use millstream_types::Serdes;
///
/// let builder = StreamsBuilder::new();
/// let orders = builder.stream::<i64, String>("orders");
/// orders.group_by_with(|_, customer| customer.clone(), Grouped::named("by-customer")).count();
///
/// // With serdes: both at once, or one by one.
/// orders.group_by_key_with(Grouped::with(Serdes::long(), Serdes::string()).with_name("by-id")).count();
/// let serdes = Grouped::default().with_key_serde(Serdes::long()).with_value_serde(Serdes::string());
/// orders.group_by_key_with(serdes).count();
/// assert!(builder.build()?.describe().to_string().contains("(topic: by-customer-repartition)"));
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[must_use]
pub struct Grouped<K, V> {
    pub(crate) key: Option<Serde<K>>,
    pub(crate) value: Option<Serde<V>>,
    pub(crate) name: Option<String>,
}

impl<K, V> Grouped<K, V> {
    /// With these serdes.
    pub fn with(key: Serde<K>, value: Serde<V>) -> Self {
        Self { key: Some(key), value: Some(value), ..Self::default() }
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

    /// Prefix of the repartition topic, and name of the `group_by` node.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl<K, V> Default for Grouped<K, V> {
    fn default() -> Self {
        Self { key: None, value: None, name: None }
    }
}
