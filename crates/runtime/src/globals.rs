//! Global stores: filled from their topics before any task runs, then kept up to date.
//!
//! One step, without a group and without transactions. The mark of a store carries the last offset
//! applied of each partition of its topic, so a restart reads on from there. The stores are shared
//! with all tasks: the write guard is held for one fetched batch at a time. Should a topic have lost what is to be
//! read next, its stores are filled anew, and tasks wait as at the start.

mod bootstrap;
mod feed;

use std::sync::Arc;

use millstream_log::{Admin, Reader, ReaderEvent};
use millstream_topology::flow::GlobalState;
use millstream_types::{Error, ErrorKind, Now, Result, TopicPartition};
use parking_lot::RwLock;

use crate::shared::{Shared, failed};
use crate::thread::{Step, ThreadControl, ThreadState};
use bootstrap::Bootstrap;
use feed::Feed;

/// Bytes taken from the log in one step.
const FETCH_BYTES: usize = 4 << 20;
/// Wait before trying again what failed.
const RETRY_NS: u64 = 1_000_000_000;
/// Longest wait between steps: the log wakes the thread earlier.
const IDLE_NS: u64 = 100_000_000;

/// The thread that fills the global stores, as a step.
pub struct GlobalThread {
    shared: Arc<Shared>,
    state: Arc<RwLock<GlobalState>>,
    control: Arc<ThreadControl>,
    admin: Box<dyn Admin>,
    reader: Box<dyn Reader>,
    phase: Phase,
    feeds: Vec<Feed>,
    events: Vec<ReaderEvent>,
    /// Nothing is tried before (monotonic ns).
    retry_ns: u64,
    error: Option<Error>,
}

enum Phase {
    /// Asks the log where the topics begin and end.
    Asking(Bootstrap),
    /// Reads up to those ends.
    Filling,
    Following,
    Dead,
}

impl GlobalThread {
    pub(crate) fn new(shared: Arc<Shared>, state: Arc<RwLock<GlobalState>>) -> Self {
        let feeds = shared.topology.global_stores().iter().map(Feed::new).collect();
        Self {
            control: Arc::new(ThreadControl::new(format!("{}-GlobalStreamThread", shared.client_id()).into())),
            admin: shared.log.admin(),
            reader: shared.log.reader(shared.isolation()),
            phase: Phase::Asking(Bootstrap::default()),
            feeds,
            events: Vec::new(),
            retry_ns: 0,
            error: None,
            state,
            shared,
        }
    }

    /// Does what can be done now.
    pub fn step(&mut self, now: Now) -> Step {
        let step = match self.advance(now) {
            Ok(step) => step,
            Err(error) if matches!(error.kind(), ErrorKind::Retriable | ErrorKind::Storage) => {
                // A full disk as well: reading begins again behind the stores' marks.
                tracing::warn!(%error, "filling the global stores is tried again");
                self.reader.assign(&[]);
                self.phase = Phase::Asking(Bootstrap::default());
                self.retry_ns = now.mono_ns.saturating_add(RETRY_NS);
                Step::Idle { until_ns: self.retry_ns }
            }
            Err(error) => {
                tracing::error!(%error, "the global thread ends");
                self.error = Some(error);
                self.phase = Phase::Dead;
                Step::Stopped
            }
        };
        let state = match self.phase {
            Phase::Asking(_) | Phase::Filling => ThreadState::Starting,
            Phase::Following => ThreadState::Running,
            Phase::Dead => ThreadState::Dead,
        };
        self.control.publish(|metadata| metadata.state = state);
        step
    }

    /// Asks the thread to end.
    pub fn stop(&self) {
        self.control.stop();
    }

    /// Why the thread is over, if by an error.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    pub(crate) fn control(&self) -> &Arc<ThreadControl> {
        &self.control
    }

    fn advance(&mut self, now: Now) -> Result<Step> {
        if self.control.is_stopping() {
            self.phase = Phase::Dead;
        }
        if now.mono_ns < self.retry_ns && !matches!(self.phase, Phase::Dead) {
            return Ok(Step::Idle { until_ns: self.retry_ns });
        }
        match &mut self.phase {
            Phase::Dead => Ok(Step::Stopped),
            Phase::Asking(bootstrap) => {
                let Some(facts) = bootstrap.poll(&self.feeds, &self.shared, &mut *self.admin, now)? else {
                    return Ok(idle(now));
                };
                for feed in &mut self.feeds {
                    feed.open(&facts, &self.shared, &self.state, now)?;
                }
                self.assign();
                self.phase = Phase::Filling;
                Ok(Step::Progress)
            }
            Phase::Filling | Phase::Following => {
                let has_come = self.follow(now)?;
                if matches!(self.phase, Phase::Filling) && self.feeds.iter().all(Feed::is_filled) {
                    self.phase = Phase::Following;
                    self.state.write().set_filling(false);
                    self.shared.log.wake();
                    return Ok(Step::Progress);
                }
                Ok(if has_come { Step::Progress } else { idle(now) })
            }
        }
    }

    fn assign(&mut self) {
        let positions: Vec<_> = self.feeds.iter().flat_map(Feed::positions).collect();
        self.reader.assign(&positions);
    }

    /// Applies what has come; whether anything has.
    fn follow(&mut self, now: Now) -> Result<bool> {
        let mut events = std::mem::take(&mut self.events);
        self.reader.poll(now, FETCH_BYTES, &mut events);
        let has_come = !events.is_empty();
        for event in events.drain(..) {
            match event {
                ReaderEvent::Fetched(fetched) => {
                    // A topic may feed several stores.
                    for feed in self.feeds.iter_mut().filter(|feed| *feed.topic == *fetched.partition.topic) {
                        feed.take(&fetched, &self.shared, &self.state, now)?;
                    }
                }
                ReaderEvent::OutOfRange { partition, position, log_start, .. } => {
                    tracing::warn!(%partition, %position, %log_start, "the global store is filled again from the topic's start");
                    self.refill(&partition)?;
                    break;
                }
                ReaderEvent::Gone { partition } => {
                    let message = "the topic of a global store was deleted, or deleted and created again";
                    return Err(Error::new(ErrorKind::Fatal, message).with_context(|context| {
                        context.topic = Some(Arc::clone(&partition.topic));
                        context.partition = Some(partition.partition);
                    }));
                }
                ReaderEvent::Failed(failure) => return Err(failed(failure)),
            }
        }
        events.clear();
        self.events = events;
        Ok(has_come)
    }

    /// Deletes what a topic has filled and asks anew where it begins.
    fn refill(&mut self, partition: &TopicPartition) -> Result<()> {
        for feed in self.feeds.iter_mut().filter(|feed| feed.topic == partition.topic) {
            self.shared.metrics.add_restores_full(1);
            feed.wipe(&self.state)?;
        }
        self.reader.assign(&[]);
        self.phase = Phase::Asking(Bootstrap::default());
        Ok(())
    }
}

impl std::fmt::Debug for GlobalThread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GlobalThread").field("metadata", &self.control.metadata()).finish_non_exhaustive()
    }
}

fn idle(now: Now) -> Step {
    Step::Idle { until_ns: now.mono_ns.saturating_add(IDLE_NS) }
}
