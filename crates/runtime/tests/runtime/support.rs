//! What the tests of the step share: a log in memory, a clock turned by hand, an application that
//! counts.

use std::sync::Arc;
use std::time::Duration;

use millstream_log::{Call, EmbeddedLog, Isolation, Log, NewTopic, Options, Outcome, ReaderEvent};
use millstream_runtime::{Components, GlobalThread, Handlers, Instance, Step, StreamThread};
use millstream_state::{EngineProvider, KeyValueStore, MemoryEngines, Stores};
use millstream_topology::graph::Topology;
use millstream_topology::{Context, Incoming, Processor, ProcessorError, SinkSpec, SourceSpec, StoreHandle};
use millstream_types::config::ConfigBuilder;
use millstream_types::{
    Clock, Config, Headers, Now, Offset, ProcessingGuarantee, RawRecord, Serdes, Timestamp, TopicPartition,
};

pub const MS: u64 = 1_000_000;

/// Answers at once: the memory log always does.
pub fn answer<T>(mut call: Call<T>) -> T {
    match call.poll(Now::default()) {
        Outcome::Done(answer) => answer,
        Outcome::Failed(failure) => panic!("{failure}"),
        Outcome::Pending => panic!("the memory log answers at once"),
    }
}

/// A clock that stands still; steps are told the time.
pub struct StandingClock;

impl Clock for StandingClock {
    fn now(&self) -> Now {
        Now::default()
    }
}

/// A log and the time.
pub struct World {
    pub log: EmbeddedLog,
    pub now: Now,
}

impl World {
    pub fn new(topics: &[(&str, i32)]) -> Self {
        let log = EmbeddedLog::memory(Options { seed: Some(7), auto_create_topics: false, ..Options::default() });
        let world = Self { log, now: Now { mono_ns: MS, wall_ms: 1_700_000_000_000 } };
        world.create(topics);
        world
    }

    pub fn create(&self, topics: &[(&str, i32)]) {
        let topic = |(name, partitions): &(&str, i32)| NewTopic {
            name: (*name).into(),
            partitions: *partitions,
            replication_factor: -1,
            configs: vec![],
        };
        answer(self.log.admin().create_topics(&topics.iter().map(topic).collect::<Vec<_>>()));
    }

    /// Writes records: key, value, timestamp.
    pub fn produce(&self, topic: &str, partition: i32, records: &[(&str, &str, i64)]) {
        let mut writer = self.log.writer(None);
        answer(writer.init());
        let to = writer.partition(&TopicPartition::new(topic, partition));
        for (key, value, timestamp) in records {
            let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
            writer.append(to, Timestamp(*timestamp), key, value, &Headers::new()).unwrap();
        }
        answer(writer.flush());
    }

    /// All committed records of a topic, partition by partition.
    pub fn records(&self, topic: &str) -> Vec<(i32, RawRecord)> {
        let metadata = answer(self.log.admin().topics(&[topic.into()])).remove(0);
        let Some(metadata) = metadata else { return Vec::new() };
        let mut records = Vec::new();
        for partition in 0..metadata.partitions {
            let partition = TopicPartition::new(topic, partition);
            let start =
                answer(self.log.admin().offsets(std::slice::from_ref(&partition), millstream_log::OffsetSpec::Start))
                    [0];
            let mut reader = self.log.reader(Isolation::ReadCommitted);
            reader.assign(&[(partition.clone(), start.into())]);
            loop {
                let mut events = Vec::new();
                reader.poll(self.now, 1 << 20, &mut events);
                if events.is_empty() {
                    break;
                }
                for event in events {
                    let ReaderEvent::Fetched(fetched) = event else { panic!("{event:?}") };
                    for batch in &fetched.batches {
                        let mut cursor = batch.cursor(fetched.from).unwrap();
                        while let Some(record) = cursor.next_record().unwrap() {
                            records.push((partition.partition.0, record.to_raw()));
                        }
                    }
                }
            }
        }
        records
    }

    /// Committed records of a topic as `key=value`, sorted by partition and offset.
    pub fn lines(&self, topic: &str) -> Vec<String> {
        let text = |bytes: &Option<bytes::Bytes>| match bytes {
            Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            None => "null".to_owned(),
        };
        let line = |(_, record): &(i32, RawRecord)| format!("{}={}", text(&record.key), text(&record.value));
        self.records(topic).iter().map(line).collect()
    }

    /// The committed offset of a group.
    pub fn committed(&self, topic: &str, partition: i32) -> Option<Offset> {
        let partition = TopicPartition::new(topic, partition);
        answer(self.log.admin().committed("app", &[partition])).remove(0).map(|at| at.offset)
    }

    /// Steps all applications until nothing happens for as long as `quiet_ms`; time passes by 10 ms
    /// whenever nobody can do anything.
    pub fn settle_for(&mut self, apps: &mut [&mut App], quiet_ms: u64) {
        let mut quiet = 0;
        for _ in 0..200_000 {
            let mut progress = false;
            for app in apps.iter_mut() {
                progress |= app.step(self.now);
            }
            if progress {
                quiet = 0;
                continue;
            }
            if quiet >= quiet_ms {
                return;
            }
            self.pass(10);
            quiet += 10;
        }
        panic!("the applications do not come to rest");
    }

    pub fn settle(&mut self, apps: &mut [&mut App]) {
        self.settle_for(apps, 500);
    }

    pub fn pass(&mut self, ms: u64) {
        self.now.mono_ns += ms * MS;
        self.now.wall_ms += ms as i64;
    }
}

/// The threads of one instance, stepped by hand.
pub struct App {
    pub instance: Instance,
    pub threads: Vec<StreamThread>,
    pub globals: Option<GlobalThread>,
}

impl App {
    pub fn new(world: &World, topology: &Topology, config: &Config, engines: Arc<dyn EngineProvider>) -> Self {
        Self::with_handlers(world, topology, config, engines, Handlers::default())
    }

    pub fn with_handlers(
        world: &World,
        topology: &Topology,
        config: &Config,
        engines: Arc<dyn EngineProvider>,
        handlers: Handlers,
    ) -> Self {
        Self::on(Arc::new(world.log.clone()), topology, config, engines, handlers)
    }

    pub fn on(
        log: Arc<dyn Log>,
        topology: &Topology,
        config: &Config,
        engines: Arc<dyn EngineProvider>,
        handlers: Handlers,
    ) -> Self {
        let components = Components { log, engines, clock: Arc::new(StandingClock), handlers };
        let instance = Instance::new(topology, config, &components).unwrap();
        let threads = (1..=config.num_stream_threads()).map(|number| instance.stream_thread(number)).collect();
        let globals = instance.global_thread();
        Self { instance, threads, globals }
    }

    pub fn step(&mut self, now: Now) -> bool {
        let mut progress = false;
        if let Some(globals) = &mut self.globals {
            progress |= globals.step(now) == Step::Progress;
        }
        for thread in &mut self.threads {
            progress |= thread.step(now) == Step::Progress;
        }
        progress
    }

    /// The error that ended a thread.
    pub fn error(&self) -> Option<String> {
        self.threads.iter().find_map(|thread| thread.error()).map(ToString::to_string)
    }

    #[track_caller]
    pub fn assert_running(&self) {
        for thread in &self.threads {
            assert!(thread.error().is_none(), "{:?}", thread.error());
        }
    }

    /// Commits, closes and leaves.
    pub fn close(mut self, world: &mut World) {
        for thread in &self.threads {
            thread.stop();
        }
        if let Some(globals) = &self.globals {
            globals.stop();
        }
        world.settle(&mut [&mut self]);
        for thread in &mut self.threads {
            assert_eq!(thread.step(world.now), Step::Stopped);
            assert!(thread.error().is_none(), "{:?}", thread.error());
        }
    }
}

pub fn config(guarantee: ProcessingGuarantee) -> ConfigBuilder {
    Config::builder()
        .application_id("app")
        .set("max.poll.interval.ms", 45_000)
        .bootstrap_servers("memory:")
        .processing_guarantee(guarantee)
        .commit_interval(Duration::from_millis(100))
}

pub fn disk() -> Arc<MemoryEngines> {
    Arc::new(MemoryEngines::simulated_disk("process-1"))
}

pub const GUARANTEES: [ProcessingGuarantee; 2] = [ProcessingGuarantee::AtLeastOnce, ProcessingGuarantee::ExactlyOnceV2];

/// Counts records by key; fails on the value `boom`, panics on `panic`.
pub struct Counter {
    store: Option<StoreHandle<KeyValueStore<String, i64>>>,
}

impl Processor for Counter {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn init(&mut self, ctx: &mut Context<'_, String, String>) -> Result<(), ProcessorError> {
        self.store = Some(ctx.store_handle("counts")?);
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, String, String>,
        record: Incoming<'_, String, String>,
    ) -> Result<(), ProcessorError> {
        if record.value == "boom" {
            return Err("the value is boom".into());
        }
        assert_ne!(record.value, "panic", "the value is panic");
        let store = ctx.store(self.store.ok_or("not initialised")?);
        let count = store.get(&record.key)?.unwrap_or(0) + 1;
        store.put(&record.key, Some(count))?;
        ctx.forward(record.into_record().with_value(count.to_string()));
        Ok(())
    }
}

/// `in` -> counted by key in the store `counts` -> `out`.
pub fn counting() -> Topology {
    counting_of(&["in"])
}

/// The same of several topics.
pub fn counting_of(topics: &[&str]) -> Topology {
    let mut topology = Topology::new();
    let counts = Stores::key_value_store_builder("counts", Serdes::string(), Serdes::long());
    topology
        .add_source("source", topics, SourceSpec::new(Serdes::string(), Serdes::string()))
        .add_processor("counter", || Counter { store: None }, &["source"])
        .add_state_store(counts, &["counter"])
        .add_sink("sink", "out", SinkSpec::new(Serdes::string(), Serdes::string()), &["counter"]);
    topology
}
