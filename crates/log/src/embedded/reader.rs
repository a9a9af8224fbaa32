//! Reading the embedded log.

use std::sync::Arc;

use millstream_types::{Now, Offset, TopicPartition};

use super::Shared;
use super::broker::{Broker, Slot};
use crate::seam::{Failure, FailureKind, Fetched, Isolation, ReadPosition, Reader, ReaderEvent};

/// A partition is given at least this many bytes of a poll.
const SHARE_BYTES_MIN: usize = 16 << 10;

/// Reads assigned partitions in turn.
pub(super) struct EmbeddedReader {
    shared: Arc<Shared>,
    isolation: Isolation,
    feeds: Vec<Feed>,
    /// Feed that comes first in the next poll.
    first: usize,
    /// The broker's version when the last poll found nothing.
    idle_at: Option<u64>,
}

/// A partition being read.
struct Feed {
    partition: TopicPartition,
    position: i64,
    is_paused: bool,
    state: State,
    /// What was last reported as the end.
    end: Option<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not looked up yet.
    New,
    /// Known.
    Found { slot: Slot, topic_id: u128 },
    /// Gone or out of range: reported, and silent until assigned anew.
    Over,
}

impl EmbeddedReader {
    pub(super) fn new(shared: Arc<Shared>, isolation: Isolation) -> Self {
        Self { shared, isolation, feeds: Vec::new(), first: 0, idle_at: None }
    }

    fn set_paused(&mut self, partition: &TopicPartition, is_paused: bool) {
        for feed in self.feeds.iter_mut().filter(|feed| feed.partition == *partition) {
            feed.is_paused = is_paused;
        }
        self.idle_at = None;
    }
}

impl Reader for EmbeddedReader {
    fn assign(&mut self, positions: &[(TopicPartition, ReadPosition)]) {
        let paused: Vec<TopicPartition> =
            self.feeds.iter().filter(|feed| feed.is_paused).map(|feed| feed.partition.clone()).collect();
        let feed = |(partition, position): &(TopicPartition, ReadPosition)| Feed {
            partition: partition.clone(),
            position: position.offset.0,
            is_paused: paused.contains(partition),
            state: State::New,
            end: None,
        };
        self.feeds = positions.iter().map(feed).collect();
        self.first = 0;
        self.idle_at = None;
    }

    fn pause(&mut self, partition: &TopicPartition) {
        self.set_paused(partition, true);
    }

    fn resume(&mut self, partition: &TopicPartition) {
        self.set_paused(partition, false);
    }

    fn poll(&mut self, now: Now, bytes_max: usize, events: &mut Vec<ReaderEvent>) {
        let Self { shared, isolation, feeds, first, idle_at } = self;
        shared.request(|broker| {
            broker.tick(now);
            if *idle_at == Some(broker.version) {
                return;
            }
            let before = events.len();
            let mut left = feeds.iter().filter(|feed| feed.is_active()).count();
            let mut bytes_left = bytes_max;
            let mut is_full = false;
            for step in 0..feeds.len() {
                let index = (*first + step) % feeds.len();
                let Some(feed) = feeds.get_mut(index).filter(|feed| feed.is_active()) else { continue };
                if bytes_left == 0 {
                    is_full = true;
                    break;
                }
                let share = (bytes_left / left.max(1)).max(SHARE_BYTES_MIN).min(bytes_left);
                left -= 1;
                bytes_left = bytes_left.saturating_sub(feed.fetch(broker, *isolation, share, events));
            }
            *first = if feeds.is_empty() { 0 } else { (*first + 1) % feeds.len() };
            *idle_at = (events.len() == before && !is_full).then_some(broker.version);
        });
    }
}

impl Feed {
    fn is_active(&self) -> bool {
        !self.is_paused && self.state != State::Over
    }

    /// Reads on; gives the bytes read.
    fn fetch(
        &mut self,
        broker: &Broker,
        isolation: Isolation,
        bytes_max: usize,
        events: &mut Vec<ReaderEvent>,
    ) -> usize {
        if self.state == State::New {
            let slot = broker.slot(&self.partition);
            let found = slot.and_then(|slot| Some((slot, broker.partition(slot)?.topic_id)));
            self.state = found.map_or(State::New, |(slot, topic_id)| State::Found { slot, topic_id });
        }
        let partition = match self.state {
            State::Found { slot, topic_id } => broker.partition(slot).filter(|found| found.topic_id == topic_id),
            State::New | State::Over => None,
        };
        let Some(partition) = partition else {
            self.state = State::Over;
            events.push(ReaderEvent::Gone { partition: self.partition.clone() });
            return 0;
        };
        if self.position < partition.log_start() || self.position > partition.end() {
            self.state = State::Over;
            events.push(ReaderEvent::OutOfRange {
                partition: self.partition.clone(),
                position: Offset(self.position),
                log_start: Offset(partition.log_start()),
                log_end: Offset(partition.end()),
            });
            return 0;
        }
        let slice = match partition.read(self.position, isolation, bytes_max) {
            Ok(slice) => slice,
            Err(error) => {
                self.state = State::Over;
                events.push(ReaderEvent::Failed(Failure { kind: FailureKind::Fatal, error }));
                return 0;
            }
        };
        let end = partition.end_for(isolation);
        let from = self.position;
        if slice.next != from || self.end != Some(end) {
            self.position = slice.next;
            self.end = Some(end);
            events.push(ReaderEvent::Fetched(Fetched {
                partition: self.partition.clone(),
                batches: slice.batches,
                from: Offset(from),
                next: Offset(slice.next),
                // There is nobody else who could have written.
                leader_epoch: -1,
                end: Offset(end),
                log_start: Offset(partition.log_start()),
            }));
        }
        slice.bytes
    }
}
