//! `Repartitioned`: how a repartition topic is made and written.

use crate::flow::Partitioner;
use millstream_types::Serde;

/// How a repartition topic is made and written.
///
/// ```
/// use std::sync::Arc;
/// use millstream_topology::{Partitioner, Repartitioned, StreamsBuilder};
/// use millstream_types::Serdes;
///
/// let builder = StreamsBuilder::new();
/// let orders = builder.stream::<i64, i64>("orders");
/// orders.repartition_with(Repartitioned::named("wide").with_number_of_partitions(12));
///
/// let first: Partitioner<i64, i64> = Arc::new(|_, _, _, _| Some(vec![0]));
/// let serdes = Repartitioned::with(Serdes::long(), Serdes::long()).with_name("first");
/// orders.repartition_with(serdes.with_stream_partitioner(first));
/// let serdes = Repartitioned::default().with_key_serde(Serdes::long()).with_value_serde(Serdes::long());
/// orders.repartition_with(serdes);
/// assert!(builder.build()?.describe().to_string().contains("(topic: wide-repartition)"));
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[must_use]
pub struct Repartitioned<K, V> {
    pub(crate) key: Option<Serde<K>>,
    pub(crate) value: Option<Serde<V>>,
    pub(crate) name: Option<String>,
    pub(crate) partitioner: Option<Partitioner<K, V>>,
    pub(crate) partitions: Option<i32>,
}

impl<K, V> Repartitioned<K, V> {
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

    /// Prefix of the topic.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Chooses partitions instead of the default partitioner.
    pub fn with_stream_partitioner(mut self, partitioner: Partitioner<K, V>) -> Self {
        self.partitioner = Some(partitioner);
        self
    }

    /// Fixes the number of partitions; otherwise it follows the input.
    pub fn with_number_of_partitions(mut self, partitions: i32) -> Self {
        self.partitions = Some(partitions);
        self
    }
}

impl<K, V> Default for Repartitioned<K, V> {
    fn default() -> Self {
        Self { key: None, value: None, name: None, partitioner: None, partitions: None }
    }
}
