//! A topic to read results from.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use millstream_types::{Error, ErrorKind, RawRecord, Result, Serde};

use super::{Shared, TestRecord, state_error};

/// Reads typed records that a topology has written, each once, oldest first. Made by
/// [`TopologyTestDriver::create_output_topic`](super::TopologyTestDriver::create_output_topic).
pub struct TestOutputTopic<K, V> {
    machine: Shared,
    topic: Arc<str>,
    key: Serde<K>,
    value: Serde<V>,
}

impl<K, V> TestOutputTopic<K, V> {
    pub(super) fn new(machine: Shared, topic: &str, key: Serde<K>, value: Serde<V>) -> Self {
        Self { machine, topic: topic.into(), key, value }
    }

    /// The next record.
    ///
    /// # Errors
    /// `State` when nothing is left to read, `Deserialization` when the bytes are of another type.
    pub fn read_record(&self) -> Result<TestRecord<K, V>> {
        let raw = self.machine.get_mut().read(&self.topic);
        let raw = raw.ok_or_else(|| state_error(format!("topic {} has no record left to read", self.topic)))?;
        self.decode(raw)
    }

    /// The value of the next record.
    ///
    /// # Errors
    /// As [`read_record`](Self::read_record).
    pub fn read_value(&self) -> Result<V> {
        Ok(self.read_record()?.value)
    }

    /// Key and value of the next record.
    ///
    /// # Errors
    /// As [`read_record`](Self::read_record).
    pub fn read_key_value(&self) -> Result<(K, V)> {
        let record = self.read_record()?;
        Ok((record.key, record.value))
    }

    /// All records left.
    ///
    /// # Errors
    /// `Deserialization` when the bytes of one are of another type.
    pub fn read_records_to_list(&self) -> Result<Vec<TestRecord<K, V>>> {
        let mut records = Vec::with_capacity(self.queue_size());
        while !self.is_empty() {
            records.push(self.read_record()?);
        }
        Ok(records)
    }

    /// Keys and values of all records left, in order.
    ///
    /// # Errors
    /// As [`read_records_to_list`](Self::read_records_to_list).
    pub fn read_key_values_to_list(&self) -> Result<Vec<(K, V)>> {
        Ok(self.read_records_to_list()?.into_iter().map(|record| (record.key, record.value)).collect())
    }

    /// The last value of each key among the records left.
    ///
    /// # Errors
    /// As [`read_records_to_list`](Self::read_records_to_list).
    pub fn read_key_values_to_map(&self) -> Result<HashMap<K, V>>
    where
        K: Eq + Hash,
    {
        Ok(self.read_key_values_to_list()?.into_iter().collect())
    }

    /// The values of all records left, in order.
    ///
    /// # Errors
    /// As [`read_records_to_list`](Self::read_records_to_list).
    pub fn read_values_to_list(&self) -> Result<Vec<V>> {
        Ok(self.read_records_to_list()?.into_iter().map(|record| record.value).collect())
    }

    /// Whether nothing is left to read.
    pub fn is_empty(&self) -> bool {
        self.queue_size() == 0
    }

    /// Records left to read.
    pub fn queue_size(&self) -> usize {
        self.machine.get().queue_size(&self.topic)
    }

    fn decode(&self, raw: RawRecord) -> Result<TestRecord<K, V>> {
        let refused = |what: &str, error| {
            Error::new(ErrorKind::Deserialization, format!("the {what} of a record read is of another type"))
                .with_source(error)
                .with_context(|context| {
                    context.topic = Some(Arc::clone(&self.topic));
                    context.offset = Some(raw.offset);
                })
        };
        Ok(TestRecord {
            key: self.key.decode(raw.key.as_deref()).map_err(|error| refused("key", error))?,
            value: self.value.decode(raw.value.as_deref()).map_err(|error| refused("value", error))?,
            timestamp: Some(raw.timestamp),
            headers: raw.headers,
        })
    }
}
