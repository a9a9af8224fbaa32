use std::time::Duration;

use millstream_log::{CommittedOffset, PartitionHandle};
use millstream_topology::flow::{
    FlowBuild, FlowOptions, HandlerDecision, LogAndContinue, LogAndFail, SinkSpec, SourceSpec,
};
use millstream_topology::graph::Topology;
use millstream_topology::{Context, Incoming, Processor, ProcessorError, Timer};
use millstream_types::{Headers, Partition, Serdes};

use millstream_topology::flow::{DeserializationExceptionHandler, TimestampExtraction};
use millstream_types::config::TaskIdle;

use super::*;

/// Collects what a task writes, as `topic-partition key=value@timestamp`.
#[derive(Default)]
struct Collected {
    topics: Vec<String>,
    lines: Vec<String>,
}

impl TaskOutput for Collected {
    fn partition_count(&mut self, _: &Arc<str>) -> Result<i32> {
        Ok(2)
    }

    fn partition(&mut self, topic: &Arc<str>, partition: i32) -> PartitionHandle {
        self.topics.push(format!("{topic}-{partition}"));
        PartitionHandle(self.topics.len() as u32 - 1)
    }

    fn append(
        &mut self,
        to: PartitionHandle,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        _: &Headers,
    ) -> Result<()> {
        let text = |bytes: Option<&[u8]>| bytes.map_or("null".into(), String::from_utf8_lossy).into_owned();
        self.lines.push(format!("{} {}={}@{timestamp}", self.topics[to.0 as usize], text(key), text(value)));
        Ok(())
    }
}

/// Forwards, and reports stream time every 10 ms of it.
struct Reporter;

impl Processor for Reporter {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn init(&mut self, ctx: &mut Context<'_, String, String>) -> Result<(), ProcessorError> {
        ctx.schedule(Duration::from_millis(10), PunctuationType::StreamTime);
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, String, String>,
        record: Incoming<'_, String, String>,
    ) -> Result<(), ProcessorError> {
        ctx.forward_incoming(record);
        Ok(())
    }

    fn punctuate(
        &mut self,
        ctx: &mut Context<'_, String, String>,
        _: Timer,
        timestamp: Timestamp,
    ) -> Result<(), ProcessorError> {
        ctx.forward(millstream_types::Record::new("timer".into(), timestamp.to_string(), timestamp));
        Ok(())
    }
}

struct Fixture {
    task: Task,
    output: Collected,
    now: Now,
}

const TASK: TaskId = TaskId { subtopology: 0, partition: 0 };

fn options() -> TaskOptions {
    TaskOptions {
        extraction: TimestampExtraction::LogAndSkipOnInvalidTimestamp,
        deserialization_handler: Arc::new(LogAndContinue),
        dead_letter_topic: None,
        idle: TaskIdle::Never,
        buffered_records_max: 2,
        claims_first: false,
        globals: None,
    }
}

impl Fixture {
    fn new(options: &TaskOptions, metadata: &str) -> Self {
        let mut topology = Topology::new();
        topology
            .add_source("left", &["a"], SourceSpec::new(Serdes::string(), Serdes::string()))
            .add_source("right", &["b"], SourceSpec::new(Serdes::string(), Serdes::string()))
            .add_processor("reporter", || Reporter, &["left", "right"])
            .add_sink("sink", "out", SinkSpec::new(Serdes::string(), Serdes::string()), &["reporter"]);
        let nodes: Vec<Arc<str>> = topology.facts().nodes.iter().map(|node| Arc::clone(&node.name)).collect();
        let build = FlowBuild { task: TASK, application_id: "app".into(), internal_topics: Arc::default() };
        let flow_options =
            FlowOptions { dead_letter_topic: options.dead_letter_topic.clone(), ..FlowOptions::default() };
        let flow = topology
            .flow(&nodes, build, Arc::new(flow_options), &mut |_| Err(Error::new(ErrorKind::Fatal, "no stores")))
            .unwrap();
        let input = |topic: &str, source: &str| TaskInput {
            partition: TopicPartition::new(topic, 0),
            source: source.into(),
            position: Offset(0).into(),
            is_committed: true,
            metadata: metadata.to_owned(),
        };
        let mut task = Task::new(flow, vec![input("a", "left"), input("b", "right")], &[], options).unwrap();
        let (mut output, now) = (Collected::default(), Now::default());
        task.init(&mut output, now).unwrap();
        Self { task, output, now }
    }

    fn add(&mut self, topic: &str, offset: i64, value: &'static [u8], timestamp: i64) -> Result<bool> {
        let record = RawRecord {
            offset: Offset(offset),
            timestamp: Timestamp(timestamp),
            key: Some(Bytes::from_static(b"k")),
            value: Some(Bytes::from_static(value)),
            headers: Headers::new(),
        };
        let partition = TopicPartition::new(topic, 0);
        self.task.add_record(&mut self.output, self.now, &partition, &partition.topic, &record)
    }

    fn run(&mut self) -> usize {
        self.task.process(&mut self.output, self.now, usize::MAX).unwrap()
    }

    fn values(&self) -> Vec<&str> {
        self.output.lines.iter().filter_map(|line| line.split(['=', '@']).nth(1)).collect()
    }

    fn offsets(&self) -> Vec<(String, i64)> {
        self.task.committable().into_iter().map(|(partition, at)| (partition.to_string(), at.offset.0)).collect()
    }
}

#[test]
fn the_lowest_head_goes_first_and_a_partition_keeps_its_order() {
    let mut fixture = Fixture::new(&options(), "");
    for (topic, offset, value, timestamp) in
        [("a", 0, b"a5" as &[u8], 5), ("a", 1, b"a1", 1), ("b", 0, b"b3", 3), ("b", 1, b"b9", 9)]
    {
        assert!(fixture.add(topic, offset, value, timestamp).unwrap());
    }

    assert_eq!(fixture.run(), 4);
    assert_eq!(fixture.values(), ["b3", "a5", "a1", "b9"]);
    assert_eq!(fixture.task.stream_time(), Timestamp(9));
    assert_eq!(fixture.offsets(), [("a-0".to_owned(), 2), ("b-0".to_owned(), 2)]);
}

#[test]
fn only_what_is_processed_may_be_committed() {
    let mut fixture = Fixture::new(&options(), "");
    assert!(!fixture.task.needs_commit());
    fixture.add("a", 4, b"x", 1).unwrap();
    fixture.add("a", 7, b"y", 2).unwrap();

    assert_eq!(fixture.task.process(&mut fixture.output, fixture.now, 1).unwrap(), 1);
    // The first commit names all partitions, so that a missing offset is known to be a loss.
    assert_eq!(fixture.offsets(), [("a-0".to_owned(), 7), ("b-0".to_owned(), 0)]);
    fixture.task.start_commit();
    fixture.task.committed();
    assert!(!fixture.task.needs_commit());
    assert!(fixture.offsets().is_empty());
}

#[test]
fn undecodable_records_are_skipped_and_their_offset_can_be_committed() {
    let mut fixture = Fixture::new(&options(), "");
    fixture.add("a", 0, b"\xff\xfe", 1).unwrap();
    fixture.add("a", 1, b"\xff", 1).unwrap();
    fixture.add("b", 0, b"good", 5).unwrap();

    assert_eq!(fixture.task.process(&mut fixture.output, fixture.now, 2).unwrap(), 2);
    assert_eq!(fixture.task.take_dropped(), 2);
    assert!(fixture.output.lines.is_empty(), "the placeholders stand at time -1, so before the good record");
    fixture.run();
    assert_eq!(fixture.values(), ["good"]);
    assert_eq!(fixture.offsets(), [("a-0".to_owned(), 2), ("b-0".to_owned(), 1)]);
}

#[test]
fn an_undecodable_record_under_the_failing_handler_names_its_place_and_is_written_to_the_dead_letter_topic() {
    let options = TaskOptions {
        deserialization_handler: Arc::new(LogAndFail),
        dead_letter_topic: Some("dead".into()),
        ..options()
    };
    let mut fixture = Fixture::new(&options, "");

    let error = fixture.add("b", 3, b"\xff", 7).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Deserialization);
    assert_eq!(error.context().topic.as_deref(), Some("b"));
    assert_eq!((error.context().partition, error.context().offset), (Some(Partition(0)), Some(Offset(3))));
    assert_eq!(error.context().node.as_deref(), Some("right"));
    assert_eq!(fixture.output.lines.len(), 1);
    assert!(fixture.output.lines[0].starts_with("dead-"), "{:?}", fixture.output.lines);
}

#[test]
fn a_handler_that_panics_is_an_error() {
    struct Broken;
    impl DeserializationExceptionHandler for Broken {
        fn handle(
            &self,
            _: &millstream_topology::flow::ErrorHandlerContext,
            _: &Error,
        ) -> millstream_topology::flow::HandlerResponse {
            assert_eq!(HandlerDecision::Fail, HandlerDecision::Resume, "the handler is broken");
            millstream_topology::flow::HandlerResponse::resume()
        }
    }
    let mut fixture = Fixture::new(&TaskOptions { deserialization_handler: Arc::new(Broken), ..options() }, "");

    let error = fixture.add("a", 0, b"\xff", 1).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Fatal);
    assert!(error.to_string().contains("the handler is broken"), "{error}");
}

#[test]
fn negative_timestamps_are_dropped_and_counted() {
    let mut fixture = Fixture::new(&options(), "");
    fixture.add("a", 0, b"old", -1).unwrap();
    assert_eq!(fixture.task.take_dropped(), 1);
    assert_eq!(fixture.run(), 1, "it stands at the head, so that the offset after it is committed");
    // The first commit of a task names all its partitions.
    assert_eq!(fixture.offsets(), [("a-0".to_owned(), 1), ("b-0".to_owned(), 0)]);
}

#[test]
fn a_partition_is_paused_above_the_limit_and_resumed_at_it() {
    let mut fixture = Fixture::new(&options(), "");
    let change = |pause| FlowControl { partition: TopicPartition::new("a", 0), pause };
    for offset in 0..3 {
        fixture.add("a", offset, b"x", 1).unwrap();
    }
    assert_eq!(fixture.task.take_flow_control(), [change(true)]);
    fixture.task.process(&mut fixture.output, fixture.now, 1).unwrap();
    assert_eq!(fixture.task.take_flow_control(), [change(false)]);
}

#[test]
fn an_empty_partition_is_waited_for_as_configured() {
    let waits = |idle, right_end: Option<i64>, at_ms: u64| {
        let mut fixture = Fixture::new(&TaskOptions { idle, ..options() }, "");
        if let Some(end) = right_end {
            fixture.task.set_end(&TopicPartition::new("b", 0), Offset(end));
        }
        fixture.add("a", 0, b"x", 1).unwrap();
        let _ = fixture.task.is_ready(fixture.now);
        !fixture.task.is_ready(Now { mono_ns: at_ms * 1_000_000, wall_ms: 0 })
    };
    assert!(!waits(TaskIdle::Never, None, 0));
    assert!(waits(TaskIdle::Fetching, None, 1000), "the lag is not known");
    assert!(waits(TaskIdle::Fetching, Some(4), 1000), "records are on their way");
    assert!(!waits(TaskIdle::Fetching, Some(0), 0));
    assert!(waits(TaskIdle::Wait(Duration::from_millis(50)), Some(0), 49));
    assert!(!waits(TaskIdle::Wait(Duration::from_millis(50)), Some(0), 50));
}

#[test]
fn stream_time_timers_fire_after_records_and_stream_time_outlives_a_restart() {
    let mut fixture = Fixture::new(&options(), "");
    assert!(!fixture.task.punctuate_stream_time(&mut fixture.output, fixture.now).unwrap());
    fixture.add("a", 0, b"x", 2000).unwrap();
    fixture.run();
    assert!(fixture.task.punctuate_stream_time(&mut fixture.output, fixture.now).unwrap());
    assert_eq!(fixture.values(), ["x", "2000"]);
    let metadata = fixture.task.committable()[0].1.metadata.clone();
    assert_eq!(metadata, "AgAAAAAAAAfQ");

    let restarted = Fixture::new(&options(), &metadata);
    assert_eq!(restarted.task.stream_time(), Timestamp(2000));
}

/// A fetch of records that were written under leader epochs, and the epoch of what follows them.
fn fetched_under(epochs: &[i32], next: (i64, i32)) -> Fetched {
    let batch = |(offset, epoch): (usize, &i32)| {
        let mut builder = BatchBuilder::new();
        builder.append(Timestamp(1), Some(b"k"), Some(b"x"), &Headers::new());
        let mut bytes = builder.finish(Stamp::NONE, Compression::None).to_vec();
        bytes[..8].copy_from_slice(&(offset as i64).to_be_bytes());
        bytes[12..16].copy_from_slice(&epoch.to_be_bytes());
        Batch::parse(bytes.into()).unwrap().0
    };
    let (next, leader_epoch) = (Offset(next.0), next.1);
    let batches = epochs.iter().enumerate().map(batch).collect();
    let (partition, from, log_start) = (TopicPartition::new("a", 0), Offset(0), Offset(0));
    Fetched { partition, batches, from, next, leader_epoch, end: next, log_start }
}

fn epochs(offsets: &[(TopicPartition, CommittedOffset)]) -> Vec<(i64, i32)> {
    offsets.iter().map(|(_, at)| (at.offset.0, at.leader_epoch)).collect()
}

#[test]
fn offsets_are_committed_with_the_epoch_of_the_record_that_waits_or_of_the_last_that_was_read() {
    let mut fixture = Fixture::new(&options(), "");
    // A marker stands behind the records.
    fixture.task.add(&mut fixture.output, fixture.now, fetched_under(&[3, 4], (3, 5))).unwrap();
    assert_eq!(fixture.task.process(&mut fixture.output, fixture.now, 1).unwrap(), 1);
    assert_eq!(epochs(&fixture.task.committable())[0], (1, 4), "as Kafka Streams has it");
    fixture.run();
    assert_eq!(epochs(&fixture.task.committable())[0], (3, 5));

    let mut fixture = Fixture::new(&TaskOptions { claims_first: true, ..options() }, "");
    fixture.task.add(&mut fixture.output, fixture.now, fetched_under(&[3, 4], (3, 5))).unwrap();
    assert_eq!(epochs(&fixture.task.claim()), [(3, 5)]);
    let next = fixture.task.positions().next().map(|(_, next)| (next.offset.0, next.leader_epoch));
    assert_eq!(next, Some((3, 5)));
}
