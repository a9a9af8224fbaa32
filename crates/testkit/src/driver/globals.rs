//! Global stores: records of their topics are applied at once.

use std::sync::Arc;

use millstream_runtime::Handlers;
use millstream_state::{CommitMark, MemoryEngines, StateStore};
use millstream_topology::flow::{
    FlowOptions, GlobalFlow, GlobalState, Head, HeadOutcome, RawHead, TimestampExtraction,
};
use millstream_topology::graph::Topology;
use millstream_types::{Config, Offset, RawRecord, Result, Timestamp, TopicPartition};
use parking_lot::RwLock;

use super::collector::Produced;

/// The global stores of a topology and what feeds them.
pub(super) struct Globals {
    pub(super) state: Arc<RwLock<GlobalState>>,
    topology: Topology,
    feeds: Vec<Feed>,
    dropped: u64,
}

struct Feed {
    topic: Arc<str>,
    store: Arc<str>,
    head: Box<dyn Head>,
    /// The user's processor that keeps the store, if there is one.
    flow: Option<GlobalFlow>,
    next: i64,
    /// Rows put less rows deleted.
    put_balance: i64,
}

impl Globals {
    /// `options`: those of the processors that do not keep global stores.
    pub(super) fn new(topology: &Topology, config: &Config, options: &FlowOptions, wall_ms: i64) -> Result<Self> {
        let mut state = GlobalState::default();
        for global in topology.global_stores() {
            let engine = topology.open_global_engine(&global.store, &MemoryEngines::new("driver"))?;
            state.add(global.store.clone(), engine);
        }
        let state = Arc::new(RwLock::new(state));
        let options = Arc::new(Handlers::global_flow_options(config, options));
        let application_id = config.application_id().into();
        let mut feeds = Vec::new();
        for global in topology.global_stores() {
            feeds.push(Feed {
                topic: Arc::clone(&global.topic),
                store: Arc::clone(&global.store.name),
                head: global.new_head(),
                flow: global.new_flow(topology, &application_id, &options, &state, wall_ms)?,
                next: 0,
                put_balance: 0,
            });
        }
        Ok(Self { state, topology: topology.clone(), feeds, dropped: 0 })
    }

    /// A store to be read, typed.
    pub(super) fn reader(&self, name: &str) -> Result<Option<Box<dyn StateStore>>> {
        self.topology.global_reader(name, &self.state, false)
    }

    /// The typed store that a processor keeps.
    pub(super) fn store_mut(&mut self, name: &str) -> Option<&mut dyn StateStore> {
        let feed = self.feeds.iter_mut().find(|feed| *feed.store == *name)?;
        feed.flow.as_mut()?.store_mut()
    }

    /// Kafka Streams' guess of how many rows a store on disk has: what was put, overwritten rows too,
    /// less what was deleted.
    pub(super) fn guessed_len(&self, name: &str) -> u64 {
        let feed = self.feeds.iter().find(|feed| *feed.store == *name);
        feed.and_then(|feed| u64::try_from(feed.put_balance).ok()).unwrap_or(0)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.feeds.iter().map(|feed| &feed.store)
    }

    pub(super) fn is_fed_by(&self, topic: &str) -> bool {
        self.feeds.iter().any(|feed| *feed.topic == *topic)
    }

    pub(super) fn take_dropped(&mut self) -> u64 {
        let by_processors: u64 =
            self.feeds.iter_mut().filter_map(|feed| feed.flow.as_mut()).map(GlobalFlow::take_dropped).sum();
        std::mem::take(&mut self.dropped) + by_processors
    }

    /// Applies a record to the stores that its topic feeds. What cannot be read is skipped, as
    /// Kafka Streams' driver does whatever the handler says.
    pub(super) fn apply(&mut self, record: &Produced, wall_ms: i64) -> Result<()> {
        for feed in self.feeds.iter_mut().filter(|feed| *feed.topic == *record.topic) {
            let offset = Offset(feed.next);
            feed.next += 1;
            let raw = RawHead {
                offset,
                timestamp: record.timestamp,
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                headers: record.headers.clone(),
            };
            // Global stores know no timestamp extractor: the record's time counts, and none below 0.
            let extraction = TimestampExtraction::FailOnInvalidTimestamp;
            let outcome = feed.head.decode(raw, Timestamp::UNKNOWN, 0, &extraction);
            if let HeadOutcome::Fatal(error) = outcome {
                return Err(error);
            }
            let mark = CommitMark { changelog_offset: offset, ..CommitMark::default() };
            if let (HeadOutcome::Ready(timestamp), Some(flow)) = (&outcome, &mut feed.flow) {
                let raw = RawRecord {
                    offset,
                    timestamp: *timestamp,
                    key: record.key.clone(),
                    value: record.value.clone(),
                    headers: record.headers.clone(),
                };
                let partition = TopicPartition::new(Arc::clone(&record.topic), 0);
                flow.process(&mut *feed.head, &partition, &raw, wall_ms)?;
                flow.commit(&mark, wall_ms)?;
                continue;
            }
            let (HeadOutcome::Ready(timestamp), Some(key)) = (outcome, &record.key) else {
                self.dropped += 1;
                continue;
            };
            let mut state = self.state.write();
            feed.put_balance += match (&record.value, state.engine(&feed.store)) {
                (Some(_), _) => 1,
                // What is not there is not deleted.
                (None, Some(engine)) if engine.get(key)?.is_some() => -1,
                _ => 0,
            };
            let write = (key.to_vec(), record.value.as_ref().map(|value| value.to_vec()), timestamp);
            state.apply(&feed.store, [write], &mark)?;
        }
        Ok(())
    }
}
