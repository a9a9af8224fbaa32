//! `Joined`: serdes and name of a stream-table join; they matter when the stream is repartitioned for it.

use std::time::Duration;

use millstream_types::Serde;

/// Serdes and name of a stream-table join; they matter when the stream is repartitioned for it.
///
/// ```
/// # use std::time::Duration;
/// use millstream_state::Stores;
/// use millstream_topology::{Consumed, Joined, Materialized, StreamsBuilder};
/// use millstream_types::Serdes;
///
/// let builder = StreamsBuilder::new();
/// // A table that knows what it was for a day, so that orders may wait for prices that come late.
/// let history = Stores::persistent_versioned_key_value_store("prices", Duration::from_secs(86_400));
/// let prices = builder.table_with::<i64, i64>("prices", Consumed::default(), Materialized::of_supplier(history));
/// let orders = builder.stream::<i64, i64>("orders");
/// let joined = Joined::named("priced").with_grace_period(Duration::from_secs(60));
/// orders.join_with(&prices, |_, pieces, price| pieces * price, joined);
///
/// // With serdes: all at once, or one by one.
/// let joined = Joined::with(Serdes::long(), Serdes::long(), Serdes::long()).with_name("again");
/// orders.join_with(&prices, |_, pieces, price| pieces * price, joined);
/// let joined = Joined::default().with_key_serde(Serdes::long()).with_value_serde(Serdes::long());
/// orders.join_with(&prices, |_, pieces, price| pieces * price, joined.with_other_value_serde(Serdes::long()));
/// builder.build()?;
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[must_use]
pub struct Joined<K, V, VT> {
    pub(crate) key: Option<Serde<K>>,
    pub(crate) value: Option<Serde<V>>,
    pub(crate) other_value: Option<Serde<VT>>,
    pub(crate) name: Option<String>,
    pub(crate) grace: Option<Duration>,
}

impl<K, V, VT> Joined<K, V, VT> {
    /// With these serdes: keys, stream values, table values.
    pub fn with(key: Serde<K>, value: Serde<V>, other_value: Serde<VT>) -> Self {
        Self { key: Some(key), value: Some(value), other_value: Some(other_value), ..Self::default() }
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

    /// How long stream records wait before they are joined (KIP-923): until stream time has passed
    /// them by that much, so that updates of the table that come later but are older are seen. The
    /// table must be versioned and keep its history for at least as long. The records wait in a
    /// buffer with a changelog; a record that is later than that is joined at once.
    pub fn with_grace_period(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
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
        Self { key: None, value: None, other_value: None, name: None, grace: None }
    }
}
