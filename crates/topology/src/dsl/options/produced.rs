//! `Produced`: how a topic is written.

use crate::flow::Partitioner;
use millstream_types::Serde;

/// How a topic is written.
///
/// ```
/// use std::sync::Arc;
/// use millstream_topology::{Partitioner, Produced, StreamsBuilder};
/// use millstream_types::Serdes;
///
/// let builder = StreamsBuilder::new();
/// let numbers = builder.stream::<String, i64>("numbers");
/// // Even numbers into partition 0, odd ones into 1.
/// let parity: Partitioner<String, i64> = Arc::new(|_, _, number, _| Some(vec![i32::from(number % 2 != 0)]));
/// numbers.to_with("by-parity", Produced::named("parity").with_stream_partitioner(parity));
/// numbers.to_with("copies", Produced::with(Serdes::string(), Serdes::long()).with_name("copy"));
///
/// // Serdes one by one.
/// let texts = Produced::default().with_key_serde(Serdes::string()).with_value_serde(Serdes::string());
/// numbers.map_values(|number| number.to_string()).to_with("texts", texts);
/// assert!(builder.build()?.describe().to_string().contains("Sink: parity (topic: by-parity)"));
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[must_use]
pub struct Produced<K, V> {
    pub(crate) key: Option<Serde<K>>,
    pub(crate) value: Option<Serde<V>>,
    pub(crate) name: Option<String>,
    pub(crate) partitioner: Option<Partitioner<K, V>>,
}

impl<K, V> Produced<K, V> {
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

    /// Name of the sink node.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Chooses partitions instead of the default partitioner.
    pub fn with_stream_partitioner(mut self, partitioner: Partitioner<K, V>) -> Self {
        self.partitioner = Some(partitioner);
        self
    }
}

impl<K, V> Default for Produced<K, V> {
    fn default() -> Self {
        Self { key: None, value: None, name: None, partitioner: None }
    }
}
