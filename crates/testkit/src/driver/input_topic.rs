//! A topic to pipe records into.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use millstream_types::clock::millis;
use millstream_types::{Error, ErrorKind, Headers, Result, Serde, Timestamp};

use super::{Shared, TestRecord};

/// Pipes typed records into a topology. Made by
/// [`TopologyTestDriver::create_input_topic`](super::TopologyTestDriver::create_input_topic).
pub struct TestInputTopic<K, V> {
    machine: Shared,
    topic: Arc<str>,
    key: Serde<K>,
    value: Serde<V>,
    time: Cell<Timestamp>,
    auto_advance: Duration,
}

impl<K, V> TestInputTopic<K, V> {
    pub(super) fn new(
        machine: Shared,
        topic: &str,
        (key, value): (Serde<K>, Serde<V>),
        start: Timestamp,
        auto_advance: Duration,
    ) -> Self {
        Self { machine, topic: topic.into(), key, value, time: Cell::new(start), auto_advance }
    }

    /// Pipes a record at the topic's time, which then moves on by the auto-advance.
    ///
    /// # Errors
    /// What the topology fails with and no handler continued from; the driver is of no use then.
    /// `State` when no source reads the topic, `Production` when the record has no bytes.
    pub fn pipe_input(&self, key: K, value: V) -> Result<()> {
        self.pipe_record(TestRecord::new(key, value))
    }

    /// Pipes a record at that time; the topic's own time stays.
    ///
    /// # Errors
    /// As [`pipe_input`](Self::pipe_input).
    pub fn pipe_input_at(&self, key: K, value: V, timestamp: Timestamp) -> Result<()> {
        self.pipe_record(TestRecord::new(key, value).with_timestamp(timestamp))
    }

    /// Pipes a record with headers, and at its own time if it has one.
    ///
    /// # Errors
    /// As [`pipe_input`](Self::pipe_input).
    pub fn pipe_record(&self, record: TestRecord<K, V>) -> Result<()> {
        let key = encode(&self.key, &record.key, "key")?;
        self.pipe(key.as_deref(), &record.value, record.timestamp, record.headers)
    }

    /// Pipes a record without a key.
    ///
    /// # Errors
    /// As [`pipe_input`](Self::pipe_input).
    pub fn pipe_value(&self, value: V) -> Result<()> {
        self.pipe(None, &value, None, Headers::new())
    }

    /// Pipes a record without a key at that time; the topic's own time stays.
    ///
    /// # Errors
    /// As [`pipe_input`](Self::pipe_input).
    pub fn pipe_value_at(&self, value: V, timestamp: Timestamp) -> Result<()> {
        self.pipe(None, &value, Some(timestamp), Headers::new())
    }

    /// Pipes records in order, as [`pipe_record`](Self::pipe_record) does each.
    ///
    /// # Errors
    /// As [`pipe_key_value_list`](Self::pipe_key_value_list).
    pub fn pipe_record_list(&self, records: impl IntoIterator<Item = TestRecord<K, V>>) -> Result<()> {
        records.into_iter().try_for_each(|record| self.pipe_record(record))
    }

    /// Pipes records in order, each at the topic's time.
    ///
    /// # Errors
    /// As [`pipe_input`](Self::pipe_input); the records after the failed one are not piped.
    pub fn pipe_key_value_list(&self, records: impl IntoIterator<Item = (K, V)>) -> Result<()> {
        records.into_iter().try_for_each(|(key, value)| self.pipe_input(key, value))
    }

    /// Pipes records without keys in order, each at the topic's time.
    ///
    /// # Errors
    /// As [`pipe_key_value_list`](Self::pipe_key_value_list).
    pub fn pipe_value_list(&self, values: impl IntoIterator<Item = V>) -> Result<()> {
        values.into_iter().try_for_each(|value| self.pipe_value(value))
    }

    /// Pipes records in order, the first at `start` and each of the others `step` after the one before
    /// it; the topic's own time stays.
    ///
    /// # Errors
    /// As [`pipe_key_value_list`](Self::pipe_key_value_list).
    pub fn pipe_key_value_list_at(
        &self,
        records: impl IntoIterator<Item = (K, V)>,
        start: Timestamp,
        step: Duration,
    ) -> Result<()> {
        let mut records = records.into_iter().zip(times(start, step));
        records.try_for_each(|((key, value), time)| self.pipe_input_at(key, value, time))
    }

    /// [`pipe_key_value_list_at`](Self::pipe_key_value_list_at) without keys.
    ///
    /// # Errors
    /// As [`pipe_key_value_list`](Self::pipe_key_value_list).
    pub fn pipe_value_list_at(
        &self,
        values: impl IntoIterator<Item = V>,
        start: Timestamp,
        step: Duration,
    ) -> Result<()> {
        let mut values = values.into_iter().zip(times(start, step));
        values.try_for_each(|(value, time)| self.pipe_value_at(value, time))
    }

    /// Moves the topic's time, not the driver's wall clock.
    pub fn advance_time(&self, by: Duration) {
        self.time.set(later(self.time.get(), by));
    }

    /// The time that the next record without one gets.
    pub fn time(&self) -> Timestamp {
        self.time.get()
    }

    fn pipe(&self, key: Option<&[u8]>, value: &V, timestamp: Option<Timestamp>, headers: Headers) -> Result<()> {
        let value = encode(&self.value, value, "value")?;
        let timestamp = timestamp.unwrap_or_else(|| {
            let time = self.time.get();
            self.advance_time(self.auto_advance);
            time
        });
        self.machine.get_mut().pipe(&self.topic, key, value.as_deref(), timestamp, headers)
    }
}

/// Times from `start`, a step apart.
fn times(start: Timestamp, step: Duration) -> impl Iterator<Item = Timestamp> {
    std::iter::successors(Some(start), move |time| Some(later(*time, step)))
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    Timestamp(time.0.saturating_add(millis(by)))
}

/// The bytes of a key or value; `None` for a null.
fn encode<T>(serde: &Serde<T>, value: &T, what: &str) -> Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let has_bytes = serde.encode(value, &mut bytes).map_err(|error| {
        Error::new(ErrorKind::Production, format!("the {what} of a test record cannot be serialised"))
            .with_source(error)
    })?;
    Ok(has_bytes.then_some(bytes))
}
