//! Sources: where bytes become typed records.

use std::fmt;
use std::sync::Arc;

use millstream_types::{Record, Serde, Timestamp};

use super::head::{Head, TimestampExtraction, TypedHead};
use super::node::RecordType;
use super::processor::ProcessorError;

/// Where a source's event times come from.
pub enum TimestampExtractor<K, V> {
    /// One of the built-in ones.
    BuiltIn(TimestampExtraction),
    /// Code: gets the record (with the log's timestamp) and the partition time, gives the event
    /// time. A negative one drops the record; an error ends the task.
    Custom(ExtractorFn<K, V>),
}

/// The shape of a custom extractor.
pub type ExtractorFn<K, V> = Arc<dyn Fn(&Record<K, V>, Timestamp) -> Result<Timestamp, ProcessorError> + Send + Sync>;

impl<K, V> TimestampExtractor<K, V> {
    /// Event time computed from the record; the second argument is the partition time.
    pub fn custom(extract: impl Fn(&Record<K, V>, Timestamp) -> Timestamp + Send + Sync + 'static) -> Self {
        Self::Custom(Arc::new(move |record, partition_time| Ok(extract(record, partition_time))))
    }
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> TimestampExtractor<K, V> {
    /// The same extractor for a source whose keys and values may be null. A null is shown to the
    /// code as the value that stands for it, says the serde; where the type has none, the record
    /// keeps its own timestamp, since there is nothing to show.
    pub(crate) fn optional(self, key: Serde<K>, value: Serde<V>) -> TimestampExtractor<Option<K>, Option<V>> {
        match self {
            Self::BuiltIn(kind) => TimestampExtractor::BuiltIn(kind),
            Self::Custom(extract) => TimestampExtractor::Custom(Arc::new(move |record, partition_time| {
                let shown_key = record.key.clone().or_else(|| key.decode(None).ok());
                let shown_value = record.value.clone().or_else(|| value.decode(None).ok());
                let (Some(key), Some(value)) = (shown_key, shown_value) else { return Ok(record.timestamp) };
                let typed = Record { key, value, timestamp: record.timestamp, headers: record.headers.clone() };
                extract(&typed, partition_time)
            })),
        }
    }
}

impl<K, V> Clone for TimestampExtractor<K, V> {
    fn clone(&self) -> Self {
        match self {
            Self::BuiltIn(kind) => Self::BuiltIn(*kind),
            Self::Custom(extract) => Self::Custom(Arc::clone(extract)),
        }
    }
}

impl<K, V> fmt::Debug for TimestampExtractor<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(kind) => kind.fmt(f),
            Self::Custom(_) => f.write_str("Custom"),
        }
    }
}

/// How a source reads.
pub struct SourceSpec<K, V> {
    /// Serde of the keys.
    pub key: Serde<K>,
    /// Serde of the values.
    pub value: Serde<V>,
    /// Extractor; `None` takes `default.timestamp.extractor`.
    pub timestamp_extractor: Option<TimestampExtractor<K, V>>,
}

impl<K, V> SourceSpec<K, V> {
    /// Reads with these serdes and the configured extractor.
    pub fn new(key: Serde<K>, value: Serde<V>) -> Self {
        Self { key, value, timestamp_extractor: None }
    }
}

/// Makes the queue heads of a source.
#[derive(Clone)]
pub(crate) struct SourceFactory {
    pub(crate) output: RecordType,
    pub(crate) head: Arc<dyn Fn() -> Box<dyn Head> + Send + Sync>,
}

impl SourceFactory {
    pub(crate) fn new<K: Send + 'static, V: Send + 'static>(spec: SourceSpec<K, V>) -> Self {
        let head = move || {
            Box::new(TypedHead {
                key: spec.key.clone(),
                value: spec.value.clone(),
                extractor: spec.timestamp_extractor.clone(),
                slot: None,
            }) as Box<dyn Head>
        };
        Self { output: RecordType::of::<K, V>(), head: Arc::new(head) }
    }
}
