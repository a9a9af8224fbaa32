//! Sinks: typed records become bytes and leave the flow.

use std::sync::Arc;

use bytes::Bytes;
use millstream_types::{Error, ErrorKind, Record, RecordMetadata, Serde, Timestamp};

use super::any_processor::{AnyContext, AnyProcessor};
use super::env::SinkRecord;
use super::fault::{SerializationExceptionOrigin, Unwritten};
use super::input::AnyRecord;
use super::node::{NodeFactory, RecordType};
use super::processor::ProcessorError;
use super::timer::Timer;

/// Chooses the topic of a record.
pub type TopicNameExtractor<K, V> = Arc<dyn Fn(&Record<K, V>, &RecordMetadata) -> String + Send + Sync>;

/// Chooses the partitions of a record: topic, key, value and number of partitions in; `None` leaves
/// it to the default partitioner, an empty list drops the record (KIP-837).
pub type Partitioner<K, V> = Arc<dyn Fn(&str, &K, &V, i32) -> Option<Vec<i32>> + Send + Sync>;

/// How a sink writes.
pub struct SinkSpec<K, V> {
    /// Serde of the keys.
    pub key: Serde<K>,
    /// Serde of the values.
    pub value: Serde<V>,
    /// Chooses the topic; `None` for a fixed one.
    pub extractor: Option<TopicNameExtractor<K, V>>,
    /// Chooses the partitions; `None` for the default partitioner (murmur2 of the key bytes).
    pub partitioner: Option<Partitioner<K, V>>,
}

impl<K, V> SinkSpec<K, V> {
    /// Writes with these serdes and the default partitioner.
    pub fn new(key: Serde<K>, value: Serde<V>) -> Self {
        Self { key, value, extractor: None, partitioner: None }
    }
}

impl<K, V> Clone for SinkSpec<K, V> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            value: self.value.clone(),
            extractor: self.extractor.clone(),
            partitioner: self.partitioner.clone(),
        }
    }
}

impl NodeFactory {
    /// A factory for a sink to `topic` (ignored when the spec has an extractor).
    pub(crate) fn sink<K, V>(topic: Arc<str>, spec: SinkSpec<K, V>) -> Self
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        Self {
            input: RecordType::of::<K, V>(),
            output: None,
            flushes: None,
            make: Arc::new(move |build| {
                Box::new(SinkNode {
                    topic: build.topic(&topic),
                    spec: spec.clone(),
                    key_bytes: Vec::new(),
                    value_bytes: Vec::new(),
                })
            }),
        }
    }
}

/// The code of a sink. Its buffers live as long as the task.
struct SinkNode<K, V> {
    topic: Arc<str>,
    spec: SinkSpec<K, V>,
    key_bytes: Vec<u8>,
    value_bytes: Vec<u8>,
}

impl<K: 'static, V: 'static> SinkNode<K, V> {
    fn send(&mut self, ctx: &mut AnyContext<'_>, record: &Record<K, V>) {
        if let Some(extractor) = &self.spec.extractor {
            let topic = extractor(record, &ctx.flow.record_metadata());
            if *topic != *self.topic {
                self.topic = topic.into();
            }
        }
        let encoded = match self.encode(record) {
            Ok(encoded) => encoded,
            Err((part, error)) => return self.failed(ctx, record.timestamp, Some(part), error),
        };
        match self.send_encoded(ctx, record, encoded) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Production => self.failed(ctx, record.timestamp, None, error),
            Err(error) => ctx.flow.fail(error),
        }
    }

    #[cold]
    fn failed(
        &self,
        ctx: &mut AnyContext<'_>,
        timestamp: Timestamp,
        part: Option<SerializationExceptionOrigin>,
        error: Error,
    ) {
        let bytes = |bytes: &[u8]| Some(Bytes::copy_from_slice(bytes));
        let record =
            Unwritten { topic: &self.topic, raw: (bytes(&self.key_bytes), bytes(&self.value_bytes)), timestamp, part };
        ctx.flow.production_failed(ctx.env, ctx.index, record, error);
    }

    /// Writes key and value into the buffers; whether each has bytes.
    fn encode(&mut self, record: &Record<K, V>) -> Result<(bool, bool), (SerializationExceptionOrigin, Error)> {
        self.key_bytes.clear();
        self.value_bytes.clear();
        let refused = |part, what: &str, error| {
            let message = format!("the {what} cannot be serialised");
            (part, Error::new(ErrorKind::Production, message).with_source(error))
        };
        let key = self.spec.key.encode(&record.key, &mut self.key_bytes);
        let key = key.map_err(|error| refused(SerializationExceptionOrigin::Key, "key", error))?;
        let value = self.spec.value.encode(&record.value, &mut self.value_bytes);
        let value = value.map_err(|error| refused(SerializationExceptionOrigin::Value, "value", error))?;
        Ok((key, value))
    }

    fn send_encoded(
        &mut self,
        ctx: &mut AnyContext<'_>,
        record: &Record<K, V>,
        (has_key, has_value): (bool, bool),
    ) -> Result<(), Error> {
        if record.timestamp.0 < 0 {
            let message = format!("the record has the negative timestamp {}", record.timestamp);
            return Err(Error::new(ErrorKind::Production, message));
        }
        let key = has_key.then_some(self.key_bytes.as_slice());
        let mut out = SinkRecord {
            sink: Some(ctx.index),
            topic: &self.topic,
            partition: None,
            partition_key: key.map(|key| self.spec.key.partition_bytes(key)),
            key,
            value: has_value.then_some(self.value_bytes.as_slice()),
            timestamp: record.timestamp,
            headers: &record.headers,
        };
        let Some(partitioner) = &self.spec.partitioner else { return ctx.env.send(out) };
        let count = ctx.env.partition_count(&self.topic)?;
        let Some(chosen) = partitioner(&self.topic, &record.key, &record.value, count) else {
            return ctx.env.send(out);
        };
        if chosen.is_empty() {
            ctx.flow.count_dropped(1);
        }
        for partition in chosen {
            out.partition = Some(partition);
            ctx.env.send(out)?;
        }
        Ok(())
    }
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> AnyProcessor for SinkNode<K, V> {
    fn init(&mut self, _: &mut AnyContext<'_>) -> Result<(), ProcessorError> {
        Ok(())
    }

    fn process(&mut self, ctx: &mut AnyContext<'_>, record: AnyRecord<'_>) -> Result<(), ProcessorError> {
        let Some(record) = record.typed::<K, V>() else {
            return Err("a record reached a sink of another type".into());
        };
        self.send(ctx, &record);
        Ok(())
    }

    fn punctuate(&mut self, _: &mut AnyContext<'_>, _: Timer, _: Timestamp) -> Result<(), ProcessorError> {
        Ok(())
    }

    fn flush(&mut self, _: &mut AnyContext<'_>) -> Result<(), ProcessorError> {
        Ok(())
    }

    fn close(&mut self) {}
}
