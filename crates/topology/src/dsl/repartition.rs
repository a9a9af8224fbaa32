//! Repartition topics: how records reach the task that owns their new key.

use std::sync::Arc;

use millstream_types::Serde;

use super::KStream;
use super::draft::{Draft, Switch};
use super::names::{FILTER, REPARTITION_SUFFIX, SINK, SOURCE, is_generated};
use super::options::Repartitioned;
use crate::flow::{Context, Incoming, Partitioner, SinkSpec, SourceFactory, SourceSpec};
use crate::graph::{NodeCode, NodeKind, SourceFacts};
use crate::operator::stateless::stateless;

/// A repartition topic to be written: its prefix, serdes and what the user fixed.
pub(crate) struct RepartitionSpec<K, V> {
    pub(crate) prefix: String,
    pub(crate) key: Serde<K>,
    pub(crate) value: Serde<V>,
    pub(crate) partitioner: Option<Partitioner<K, V>>,
    pub(crate) partitions: Option<i32>,
}

impl<K, V> KStream<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Writes the stream to a topic partitioned by its key and reads it back; the library makes
    /// the topic. Records without key are dropped silently.
    pub fn repartition(&self) -> Self {
        self.repartition_with(Repartitioned::default())
    }

    /// [`repartition`](Self::repartition) with a name, serdes, partitioner or partition count.
    pub fn repartition_with(&self, repartitioned: Repartitioned<K, V>) -> Self {
        let prefix = {
            let mut draft = self.draft.borrow_mut();
            draft.check_name(repartitioned.name.as_deref());
            match repartitioned.name {
                Some(name) => name,
                None => draft.names.generate("KSTREAM-REPARTITION-"),
            }
        };
        let key = repartitioned.key.or_else(|| self.key.clone());
        let value = repartitioned.value.or_else(|| self.value.clone());
        self.through(prefix, key, value, repartitioned.partitioner, repartitioned.partitions)
    }

    /// The stream behind a repartition topic of that prefix.
    pub(crate) fn through(
        &self,
        prefix: String,
        key: Option<Serde<K>>,
        value: Option<Serde<V>>,
        partitioner: Option<Partitioner<K, V>>,
        partitions: Option<i32>,
    ) -> Self {
        let topic = format!("{prefix}{REPARTITION_SUFFIX}");
        let serdes = {
            let mut draft = self.draft.borrow_mut();
            let key = draft.serde(key.as_ref(), None, "keys", &topic);
            let value = draft.serde(value.as_ref(), None, "values", &topic);
            key.zip(value)
        };
        // Without serdes the draft has its problem already; the stream only has to go on.
        let Some((key, value)) = serdes else { return self.clone() };
        let null_keys = Switch::default();
        let spec = RepartitionSpec { prefix, key: key.clone(), value: value.clone(), partitioner, partitions };
        let source = self.draft.borrow_mut().repartition(&self.node, spec, &null_keys);
        let mut stream = Self::new(&self.draft, Arc::clone(&source), Some(key), Some(value)).reading(source);
        stream.null_keys = self.null_keys.iter().cloned().chain([null_keys]).collect();
        stream
    }
}

impl Draft {
    /// Writes filter, sink and source around a repartition topic; gives the source's name.
    fn repartition<K, V>(&mut self, parent: &str, spec: RepartitionSpec<K, V>, null_keys: &Switch) -> Arc<str>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        let topic = format!("{}{REPARTITION_SUFFIX}", spec.prefix);
        // Numbers are taken whether they are used or not, so that naming the topic renames nothing.
        let generated = [SINK, FILTER, SOURCE].map(|prefix| self.names.generate(prefix));
        let [sink, filter, source] = if is_generated(&spec.prefix) {
            generated
        } else {
            ["sink", "filter", "source"].map(|role| format!("{topic}-{role}"))
        };
        let (key, may_be_null) = (spec.key.clone(), null_keys.clone());
        let keep = stateless(move |ctx: &mut Context<'_, K, V>, record: Incoming<'_, K, V>| {
            if !key.is_null(&record.key) || may_be_null.is_on() {
                ctx.forward_incoming(record);
            }
            Ok(())
        });
        self.then(&filter, &[parent], &[], keep);
        let to =
            SinkSpec { partitioner: spec.partitioner.clone(), ..SinkSpec::new(spec.key.clone(), spec.value.clone()) };
        self.sink(&sink, &[&filter], Some(&topic), to);
        self.internal_source(&topic, &source, spec.key, spec.value, spec.partitions)
    }

    /// Writes the source that reads an internal topic back, and the topic.
    pub(crate) fn internal_source<K, V>(
        &mut self,
        topic: &str,
        source: &str,
        key: Serde<K>,
        value: Serde<V>,
        partitions: Option<i32>,
    ) -> Arc<str>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        self.topology.push_repartition_topic(topic, partitions);
        let facts = SourceFacts { topics: vec![topic.into()], pattern: None, reset: None };
        let code = NodeCode::Source(SourceFactory::new(SourceSpec::new(key, value)));
        self.topology.push(source, NodeKind::Source(facts), &[], code);
        source.into()
    }
}
