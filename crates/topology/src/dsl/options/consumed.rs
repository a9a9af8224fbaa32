//! `Consumed`: how a source topic is read.

use crate::flow::TimestampExtractor;
use millstream_types::Serde;
use millstream_types::config::OffsetReset;

/// How a source topic is read.
///
/// ```
/// use millstream_topology::{Consumed, OffsetReset, StreamsBuilder, TimestampExtractor};
/// use millstream_types::{Serdes, Timestamp};
///
/// let builder = StreamsBuilder::new();
/// // The value is the event time.
/// let times = TimestampExtractor::custom(|record, _| Timestamp(record.value));
/// let consumed = Consumed::with(Serdes::string(), Serdes::long())
///     .with_name("beats")
///     .with_timestamp_extractor(times)
///     .with_offset_reset_policy(OffsetReset::Latest);
/// builder.stream_with(&["heartbeats"], consumed);
///
/// // The same one by one.
/// let named = Consumed::named("pulses").with_key_serde(Serdes::string()).with_value_serde(Serdes::long());
/// builder.stream_with(&["pulses"], named);
/// assert!(builder.build()?.describe().to_string().contains("Source: beats (topics: [heartbeats])"));
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[must_use]
pub struct Consumed<K, V> {
    pub(crate) key: Option<Serde<K>>,
    pub(crate) value: Option<Serde<V>>,
    pub(crate) name: Option<String>,
    pub(crate) timestamp_extractor: Option<TimestampExtractor<K, V>>,
    pub(crate) reset: Option<OffsetReset>,
}

impl<K, V> Consumed<K, V> {
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

    /// Name of the source node.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Where event times come from.
    pub fn with_timestamp_extractor(mut self, extractor: TimestampExtractor<K, V>) -> Self {
        self.timestamp_extractor = Some(extractor);
        self
    }

    /// Where to start when nothing was committed.
    pub fn with_offset_reset_policy(mut self, reset: OffsetReset) -> Self {
        self.reset = Some(reset);
        self
    }
}

impl<K, V> Default for Consumed<K, V> {
    fn default() -> Self {
        Self { key: None, value: None, name: None, timestamp_extractor: None, reset: None }
    }
}
