//! Reading partitions: what a stream thread holds, and what it shares with the fetcher on the network
//! thread, which reads ahead within a budget.

mod batches;
mod bounds;
mod broker;
mod fetcher;
mod session;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_log::{Fetched, Isolation, ReadPosition, Reader, ReaderEvent};
use millstream_types::{Now, TopicPartition};

use crate::driver::Driver;
pub(crate) use batches::sort;
use fetcher::Fetcher;

/// How a reader fetches: Kafka's consumer settings.
#[derive(Clone, Debug)]
pub(crate) struct FetchOptions {
    /// `fetch.max.wait.ms`.
    pub(crate) wait_max_ms: i32,
    /// `fetch.min.bytes`.
    pub(crate) bytes_min: i32,
    /// `fetch.max.bytes`.
    pub(crate) bytes_max: i32,
    /// `max.partition.fetch.bytes`.
    pub(crate) partition_bytes_max: i32,
    /// `client.rack`.
    pub(crate) rack: String,
    /// How far apart fetches are at least, in ms, where all is read to its end: what came meanwhile comes together. What
    /// comes after a pause does not wait.
    pub(crate) apart_ms: i64,
    /// Bytes fetched ahead of the stream thread, over all partitions.
    pub(crate) ahead_bytes_max: usize,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            wait_max_ms: 500,
            bytes_min: 1,
            bytes_max: 50 * 1024 * 1024,
            partition_bytes_max: 1024 * 1024,
            rack: String::new(),
            apart_ms: 0,
            ahead_bytes_max: 3 * 1024 * 1024,
        }
    }
}

/// A reader, on a stream thread.
pub(crate) struct KafkaReader {
    driver: Driver,
    shared: Arc<Mutex<Shared>>,
}

/// What reader and fetcher share.
#[derive(Default)]
pub(super) struct Shared {
    feeds: BTreeMap<TopicPartition, Feed>,
    /// Events that belong to no partition.
    failures: VecDeque<ReaderEvent>,
    /// Bytes of all that is fetched and not yet polled.
    ahead_bytes: usize,
    limits: Limits,
    /// The partition that was served last, so that all have their turn.
    last: Option<TopicPartition>,
    is_closed: bool,
}

/// How far ahead of the stream thread is fetched, in bytes.
#[derive(Clone, Copy, Default)]
struct Limits {
    /// Over all partitions. One whose records are all polled is fetched beyond that.
    all: usize,
    partition: usize,
}

/// A partition being read.
struct Feed {
    /// Where the next fetch begins.
    position: i64,
    /// Leader epoch of the record before; -1 where it is not known.
    last_epoch: i32,
    is_paused: bool,
    /// Reported and silent until assigned anew.
    is_over: bool,
    /// Id of its topic as of the first fetch.
    topic_id: Option<u128>,
    /// Since when brokers do not know the topic, in ms.
    missing_ms: Option<i64>,
    /// What was reported as the end last.
    end: Option<i64>,
    /// Whether there was no more at the broker when it answered last.
    is_at_end: bool,
    /// Fetched, oldest first, with its bytes.
    ahead: VecDeque<(ReaderEvent, usize)>,
    /// Bytes of all that.
    ahead_bytes: usize,
    /// No fetch before this time, in ms: the broker answered with an error.
    retry_at_ms: i64,
    /// A replica that the leader named to read from instead of it, and until when.
    replica: Option<(i32, i64)>,
}

impl Feed {
    fn new(position: ReadPosition, is_paused: bool) -> Self {
        Self {
            position: position.offset.0,
            last_epoch: position.leader_epoch,
            is_paused,
            is_over: false,
            topic_id: None,
            missing_ms: None,
            end: None,
            is_at_end: false,
            ahead: VecDeque::new(),
            ahead_bytes: 0,
            retry_at_ms: i64::MIN,
            replica: None,
        }
    }

    /// Whether more is to be fetched, with so many bytes ahead over all partitions. Where nobody polls, none is
    /// beyond the limit.
    fn wants_more(&self, all_bytes: usize, limits: Limits) -> bool {
        let has_room = all_bytes < limits.all && self.ahead_bytes < limits.partition;
        !self.is_over && (has_room || self.ahead.is_empty() && !self.is_paused)
    }
}

impl KafkaReader {
    pub(crate) fn new(driver: Driver, isolation: Isolation, options: FetchOptions) -> Self {
        let partition = usize::try_from(options.partition_bytes_max).unwrap_or(0);
        let limits = Limits { all: options.ahead_bytes_max, partition };
        let shared = Arc::new(Mutex::new(Shared { limits, ..Shared::default() }));
        driver.add(Fetcher::new(Arc::clone(&shared), isolation, options));
        Self { driver, shared }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }

    fn set_paused(&self, partition: &TopicPartition, is_paused: bool) {
        let mut shared = self.shared();
        let Some(feed) = shared.feeds.get_mut(partition) else { return };
        feed.is_paused = is_paused;
        if !is_paused && feed.ahead.is_empty() {
            // It may have had to wait for room.
            drop(shared);
            self.driver.wake();
        }
    }
}

/// The lock; what a panicking thread left is whole, since every change is.
pub(super) fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for KafkaReader {
    fn drop(&mut self) {
        self.shared().is_closed = true;
        self.driver.wake();
    }
}

impl Reader for KafkaReader {
    fn assign(&mut self, positions: &[(TopicPartition, ReadPosition)]) {
        let mut shared = self.shared();
        let before = std::mem::take(&mut shared.feeds);
        for (partition, position) in positions {
            let is_paused = before.get(partition).is_some_and(|feed| feed.is_paused);
            shared.feeds.insert(partition.clone(), Feed::new(*position, is_paused));
        }
        shared.ahead_bytes = 0;
        drop(shared);
        self.driver.wake();
    }

    fn pause(&mut self, partition: &TopicPartition) {
        self.set_paused(partition, true);
    }

    fn resume(&mut self, partition: &TopicPartition) {
        self.set_paused(partition, false);
    }

    fn poll(&mut self, _: Now, bytes_max: usize, events: &mut Vec<ReaderEvent>) {
        events.extend(self.driver.failure().map(ReaderEvent::Failed));
        let mut shared = self.shared();
        if shared.poll(bytes_max, events) {
            drop(shared);
            self.driver.wake();
        }
    }
}

impl Shared {
    /// Takes what is there, a piece of each partition in turn. Whether fetching may go on that had to
    /// stop.
    fn poll(&mut self, bytes_max: usize, events: &mut Vec<ReaderEvent>) -> bool {
        events.extend(self.failures.drain(..));
        let was_full = self.ahead_bytes >= self.limits.all;
        let mut bytes_left = bytes_max;
        let mut may_go_on = false;
        while bytes_left > 0
            && let Some(partition) = self.next()
            && let Some(feed) = self.feeds.get_mut(&partition)
        {
            let wanted_more = feed.wants_more(self.ahead_bytes, self.limits);
            if let Some((event, bytes)) = feed.ahead.pop_front() {
                events.push(event);
                feed.ahead_bytes = feed.ahead_bytes.saturating_sub(bytes);
                self.ahead_bytes = self.ahead_bytes.saturating_sub(bytes);
                bytes_left = bytes_left.saturating_sub(bytes);
            }
            may_go_on |= !wanted_more && feed.wants_more(self.ahead_bytes, self.limits);
            self.last = Some(partition);
        }
        may_go_on || was_full && self.ahead_bytes < self.limits.all
    }

    /// The partition whose turn it is, of those that have something.
    fn next(&self) -> Option<TopicPartition> {
        use std::ops::Bound::{Excluded, Unbounded};
        let is_ready = |(_, feed): &(&TopicPartition, &Feed)| !feed.is_paused && !feed.ahead.is_empty();
        let after = self.last.as_ref();
        let behind = after.and_then(|after| self.feeds.range((Excluded(after), Unbounded)).find(is_ready));
        behind.or_else(|| self.feeds.iter().find(is_ready)).map(|(partition, _)| partition.clone())
    }

    /// Puts what was fetched of a partition behind what is there.
    fn push(&mut self, partition: &TopicPartition, fetched: Fetched) {
        let Some(feed) = self.feeds.get_mut(partition) else { return };
        let bytes = fetched.batches.iter().map(|batch| batch.bytes().len()).sum();
        // Bytes that hold nothing may be left of a log: they are not worth a question in a loop.
        feed.is_at_end = fetched.next == fetched.from || fetched.next >= fetched.end;
        if fetched.next == fetched.from && feed.end == Some(fetched.end.0) {
            return;
        }
        (feed.position, feed.last_epoch) = (fetched.next.0, fetched.leader_epoch);
        feed.end = Some(fetched.end.0);
        feed.ahead.push_back((ReaderEvent::Fetched(fetched), bytes));
        feed.ahead_bytes += bytes;
        self.ahead_bytes += bytes;
    }

    /// Reports the end of a partition's story.
    fn end(&mut self, partition: &TopicPartition, event: ReaderEvent) {
        if let Some(feed) = self.feeds.get_mut(partition).filter(|feed| !feed.is_over) {
            feed.is_over = true;
            feed.ahead.push_back((event, 0));
        }
    }
}
