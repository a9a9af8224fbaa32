//! `StreamsBuilder`: stores for processors, and stores that every instance holds whole.

use std::sync::Arc;

use millstream_state::StoreFactory;

use super::StreamsBuilder;
use super::names::{SOURCE, TABLE_SOURCE};
use super::options::Consumed;
use crate::flow::{Processor, ProcessorSupplier, SourceSpec};

impl StreamsBuilder {
    /// Adds a store for processors, to be named in [`KStream::process_with`](crate::KStream::process_with).
    ///
    /// State: the store, from its description by [`Stores`](millstream_state::Stores). Topics: its
    /// changelog, unless it has none.
    ///
    /// ```
    /// # use millstream_state::{KeyValueStore, Stores};
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{Context, Incoming, Processor, ProcessorError, StoreHandle, StreamsBuilder};
    /// # use millstream_types::Serdes;
    /// struct Running(Option<StoreHandle<KeyValueStore<i64, i64>>>);
    ///
    /// impl Processor for Running {
    ///     # type KeyIn = i64;
    ///     # type ValueIn = i64;
    ///     # type KeyOut = i64;
    ///     # type ValueOut = i64;
    ///     fn init(&mut self, ctx: &mut Context<'_, i64, i64>) -> Result<(), ProcessorError> {
    ///         self.0 = Some(ctx.store_handle("sums")?);
    ///         Ok(())
    ///     }
    ///
    ///     fn process(
    ///         &mut self,
    ///         ctx: &mut Context<'_, i64, i64>,
    ///         record: Incoming<'_, i64, i64>,
    ///     ) -> Result<(), ProcessorError> {
    ///         let sums = ctx.store(self.0.ok_or("no store")?);
    ///         let sum = sums.get(&record.key)?.unwrap_or(0) + record.value;
    ///         sums.put(&record.key, Some(sum))?;
    ///         ctx.forward(record.into_record().with_value(sum));
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.add_state_store(Stores::key_value_store_builder("sums", Serdes::long(), Serdes::long()));
    /// builder.stream::<i64, i64>("in").process_with(|| Running(None), &["sums"]).to("out");
    ///
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    /// driver.create_input_topic("in", Serdes::long(), Serdes::long()).pipe_key_value_list([(1, 20), (1, 30)])?;
    /// let out = driver.create_output_topic("out", Serdes::long(), Serdes::long());
    /// assert_eq!(out.read_values_to_list()?, [20, 50]);
    /// assert_eq!(driver.key_value_store::<i64, i64>("sums")?.get(&1)?, Some(50));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn add_state_store(&self, store: impl Into<Arc<dyn StoreFactory>>) -> &Self {
        self.draft().borrow_mut().add_store(store.into());
        self
    }

    /// Adds a store that every instance holds whole and that a processor keeps in line with a topic. A name
    /// in `consumed` is the processor's; its source gets `-source` behind it. Other processors read the
    /// store with [`Context::global_value`](crate::Context::global_value).
    ///
    /// State: the store, on every instance. Topics: the one read; no changelog, and at every start of a
    /// store that is not on disk all of the topic goes through the processor again. Nulls: reach the
    /// processor.
    ///
    /// ```
    /// # use millstream_state::{KeyValueStore, Stores};
    /// # use millstream_testkit::TopologyTestDriver;
    /// # use millstream_topology::{Consumed, Context, Incoming, Processor, ProcessorError, StreamsBuilder};
    /// # use millstream_types::Serdes;
    /// struct Keep;
    ///
    /// impl Processor for Keep {
    ///     # type KeyIn = i64;
    ///     # type ValueIn = i64;
    ///     # type KeyOut = ();
    ///     # type ValueOut = ();
    ///     fn process(
    ///         &mut self,
    ///         ctx: &mut Context<'_, (), ()>,
    ///         rate: Incoming<'_, i64, i64>,
    ///     ) -> Result<(), ProcessorError> {
    ///         let rates = ctx.store_handle::<KeyValueStore<i64, i64>>("rates")?;
    ///         ctx.store(rates).put(&rate.key, Some(rate.value))?;
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let builder = StreamsBuilder::new();
    /// let rates = Stores::key_value_store_builder("rates", Serdes::long(), Serdes::long()).with_logging_disabled();
    /// builder.add_global_store(rates, "rates", Consumed::named("keep"), || Keep);
    /// let topology = builder.build()?;
    /// assert!(topology.describe().to_string().contains("Processor: keep (stores: [rates])"));
    /// # TopologyTestDriver::with_defaults(topology)?
    /// #     .create_input_topic("rates", Serdes::long(), Serdes::long())
    /// #     .pipe_input(1, 20)?;
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    pub fn add_global_store<K, V, P>(
        &self,
        store: impl Into<Arc<dyn StoreFactory>>,
        topic: &str,
        consumed: Consumed<K, V>,
        supplier: impl ProcessorSupplier<P>,
    ) -> &Self
    where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
        P: Processor<KeyIn = K, ValueIn = V>,
    {
        let mut draft = self.draft().borrow_mut();
        let source = draft.node_name(consumed.name.as_ref().map(|name| format!("{name}-source")), SOURCE);
        let processor = draft.node_name(consumed.name.clone(), TABLE_SOURCE);
        let key = draft.serde(consumed.key.as_ref(), None, "keys", &source);
        let value = draft.serde(consumed.value.as_ref(), None, "values", &source);
        if let Some((key, value)) = key.zip(value) {
            let spec = SourceSpec { key, value, timestamp_extractor: consumed.timestamp_extractor };
            draft.topology.add_global_store(store, &source, spec, topic, &processor, supplier);
        }
        drop(draft);
        self
    }
}
