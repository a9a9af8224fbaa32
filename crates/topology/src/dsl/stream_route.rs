//! `KStream`: where records leave for topics and processors.

use std::sync::Arc;

use millstream_types::{Record, RecordMetadata, Serde};

use super::KStream;
use super::names::SINK;
use super::options::Produced;
use crate::flow::{
    FixedKeyProcessor, FixedKeySupplier, NodeFactory, Processor, ProcessorSupplier, SinkSpec, TopicNameExtractor,
};

impl<K, V> KStream<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Writes the stream to a topic.
    ///
    /// State: none. Topics: the one named, which must exist. Nulls: written as null.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::StreamsBuilder;
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<i64, i64>("in").to("out");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("in", Serdes::long(), Serdes::long()).pipe_input(1, 20)?;
    /// let out = driver.create_output_topic("out", Serdes::long(), Serdes::long());
    /// assert_eq!(out.read_key_value()?, (1, 20));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn to(&self, topic: &str) {
        self.to_with(topic, Produced::default());
    }

    /// [`to`](Self::to) with serdes, name or partitioner.
    pub fn to_with(&self, topic: &str, produced: Produced<K, V>) {
        self.write(Some(topic), None, produced);
    }

    /// Writes each record to the topic that `extractor` names for it.
    ///
    /// State: none. Topics: those named, which must exist. Nulls: reach the extractor, are written as null.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{Produced, StreamsBuilder};
    /// # use millstream_types::Serdes;
    /// let builder = StreamsBuilder::new();
    /// let sign = |number: i64| if number < 0 { "negative" } else { "positive" };
    /// builder
    ///     .stream::<i64, i64>("numbers")
    ///     .to_extracted(move |record, _| sign(record.value).to_owned(), Produced::default());
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("numbers", Serdes::long(), Serdes::long()).pipe_input(1, -20)?;
    /// let negative = driver.create_output_topic("negative", Serdes::long(), Serdes::long());
    /// assert_eq!(negative.read_key_value()?, (1, -20));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn to_extracted(
        &self,
        extractor: impl Fn(&Record<K, V>, &RecordMetadata) -> String + Send + Sync + 'static,
        produced: Produced<K, V>,
    ) {
        self.write(None, Some(Arc::new(extractor)), produced);
    }

    fn write(&self, topic: Option<&str>, extractor: Option<TopicNameExtractor<K, V>>, produced: Produced<K, V>) {
        let mut draft = self.draft.borrow_mut();
        let name = draft.node_name(produced.name.or_else(|| self.name.clone()), SINK);
        let place = format!("{name} (to {})", topic.unwrap_or("extracted topics"));
        let key = draft.serde(produced.key.as_ref(), self.key.as_ref(), "keys", &place);
        let value = draft.serde(produced.value.as_ref(), self.value.as_ref(), "values", &place);
        if let Some((key, value)) = key.zip(value) {
            let spec = SinkSpec { key, value, extractor, partitioner: produced.partitioner };
            draft.sink(&name, &[&self.node], topic, spec);
        }
    }

    /// Sends each record through a processor of your own. Its output counts as re-keyed; where it keeps
    /// the key, use [`process_values`](Self::process_values).
    ///
    /// State: the stores it is given ([`process_with`](Self::process_with)) or brings along
    /// ([`with_stores`](crate::ProcessorSupplier::with_stores)). Topics: their changelogs, and a
    /// repartition before the next operator that needs the key. Nulls: reach the processor. Late records:
    /// it decides.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{Context, Incoming, Processor, ProcessorError, StreamsBuilder};
    /// # use millstream_types::Serdes;
    /// struct Running(i64);
    ///
    /// impl Processor for Running {
    ///     # type KeyIn = i64;
    ///     # type ValueIn = i64;
    ///     # type KeyOut = i64;
    ///     # type ValueOut = i64;
    ///     fn process(
    ///         &mut self,
    ///         ctx: &mut Context<'_, i64, i64>,
    ///         record: Incoming<'_, i64, i64>,
    ///     ) -> Result<(), ProcessorError> {
    ///         self.0 += record.value;
    ///         ctx.forward(record.into_record().with_value(self.0));
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// // The sum is not in a store, so it starts anew with the task: see `process_with`.
    /// builder.stream::<i64, i64>("in").process(|| Running(0)).to("sums");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// let input = driver.create_input_topic("in", Serdes::long(), Serdes::long());
    /// let sums = driver.create_output_topic("sums", Serdes::long(), Serdes::long());
    /// input.pipe_key_value_list([(1, 20), (2, 30)])?;
    /// assert_eq!(sums.read_values_to_list()?, [20, 50]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn process<P>(&self, supplier: impl ProcessorSupplier<P>) -> KStream<P::KeyOut, P::ValueOut>
    where
        P: Processor<KeyIn = K, ValueIn = V>,
    {
        self.process_with(supplier, &[])
    }

    /// [`process`](Self::process) with stores, named as they were given to
    /// [`add_state_store`](super::StreamsBuilder::add_state_store), which has an example.
    pub fn process_with<P>(
        &self,
        supplier: impl ProcessorSupplier<P>,
        stores: &[&str],
    ) -> KStream<P::KeyOut, P::ValueOut>
    where
        P: Processor<KeyIn = K, ValueIn = V>,
    {
        self.processor("KSTREAM-PROCESSOR-", supplier, stores, None).rekeyed()
    }

    /// Sends each record through a processor that cannot change the key; the stream stays partitioned
    /// (KIP-820).
    ///
    /// State: the stores it is given or brings along. Topics: their changelogs. Nulls: reach the processor.
    /// Late records: it decides.
    ///
    /// ```
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{FixedKeyContext, FixedKeyIncoming, FixedKeyProcessor};
    /// # use millstream_topology::{ProcessorError, StreamsBuilder};
    /// # use millstream_types::Serdes;
    /// struct Stamp;
    ///
    /// impl FixedKeyProcessor for Stamp {
    ///     # type Key = i64;
    ///     # type ValueIn = i64;
    ///     # type ValueOut = i64;
    ///     fn process(
    ///         &mut self,
    ///         ctx: &mut FixedKeyContext<'_, i64, i64>,
    ///         record: FixedKeyIncoming<'_, i64, i64>,
    ///     ) -> Result<(), ProcessorError> {
    ///         let offset = ctx.record_metadata().offset.0;
    ///         ctx.forward(record.into_record().with_value(offset));
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<i64, i64>("in").process_values(|| Stamp).to("offsets");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("in", Serdes::long(), Serdes::long()).pipe_key_value_list([(1, 20), (1, 30)])?;
    /// let offsets = driver.create_output_topic("offsets", Serdes::long(), Serdes::long());
    /// assert_eq!(offsets.read_values_to_list()?, [0, 1]);
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn process_values<P>(&self, supplier: impl ProcessorSupplier<P>) -> KStream<K, P::ValueOut>
    where
        P: FixedKeyProcessor<Key = K, ValueIn = V>,
    {
        self.process_values_with(supplier, &[])
    }

    /// [`process_values`](Self::process_values) with stores.
    pub fn process_values_with<P>(
        &self,
        supplier: impl ProcessorSupplier<P>,
        stores: &[&str],
    ) -> KStream<K, P::ValueOut>
    where
        P: FixedKeyProcessor<Key = K, ValueIn = V>,
    {
        self.processor("KSTREAM-PROCESSVALUES-", FixedKeySupplier(supplier), stores, self.key.clone())
    }

    fn processor<P: Processor>(
        &self,
        prefix: &str,
        supplier: impl ProcessorSupplier<P>,
        stores: &[&str],
        key: Option<Serde<P::KeyOut>>,
    ) -> KStream<P::KeyOut, P::ValueOut> {
        let name = {
            let mut draft = self.draft.borrow_mut();
            match self.name.clone() {
                // Unlike other operators, a named processor takes no number.
                Some(name) => {
                    draft.check_name(Some(&name));
                    name
                }
                None => draft.names.generate(prefix),
            }
        };
        let stores: Vec<Arc<str>> = stores.iter().map(|store| Arc::from(*store)).collect();
        let own = supplier.stores();
        let code = NodeFactory::processor(move || supplier.get());
        let mut draft = self.draft.borrow_mut();
        draft.then(&name, &[&self.node], &stores, code);
        draft.topology.connect_own_stores(&name, own);
        drop(draft);
        self.after(name, key, None)
    }
}
