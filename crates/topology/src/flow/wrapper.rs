//! What is put around every processor of a topology.

use std::sync::Arc;

use millstream_state::StoreFactory;

use super::any_processor::AnyProcessor;

/// Wraps or replaces the processors of a topology, those of the DSL's operators as well as one's own: Kafka
/// Streams' `ProcessorWrapper` (KIP-1112), given to
/// [`Topology::wrap_processors`](crate::Topology::wrap_processors). For tracing, measuring, or making
/// operators fail in tests.
///
/// Costs a dynamic call for each wrapper and record.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use millstream_testkit::TopologyTestDriver;
/// use millstream_topology::{
///     AnyContext, AnyProcessor, AnyRecord, ProcessorError, ProcessorWrapper, StreamsBuilder, Timer,
/// };
/// use millstream_types::{Serdes, Timestamp};
///
/// /// Counts the records that reach any operator.
/// struct Counted(Arc<AtomicU64>, Box<dyn AnyProcessor>);
///
/// impl AnyProcessor for Counted {
///     fn process(&mut self, ctx: &mut AnyContext<'_>, record: AnyRecord<'_>) -> Result<(), ProcessorError> {
///         self.0.fetch_add(1, Ordering::Relaxed);
///         self.1.process(ctx, record)
///     }
///     # fn init(&mut self, ctx: &mut AnyContext<'_>) -> Result<(), ProcessorError> {
///     #     self.1.init(ctx)
///     # }
///     # fn punctuate(&mut self, ctx: &mut AnyContext<'_>, timer: Timer, now: Timestamp) -> Result<(), ProcessorError> {
///     #     self.1.punctuate(ctx, timer, now)
///     # }
///     # fn flush(&mut self, ctx: &mut AnyContext<'_>) -> Result<(), ProcessorError> {
///     #     self.1.flush(ctx)
///     # }
///     # fn close(&mut self) {
///     #     self.1.close();
///     # }
///     // The other methods only pass on.
/// }
///
/// struct Count(Arc<AtomicU64>);
///
/// impl ProcessorWrapper for Count {
///     fn wrap(&self, _: &str, processor: Box<dyn AnyProcessor>) -> Box<dyn AnyProcessor> {
///         Box::new(Counted(Arc::clone(&self.0), processor))
///     }
/// }
///
/// let builder = StreamsBuilder::new();
/// builder.stream::<i64, i64>("in").filter(|_, value| *value > 0).map_values(|value| value * 2).to("out");
/// let mut topology = builder.build()?;
/// let count = Arc::new(AtomicU64::new(0));
/// topology.wrap_processors(Count(Arc::clone(&count)));
///
/// let driver = TopologyTestDriver::with_defaults(topology)?;
/// driver.create_input_topic("in", Serdes::long(), Serdes::long()).pipe_key_value_list([(1, 1), (1, -1)])?;
/// // Two records at the filter, one at the mapper.
/// assert_eq!(count.load(Ordering::Relaxed), 3);
/// # Ok::<(), millstream_types::Error>(())
/// ```
pub trait ProcessorWrapper: Send + Sync + 'static {
    /// What runs in place of a processor, which the answer may hold; called once for each task. `name` is the
    /// node's, as in `describe()`. It must take and forward the same types.
    fn wrap(&self, name: &str, processor: Box<dyn AnyProcessor>) -> Box<dyn AnyProcessor>;

    /// Stores that are connected to a processor besides its own, and added to the topology if they are new; one
    /// that several processors get must be the same `Arc`, and joins their sub-topologies. None by default.
    fn stores(&self, name: &str) -> Vec<Arc<dyn StoreFactory>> {
        let _ = name;
        Vec::new()
    }
}
