//! Topologies with more than one sub-topology, global tables, timers, several inputs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millstream_log::{Log, OffsetSpec};
use millstream_state::{KeyValueStore, MemoryEngines, Stores};
use millstream_topology::graph::Topology;
use millstream_topology::{
    Consumed, Context, Incoming, Processor, ProcessorError, PunctuationType, SinkSpec, SourceSpec, StoreHandle,
    StreamsBuilder, Timer,
};
use millstream_types::{Offset, ProcessingGuarantee, Record, Serdes, Timestamp, TopicPartition};

use crate::support::*;

/// Words of lines, counted behind a repartition topic.
pub fn word_count() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count()
        .to_stream()
        .map_values(|count| count.unwrap_or_default().to_string())
        .to("out");
    builder.build().unwrap()
}

/// The last value of each key.
fn table(world: &World, topic: &str) -> BTreeMap<String, String> {
    let pair = |line: String| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    world.lines(topic).into_iter().filter_map(pair).collect()
}

#[test]
fn words_are_counted_behind_a_repartition_topic() {
    for guarantee in GUARANTEES {
        let mut world = World::new(&[("in", 3), ("out", 1)]);
        let config = config(guarantee).num_stream_threads(2).build().unwrap();
        let mut app = App::new(&world, &word_count(), &config, disk());
        for partition in 0..3 {
            world.produce("in", partition, &[("1", "a b a", 1), ("2", "c a", 2)]);
        }
        world.settle(&mut [&mut app]);
        app.assert_running();
        let expected = [("a", "9"), ("b", "3"), ("c", "3")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(table(&world, "out"), BTreeMap::from(expected), "{guarantee:?}");

        // Killed, and started again somewhere else.
        drop(app);
        world.produce("in", 0, &[("1", "a d", 3)]);
        let mut app = App::new(&world, &word_count(), &config, Arc::new(MemoryEngines::simulated_disk("process-2")));
        world.settle_for(&mut [&mut app], 60_000);
        app.assert_running();
        let expected =
            [("a", "10"), ("b", "3"), ("c", "3"), ("d", "1")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(table(&world, "out"), BTreeMap::from(expected), "{guarantee:?}");
        app.close(&mut world);
    }
}

#[test]
fn repartition_topics_are_created_as_kafka_streams_does_and_purged() {
    let mut world = World::new(&[("in", 2), ("out", 1)]);
    let config =
        config(ProcessingGuarantee::ExactlyOnceV2).repartition_purge_interval(Duration::from_secs(1)).build().unwrap();
    let mut app = App::new(&world, &word_count(), &config, disk());
    world.produce("in", 0, &[("1", "a a a a", 1)]);
    world.settle(&mut [&mut app]);
    let topics = answer(world.log.admin().list_topics());
    let repartition = topics.iter().find(|topic| topic.name.ends_with("-repartition")).unwrap();
    assert!(repartition.name.starts_with("app-"), "{}", repartition.name);
    assert_eq!(repartition.partitions, 2);
    assert!(repartition.configs.contains(&("cleanup.policy".to_owned(), "delete".to_owned())));
    let name = Arc::clone(&repartition.name);
    assert_eq!(world.records(&name).len(), 4);

    world.settle_for(&mut [&mut app], 2000);

    app.assert_running();
    let partitions: Vec<_> = (0..2).map(|partition| TopicPartition::new(Arc::clone(&name), partition)).collect();
    let starts = answer(world.log.admin().offsets(&partitions, OffsetSpec::Start));
    assert!(starts.iter().any(|start| *start > Offset(0)), "{starts:?}");
    assert_eq!(world.records(&name).len(), 0);
    world.produce("in", 0, &[("1", "a", 1)]);
    world.settle(&mut [&mut app]);
    assert_eq!(table(&world, "out")["a"], "5");
    app.close(&mut world);
}

#[test]
fn a_global_table_is_filled_before_the_first_record_and_followed() {
    let topology = || {
        let builder = StreamsBuilder::new();
        let names = builder.global_table::<String, String>("names");
        builder
            .stream::<String, String>("in")
            .join_global(&names, |_, value| value.clone(), |value, name| format!("{value}:{name}"))
            .to("out");
        builder.build().unwrap()
    };
    let mut world = World::new(&[("names", 2), ("in", 1), ("out", 1)]);
    world.produce("names", 0, &[("AA", "American", 0)]);
    world.produce("names", 1, &[("UA", "United", 0)]);
    world.produce("in", 0, &[("1", "AA", 1), ("2", "UA", 2), ("3", "DL", 3)]);
    let config = config(ProcessingGuarantee::ExactlyOnceV2).build().unwrap();
    let engines = disk();
    let mut app = App::new(&world, &topology(), &config, engines.clone());
    world.settle(&mut [&mut app]);
    app.assert_running();
    assert_eq!(world.lines("out"), ["1=AA:American", "2=UA:United"]);

    world.produce("names", 0, &[("DL", "Delta", 0), ("AA", "American Airlines", 0)]);
    world.settle(&mut [&mut app]);
    world.produce("in", 0, &[("4", "DL", 4), ("5", "AA", 5)]);
    world.settle(&mut [&mut app]);
    assert_eq!(world.lines("out")[2..], ["4=DL:Delta", "5=AA:American Airlines"]);
    app.close(&mut world);

    // A restart reads on behind the mark.
    let mut app = App::new(&world, &topology(), &config, engines);
    world.produce("in", 0, &[("6", "UA", 6)]);
    world.settle(&mut [&mut app]);
    assert_eq!(world.lines("out")[4..], ["6=UA:United"]);
    app.close(&mut world);
}

#[test]
fn no_record_meets_a_global_table_that_is_being_filled_anew() {
    let builder = StreamsBuilder::new();
    let names = builder.global_table::<String, String>("names");
    builder
        .stream::<String, String>("in")
        .left_join_global(&names, |_, value| value.clone(), |value, name| format!("{value}:{name:?}"))
        .to("out");
    let mut world = World::new(&[("names", 1), ("in", 1), ("out", 1)]);
    world.produce("names", 0, &[("AA", "American", 0)]);
    let config = config(ProcessingGuarantee::ExactlyOnceV2).build().unwrap();
    let mut app = App::new(&world, &builder.build().unwrap(), &config, disk());
    world.settle(&mut [&mut app]);

    // The table's reader comes too late for a record.
    world.produce("names", 0, &[("UA", "United", 0), ("AA", "American Airlines", 0)]);
    answer(world.log.admin().delete_records(&[(TopicPartition::new("names", 0), Offset(2))]));
    world.produce("in", 0, &[("1", "AA", 1), ("2", "AA", 2)]);
    world.settle_for(&mut [&mut app], 2000);

    app.assert_running();
    assert_eq!(world.lines("out"), ["1=AA:Some(\"American Airlines\")", "2=AA:Some(\"American Airlines\")"]);
    app.close(&mut world);
}

/// Counts the records of each key of a global store's topic.
struct Tally(Option<StoreHandle<KeyValueStore<String, i64>>>);

impl Processor for Tally {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = ();
    type ValueOut = ();

    fn init(&mut self, ctx: &mut Context<'_, (), ()>) -> Result<(), ProcessorError> {
        self.0 = Some(ctx.store_handle("tally")?);
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, (), ()>,
        record: Incoming<'_, String, String>,
    ) -> Result<(), ProcessorError> {
        let store = ctx.store(self.0.ok_or("not initialised")?);
        let count = store.get(&record.key)?.unwrap_or(0) + 1;
        store.put(&record.key, Some(count))?;
        Ok(())
    }
}

/// Forwards the tally of a record's value.
struct AskTally;

impl Processor for AskTally {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn process(
        &mut self,
        ctx: &mut Context<'_, String, String>,
        record: Incoming<'_, String, String>,
    ) -> Result<(), ProcessorError> {
        let count = ctx.global_value("tally", &record.value, &Serdes::string(), &Serdes::long())?;
        ctx.forward(record.into_record().with_value(count.unwrap_or(0).to_string()));
        Ok(())
    }
}

#[test]
fn a_global_store_with_a_processor_reads_each_record_once_over_restarts() {
    let topology = || {
        let builder = StreamsBuilder::new();
        let store = Stores::key_value_store_builder("tally", Serdes::string(), Serdes::long());
        let consumed = Consumed::with(Serdes::string(), Serdes::string());
        builder.add_global_store(store, "votes", consumed, || Tally(None));
        builder.stream::<String, String>("in").process(|| AskTally).to("out");
        builder.build().unwrap()
    };
    let mut world = World::new(&[("votes", 2), ("in", 1), ("out", 1)]);
    world.produce("votes", 0, &[("a", "x", 0), ("a", "x", 0)]);
    world.produce("votes", 1, &[("b", "x", 0)]);
    world.produce("in", 0, &[("1", "a", 1)]);
    let config = config(ProcessingGuarantee::ExactlyOnceV2).build().unwrap();
    let engines = disk();
    let mut app = App::new(&world, &topology(), &config, engines.clone());
    world.settle(&mut [&mut app]);
    app.assert_running();
    assert_eq!(world.lines("out"), ["1=2"]);
    world.produce("votes", 0, &[("a", "x", 0)]);
    world.settle(&mut [&mut app]);
    app.close(&mut world);

    world.produce("votes", 1, &[("a", "x", 0)]);
    let mut app = App::new(&world, &topology(), &config, engines);
    world.produce("in", 0, &[("2", "a", 1), ("3", "b", 1)]);
    world.settle(&mut [&mut app]);
    assert_eq!(world.lines("out")[1..], ["2=4", "3=1"]);
    app.close(&mut world);
}

#[test]
fn a_global_topic_that_is_missing_ends_the_thread_with_its_name() {
    let builder = StreamsBuilder::new();
    let names = builder.global_table::<String, String>("names");
    builder
        .stream::<String, String>("in")
        .join_global(&names, |_, value| value.clone(), |value, name| format!("{value}:{name}"))
        .to("out");
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let config = config(ProcessingGuarantee::AtLeastOnce).build().unwrap();
    let mut app = App::new(&world, &builder.build().unwrap(), &config, disk());
    world.settle(&mut [&mut app]);
    let error = app.globals.as_ref().unwrap().error().unwrap().to_string();
    assert!(error.contains("names"), "{error}");
}

/// Forwards nothing but what its timers say.
struct Ticker;

impl Processor for Ticker {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn init(&mut self, ctx: &mut Context<'_, String, String>) -> Result<(), ProcessorError> {
        ctx.schedule(Duration::from_secs(1), PunctuationType::WallClockTime);
        Ok(())
    }

    fn process(
        &mut self,
        _: &mut Context<'_, String, String>,
        _: Incoming<'_, String, String>,
    ) -> Result<(), ProcessorError> {
        Ok(())
    }

    fn punctuate(
        &mut self,
        ctx: &mut Context<'_, String, String>,
        _: Timer,
        timestamp: Timestamp,
    ) -> Result<(), ProcessorError> {
        ctx.forward(Record::new("tick".into(), ctx.stream_time().to_string(), timestamp));
        Ok(())
    }
}

#[test]
fn wall_clock_timers_fire_without_records_and_are_committed() {
    let mut topology = Topology::new();
    topology
        .add_source("source", &["in"], SourceSpec::new(Serdes::string(), Serdes::string()))
        .add_processor("ticker", || Ticker, &["source"])
        .add_sink("sink", "out", SinkSpec::new(Serdes::string(), Serdes::string()), &["ticker"]);
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let config = config(ProcessingGuarantee::ExactlyOnceV2).build().unwrap();
    let mut app = App::new(&world, &topology, &config, disk());
    world.produce("in", 0, &[("k", "x", 77)]);
    for _ in 0..320 {
        app.step(world.now);
        world.pass(10);
    }
    app.assert_running();
    app.close(&mut world);
    assert_eq!(world.lines("out"), ["tick=77", "tick=77", "tick=77"]);
}

#[test]
fn records_of_two_topics_meet_in_the_order_of_their_timestamps() {
    let builder = StreamsBuilder::new();
    let left = builder.stream::<String, String>("left");
    let right = builder.stream::<String, String>("right");
    left.merge(&right).to("out");
    let topology = builder.build().unwrap();
    for guarantee in GUARANTEES {
        let mut world = World::new(&[("left", 1), ("right", 1), ("out", 1)]);
        let left: Vec<(String, i64)> = (0..50).map(|at| (format!("l{at}"), at * 2)).collect();
        let right: Vec<(String, i64)> = (0..50).map(|at| (format!("r{at}"), at * 2 + 1)).collect();
        for (topic, records) in [("left", &left), ("right", &right)] {
            let records: Vec<_> = records.iter().map(|(value, at)| ("k", value.as_str(), *at)).collect();
            world.produce(topic, 0, &records);
        }
        let config = config(guarantee).build().unwrap();
        let mut app = App::new(&world, &topology, &config, disk());
        world.settle(&mut [&mut app]);
        app.assert_running();
        let times: Vec<i64> = world.records("out").iter().map(|(_, record)| record.timestamp.0).collect();
        assert_eq!(times, (0..100).collect::<Vec<_>>(), "{guarantee:?}");
        app.close(&mut world);
    }
}

#[test]
fn an_empty_partition_is_waited_for_as_long_as_configured() {
    let builder = StreamsBuilder::new();
    let left = builder.stream::<String, String>("left");
    left.merge(&builder.stream::<String, String>("right")).to("out");
    let mut world = World::new(&[("left", 1), ("right", 1), ("out", 1)]);
    let config = config(ProcessingGuarantee::AtLeastOnce).max_task_idle(Duration::from_millis(400)).build().unwrap();
    let mut app = App::new(&world, &builder.build().unwrap(), &config, disk());
    world.settle(&mut [&mut app]);
    // Both were empty for long; the wait begins when one of them is the only empty one.
    world.produce("left", 0, &[("k", "l", 5)]);
    world.produce("right", 0, &[("k", "r", 1)]);
    world.settle(&mut [&mut app]);
    assert_eq!(world.lines("out"), ["k=r", "k=l"]);
    world.settle_for(&mut [&mut app], 1000);
    app.assert_running();
    app.close(&mut world);
}

#[test]
fn a_large_backlog_is_processed_with_bounded_queues() {
    let mut world = World::new(&[("in", 2), ("out", 1)]);
    let config = config(ProcessingGuarantee::ExactlyOnceV2).buffered_records_per_partition(100).build().unwrap();
    let mut app = App::new(&world, &counting(), &config, disk());
    let keys: Vec<String> = (0..5000).map(|key| format!("{}", key % 37)).collect();
    for partition in 0..2 {
        let records: Vec<_> = keys.iter().map(|key| (key.as_str(), "x", 1)).collect();
        world.produce("in", partition, &records);
    }
    world.settle(&mut [&mut app]);
    app.assert_running();
    assert_eq!(world.lines("out").len(), 10_000);
    assert_eq!(app.instance.metrics().lag(), 0);
    app.close(&mut world);
}

#[test]
fn a_full_disk_under_a_global_store_is_waited_for() {
    let builder = StreamsBuilder::new();
    let names = builder.global_table::<String, String>("names");
    builder
        .stream::<String, String>("in")
        .join_global(&names, |_, value| value.clone(), |value, name| format!("{value}:{name}"))
        .to("out");
    let mut world = World::new(&[("names", 1), ("in", 1), ("out", 1)]);
    world.produce("names", 0, &[("AA", "American", 0)]);
    world.produce("in", 0, &[("1", "AA", 1)]);
    let config = config(ProcessingGuarantee::ExactlyOnceV2).build().unwrap();
    let (engines, refusals) = crate::failures::full_disk(u32::MAX);
    let mut app = App::new(&world, &builder.build().unwrap(), &config, engines);
    world.settle(&mut [&mut app]);
    assert!(world.lines("out").is_empty(), "no task runs before its global stores are filled");

    refusals.store(0, std::sync::atomic::Ordering::SeqCst);
    world.settle_for(&mut [&mut app], 5000);

    app.assert_running();
    assert_eq!(world.lines("out"), ["1=AA:American"]);
    app.close(&mut world);
}
