//! A record as tests write and read it.

use millstream_types::{Headers, Record, Timestamp};

/// A record to pipe or a record read.
///
/// ```
/// use millstream_testkit::TestRecord;
/// use millstream_types::Timestamp;
///
/// let record = TestRecord::new("a", 1_i64).with_timestamp(Timestamp(10));
/// assert_eq!(record.timestamp, Some(Timestamp(10)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRecord<K, V> {
    /// Key.
    pub key: K,
    /// Value.
    pub value: V,
    /// Event time; `None` takes the input topic's. A record read always has one.
    pub timestamp: Option<Timestamp>,
    /// Headers, in order.
    pub headers: Headers,
}

impl<K, V> TestRecord<K, V> {
    /// A record without headers that takes the input topic's time.
    pub fn new(key: K, value: V) -> Self {
        Self { key, value, timestamp: None, headers: Headers::new() }
    }

    /// The same record at that time.
    #[must_use]
    pub fn with_timestamp(self, timestamp: Timestamp) -> Self {
        Self { timestamp: Some(timestamp), ..self }
    }

    /// The same record with these headers.
    #[must_use]
    pub fn with_headers(self, headers: Headers) -> Self {
        Self { headers, ..self }
    }
}

impl<K, V> From<Record<K, V>> for TestRecord<K, V> {
    fn from(record: Record<K, V>) -> Self {
        let Record { key, value, timestamp, headers } = record;
        Self { key, value, timestamp: Some(timestamp), headers }
    }
}
