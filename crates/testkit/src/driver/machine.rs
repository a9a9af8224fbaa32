//! The one task, its topics, and the loop that runs until nothing is left to do.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millstream_runtime::{Applied, Handlers, StoreChangelog, Task, TaskInput, TaskOptions};
use millstream_state::{CacheBudget, CommitMark, MemoryBudget, MemoryEngines, StateStore, StoreEnv};
use millstream_topology::flow::{Flow, FlowBuild, FlowOptions, MetricName, StreamsMetrics};
use millstream_topology::graph::{NodeKind, TopicPattern, Topology};
use millstream_types::clock::{millis, nanos};
use millstream_types::{
    Config, Error, ErrorKind, Headers, Now, Offset, RawRecord, Result, TaskId, Timestamp, TopicPartition,
};

use super::collector::{Collector, Produced};
use super::globals::Globals;
use super::idle_order;
use super::state_error;

const TASK: TaskId = TaskId { subtopology: 0, partition: 0 };

/// What the handles of a driver share.
pub(crate) struct Machine {
    task: Option<Task>,
    output: Collector,
    pub(super) globals: Globals,
    now: Now,
    /// Offset of the next record of each queue of the task: one a topic, and one a pattern, named
    /// after it.
    sources: BTreeMap<Arc<str>, i64>,
    patterns: Vec<TopicPattern>,
    topics: BTreeMap<Arc<str>, Topic>,
    processed: u64,
    dropped: u64,
    metrics: StreamsMetrics,
    is_failed: bool,
}

/// What was written to a topic.
#[derive(Default)]
struct Topic {
    /// Not read yet.
    waiting: VecDeque<RawRecord>,
    produced: usize,
}

impl Machine {
    pub(super) fn new(
        topology: &Topology,
        config: &Config,
        handlers: &Handlers,
        wall_clock: Timestamp,
    ) -> Result<Self> {
        topology.check()?;
        let options = handlers.flow_options(config);
        let metrics = options.metrics.clone();
        let globals = Globals::new(topology, config, &options, wall_clock.0)?;
        let mut inputs = inputs(topology, config);
        idle_order::sort(&mut inputs);
        let sources = inputs.iter().map(|input| (Arc::clone(&input.partition.topic), 0)).collect();
        let task =
            if inputs.is_empty() { None } else { Some(task(topology, config, handlers, options, inputs, &globals)?) };
        let now = Now { mono_ns: 0, wall_ms: wall_clock.0 };
        let mut machine = Self {
            task,
            output: Collector::default(),
            globals,
            now,
            sources,
            patterns: patterns(topology)?,
            topics: BTreeMap::new(),
            processed: 0,
            dropped: 0,
            metrics,
            is_failed: false,
        };
        if let Some(task) = &mut machine.task {
            task.init(&mut machine.output, now)?;
            let partitions: Vec<TopicPartition> = task.positions().map(|(partition, _)| partition.clone()).collect();
            for partition in partitions {
                task.set_end(&partition, Offset(0));
            }
        }
        machine.move_produced()?;
        Ok(machine)
    }

    /// Takes a record in and runs until nothing is left to do.
    pub(super) fn pipe(
        &mut self,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp: Timestamp,
        headers: Headers,
    ) -> Result<()> {
        self.check()?;
        let record = Produced {
            topic: topic.into(),
            key: key.map(Bytes::copy_from_slice),
            value: value.map(Bytes::copy_from_slice),
            timestamp,
            headers,
        };
        self.check_name(topic)?;
        if self.queue_of(topic).is_none() && !self.globals.is_fed_by(topic) {
            return Err(state_error(format!("no source of the topology reads topic {topic}")));
        }
        let outcome = self.take_in(&record).and_then(|()| self.run());
        self.settle(outcome)
    }

    /// Moves the wall clock.
    pub(super) fn advance(&mut self, by: Duration) -> Result<()> {
        self.check()?;
        self.now.mono_ns = self.now.mono_ns.saturating_add(nanos(by));
        self.now.wall_ms = self.now.wall_ms.saturating_add(millis(by));
        let outcome = self.punctuate().and_then(|()| self.run());
        self.settle(outcome)
    }

    pub(super) fn sensors(&self) -> Vec<(MetricName, f64)> {
        self.metrics.values(Timestamp(self.now.wall_ms))
    }

    /// Commits and closes the processors.
    pub(super) fn close(&mut self) -> Result<()> {
        if self.is_failed {
            return Ok(());
        }
        let outcome = self.commit_if_needed().and_then(|()| self.move_produced());
        if let Some(task) = &mut self.task {
            task.close();
        }
        self.task = None;
        outcome
    }

    pub(super) fn wall_clock(&self) -> Timestamp {
        Timestamp(self.now.wall_ms)
    }

    pub(super) fn read(&mut self, topic: &str) -> Option<RawRecord> {
        self.topics.get_mut(topic)?.waiting.pop_front()
    }

    pub(super) fn queue_size(&self, topic: &str) -> usize {
        self.topics.get(topic).map_or(0, |topic| topic.waiting.len())
    }

    pub(super) fn produced_count(&self, topic: &str) -> usize {
        self.topics.get(topic).map_or(0, |topic| topic.produced)
    }

    pub(super) fn produced_topic_names(&self) -> Vec<String> {
        self.topics.keys().map(ToString::to_string).collect()
    }

    pub(super) fn processed(&self) -> u64 {
        self.processed
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(super) fn store_names(&self) -> Vec<String> {
        let of_task = self.task.iter().flat_map(Task::stores).map(|store| store.facts().name.to_string());
        let mut names: Vec<String> = of_task.chain(self.globals.names().map(ToString::to_string)).collect();
        names.sort();
        names
    }

    /// A store of the task, or a global one that a processor keeps.
    pub(super) fn store_mut(&mut self, name: &str) -> Option<&mut dyn StateStore> {
        let stores = self.task.as_mut().map_or(&mut [][..], Task::stores_mut);
        let local = stores.iter_mut().find(|store| *store.facts().name == *name).map(|store| &mut **store);
        local.or_else(|| self.globals.store_mut(name))
    }

    fn check(&self) -> Result<()> {
        if self.is_failed {
            return Err(state_error("the topology has failed; make a new driver"));
        }
        Ok(())
    }

    /// Refuses a topic that the name of a source's topic matches when read as a regular expression,
    /// without being equal to it. A rule of Kafka Streams' driver alone, followed so that tests tell
    /// the same here and there; a running application takes names as names.
    fn check_name(&self, topic: &str) -> Result<()> {
        let is_pattern = |source: &Arc<str>| self.patterns.iter().any(|pattern| pattern.as_str() == source);
        let mut topics = self.sources.keys().filter(|source| !is_pattern(source));
        let Some(source) = topics.find(|source| is_other_match(source, topic)) else { return Ok(()) };
        let message = format!(
            "the driver reads the name {source} of a source's topic as a pattern, and it matches the other topic {topic}"
        );
        Err(Error::new(ErrorKind::Topology, message))
    }

    /// After a failure the driver is of no use, and what the failed record wrote is not seen.
    fn settle(&mut self, outcome: Result<()>) -> Result<()> {
        self.dropped += self.globals.take_dropped();
        if let Some(task) = &mut self.task {
            self.dropped += task.take_dropped();
        }
        if outcome.is_err() {
            self.is_failed = true;
            self.output.produced.clear();
        }
        outcome
    }

    /// The queue that takes a topic's records: its own, or that of a pattern.
    fn queue_of(&self, topic: &str) -> Option<Arc<str>> {
        if let Some((own, _)) = self.sources.get_key_value(topic) {
            return Some(Arc::clone(own));
        }
        let pattern = self.patterns.iter().find(|pattern| pattern.matches(topic))?;
        Some(Arc::clone(pattern.as_str()))
    }

    /// Puts a record on the queue of its topic, or into the global stores it feeds.
    fn take_in(&mut self, record: &Produced) -> Result<()> {
        let queue = self.queue_of(&record.topic);
        let next = queue.as_ref().and_then(|queue| self.sources.get_mut(queue));
        if let (Some(queue), Some(next), Some(task)) = (queue, next, &mut self.task) {
            let raw = RawRecord {
                offset: Offset(*next),
                timestamp: record.timestamp,
                key: record.key.clone(),
                value: record.value.clone(),
                headers: record.headers.clone(),
            };
            *next += 1;
            let partition = TopicPartition::new(queue, 0);
            task.add_record(&mut self.output, self.now, &partition, &record.topic, &raw)?;
        }
        self.globals.apply(record, self.now.wall_ms)
    }

    /// One record, its stream-time punctuations, a commit, and again, as Kafka Streams' driver.
    fn run(&mut self) -> Result<()> {
        self.move_produced()?;
        loop {
            let Some(task) = &mut self.task else { return Ok(()) };
            if task.buffered() == 0 || !task.is_ready(self.now) {
                return Ok(());
            }
            self.processed += task.process(&mut self.output, self.now, 1)? as u64;
            task.punctuate_stream_time(&mut self.output, self.now)?;
            self.commit()?;
            self.move_produced()?;
        }
    }

    fn punctuate(&mut self) -> Result<()> {
        if let Some(task) = &mut self.task {
            task.punctuate_wall_clock(&mut self.output, self.now)?;
        }
        self.commit_if_needed()
    }

    fn commit_if_needed(&mut self) -> Result<()> {
        if self.task.as_ref().is_some_and(|task| task.needs_commit() || task.commit_requested()) {
            return self.commit();
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        let Some(task) = &mut self.task else { return Ok(()) };
        task.flush(&mut self.output, self.now).map_err(flush_failed)?;
        task.start_commit();
        task.seal(Applied::All);
        task.committed();
        let wall_ms = self.now.wall_ms;
        task.settle(&mut |_, _| CommitMark { wall_ms, ..CommitMark::default() })?;
        task.apply()
    }

    /// Moves what was written to its topics, and in again where the topology reads it.
    fn move_produced(&mut self) -> Result<()> {
        for record in std::mem::take(&mut self.output.produced) {
            self.check_name(&record.topic)?;
            let topic = self.topics.entry(Arc::clone(&record.topic)).or_default();
            topic.waiting.push_back(RawRecord {
                offset: Offset(topic.produced as i64),
                timestamp: record.timestamp,
                key: record.key.clone(),
                value: record.value.clone(),
                headers: record.headers.clone(),
            });
            topic.produced += 1;
            self.take_in(&record)?;
        }
        Ok(())
    }
}

/// Whether a topic's name, read as a regular expression, matches another name. Of the characters a
/// topic may have, only the dot has a meaning: any one character.
fn is_other_match(name: &str, other: &str) -> bool {
    name.contains('.')
        && name != other
        && name.chars().count() == other.chars().count()
        && name.chars().zip(other.chars()).all(|(one, other)| one == '.' || one == other)
}

/// Says that a failure came out of a commit: what it was is the source.
fn flush_failed(error: Error) -> Error {
    let context = error.context().clone();
    Error::new(error.kind(), "the commit could not flush the stores")
        .with_context(|flush| *flush = context)
        .with_source(error)
}

/// The patterns of the sources, in the order written.
fn patterns(topology: &Topology) -> Result<Vec<TopicPattern>> {
    let sources = topology.facts().nodes.iter().filter_map(|node| match &node.kind {
        NodeKind::Source(source) => source.pattern.as_deref(),
        _ => None,
    });
    sources.map(TopicPattern::parse).collect()
}

/// The input partitions: one per topic or pattern that a source of a task reads.
fn inputs(topology: &Topology, config: &Config) -> Vec<TaskInput> {
    let facts = topology.facts();
    let mut inputs = Vec::new();
    for node in facts.nodes.iter().filter(|node| !node.is_global) {
        let NodeKind::Source(source) = &node.kind else { continue };
        let pattern = source.pattern.as_deref().map(Arc::from);
        for topic in source.topics.iter().chain(&pattern) {
            let topic: Arc<str> = if facts.is_repartition_topic(topic) {
                format!("{}-{topic}", config.application_id()).into()
            } else {
                Arc::clone(topic)
            };
            inputs.push(TaskInput {
                partition: TopicPartition::new(topic, 0),
                source: Arc::clone(&node.name),
                position: Offset(0).into(),
                is_committed: false,
                metadata: String::new(),
            });
        }
    }
    inputs
}

fn task(
    topology: &Topology,
    config: &Config,
    handlers: &Handlers,
    flow_options: FlowOptions,
    inputs: Vec<TaskInput>,
    globals: &Globals,
) -> Result<Task> {
    let changelogs = changelogs(topology, config);
    let options = handlers.task_options(config, Some(Arc::clone(&globals.state)));
    // There are no offsets to commit here.
    let options = TaskOptions { claims_first: false, ..options };
    Task::new(flow(topology, config, flow_options)?, inputs, &changelogs, &options)
}

/// All sub-topologies as one flow.
fn flow(topology: &Topology, config: &Config, options: FlowOptions) -> Result<Flow> {
    let local = topology.facts().nodes.iter().filter(|node| !node.is_global);
    let nodes: Vec<Arc<str>> = local.map(|node| Arc::clone(&node.name)).collect();
    let build = FlowBuild {
        task: TASK,
        application_id: config.application_id().into(),
        internal_topics: topology.internal_topics(),
    };
    let cache = CacheBudget::new(config.statestore_cache_max_bytes());
    let memory = MemoryBudget::new(config.statestore_memory_max_bytes());
    // Results come out with the record that makes them due, whatever the clock says.
    let options = FlowOptions { emit_interval_ms: 0, ..options };
    topology.flow(&nodes, build, Arc::new(options), &mut |store| {
        let engine = store.open_engine(Some(TASK), &MemoryEngines::new("driver"))?;
        Ok(StoreEnv { engine, cache: cache.clone(), memory: memory.clone() })
    })
}

/// Where the stores write their changes.
fn changelogs(topology: &Topology, config: &Config) -> Vec<StoreChangelog> {
    let facts = topology.facts();
    let mut changelogs = Vec::new();
    for store in &facts.stores {
        let source = facts.source_changelogs.iter().find(|(name, _)| *name == store.name);
        match source {
            Some((_, topic)) => changelogs.push(StoreChangelog {
                store: Arc::clone(&store.name),
                topic: Arc::clone(topic),
                is_source: true,
                retention_ms: None,
            }),
            None if store.is_logged => changelogs.push(StoreChangelog {
                store: Arc::clone(&store.name),
                topic: format!("{}-{}-changelog", config.application_id(), store.name).into(),
                is_source: false,
                retention_ms: None,
            }),
            None => {}
        }
    }
    changelogs
}
