//! Repartition topics: how records reach the task that owns their new key.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use millstream_types::Serde;

use super::KStream;
use super::draft::{Draft, Switch};
use super::names::{FILTER, REPARTITION_SUFFIX, SINK, SOURCE, is_generated};
use super::options::Repartitioned;
use super::outline::{Repartition, Unnamed};
use crate::flow::{Context, Incoming, Partitioner, SinkSpec, SourceFactory, SourceSpec};
use crate::graph::{NodeCode, NodeKind, SourceFacts};
use crate::operator::stateless::stateless;

/// What a repartition topic is called.
pub(crate) struct TopicPrefix {
    pub(crate) text: String,
    /// Whether the user said so.
    pub(crate) is_given: bool,
}

/// What the user fixed of a repartition topic.
struct Fixed<K, V> {
    partitioner: Option<Partitioner<K, V>>,
    partitions: Option<i32>,
}

/// A repartition topic to be written.
struct RepartitionSpec<K, V> {
    prefix: TopicPrefix,
    key: Serde<K>,
    value: Serde<V>,
    /// What the user fixed; a topic that the library decided on may be merged with others.
    fixed: Option<Fixed<K, V>>,
}

/// Source of the repartition that the joins of one stream share, once there is one.
pub(crate) type JoinRepartition = Rc<RefCell<Option<Arc<str>>>>;

impl<K, V> KStream<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Writes the stream to a topic partitioned by its key and reads it back; the library makes the topic
    /// (KIP-221).
    ///
    /// State: none. Topics: the repartition. Nulls: null keys are dropped silently; null values pass.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<i64, i64>("in").select_key(|_, number| number % 2).repartition().to("out");
    /// let topology = builder.build()?;
    /// assert!(topology.describe().to_string().contains("KSTREAM-REPARTITION-0000000002-repartition"));
    ///
    /// let driver = TopologyTestDriver::with_defaults(topology)?;
    /// driver.create_input_topic("in", Serdes::long(), Serdes::long()).pipe_input(1, 21)?;
    /// let out = driver.create_output_topic("out", Serdes::long(), Serdes::long());
    /// assert_eq!(out.read_key_value()?, (1, 21));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn repartition(&self) -> Self {
        self.repartition_with(Repartitioned::default())
    }

    /// [`repartition`](Self::repartition) with a name, serdes, partitioner or partition count.
    pub fn repartition_with(&self, repartitioned: Repartitioned<K, V>) -> Self {
        let prefix = {
            let mut draft = self.draft.borrow_mut();
            draft.check_name(repartitioned.name.as_deref());
            let is_given = repartitioned.name.is_some();
            let text = repartitioned.name.unwrap_or_else(|| draft.names.generate("KSTREAM-REPARTITION-"));
            TopicPrefix { text, is_given }
        };
        let key = repartitioned.key.or_else(|| self.key.clone());
        let value = repartitioned.value.or_else(|| self.value.clone());
        let fixed = Fixed { partitioner: repartitioned.partitioner, partitions: repartitioned.partitions };
        self.behind(prefix, key, value, Some(fixed))
    }

    /// The stream behind a repartition topic that an operator needs.
    pub(crate) fn through(&self, prefix: TopicPrefix, key: Option<Serde<K>>, value: Option<Serde<V>>) -> Self {
        self.behind(prefix, key, value, None)
    }

    /// The stream as a join needs it: a re-keyed one behind a repartition topic, which is called
    /// after the join if that has a name. Joins without one share the repartition that the stream's
    /// joins made last.
    pub(crate) fn partitioned_for_join(
        &self,
        named: Option<&str>,
        key: Option<Serde<K>>,
        value: Option<Serde<V>>,
    ) -> Self {
        if !self.is_rekeyed {
            return self.clone();
        }
        let text = named.unwrap_or(&self.node).to_owned();
        let shared = self.join_repartition.borrow().clone().filter(|_| text == *self.node);
        let Some(source) = shared else {
            let stream = self.through(TopicPrefix { text, is_given: named.is_some() }, key, value);
            *self.join_repartition.borrow_mut() = Some(Arc::clone(&stream.node));
            return stream;
        };
        let mut draft = self.draft.borrow_mut();
        if named.is_none() {
            draft.unnamed(Unnamed::RepartitionTopic { name: format!("{text}{REPARTITION_SUFFIX}").into() });
        }
        draft.names.burn_repartition();
        drop(draft);
        Self::new(
            &self.draft,
            Arc::clone(&source),
            key.or_else(|| self.key.clone()),
            value.or_else(|| self.value.clone()),
        )
        .reading(source)
    }

    fn behind(
        &self,
        prefix: TopicPrefix,
        key: Option<Serde<K>>,
        value: Option<Serde<V>>,
        fixed: Option<Fixed<K, V>>,
    ) -> Self {
        let serdes = {
            let mut draft = self.draft.borrow_mut();
            let place = draft.place(&format!("{}{REPARTITION_SUFFIX}", prefix.text), &[&self.sources]);
            let key = draft.serde(key.as_ref(), None, "keys", &place);
            let value = draft.serde(value.as_ref(), None, "values", &place);
            key.zip(value)
        };
        // Without serdes the draft has its problem already; the stream only has to go on.
        let Some((key, value)) = serdes else { return self.clone() };
        let spec = RepartitionSpec { prefix, key: key.clone(), value: value.clone(), fixed };
        let source = self.draft.borrow_mut().repartition(&self.node, spec);
        Self::new(&self.draft, Arc::clone(&source), Some(key), Some(value)).reading(source)
    }
}

impl Draft {
    /// Writes filter, sink and source around a repartition topic; gives the source's name.
    fn repartition<K, V>(&mut self, parent: &str, spec: RepartitionSpec<K, V>) -> Arc<str>
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        let mut topic: Arc<str> = format!("{}{REPARTITION_SUFFIX}", spec.prefix.text).into();
        if !spec.prefix.is_given {
            self.unnamed(Unnamed::RepartitionTopic { name: Arc::clone(&topic) });
        }
        let is_generated = is_generated(&spec.prefix.text);
        let mut wanted = None;
        if !is_generated && self.has_repartition(&topic) {
            let own = format!("{topic}-{}", self.topology.facts.nodes.len()).into();
            wanted = Some(std::mem::replace(&mut topic, own));
        }
        // Numbers are taken whether they are used or not, so that naming the topic renames nothing.
        let generated = [SINK, FILTER, SOURCE].map(|prefix| self.names.generate(prefix));
        let [sink, filter, source] =
            if is_generated { generated } else { ["sink", "filter", "source"].map(|role| format!("{topic}-{role}")) };
        let null_keys = Switch::default();
        let repartition = Repartition {
            topic: Arc::clone(&topic),
            wanted,
            filter: filter.as_str().into(),
            sink: sink.as_str().into(),
            source: source.as_str().into(),
            key_changer: None,
            null_keys: null_keys.clone(),
        };
        self.repartitions(parent, repartition, spec.fixed.is_none());
        let Fixed { partitioner, partitions } = spec.fixed.unwrap_or(Fixed { partitioner: None, partitions: None });
        let key = spec.key.clone();
        let keep = stateless(move |ctx: &mut Context<'_, K, V>, record: Incoming<'_, K, V>| {
            if !key.is_null(&record.key) || null_keys.is_on() {
                ctx.forward_incoming(record);
            }
            Ok(())
        });
        self.then(&filter, &[parent], &[], keep);
        let to = SinkSpec { partitioner, ..SinkSpec::new(spec.key.clone(), spec.value.clone()) };
        self.sink(&sink, &[&filter], Some(&topic), to);
        self.internal_source(&topic, &source, spec.key, spec.value, partitions)
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
