//! Global stores: records of their topics are applied at once.

use std::sync::Arc;

use millstream_state::{CommitMark, MemoryEngine};
use millstream_topology::flow::{GlobalState, Head, HeadOutcome, RawHead, TimestampExtraction};
use millstream_topology::graph::Topology;
use millstream_types::{Offset, Result, Timestamp};
use parking_lot::RwLock;

use super::collector::Produced;

/// The global stores of a topology and what feeds them.
pub(super) struct Globals {
    pub(super) state: Arc<RwLock<GlobalState>>,
    feeds: Vec<Feed>,
    dropped: u64,
}

struct Feed {
    topic: Arc<str>,
    store: Arc<str>,
    head: Box<dyn Head>,
    next: i64,
}

impl Globals {
    pub(super) fn new(topology: &Topology) -> Self {
        let mut state = GlobalState::default();
        let mut feeds = Vec::new();
        for global in topology.global_stores() {
            state.add(Arc::clone(&global.store.name), Box::new(MemoryEngine::new()));
            feeds.push(Feed {
                topic: Arc::clone(&global.topic),
                store: Arc::clone(&global.store.name),
                head: global.new_head(),
                next: 0,
            });
        }
        Self { state: Arc::new(RwLock::new(state)), feeds, dropped: 0 }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.feeds.iter().map(|feed| &feed.store)
    }

    pub(super) fn is_fed_by(&self, topic: &str) -> bool {
        self.feeds.iter().any(|feed| *feed.topic == *topic)
    }

    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// Applies a record to the stores that its topic feeds. What cannot be read is skipped, as
    /// Kafka Streams' driver does whatever the handler says.
    pub(super) fn apply(&mut self, record: &Produced) -> Result<()> {
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
            let (HeadOutcome::Ready(timestamp), Some(key)) = (outcome, &record.key) else {
                self.dropped += 1;
                continue;
            };
            let mark = CommitMark { changelog_offset: offset, ..CommitMark::default() };
            let write = (key.to_vec(), record.value.as_ref().map(|value| value.to_vec()), timestamp);
            self.state.write().apply(&feed.store, [write], &mark)?;
        }
        Ok(())
    }
}
