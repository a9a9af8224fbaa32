//! `KStream`: where records leave for topics and processors.

use std::sync::Arc;

use millstream_types::{Record, RecordMetadata, Serde};

use super::KStream;
use super::names::SINK;
use super::options::Produced;
use crate::flow::{NodeFactory, Processor, ProcessorSupplier, SinkSpec, TopicNameExtractor};

impl<K, V> KStream<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Writes the stream to a topic. Null keys and values are written as such.
    pub fn to(&self, topic: &str) {
        self.to_with(topic, Produced::default());
    }

    /// [`to`](Self::to) with serdes, name or partitioner.
    pub fn to_with(&self, topic: &str, produced: Produced<K, V>) {
        self.write(Some(topic), None, produced);
    }

    /// Writes each record to the topic that `extractor` names for it; the topics must exist.
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

    /// Sends each record through a processor of your own. Its output counts as re-keyed.
    pub fn process<P>(&self, supplier: impl ProcessorSupplier<P>) -> KStream<P::KeyOut, P::ValueOut>
    where
        P: Processor<KeyIn = K, ValueIn = V>,
    {
        self.process_with(supplier, &[])
    }

    /// [`process`](Self::process) with stores, named as they were given to
    /// [`add_state_store`](super::StreamsBuilder::add_state_store).
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

    /// Sends each record through a processor that keeps the key; the stream stays partitioned.
    pub fn process_values<P>(&self, supplier: impl ProcessorSupplier<P>) -> KStream<K, P::ValueOut>
    where
        P: Processor<KeyIn = K, ValueIn = V, KeyOut = K>,
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
        P: Processor<KeyIn = K, ValueIn = V, KeyOut = K>,
    {
        self.processor("KSTREAM-PROCESSVALUES-", supplier, stores, self.key.clone())
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
