//! A context for a processor that a test calls by hand.

use std::fmt;
use std::sync::Arc;

use millstream_state::{CacheBudget, MemoryEngines, Origin, StoreEnv, StoreFactory};
use millstream_topology::flow::{Flow, FlowBuild, FlowEnv, FlowOptions, SinkRecord, StreamsMetrics};
use millstream_topology::{Context, Incoming, Processor, ProcessorError, PunctuationType, SourceSpec, Timer, Topology};
use millstream_types::{Config, Headers, RawRecord, Record, RecordMetadata, Result, Serdes, TaskId, Timestamp};
use parking_lot::Mutex;

/// What the flow around the processor under test keeps for the test.
struct Kept<K, V> {
    forwarded: Vec<(String, Record<K, V>)>,
    due: Vec<Timer>,
}

/// Stands for the task around one processor (Kafka Streams' `MockProcessorContext`): the test calls `init`,
/// `process` and `punctuate` of its processor with [`context`](Self::context), and looks at what came out.
/// To test processors in their topology, see [`TopologyTestDriver`](crate::TopologyTestDriver).
///
/// ```
/// use millstream_testkit::MockProcessorContext;
/// use millstream_topology::{Context, Incoming, Processor, ProcessorError, PunctuationType, Timer};
/// use millstream_types::{Record, Timestamp};
/// use std::time::Duration;
///
/// #[derive(Default)]
/// struct Sum(i64);
///
/// impl Processor for Sum {
///     # type KeyIn = i64;
///     # type ValueIn = i64;
///     # type KeyOut = i64;
///     # type ValueOut = i64;
///     fn init(&mut self, ctx: &mut Context<'_, i64, i64>) -> Result<(), ProcessorError> {
///         ctx.schedule(Duration::from_millis(10), PunctuationType::StreamTime);
///         Ok(())
///     }
///
///     fn process(&mut self, _: &mut Context<'_, i64, i64>, record: Incoming<'_, i64, i64>) -> Result<(), ProcessorError> {
///         self.0 += record.value;
///         Ok(())
///     }
///
///     fn punctuate(&mut self, ctx: &mut Context<'_, i64, i64>, _: Timer, now: Timestamp) -> Result<(), ProcessorError> {
///         ctx.forward(Record::new(0, self.0, now));
///         Ok(())
///     }
/// }
///
/// let mut mock = MockProcessorContext::<i64, i64>::new([])?;
/// let mut sum = Sum::default();
/// sum.init(&mut mock.context()?)?;
/// sum.process(&mut mock.context()?, Incoming::Lent(&Record::new(1, 20, Timestamp(5))))?;
/// sum.process(&mut mock.context()?, Incoming::Lent(&Record::new(2, 30, Timestamp(6))))?;
/// for timer in mock.set_stream_time(Timestamp(12))? {
///     sum.punctuate(&mut mock.context()?, timer, Timestamp(12))?;
/// }
/// assert_eq!(mock.forwarded(), [Record::new(0, 50, Timestamp(12))]);
/// # Ok::<(), millstream_topology::ProcessorError>(())
/// ```
pub struct MockProcessorContext<K, V> {
    flow: Flow,
    env: MockEnv,
    origin: Origin,
    headers: Headers,
    kept: Arc<Mutex<Kept<K, V>>>,
}

const PROCESSOR: &str = "processor";

impl<K, V> MockProcessorContext<K, V>
where
    K: Clone + Send + 'static,
    V: Clone + Send + 'static,
{
    /// A task `0_0` with these stores, all connected to the processor, which has one child named `child`.
    ///
    /// # Errors
    /// What building a store gives.
    pub fn new(stores: impl IntoIterator<Item = Arc<dyn StoreFactory>>) -> Result<Self> {
        let config = Config::builder().application_id("mock").bootstrap_servers("memory:").build()?;
        Self::with_children(&config, stores, &["child"])
    }

    /// The same with a configuration, and children of these names.
    ///
    /// # Errors
    /// What building a store gives; `Topology` when two stores or children have one name.
    pub fn with_children(
        config: &Config,
        stores: impl IntoIterator<Item = Arc<dyn StoreFactory>>,
        children: &[&str],
    ) -> Result<Self> {
        let kept = Arc::new(Mutex::new(Kept { forwarded: Vec::new(), due: Vec::new() }));
        let mut topology = Topology::new();
        topology.add_source("source", &["source"], SourceSpec::new(Serdes::void(), Serdes::void()));
        let stub = Arc::clone(&kept);
        topology.add_processor(PROCESSOR, move || Stub(Arc::clone(&stub)), &["source"]);
        for child in children {
            let (name, kept) = ((*child).to_owned(), Arc::clone(&kept));
            topology.add_processor(child, move || Child(name.clone(), Arc::clone(&kept)), &[PROCESSOR]);
        }
        for store in stores {
            topology.add_state_store(store, &[PROCESSOR]);
        }
        topology.check()?;
        let nodes: Vec<Arc<str>> = topology.facts().nodes.iter().map(|node| Arc::clone(&node.name)).collect();
        let task = TaskId { subtopology: 0, partition: 0 };
        let build = FlowBuild { task, application_id: config.application_id().into(), internal_topics: Arc::default() };
        let metrics = StreamsMetrics::new(config);
        let options = FlowOptions { config: Some(Arc::new(config.clone())), metrics, ..FlowOptions::default() };
        let flow = topology.flow(&nodes, build, Arc::new(options), &mut |store| {
            let engine = store.open_engine(Some(task), &MemoryEngines::new("mock"))?;
            Ok(StoreEnv { cache: CacheBudget::new(config.statestore_cache_max_bytes()), ..StoreEnv::new(engine) })
        })?;
        Ok(Self { flow, env: MockEnv::default(), origin: Origin::NONE, headers: Headers::new(), kept })
    }

    /// The context to give to the processor.
    ///
    /// # Errors
    /// None: the processor's node is there and forwards these types.
    pub fn context(&mut self) -> Result<Context<'_, K, V>> {
        self.flow.context_at(&mut self.env, PROCESSOR, &self.origin, &self.headers)
    }

    /// Says where the record being processed comes from, and what its timestamp and headers are.
    pub fn set_record(&mut self, metadata: RecordMetadata, timestamp: Timestamp, headers: Headers) {
        let RecordMetadata { topic, partition, offset } = metadata;
        self.origin = Origin { topic, partition, offset, timestamp, ..Origin::NONE };
        self.headers = headers;
    }

    /// Moves the stream time; the timers that are due then, for the processor's `punctuate`.
    ///
    /// # Errors
    /// None in a test of one processor.
    pub fn set_stream_time(&mut self, stream_time: Timestamp) -> Result<Vec<Timer>> {
        self.flow.set_stream_time(stream_time);
        self.due(PunctuationType::StreamTime, stream_time)
    }

    /// Moves the wall clock, which starts at 0; the timers that are due then, for the processor's `punctuate`.
    ///
    /// # Errors
    /// None in a test of one processor.
    pub fn set_wall_clock_time(&mut self, now: Timestamp) -> Result<Vec<Timer>> {
        self.env.wall_ms = now.0;
        self.due(PunctuationType::WallClockTime, now)
    }

    /// What was forwarded, in order, once for each child that it was forwarded to.
    pub fn forwarded(&self) -> Vec<Record<K, V>> {
        self.kept.lock().forwarded.iter().map(|(_, record)| record.clone()).collect()
    }

    /// What was forwarded to that child, in order.
    pub fn forwarded_to(&self, child: &str) -> Vec<Record<K, V>> {
        let kept = self.kept.lock();
        kept.forwarded.iter().filter(|(name, _)| name == child).map(|(_, record)| record.clone()).collect()
    }

    /// Forgets what was forwarded.
    pub fn reset_forwards(&mut self) {
        self.kept.lock().forwarded.clear();
    }

    /// Whether a commit was asked for.
    pub fn is_commit_requested(&self) -> bool {
        self.env.is_commit_requested
    }

    /// Forgets that a commit was asked for.
    pub fn reset_commit(&mut self) {
        self.env.is_commit_requested = false;
    }

    fn due(&mut self, kind: PunctuationType, now: Timestamp) -> Result<Vec<Timer>> {
        self.flow.punctuate(&mut self.env, kind, now)?;
        Ok(std::mem::take(&mut self.kept.lock().due))
    }
}

impl<K, V> fmt::Debug for MockProcessorContext<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockProcessorContext").finish_non_exhaustive()
    }
}

/// Stands in the processor's place: the test has the processor itself.
struct Stub<K, V>(Arc<Mutex<Kept<K, V>>>);

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> Processor for Stub<K, V> {
    type KeyIn = ();
    type ValueIn = ();
    type KeyOut = K;
    type ValueOut = V;

    fn process(&mut self, _: &mut Context<'_, K, V>, _: Incoming<'_, (), ()>) -> Result<(), ProcessorError> {
        Ok(())
    }

    fn punctuate(&mut self, _: &mut Context<'_, K, V>, timer: Timer, _: Timestamp) -> Result<(), ProcessorError> {
        self.0.lock().due.push(timer);
        Ok(())
    }
}

/// Keeps what is forwarded to it.
struct Child<K, V>(String, Arc<Mutex<Kept<K, V>>>);

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> Processor for Child<K, V> {
    type KeyIn = K;
    type ValueIn = V;
    type KeyOut = ();
    type ValueOut = ();

    fn process(&mut self, _: &mut Context<'_, (), ()>, record: Incoming<'_, K, V>) -> Result<(), ProcessorError> {
        self.1.lock().forwarded.push((self.0.clone(), record.into_record()));
        Ok(())
    }
}

/// The world around: a wall clock that stands, and no outputs.
#[derive(Default)]
struct MockEnv {
    wall_ms: i64,
    is_commit_requested: bool,
}

impl FlowEnv for MockEnv {
    fn send(&mut self, _: SinkRecord<'_>) -> Result<()> {
        Ok(())
    }

    fn partition_count(&mut self, _: &Arc<str>) -> Result<i32> {
        Ok(1)
    }

    fn wall_ms(&self) -> i64 {
        self.wall_ms
    }

    fn request_commit(&mut self) {
        self.is_commit_requested = true;
    }

    fn source_record(&self) -> Option<RawRecord> {
        None
    }
}
