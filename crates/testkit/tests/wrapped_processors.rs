//! Wrappers around the processors of a topology: which ones they reach, and what they may do there.

use std::sync::{Arc, Mutex, PoisonError};

use millstream_state::{KeyValueStore, StoreFactory, Stores};
use millstream_testkit::TopologyTestDriver;
use millstream_topology::{
    AnyContext, AnyProcessor, AnyRecord, Context, FixedKeyContext, FixedKeyIncoming, FixedKeyProcessor, Incoming,
    Processor, ProcessorError, ProcessorWrapper, StreamsBuilder, Timer,
};
use millstream_types::{Record, Result, Serdes, Timestamp};

type Log = Arc<Mutex<Vec<String>>>;

/// Notes what reaches each processor, and counts it in a store that every processor gets.
struct Noting {
    log: Log,
    seen: Arc<dyn StoreFactory>,
}

struct Noted {
    name: String,
    log: Log,
    inner: Box<dyn AnyProcessor>,
}

impl Noted {
    fn note(&self, what: &str) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{} {what}", self.name));
    }
}

impl ProcessorWrapper for Noting {
    fn wrap(&self, name: &str, inner: Box<dyn AnyProcessor>) -> Box<dyn AnyProcessor> {
        Box::new(Noted { name: name.to_owned(), log: Arc::clone(&self.log), inner })
    }

    fn stores(&self, _: &str) -> Vec<Arc<dyn StoreFactory>> {
        vec![Arc::clone(&self.seen)]
    }
}

impl AnyProcessor for Noted {
    fn init(&mut self, ctx: &mut AnyContext<'_>) -> Result<(), ProcessorError> {
        assert_eq!(ctx.node_name(), self.name);
        self.note("init");
        self.inner.init(ctx)
    }

    fn process(&mut self, ctx: &mut AnyContext<'_>, record: AnyRecord<'_>) -> Result<(), ProcessorError> {
        let key = record.view::<i64, i64>().map(|record| record.key);
        self.note(&format!("{key:?} at {}", ctx.timestamp().0));
        let seen = ctx.store_handle::<KeyValueStore<String, i64>>("seen")?;
        let count = ctx.store(seen).get(&self.name)?.unwrap_or(0) + 1;
        ctx.store(seen).put(&self.name, Some(count))?;
        self.inner.process(ctx, record)
    }

    fn punctuate(&mut self, ctx: &mut AnyContext<'_>, timer: Timer, now: Timestamp) -> Result<(), ProcessorError> {
        self.inner.punctuate(ctx, timer, now)
    }

    fn flush(&mut self, ctx: &mut AnyContext<'_>) -> Result<(), ProcessorError> {
        self.inner.flush(ctx)
    }

    fn close(&mut self) {
        self.note("close");
        self.inner.close();
    }
}

struct Negate;

impl FixedKeyProcessor for Negate {
    type Key = i64;
    type ValueIn = i64;
    type ValueOut = i64;

    fn process(
        &mut self,
        ctx: &mut FixedKeyContext<'_, i64, i64>,
        record: FixedKeyIncoming<'_, i64, i64>,
    ) -> Result<(), ProcessorError> {
        let negative = -record.value;
        ctx.forward(record.into_record().with_value(negative));
        Ok(())
    }
}

struct Swap;

impl Processor for Swap {
    type KeyIn = i64;
    type ValueIn = i64;
    type KeyOut = i64;
    type ValueOut = i64;

    fn process(
        &mut self,
        ctx: &mut Context<'_, i64, i64>,
        record: Incoming<'_, i64, i64>,
    ) -> Result<(), ProcessorError> {
        ctx.forward(Record::new(record.value, record.key, record.timestamp));
        Ok(())
    }
}

#[test]
fn operators_and_processors_are_wrapped_and_get_the_wrappers_stores() -> Result<()> {
    let builder = StreamsBuilder::new();
    builder.global_table::<i64, i64>("rates");
    let input = builder.stream::<i64, i64>("in");
    let negated = input.named("positive").filter(|_, value| *value > 0).named("negate").process_values(|| Negate);
    negated.named("swap").process(|| Swap).to("out");
    let mut topology = builder.build()?;
    let log = Log::default();
    let seen = Stores::in_memory_key_value_store("seen");
    let seen = Stores::key_value_store_builder(seen, Serdes::string(), Serdes::long()).into_factory();
    let described = topology.describe().to_string();
    topology.wrap_processors(Noting { log: Arc::clone(&log), seen });
    assert_eq!(topology.describe().to_string(), described.replace("(stores: [])", "(stores: [seen])"));

    let driver = TopologyTestDriver::with_defaults(&topology)?;
    driver.create_input_topic("rates", Serdes::long(), Serdes::long()).pipe_input_at(1, 1, Timestamp(0))?;
    let topic = driver.create_input_topic("in", Serdes::long(), Serdes::long());
    topic.pipe_input_at(1, 2, Timestamp(5))?;
    topic.pipe_input_at(1, -2, Timestamp(6))?;
    let out = driver.create_output_topic("out", Serdes::long(), Serdes::long());
    assert_eq!(out.read_key_values_to_list()?, [(-2, 1)]);
    let counts = driver.key_value_store::<String, i64>("seen")?;
    assert_eq!((counts.get(&"positive".to_owned())?, counts.get(&"swap".to_owned())?), (Some(2), Some(1)));
    driver.close()?;

    let log = log.lock().expect("nobody panics");
    let process = |node: &str, time: i64| format!("{node} Some(1) at {time}");
    let expected = ["positive init", "negate init", "swap init"].map(str::to_owned).into_iter();
    let expected = expected.chain([process("positive", 5), process("negate", 5), process("swap", 5)]);
    let expected = expected.chain([process("positive", 6)]);
    let expected = expected.chain(["positive close", "negate close", "swap close"].map(str::to_owned));
    assert_eq!(*log, expected.collect::<Vec<_>>());
    Ok(())
}

/// Takes the place of a processor and forwards what it must not.
struct Wrong;

impl ProcessorWrapper for Wrong {
    fn wrap(&self, _: &str, _: Box<dyn AnyProcessor>) -> Box<dyn AnyProcessor> {
        Box::new(Self)
    }
}

impl AnyProcessor for Wrong {
    fn init(&mut self, _: &mut AnyContext<'_>) -> Result<(), ProcessorError> {
        Ok(())
    }

    fn process(&mut self, ctx: &mut AnyContext<'_>, record: AnyRecord<'_>) -> Result<(), ProcessorError> {
        let Some(record) = record.typed::<i64, i64>() else { return Err("other types".into()) };
        let text = record.into_record().with_value("text".to_owned());
        ctx.forwarding::<i64, String>()?.forward(text);
        Ok(())
    }

    fn punctuate(&mut self, _: &mut AnyContext<'_>, _: Timer, _: Timestamp) -> Result<(), ProcessorError> {
        Ok(())
    }

    fn flush(&mut self, _: &mut AnyContext<'_>) -> Result<(), ProcessorError> {
        Ok(())
    }

    fn close(&mut self) {}
}

#[test]
fn a_wrapper_that_forwards_other_types_is_told_which() -> Result<()> {
    let builder = StreamsBuilder::new();
    builder.stream::<i64, i64>("in").named("swap").process(|| Swap).to("out");
    let mut topology = builder.build()?;
    topology.wrap_processors(Wrong);
    let driver = TopologyTestDriver::with_defaults(topology)?;
    let error = driver.create_input_topic("in", Serdes::long(), Serdes::long()).pipe_input(1, 2).expect_err("wrong");
    assert_eq!(error.message(), "processor swap forwards (i64, i64), not (i64, alloc::string::String)");
    Ok(())
}
