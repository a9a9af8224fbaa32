//! A driver for topologies: records in, records out, in one thread and without any broker.

mod collector;
mod globals;
mod idle_order;
mod input_topic;
mod machine;
mod output_topic;
mod stores;
mod test_record;

use std::borrow::Borrow;
use std::cell::{Ref, RefCell, RefMut};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use millstream_runtime::Handlers;
use millstream_topology::flow::MetricName;
use millstream_topology::graph::Topology;
use millstream_types::{
    Clock, Config, Error, ErrorKind, Headers, RawRecord, Result, Serde, Timestamp, clock::SystemClock,
};

pub use input_topic::TestInputTopic;
pub use output_topic::TestOutputTopic;
pub use stores::{TestGlobalStore, TestStore};
pub use test_record::TestRecord;

use machine::Machine;

/// Runs a topology record by record, as Kafka Streams' `TopologyTestDriver` does.
///
/// One task, `0_0`, holds all sub-topologies; every topic has one partition. A piped record is
/// processed at once, and so is what it leads to: records written to a topic that is also read
/// (repartition topics among them) come back in. After every record the driver fires stream-time
/// punctuators and commits, which flushes the record caches. Its wall clock stands still until
/// [`advance_wall_clock_time`](Self::advance_wall_clock_time).
///
/// Topics and stores are handles into the driver; they may be held together.
///
/// ```
/// use millstream_testkit::TopologyTestDriver;
/// use millstream_topology::flow::{SinkSpec, SourceSpec};
/// use millstream_topology::graph::Topology;
/// use millstream_topology::{Context, Incoming, Processor, ProcessorError};
/// use millstream_types::{Config, Serdes, Timestamp};
///
/// struct Shout;
/// impl Processor for Shout {
///     type KeyIn = String;
///     type ValueIn = String;
///     type KeyOut = String;
///     type ValueOut = String;
///     fn process(
///         &mut self,
///         ctx: &mut Context<'_, String, String>,
///         record: Incoming<'_, String, String>,
///     ) -> Result<(), ProcessorError> {
///         let loud = record.value.to_uppercase();
///         ctx.forward(record.into_record().with_value(loud));
///         Ok(())
///     }
/// }
///
/// let mut topology = Topology::new();
/// topology
///     .add_source("in", &["words"], SourceSpec::new(Serdes::string(), Serdes::string()))
///     .add_processor("shout", || Shout, &["in"])
///     .add_sink("out", "loud-words", SinkSpec::new(Serdes::string(), Serdes::string()), &["shout"]);
///
/// let config = Config::builder().application_id("shouting").bootstrap_servers("memory:").build()?;
/// let driver = TopologyTestDriver::with_start(&topology, &config, Timestamp(0))?;
/// let words = driver.create_input_topic("words", Serdes::string(), Serdes::string());
/// let loud_words = driver.create_output_topic("loud-words", Serdes::string(), Serdes::string());
///
/// words.pipe_input("a".to_owned(), "hello".to_owned())?;
/// assert_eq!(loud_words.read_key_value()?, ("a".to_owned(), "HELLO".to_owned()));
/// assert!(loud_words.is_empty());
/// driver.close()?;
/// # Ok::<(), millstream_types::Error>(())
/// ```
pub struct TopologyTestDriver {
    machine: Shared,
}

/// The machine, shared by the driver and its topics. A driver never leaves its thread.
#[derive(Clone)]
pub(crate) struct Shared(Rc<RefCell<Machine>>);

impl Shared {
    pub(crate) fn get(&self) -> Ref<'_, Machine> {
        RefCell::borrow(&self.0)
    }

    pub(crate) fn get_mut(&self) -> RefMut<'_, Machine> {
        RefCell::borrow_mut(&self.0)
    }
}

impl TopologyTestDriver {
    /// Starts a topology with the default configuration (Kafka Streams' `new TopologyTestDriver(topology)`);
    /// the wall clock starts at the machine's present time.
    ///
    /// ```
    /// use millstream_testkit::TopologyTestDriver;
    /// use millstream_topology::StreamsBuilder;
    /// use millstream_types::Serdes;
    ///
    /// let builder = StreamsBuilder::new();
    /// builder.stream::<i64, i64>("in").to("out");
    /// let driver = TopologyTestDriver::with_defaults(builder.build()?)?;
    ///
    /// driver.create_input_topic("in", Serdes::long(), Serdes::long()).pipe_input(1, 2)?;
    /// let output = driver.create_output_topic("out", Serdes::long(), Serdes::long());
    /// assert_eq!(output.read_key_value()?, (1, 2));
    /// # Ok::<(), millstream_types::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_defaults(topology: impl Borrow<Topology>) -> Result<Self> {
        let config = Config::builder().application_id("topology-test-driver").bootstrap_servers("memory:").build()?;
        Self::new(topology, config)
    }

    /// Starts a topology; the wall clock starts at the machine's present time.
    ///
    /// # Errors
    /// `Topology` when the topology cannot run, and what the `init` of a processor fails with.
    pub fn new(topology: impl Borrow<Topology>, config: impl Borrow<Config>) -> Result<Self> {
        let now = SystemClock::new().now();
        Self::with_start(topology, config, Timestamp(now.wall_ms))
    }

    /// Starts a topology with the wall clock at that time.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_start(
        topology: impl Borrow<Topology>,
        config: impl Borrow<Config>,
        wall_clock: Timestamp,
    ) -> Result<Self> {
        Self::with_handlers(topology, config, wall_clock, &Handlers::default())
    }

    /// Starts a topology with the wall clock at that time, and with exception handlers in place of
    /// the configured ones.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_handlers(
        topology: impl Borrow<Topology>,
        config: impl Borrow<Config>,
        wall_clock: Timestamp,
        handlers: &Handlers,
    ) -> Result<Self> {
        let machine = Machine::new(topology.borrow(), config.borrow(), handlers, wall_clock)?;
        Ok(Self { machine: Shared(Rc::new(RefCell::new(machine))) })
    }

    /// A topic to pipe records into. Records without a timestamp get the wall clock of this moment.
    pub fn create_input_topic<K, V>(&self, topic: &str, key: Serde<K>, value: Serde<V>) -> TestInputTopic<K, V> {
        let start = self.machine.get().wall_clock();
        self.create_input_topic_at(topic, key, value, start, Duration::ZERO)
    }

    /// A topic to pipe records into. Records without a timestamp get `start`, and each moves the
    /// time of the next on by `auto_advance`.
    pub fn create_input_topic_at<K, V>(
        &self,
        topic: &str,
        key: Serde<K>,
        value: Serde<V>,
        start: Timestamp,
        auto_advance: Duration,
    ) -> TestInputTopic<K, V> {
        TestInputTopic::new(self.machine.clone(), topic, (key, value), start, auto_advance)
    }

    /// A topic to read results from. It need not have been written yet.
    pub fn create_output_topic<K, V>(&self, topic: &str, key: Serde<K>, value: Serde<V>) -> TestOutputTopic<K, V> {
        TestOutputTopic::new(self.machine.clone(), topic, key, value)
    }

    /// Pipes bytes as they would lie in a topic, for records that a serde would not write.
    ///
    /// # Errors
    /// What the topology fails with, see [`TestInputTopic::pipe_input`].
    pub fn pipe_raw(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: Timestamp,
        headers: Headers,
    ) -> Result<()> {
        self.machine.get_mut().pipe(topic, key, value, timestamp, headers)
    }

    /// Takes the oldest record not read yet from a topic, as bytes; `None` when there is none.
    pub fn read_raw(&self, topic: &str) -> Option<RawRecord> {
        self.machine.get_mut().read(topic)
    }

    /// Moves the wall clock, fires the wall-clock punctuators that are due (each once), and
    /// processes what they lead to.
    ///
    /// # Errors
    /// What the topology fails with.
    pub fn advance_wall_clock_time(&self, by: Duration) -> Result<()> {
        self.machine.get_mut().advance(by)
    }

    /// The wall clock.
    pub fn wall_clock_time(&self) -> Timestamp {
        self.machine.get().wall_clock()
    }

    /// The topics that were written so far, sorted, internal ones included.
    pub fn produced_topic_names(&self) -> Vec<String> {
        self.machine.get().produced_topic_names()
    }

    /// Number of records written to a topic so far, read or not.
    pub fn produced_count(&self, topic: &str) -> usize {
        self.machine.get().produced_count(topic)
    }

    /// The names of all stores, global ones included, sorted.
    pub fn store_names(&self) -> Vec<String> {
        self.machine.get().store_names()
    }

    /// Records that the task has processed so far (`process-total`), those of repartition topics
    /// included.
    pub fn processed_records(&self) -> u64 {
        self.machine.get().processed()
    }

    /// Records dropped so far (`dropped-records-total`).
    pub fn dropped_records(&self) -> u64 {
        self.machine.get().dropped()
    }

    /// What the sensors of processors have measured ([`StreamsMetrics`](millstream_topology::StreamsMetrics)), by
    /// name.
    pub fn sensors(&self) -> Vec<(MetricName, f64)> {
        self.machine.get().sensors()
    }

    /// Commits and closes the processors. Topics of a closed driver can still be read.
    ///
    /// # Errors
    /// What the last commit fails with.
    pub fn close(self) -> Result<()> {
        self.machine.get_mut().close()
    }
}

impl fmt::Debug for TopologyTestDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopologyTestDriver").finish_non_exhaustive()
    }
}

/// A call that does not fit the state the driver is in.
pub(crate) fn state_error(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::State, message)
}
