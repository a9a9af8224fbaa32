//! What the test driver does, and when. Expected results were seen with Kafka Streams 4.3's driver.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use millstream_runtime::Handlers;
use millstream_state::{KeyValueStore, Stores, ValueAndTimestamp};
use millstream_testkit::{TestOutputTopic, TestRecord, TopologyTestDriver};
use millstream_topology::dsl::{Consumed, GlobalKTable, Materialized, StreamsBuilder};
use millstream_topology::flow::{LogAndContinue, SinkSpec, SourceSpec};
use millstream_topology::graph::Topology;
use millstream_topology::{
    Context, FixedKeyContext, FixedKeyIncoming, FixedKeyProcessor, FixedKeyRecord, Incoming, Processor, ProcessorError,
    PunctuationType, StoreHandle, Timer,
};
use millstream_types::config::HandlerChoice;
use millstream_types::{Config, ConfigBuilder, ErrorKind, Headers, Record, Serdes, Timestamp};

type Forward<'a> = Context<'a, String, i64>;

fn config() -> ConfigBuilder {
    Config::builder().application_id("app").bootstrap_servers("memory:")
}

fn source() -> SourceSpec<String, i64> {
    SourceSpec::new(Serdes::string(), Serdes::long())
}

fn sink() -> SinkSpec<String, i64> {
    SinkSpec::new(Serdes::string(), Serdes::long())
}

fn driver(topology: &Topology, config: ConfigBuilder) -> TopologyTestDriver {
    TopologyTestDriver::with_start(topology, config.build().unwrap(), Timestamp(0)).unwrap()
}

fn output(driver: &TopologyTestDriver, topic: &str) -> TestOutputTopic<String, i64> {
    driver.create_output_topic(topic, Serdes::string(), Serdes::long())
}

/// Key, value and time of all records left.
fn all(topic: &TestOutputTopic<String, i64>) -> Vec<(String, i64, i64)> {
    let records = topic.read_records_to_list().unwrap();
    records.into_iter().map(|record| (record.key, record.value, record.timestamp.unwrap().0)).collect()
}

fn named(records: &[(&str, i64, i64)]) -> Vec<(String, i64, i64)> {
    records.iter().map(|(key, value, time)| ((*key).to_owned(), *value, *time)).collect()
}

/// Passes records on; with a kind, counts them and reports the count every 10 ms of that clock.
struct Ticker(Option<PunctuationType>, i64);

impl Processor for Ticker {
    type KeyIn = String;
    type ValueIn = i64;
    type KeyOut = String;
    type ValueOut = i64;

    fn init(&mut self, ctx: &mut Forward<'_>) -> Result<(), ProcessorError> {
        if let Some(kind) = self.0 {
            ctx.schedule(Duration::from_millis(10), kind);
        }
        Ok(())
    }

    fn process(&mut self, ctx: &mut Forward<'_>, record: Incoming<'_, String, i64>) -> Result<(), ProcessorError> {
        self.1 += 1;
        if record.value < 0 {
            return Err("a negative value".into());
        }
        if self.0.is_none() {
            ctx.forward_incoming(record);
        }
        Ok(())
    }

    fn punctuate(&mut self, ctx: &mut Forward<'_>, _: Timer, time: Timestamp) -> Result<(), ProcessorError> {
        ctx.forward(Record::new("tick".to_owned(), self.1, time));
        Ok(())
    }
}

fn ticking(kind: Option<PunctuationType>) -> Topology {
    let mut topology = Topology::new();
    topology.add_source("s", &["in"], source()).add_processor("p", move || Ticker(kind, 0), &["s"]).add_sink(
        "o",
        "out",
        sink(),
        &["p"],
    );
    topology
}

#[test]
fn stream_time_timers_fire_after_the_record_that_moves_time() {
    let driver = driver(&ticking(Some(PunctuationType::StreamTime)), config());
    let input = driver.create_input_topic("in", Serdes::string(), Serdes::long());
    for time in [3, 9, 12, 45, 49, 50] {
        input.pipe_input_at("a".into(), 1, Timestamp(time)).unwrap();
    }
    let ticks = named(&[("tick", 1, 3), ("tick", 3, 12), ("tick", 4, 45), ("tick", 6, 50)]);
    assert_eq!(all(&output(&driver, "out")), ticks);
}

#[test]
fn wall_clock_timers_fire_when_the_clock_is_moved() {
    let driver = driver(&ticking(Some(PunctuationType::WallClockTime)), config());
    let out = output(&driver, "out");
    for by in [0, 5, 5, 25, 5] {
        driver.advance_wall_clock_time(Duration::from_millis(by)).unwrap();
    }
    assert_eq!(all(&out), named(&[("tick", 0, 10), ("tick", 0, 35), ("tick", 0, 40)]));
    assert_eq!(driver.wall_clock_time(), Timestamp(40));
}

#[test]
fn a_record_that_cannot_be_read_does_not_move_time() {
    let config = config().deserialization_exception_handler(HandlerChoice::Continue);
    let driver = driver(&ticking(Some(PunctuationType::StreamTime)), config);
    let input = driver.create_input_topic("in", Serdes::string(), Serdes::long());
    input.pipe_input_at("a".into(), 1, Timestamp(0)).unwrap();
    driver.pipe_raw("in", Some(b"a"), Some(b"\0"), Timestamp(50), Headers::new()).unwrap();
    input.pipe_input_at("a".into(), 1, Timestamp(1)).unwrap();
    assert_eq!(all(&output(&driver, "out")), named(&[("tick", 1, 0)]));
    assert_eq!(driver.dropped_records(), 1);
}

#[test]
fn records_of_topics_that_are_read_again_come_back_lowest_time_first() {
    struct Shift;
    impl Processor for Shift {
        type KeyIn = String;
        type ValueIn = i64;
        type KeyOut = String;
        type ValueOut = i64;
        fn process(&mut self, ctx: &mut Forward<'_>, record: Incoming<'_, String, i64>) -> Result<(), ProcessorError> {
            let time = Timestamp((record.timestamp.0 - 5).max(0));
            ctx.forward(record.into_record().with_timestamp(time));
            Ok(())
        }
    }
    let mut topology = Topology::new();
    topology
        .add_source("s", &["in"], source())
        .add_sink("to-ra", "ra", sink(), &["s"])
        .add_processor("shift", || Shift, &["s"])
        .add_sink("to-rb", "rb", sink(), &["shift"])
        .add_source("ra", &["ra"], source())
        .add_source("rb", &["rb"], source())
        .add_processor("merge", || Ticker(None, 0), &["ra", "rb"])
        .add_sink("o", "out", sink(), &["merge"]);
    let driver = driver(&topology, config());
    let input = driver.create_input_topic("in", Serdes::string(), Serdes::long());
    input.pipe_input_at("a".into(), 1, Timestamp(10)).unwrap();
    input.pipe_input_at("b".into(), 2, Timestamp(2)).unwrap();
    assert_eq!(all(&output(&driver, "out")), named(&[("a", 1, 5), ("a", 1, 10), ("b", 2, 0), ("b", 2, 2)]));
    assert_eq!(driver.produced_topic_names(), ["out", "ra", "rb"]);
    assert_eq!(output(&driver, "ra").queue_size(), 2);
}

#[test]
fn idle_time_lets_records_wait_for_the_other_topic_or_the_clock() {
    let mut topology = Topology::new();
    topology
        .add_source("s", &["a"], source())
        .add_source("u", &["b"], source())
        .add_processor("m", || Ticker(None, 0), &["s", "u"])
        .add_sink("o", "out", sink(), &["m"]);
    let driver = driver(&topology, config().max_task_idle(Duration::from_millis(10)));
    let (a, b) = (
        driver.create_input_topic("a", Serdes::string(), Serdes::long()),
        driver.create_input_topic("b", Serdes::string(), Serdes::long()),
    );
    let out = output(&driver, "out");
    a.pipe_input_at("k".into(), 1, Timestamp(10)).unwrap();
    a.pipe_input_at("k".into(), 2, Timestamp(11)).unwrap();
    assert!(out.is_empty());
    b.pipe_input_at("k".into(), 3, Timestamp(5)).unwrap();
    assert_eq!(all(&out), named(&[("k", 3, 5)]));
    driver.advance_wall_clock_time(Duration::from_millis(10)).unwrap();
    assert_eq!(all(&out), named(&[("k", 1, 10), ("k", 2, 11)]));
    a.pipe_input_at("k".into(), 4, Timestamp(12)).unwrap();
    assert_eq!(all(&out), named(&[("k", 4, 12)]));
}

#[test]
fn an_error_surfaces_from_the_pipe_and_ends_the_driver() {
    let driver = driver(&ticking(None), config());
    let input = driver.create_input_topic("in", Serdes::string(), Serdes::long());
    input.pipe_input("a".into(), 1).unwrap();
    let error = input.pipe_input("a".into(), -1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Processing);
    assert_eq!(error.context().node.as_deref(), Some("p"));
    assert_eq!(input.pipe_input("a".into(), 1).unwrap_err().kind(), ErrorKind::State);
    assert_eq!(all(&output(&driver, "out")), named(&[("a", 1, 0)]));
    driver.close().unwrap();
}

#[test]
fn a_handler_that_continues_drops_the_record() {
    let driver = driver(&ticking(None), config().processing_exception_handler(HandlerChoice::Continue));
    let input = driver.create_input_topic("in", Serdes::string(), Serdes::long());
    input.pipe_key_value_list([("a".into(), 1), ("a".into(), -1), ("b".into(), 2)]).unwrap();
    assert_eq!(all(&output(&driver, "out")), named(&[("a", 1, 0), ("b", 2, 0)]));
    assert_eq!(driver.dropped_records(), 1);
}

#[test]
fn a_topic_that_nothing_reads_is_refused() {
    let driver = driver(&ticking(None), config());
    let input = driver.create_input_topic("other", Serdes::string(), Serdes::long());
    assert_eq!(input.pipe_input("a".into(), 1).unwrap_err().kind(), ErrorKind::State);
    assert!(output(&driver, "out").read_value().is_err());
}

#[test]
fn an_input_topic_gives_times_and_a_record_may_have_its_own() {
    let driver = driver(&ticking(None), config());
    let (start, advance) = (Timestamp(100), Duration::from_millis(5));
    let input = driver.create_input_topic_at("in", Serdes::string(), Serdes::long(), start, advance);
    let mut headers = Headers::new();
    headers.add("trace", None);
    input.pipe_input("a".into(), 1).unwrap();
    input
        .pipe_record(TestRecord::new("b".into(), 2).with_timestamp(Timestamp(7)).with_headers(headers.clone()))
        .unwrap();
    input.advance_time(Duration::from_millis(1));
    input.pipe_input("c".into(), 3).unwrap();
    let out = output(&driver, "out");
    assert_eq!(out.read_key_value().unwrap(), ("a".into(), 1));
    let second = out.read_record().unwrap();
    assert_eq!((second.timestamp, second.headers), (Some(Timestamp(7)), headers));
    assert_eq!(all(&out), named(&[("c", 3, 106)]));
    assert_eq!(input.time(), Timestamp(111));
}

#[test]
fn lists_take_the_topics_times_or_times_of_their_own() {
    let driver = driver(&ticking(None), config());
    let (start, step) = (Timestamp(100), Duration::from_millis(5));
    let input = driver.create_input_topic_at("in", Serdes::string(), Serdes::long(), start, step);
    let records = [TestRecord::new("a".to_owned(), 1), TestRecord::new("b".into(), 2).with_timestamp(Timestamp(7))];
    input.pipe_record_list(records).unwrap();
    let pairs = [("c".to_owned(), 3), ("d".to_owned(), 4)];
    input.pipe_key_value_list_at(pairs, Timestamp(20), Duration::from_millis(2)).unwrap();
    input.pipe_key_value_list([("e".to_owned(), 5)]).unwrap();
    let out = output(&driver, "out");
    assert_eq!(all(&out), named(&[("a", 1, 100), ("b", 2, 7), ("c", 3, 20), ("d", 4, 22), ("e", 5, 105)]));
    assert_eq!((driver.processed_records(), driver.dropped_records()), (5, 0));
}

#[test]
fn values_without_keys_may_have_their_times() {
    let builder = StreamsBuilder::new();
    builder.stream::<Option<String>, i64>("in").to("out");
    let driver = driver(&builder.build().unwrap(), config());
    let key = || Serdes::string().optional();
    let input = driver.create_input_topic("in", key(), Serdes::long());
    input.pipe_value_at(1, Timestamp(9)).unwrap();
    input.pipe_value_list_at([2, 3], Timestamp(5), Duration::from_millis(3)).unwrap();
    let records = driver.create_output_topic("out", key(), Serdes::long()).read_records_to_list().unwrap();
    let times: Vec<_> = records.into_iter().map(|record| (record.key, record.value, record.timestamp)).collect();
    assert_eq!(times, [(None, 1, Some(Timestamp(9))), (None, 2, Some(Timestamp(5))), (None, 3, Some(Timestamp(8)))]);
}

/// Adds values up by key.
struct Sum(Option<StoreHandle<KeyValueStore<String, i64>>>);

impl Processor for Sum {
    type KeyIn = String;
    type ValueIn = i64;
    type KeyOut = String;
    type ValueOut = i64;

    fn init(&mut self, ctx: &mut Forward<'_>) -> Result<(), ProcessorError> {
        self.0 = Some(ctx.store_handle("sums")?);
        Ok(())
    }

    fn process(&mut self, ctx: &mut Forward<'_>, record: Incoming<'_, String, i64>) -> Result<(), ProcessorError> {
        let handle = self.0.ok_or("not initialised")?;
        let record = record.into_record();
        let store = ctx.store(handle);
        let sum = store.get(&record.key)?.unwrap_or(0) + record.value;
        store.put(&record.key, Some(sum))?;
        ctx.forward(record.with_value(sum));
        Ok(())
    }
}

#[test]
fn stores_can_be_read_and_filled_while_records_are_piped() {
    let mut topology = Topology::new();
    topology
        .add_source("s", &["in"], source())
        .add_processor("sum", || Sum(None), &["s"])
        .add_state_store(
            Stores::key_value_store_builder("sums", Serdes::string(), Serdes::long()).into_factory(),
            &["sum"],
        )
        .add_sink("o", "out", sink(), &["sum"]);
    let driver = driver(&topology, config());
    assert_eq!(driver.store_names(), ["sums"]);
    let sums = driver.key_value_store::<String, i64>("sums").unwrap();
    sums.put(&"a".into(), Some(40)).unwrap();
    let input = driver.create_input_topic("in", Serdes::string(), Serdes::long());
    input.pipe_input("a".into(), 2).unwrap();
    input.pipe_input("b".into(), 1).unwrap();
    assert_eq!(sums.get(&"a".into()).unwrap(), Some(42));
    assert_eq!(sums.all().unwrap(), [("a".into(), 42), ("b".into(), 1)]);
    assert_eq!(driver.produced_count("app-sums-changelog"), 3);
    let map = output(&driver, "out").read_key_values_to_map().unwrap();
    assert_eq!(map, [("a".to_owned(), 42), ("b".to_owned(), 1)].into());
    assert!(driver.key_value_store::<String, String>("sums").is_err());
    assert!(driver.window_store::<String, i64>("none").is_err());
}

#[test]
fn a_global_table_is_filled_at_once_and_can_be_read() {
    let builder = StreamsBuilder::new();
    let names: GlobalKTable<String, String> = builder.global_table_with(
        "names",
        Consumed::with(Serdes::string(), Serdes::string()),
        Materialized::named("names-store"),
    );
    builder
        .stream::<String, i64>("in")
        .join_global(&names, |key, _| key.clone(), |value, name| format!("{name} {value}"))
        .to("out");
    let driver = driver(&builder.build().unwrap(), config());
    let names = driver.create_input_topic("names", Serdes::string(), Serdes::string());
    let input = driver.create_input_topic("in", Serdes::string(), Serdes::long());
    let out = driver.create_output_topic("out", Serdes::string(), Serdes::string());
    input.pipe_input("a".into(), 1).unwrap();
    names.pipe_input_at("a".into(), "Ada".into(), Timestamp(5)).unwrap();
    input.pipe_input("a".into(), 2).unwrap();
    assert_eq!(out.read_key_values_to_list().unwrap(), [("a".into(), "Ada 2".into())]);
    let store = driver.global_store("names-store", Serdes::string(), Serdes::string()).unwrap();
    assert_eq!(store.get(&"a".into()).unwrap(), Some(ValueAndTimestamp::new("Ada".to_owned(), Timestamp(5))));
    assert_eq!(store.all().unwrap().len(), 1);
    assert_eq!(driver.store_names(), ["names-store"]);
    assert!(driver.global_store("in", Serdes::string(), Serdes::string()).is_err());
}

/// Keeps the longest text of each key of its topic in a global store; `boom` fails.
struct Longest(Option<StoreHandle<KeyValueStore<String, String>>>);

impl Processor for Longest {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = ();
    type ValueOut = ();

    fn init(&mut self, ctx: &mut Context<'_, (), ()>) -> Result<(), ProcessorError> {
        self.0 = Some(ctx.store_handle("longest")?);
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, (), ()>,
        record: Incoming<'_, String, String>,
    ) -> Result<(), ProcessorError> {
        if record.value == "boom" {
            return Err("the value is boom".into());
        }
        let store = ctx.store(self.0.ok_or("not initialised")?);
        let known = store.get(&record.key)?.unwrap_or_default();
        if record.value.len() > known.len() {
            store.put(&record.key, Some(record.value.clone()))?;
        }
        Ok(())
    }
}

/// Sends on what the global store knows of a key.
struct Ask;

impl Processor for Ask {
    type KeyIn = String;
    type ValueIn = i64;
    type KeyOut = String;
    type ValueOut = String;

    fn process(
        &mut self,
        ctx: &mut Context<'_, String, String>,
        record: Incoming<'_, String, i64>,
    ) -> Result<(), ProcessorError> {
        let known = ctx.global_value("longest", &record.key, &Serdes::string(), &Serdes::string())?;
        ctx.forward(record.into_record().with_value(known.unwrap_or_default()));
        Ok(())
    }
}

#[test]
fn a_global_store_is_what_its_processor_makes_of_the_topic() {
    let builder = StreamsBuilder::new();
    // Logging and caching are nothing to a global store.
    let store = Stores::key_value_store_builder("longest", Serdes::string(), Serdes::string()).with_caching_enabled();
    builder.add_global_store(store, "texts", Consumed::with(Serdes::string(), Serdes::string()), || Longest(None));
    builder.stream::<String, i64>("in").process(|| Ask).to("out");
    let topology = builder.build().unwrap();
    assert!(topology.describe().to_string().contains(
        "Sub-topology: 0 for global store (will not generate tasks)\n    Source: KSTREAM-SOURCE-0000000000 (topics: \
         [texts])\n      --> KTABLE-SOURCE-0000000001"
    ));
    let driver = driver(&topology, config());
    let texts = driver.create_input_topic("texts", Serdes::string(), Serdes::string());
    let input = driver.create_input_topic("in", Serdes::string(), Serdes::long());
    for text in ["mill", "millstream", "stream"] {
        texts.pipe_input("a".into(), text.into()).unwrap();
    }
    input.pipe_input("a".into(), 1).unwrap();
    let out = driver.create_output_topic("out", Serdes::string(), Serdes::string());
    assert_eq!(out.read_key_values_to_list().unwrap(), [("a".into(), "millstream".into())]);
    let longest = driver.key_value_store::<String, String>("longest").unwrap();
    assert_eq!(longest.get(&"a".into()).unwrap().as_deref(), Some("millstream"));
    assert_eq!(driver.produced_topic_names(), ["out"]);
}

#[test]
fn a_processor_of_a_global_store_asks_the_handler_only_where_it_is_enabled() {
    let topology = || {
        let mut topology = Topology::new();
        let store = Stores::key_value_store_builder("longest", Serdes::string(), Serdes::string());
        let spec = SourceSpec::new(Serdes::string(), Serdes::string());
        topology.add_global_store(store, "source", spec, "texts", "keep", || Longest(None));
        topology.check().unwrap();
        topology
    };
    for is_enabled in [false, true] {
        let config = config()
            .set("processing.exception.handler", "continue")
            .set("processing.exception.handler.global.enabled", is_enabled);
        let driver = driver(&topology(), config);
        let texts = driver.create_input_topic("texts", Serdes::string(), Serdes::string());
        assert_eq!(texts.pipe_input("a".into(), "boom".into()).is_ok(), is_enabled);
        assert_eq!(driver.dropped_records(), u64::from(is_enabled));
    }
}

#[test]
fn a_cached_count_shows_every_record_of_a_repartition_topic() {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, i64>("in")
        .group_by(|_, value| format!("g{}", value % 2))
        .count_with(Materialized::named("counts"))
        .to_stream()
        .to("out");
    let driver = driver(&builder.build().unwrap(), config());
    let input = driver.create_input_topic("in", Serdes::string(), Serdes::long());
    for (value, time) in [(1, 0), (1, 1), (3, 2)] {
        input.pipe_input_at("a".into(), value, Timestamp(time)).unwrap();
    }
    assert_eq!(all(&output(&driver, "out")), named(&[("g1", 1, 0), ("g1", 2, 1), ("g1", 3, 2)]));
    assert_eq!(driver.produced_topic_names(), ["app-counts-changelog", "app-counts-repartition", "out"]);
    let counts = driver.timestamped_key_value_store::<String, i64>("counts").unwrap();
    assert_eq!(counts.all().unwrap(), [("g1".to_owned(), ValueAndTimestamp::new(3, Timestamp(2)))]);
}

#[test]
fn a_handler_given_in_code_comes_before_the_configured_one() {
    let topology = ticking(None);
    let handlers = Handlers { processing: Some(Arc::new(LogAndContinue)), ..Handlers::default() };
    let config = config().build().unwrap();
    let driver = TopologyTestDriver::with_handlers(&topology, config, Timestamp(0), &handlers).unwrap();
    let input = driver.create_input_topic("in", Serdes::string(), Serdes::long());
    input.pipe_input("a".into(), -1).unwrap();
    assert_eq!(driver.dropped_records(), 1);
}

/// Counts what it has seen and reports that with each record, and with the last one every 10 ms; its
/// first count is configured.
#[derive(Default)]
struct Seen(i64, Option<FixedKeyRecord<String, i64>>);

impl FixedKeyProcessor for Seen {
    type Key = String;
    type ValueIn = i64;
    type ValueOut = i64;

    fn init(&mut self, ctx: &mut FixedKeyContext<'_, String, i64>) -> Result<(), ProcessorError> {
        for (key, value) in ctx.app_configs_with_prefix("seen.") {
            assert_eq!(key, "first");
            self.0 = value.parse()?;
        }
        ctx.schedule(Duration::from_millis(10), PunctuationType::WallClockTime);
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut FixedKeyContext<'_, String, i64>,
        record: FixedKeyIncoming<'_, String, i64>,
    ) -> Result<(), ProcessorError> {
        self.0 += 1;
        assert_eq!(ctx.source_raw_key().as_deref(), Some(record.key.as_bytes()));
        assert_eq!(ctx.source_raw_value().as_deref(), Some(&1_i64.to_be_bytes()[..]));
        assert!(ctx.state_dir().is_some_and(|dir| dir.ends_with(ctx.application_id())));
        let record = record.into_record().with_value(self.0);
        self.1 = Some(record.clone());
        ctx.forward(record.with_timestamp(Timestamp(7)));
        Ok(())
    }

    fn punctuate(
        &mut self,
        ctx: &mut FixedKeyContext<'_, String, i64>,
        _: Timer,
        _: Timestamp,
    ) -> Result<(), ProcessorError> {
        assert_eq!((ctx.source_raw_key(), ctx.source_raw_value()), (None, None));
        if let Some(record) = self.1.take() {
            ctx.forward(record.with_value(-self.0));
        }
        Ok(())
    }
}

#[test]
fn a_processor_that_keeps_the_key_is_configured_and_may_have_timers() {
    let builder = StreamsBuilder::new();
    builder.stream::<String, i64>("in").process_values(Seen::default).to("out");
    let driver = driver(&builder.build().unwrap(), config().set("seen.first", 40));
    let input = driver.create_input_topic("in", Serdes::string(), Serdes::long());
    input.pipe_input_at("a".into(), 1, Timestamp(3)).unwrap();
    input.pipe_input_at("b".into(), 1, Timestamp(5)).unwrap();
    driver.advance_wall_clock_time(Duration::from_millis(10)).unwrap();
    assert_eq!(all(&output(&driver, "out")), named(&[("a", 41, 7), ("b", 42, 7), ("b", -42, 5)]));
}
