//! Sinks: typed records become bytes and leave the flow.

use std::sync::Arc;

use bytes::Bytes;
use millstream_types::{Error, ErrorKind, Record, RecordMetadata, Serde, Timestamp};

use super::any_processor::{AnyContext, AnyProcessor};
use super::env::SinkRecord;
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
        match self.encode_and_send(ctx, record) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Production => {
                let bytes = |bytes: &[u8]| Some(Bytes::copy_from_slice(bytes));
                let raw = (bytes(&self.key_bytes), bytes(&self.value_bytes));
                ctx.flow.production_failed(ctx.env, ctx.index, &self.topic, raw, record.timestamp, error);
            }
            Err(error) => ctx.flow.fail(error),
        }
    }

    fn encode_and_send(&mut self, ctx: &mut AnyContext<'_>, record: &Record<K, V>) -> Result<(), Error> {
        self.key_bytes.clear();
        self.value_bytes.clear();
        let refused = |what: &str, error| {
            Error::new(ErrorKind::Production, format!("the {what} cannot be serialised")).with_source(error)
        };
        let has_key = self.spec.key.encode(&record.key, &mut self.key_bytes).map_err(|error| refused("key", error))?;
        let has_value =
            self.spec.value.encode(&record.value, &mut self.value_bytes).map_err(|error| refused("value", error))?;
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
