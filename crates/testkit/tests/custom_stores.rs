//! Stores that users bring along, through the public traits: an engine below a table, and a whole
//! store.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use millstream_state::{
    ChangelogRecord, CommitMark, Engine, Origin, RestoreRecord, Scan, StateStore, StoreEnv, StoreFactory, StoreFacts,
    StoreKind, Stores, ValueAndTimestamp,
};
use millstream_testkit::TopologyTestDriver;
use millstream_topology::flow::{SinkSpec, SourceSpec};
use millstream_topology::{
    Context, Incoming, Materialized, Processor, ProcessorError, StoreHandle, StreamsBuilder, Topology,
};
use millstream_types::{Config, Headers, Offset, Result, Serdes, TaskId, Timestamp};

fn driver(topology: &Topology) -> TopologyTestDriver {
    let config = Config::builder().application_id("app").bootstrap_servers("memory:").build().unwrap();
    TopologyTestDriver::new(topology, config).unwrap()
}

/// Rows and mark of a store, kept by the test.
type Table = Arc<Mutex<(BTreeMap<Vec<u8>, Vec<u8>>, Option<CommitMark>)>>;

/// An engine over a table of the test.
struct TableEngine(Table);

impl Engine for TableEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.0.lock().unwrap().0.get(key).cloned())
    }

    fn scan(&self, from: Option<&[u8]>, to: Option<&[u8]>, is_reverse: bool) -> Result<Scan> {
        let is_in = |key: &[u8]| from.is_none_or(|from| from <= key) && to.is_none_or(|to| key < to);
        let table = self.0.lock().unwrap();
        let rows = table.0.iter().filter(|(key, _)| is_in(key)).map(|(key, value)| Ok((key.clone(), value.clone())));
        let mut rows: Vec<Result<(Vec<u8>, Vec<u8>)>> = rows.collect();
        if is_reverse {
            rows.reverse();
        }
        Ok(Box::new(rows.into_iter()))
    }

    fn apply(&mut self, writes: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>, mark: &CommitMark) -> Result<()> {
        let mut table = self.0.lock().unwrap();
        for (key, value) in writes {
            match value {
                Some(value) => table.0.insert(key.to_vec(), value.to_vec()),
                None => table.0.remove(key),
            };
        }
        table.1 = Some(mark.clone());
        Ok(())
    }

    fn mark(&self) -> Result<Option<CommitMark>> {
        Ok(self.0.lock().unwrap().1.clone())
    }

    fn wipe(&mut self) -> Result<()> {
        *self.0.lock().unwrap() = (BTreeMap::new(), None);
        Ok(())
    }

    fn is_persistent(&self) -> bool {
        true
    }
}

#[test]
fn a_table_over_an_engine_of_ones_own_is_cached_logged_and_read_as_any() {
    let table = Table::default();
    let topology = || {
        let table = Arc::clone(&table);
        let counts = Stores::persistent_timestamped_key_value_store("counts").with_engine(
            move |task: Option<TaskId>, facts: &StoreFacts| {
                assert_eq!((task.is_some(), &*facts.name), (true, "counts"));
                Ok(Box::new(TableEngine(Arc::clone(&table))) as Box<dyn Engine>)
            },
        );
        let builder = StreamsBuilder::new();
        let counts =
            builder.stream::<String, String>("in").group_by_key().count_with(Materialized::of_supplier(counts));
        counts.to_stream().to("out");
        builder.build().unwrap()
    };
    for expected in [1, 2] {
        // The second driver goes on with what the first one left in the table.
        let driver = driver(&topology());
        let input = driver.create_input_topic("in", Serdes::string(), Serdes::string());
        input.pipe_input_at("a".into(), "x".into(), Timestamp(expected)).unwrap();
        let counts = driver.timestamped_key_value_store::<String, i64>("counts").unwrap();
        let row = ValueAndTimestamp::new(expected, Timestamp(expected));
        assert_eq!(counts.get(&"a".into()).unwrap(), Some(row));
        assert_eq!(driver.produced_count("app-counts-changelog"), 1);
    }
    let (rows, mark) = &*table.lock().unwrap();
    assert_eq!(rows[b"a".as_slice()], [&2_i64.to_be_bytes()[..], &2_i64.to_be_bytes()].concat());
    assert!(mark.is_some());
}

/// A store of one number, whose changelog has one record for each commit.
struct Total {
    facts: StoreFacts,
    total: i64,
    is_changed: bool,
    time: Timestamp,
    engine: Box<dyn Engine>,
}

/// Makes totals.
struct TotalFactory(StoreFacts);

impl StoreFactory for TotalFactory {
    fn facts(&self) -> &StoreFacts {
        &self.0
    }

    fn build(&self, env: StoreEnv) -> Result<Box<dyn StateStore>> {
        let kept = env.engine.get(b"total")?.and_then(|bytes| bytes.try_into().ok());
        let total = kept.map_or(0, i64::from_be_bytes);
        let facts = self.0.clone();
        Ok(Box::new(Total { facts, total, is_changed: false, time: Timestamp(0), engine: env.engine }))
    }
}

impl StateStore for Total {
    fn facts(&self) -> &StoreFacts {
        &self.facts
    }

    fn enter(&mut self, origin: &Origin, _: &Headers) {
        self.time = origin.timestamp;
    }

    fn flush_cache(&mut self) -> Result<()> {
        Ok(())
    }

    fn drain_changelog(&mut self, sink: &mut dyn FnMut(ChangelogRecord<'_>) -> Result<()>) -> Result<()> {
        if !self.is_changed {
            return Ok(());
        }
        let (value, headers) = (self.total.to_be_bytes(), Headers::new());
        sink(ChangelogRecord { key: b"total", value: Some(&value), timestamp: self.time, headers: &headers })?;
        self.is_changed = false;
        Ok(())
    }

    fn row_count(&mut self) -> Result<u64> {
        Ok(1)
    }

    fn uncommitted_bytes(&self) -> usize {
        8
    }

    fn seal(&mut self) {}

    fn apply(&mut self, mark: &CommitMark) -> Result<()> {
        let value = self.total.to_be_bytes();
        self.engine.apply(&mut std::iter::once((b"total".as_slice(), Some(value.as_slice()))), mark)
    }

    fn mark(&self) -> Result<Option<CommitMark>> {
        self.engine.mark()
    }

    fn restore(&mut self, records: &[RestoreRecord<'_>], mark: &CommitMark) -> Result<()> {
        for value in records.iter().filter_map(|record| record.record.value?.try_into().ok()) {
            self.total = i64::from_be_bytes(value);
        }
        self.apply(mark)
    }

    fn wipe(&mut self) -> Result<()> {
        self.total = 0;
        self.engine.wipe()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// Adds all values up.
struct Adder(Option<StoreHandle<Total>>);

impl Processor for Adder {
    type KeyIn = String;
    type ValueIn = i64;
    type KeyOut = String;
    type ValueOut = i64;

    fn init(&mut self, ctx: &mut Context<'_, String, i64>) -> Result<(), ProcessorError> {
        self.0 = Some(ctx.store_handle("total")?);
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, String, i64>,
        record: Incoming<'_, String, i64>,
    ) -> Result<(), ProcessorError> {
        let record = record.into_record();
        let total = ctx.store(self.0.ok_or("not initialised")?);
        total.total += record.value;
        total.is_changed = true;
        let sum = total.total;
        ctx.forward(record.with_value(sum));
        Ok(())
    }
}

#[test]
fn a_store_of_ones_own_is_used_logged_and_restored() {
    let factory = || Arc::new(TotalFactory(StoreFacts::new("total", StoreKind::Custom))) as Arc<dyn StoreFactory>;
    let mut topology = Topology::new();
    topology
        .add_source("s", &["in"], SourceSpec::new(Serdes::string(), Serdes::long()))
        .add_processor("add", || Adder(None), &["s"])
        .add_state_store(factory(), &["add"])
        .add_sink("o", "out", SinkSpec::new(Serdes::string(), Serdes::long()), &["add"]);
    let driver = driver(&topology);
    let input = driver.create_input_topic("in", Serdes::string(), Serdes::long());
    for value in [3, 4] {
        input.pipe_input("a".into(), value).unwrap();
    }
    let out = driver.create_output_topic("out", Serdes::string(), Serdes::long());
    assert_eq!(out.read_values_to_list().unwrap(), [3, 7]);
    assert_eq!(driver.state_store::<Total>("total").unwrap().with(|store| Ok(store.total)).unwrap(), 7);
    let log = driver.create_output_topic("app-total-changelog", Serdes::string(), Serdes::long());
    assert_eq!(log.read_values_to_list().unwrap(), [3, 7]);

    // What the changelog holds makes the same store.
    let engines = millstream_state::MemoryEngines::new("test");
    let factory = factory();
    let engine = factory.open_engine(Some(TaskId { subtopology: 0, partition: 0 }), &engines).unwrap();
    let mut restored = factory.build(StoreEnv::new(engine)).unwrap();
    let (value, headers) = (7_i64.to_be_bytes(), Headers::new());
    let record = ChangelogRecord { key: b"total", value: Some(&value), timestamp: Timestamp(0), headers: &headers };
    let mark = CommitMark { changelog_offset: Offset(1), ..CommitMark::default() };
    restored.restore(&[RestoreRecord { offset: Offset(1), record }], &mark).unwrap();
    assert_eq!(restored.as_any().downcast_ref::<Total>().unwrap().total, 7);
    assert_eq!(restored.mark().unwrap(), Some(mark));
}
