//! A processor that a test calls by hand, with a context that stands for the task.

use std::time::Duration;

use millstream_state::{KeyValueStore, Stores};
use millstream_testkit::MockProcessorContext;
use millstream_topology::{Context, Incoming, Processor, ProcessorError, PunctuationType, Timer};
use millstream_types::{Config, Headers, Offset, Partition, Record, RecordMetadata, Serdes, Timestamp};

/// Counts in a store, sends every other count to a child of its own, and asks for a commit then.
struct Counter;

impl Processor for Counter {
    type KeyIn = i64;
    type ValueIn = ();
    type KeyOut = i64;
    type ValueOut = i64;

    fn init(&mut self, ctx: &mut Context<'_, i64, i64>) -> Result<(), ProcessorError> {
        ctx.schedule(Duration::from_secs(1), PunctuationType::WallClockTime);
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, i64, i64>,
        record: Incoming<'_, i64, ()>,
    ) -> Result<(), ProcessorError> {
        let counts = ctx.store_handle::<KeyValueStore<i64, i64>>("counts")?;
        let count = ctx.store(counts).get(&record.key)?.unwrap_or(0) + 1;
        ctx.store(counts).put(&record.key, Some(count))?;
        let offset = ctx.record_metadata().offset.0;
        let counted = Record::new(record.key, count + offset, record.timestamp);
        if count % 2 == 0 {
            ctx.commit();
            ctx.forward_to("even", counted)?;
        } else {
            ctx.forward(counted);
        }
        Ok(())
    }

    fn punctuate(&mut self, ctx: &mut Context<'_, i64, i64>, _: Timer, now: Timestamp) -> Result<(), ProcessorError> {
        let (stream_time, wall_clock) = (ctx.stream_time(), ctx.wall_clock_time());
        ctx.forward(Record::new(stream_time.0, wall_clock.0, now));
        Ok(())
    }
}

#[test]
fn a_test_calls_its_processor_and_sees_what_it_did() -> Result<(), ProcessorError> {
    let config = Config::builder().application_id("mock").bootstrap_servers("memory:").build()?;
    let counts =
        Stores::key_value_store_builder(Stores::in_memory_key_value_store("counts"), Serdes::long(), Serdes::long());
    let mut mock = MockProcessorContext::with_children(&config, [counts.into_factory()], &["all", "even"])?;
    let mut counter = Counter;
    counter.init(&mut mock.context()?)?;

    let record = |time: i64| Record::new(7, (), Timestamp(time));
    counter.process(&mut mock.context()?, Incoming::Lent(&record(1)))?;
    assert!(!mock.is_commit_requested());
    let metadata = RecordMetadata { topic: Some("in".into()), partition: Partition(0), offset: Offset(100) };
    mock.set_record(metadata, Timestamp(2), Headers::new());
    counter.process(&mut mock.context()?, Incoming::Lent(&record(2)))?;
    assert!(mock.is_commit_requested());
    assert_eq!(mock.forwarded_to("all"), [Record::new(7, 0, Timestamp(1))]);
    assert_eq!(mock.forwarded_to("even"), [Record::new(7, 0, Timestamp(1)), Record::new(7, 102, Timestamp(2))]);
    mock.reset_commit();
    mock.reset_forwards();

    assert!(mock.set_stream_time(Timestamp(5_000))?.is_empty());
    assert!(mock.set_wall_clock_time(Timestamp(999))?.is_empty());
    for timer in mock.set_wall_clock_time(Timestamp(1_000))? {
        counter.punctuate(&mut mock.context()?, timer, Timestamp(1_000))?;
    }
    assert_eq!(mock.forwarded_to("all"), [Record::new(5_000, 1_000, Timestamp(1_000))]);
    assert!(!mock.is_commit_requested());
    Ok(())
}
