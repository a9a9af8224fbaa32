//! Writing: a stream thread fills batches, the producer on the network thread stamps, compresses and
//! sends them, and ends transactions.

mod lane;
mod producer;
mod send;
mod sequence;
mod settling;
mod split;
#[cfg(test)]
mod tests;
mod transaction;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_log::batch::{BatchBuilder, Compression, HEADER_LEN};
use millstream_log::{Acks, Call, CommittedOffset, Failure, GroupMetadata, Outcome, PartitionHandle, Writer};
use millstream_types::{Error, ErrorKind, Headers, Now, Result, Timestamp, TopicPartition};

use crate::call::Slot;
use crate::driver::Driver;
use crate::failure::{fatal, retriable};
use crate::group::check_membership;
use producer::Producer;

/// How a writer sends: Kafka's producer settings.
#[derive(Clone, Debug)]
pub(crate) struct ProduceOptions {
    /// `transactional.id`.
    pub(crate) transactional_id: Option<Arc<str>>,
    /// `transaction.timeout.ms`.
    pub(crate) transaction_timeout_ms: i32,
    /// `linger.ms`: how far apart batches that are not full are sent, and so how long one waits at most.
    pub(crate) linger_ms: i64,
    /// Whether transactions are shorter than `linger.ms`: their first records are sent at once, since the rest waits for
    /// their end. A transaction that is open for longer holds readers up for longer when its writer dies.
    pub(crate) commits_often: bool,
    /// `batch.size`: a batch of that size is sent, unless earlier ones of its partition are under way.
    pub(crate) batch_bytes: usize,
    /// How large a batch grows meanwhile.
    pub(crate) batch_bytes_max: usize,
    /// `max.request.size`.
    pub(crate) request_bytes_max: usize,
    /// `compression.type`.
    pub(crate) compression: Compression,
    /// `max.in.flight.requests.per.connection`, up to 5.
    pub(crate) in_flight_max: usize,
    /// `delivery.timeout.ms`: how long a batch is tried.
    pub(crate) delivery_timeout_ms: i64,
    /// `max.block.ms`: how long a topic may be missing.
    pub(crate) block_max_ms: i64,
    /// `buffer.memory`: bytes that wait to be sent before [`Writer::is_full`].
    pub(crate) buffer_bytes_max: usize,
}

impl Default for ProduceOptions {
    fn default() -> Self {
        Self {
            transactional_id: None,
            transaction_timeout_ms: 60_000,
            // Kafka Streams' own default, not the producer's.
            linger_ms: 100,
            commits_often: false,
            batch_bytes: 16 * 1024,
            batch_bytes_max: 64 * 1024,
            request_bytes_max: 1024 * 1024,
            compression: Compression::None,
            in_flight_max: 5,
            delivery_timeout_ms: 120_000,
            block_max_ms: 60_000,
            buffer_bytes_max: 3 * 1024 * 1024,
        }
    }
}

/// A writer, on a stream thread.
pub(crate) struct KafkaWriter {
    driver: Driver,
    options: Arc<ProduceOptions>,
    shared: Arc<Mutex<Shared>>,
    outlets: Vec<Outlet>,
    by_partition: BTreeMap<TopicPartition, usize>,
    /// When open batches were sent last (monotonic ns), and whether they were since the last step.
    sent_ns: Option<u64>,
    has_sent: bool,
}

/// A partition's open batch.
struct Outlet {
    partition: TopicPartition,
    builder: BatchBuilder,
}

/// What writer and producer share.
#[derive(Default)]
pub(super) struct Shared {
    /// Partitions by handle, and what is on its way to them.
    partitions: Vec<TopicPartition>,
    traffic: Vec<Traffic>,
    /// Batches in the order written, and where they go.
    queue: VecDeque<(usize, BatchBuilder)>,
    /// Batches ever queued and ever taken out.
    queued: u64,
    taken: u64,
    /// Bytes in `queue` and with the producer, uncompressed.
    bytes: usize,
    /// What the writer wants, and how many batches were queued before it.
    orders: VecDeque<(u64, Order)>,
    /// Emptied builders, to be filled again.
    spare: Vec<BatchBuilder>,
    /// Topics asked for: their partition counts, once they are known.
    topics: BTreeMap<Arc<str>, Option<Result<i32, Failure>>>,
    /// The member it writes for.
    member: Option<Arc<str>>,
    /// Why this writer is of no use until it is initialised again.
    failure: Option<Failure>,
    is_closed: bool,
}

/// What is on its way to a partition.
#[derive(Clone, Default)]
struct Traffic {
    /// The broker that was sent to last.
    broker: Option<i32>,
    /// Bytes that are not acknowledged, uncompressed.
    bytes: usize,
    /// Whether the producer holds batches that it cannot send yet, or would not send any.
    is_behind: bool,
}

impl Shared {
    fn push(&mut self, index: usize, builder: BatchBuilder) {
        self.bytes += builder.len();
        if let Some(traffic) = self.traffic.get_mut(index) {
            traffic.bytes += builder.len();
        }
        self.queued += 1;
        self.queue.push_back((index, builder));
    }

    /// These bytes of a partition are acknowledged, or dropped.
    pub(super) fn arrived(&mut self, index: usize, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(traffic) = self.traffic.get_mut(index) {
            traffic.bytes = traffic.bytes.saturating_sub(bytes);
        }
    }

    /// Drops all that is queued; nothing is under way any more.
    pub(super) fn drop_all(&mut self) {
        self.taken = self.queued;
        self.queue.clear();
        self.bytes = 0;
        self.traffic.iter_mut().for_each(|traffic| traffic.bytes = 0);
    }

    /// Whether there is nothing for the producer to take.
    pub(super) fn is_empty(&self) -> bool {
        self.orders.is_empty() && self.queue.is_empty()
    }

    /// Takes the next batch, unless it was queued after the order that is first in line.
    pub(super) fn take_batch(&mut self) -> Option<(usize, BatchBuilder)> {
        if self.orders.front().is_some_and(|(before, _)| self.taken >= *before) {
            return None;
        }
        let batch = self.queue.pop_front()?;
        self.taken += 1;
        Some(batch)
    }

    /// Whether the next order is a commit, and may be taken.
    pub(super) fn is_commit_next(&self) -> bool {
        matches!(self.orders.front(), Some((before, Order::Commit { .. })) if self.taken >= *before)
    }

    /// Takes the next order, once every batch queued before it was taken.
    pub(super) fn take_order(&mut self) -> Option<Order> {
        let (before, _) = self.orders.front()?;
        if self.taken < *before { None } else { self.orders.pop_front().map(|(_, order)| order) }
    }
}

/// What a writer wants besides sending. `Flush` and `Commit` count for all batches queued before.
pub(super) enum Order {
    Init(Slot<()>),
    Flush(Slot<Acks>),
    Commit { offsets: Vec<(TopicPartition, CommittedOffset)>, group: GroupMetadata, slot: Slot<()> },
    Abort(Slot<()>),
}

impl Order {
    /// Ends the order without success.
    pub(super) fn fail(self, failure: Failure) {
        match self {
            Self::Init(slot) | Self::Commit { slot, .. } | Self::Abort(slot) => slot.end(Err(failure)),
            Self::Flush(slot) => slot.end(Err(failure)),
        }
    }
}

/// What becomes of orders that were not begun when the writer was initialised anew.
fn begun_anew() -> Failure {
    retriable("the writer was initialised anew")
}

/// The lock; what a panicking thread left is whole, since every change is.
pub(super) fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl KafkaWriter {
    pub(crate) fn new(driver: Driver, options: ProduceOptions) -> Self {
        let options = Arc::new(options);
        let shared = Arc::new(Mutex::new(Shared::default()));
        driver.add(Producer::new(Arc::clone(&shared), Arc::clone(&options)));
        Self {
            driver,
            options,
            shared,
            outlets: Vec::new(),
            by_partition: BTreeMap::new(),
            sent_ns: None,
            has_sent: false,
        }
    }

    /// Gives the producer an order, after all open batches where `is_flush`.
    fn hand_over(&mut self, is_flush: bool, order: Option<Order>) {
        let mut shared = lock(&self.shared);
        if is_flush {
            self.has_sent = true;
            push_open(&mut self.outlets, &mut shared, |_| true);
        }
        let before = shared.queued;
        shared.orders.extend(order.map(|order| (before, order)));
        drop(shared);
        self.driver.wake();
    }

    /// Sends to brokers that are ready: to each that leads a partition whose batch has the size to be sent, all that
    /// waits for it, as Kafka's producer does. A batch goes on growing while earlier ones of its partition are under
    /// way: who writes faster than brokers take it has few large batches. Gives whether anything was sent.
    fn send_ready(&mut self) -> bool {
        let batch_bytes = self.options.batch_bytes;
        let is_large = |outlet: &Outlet| !outlet.builder.is_empty() && outlet.builder.len() >= batch_bytes;
        if !self.outlets.iter().any(is_large) {
            return false;
        }
        let mut shared = lock(&self.shared);
        if !shared.is_empty() {
            return false;
        }
        let traffic = self.outlets.iter().zip(&shared.traffic);
        let ready = traffic.filter(|(outlet, traffic)| !traffic.is_behind && traffic.bytes == 0 && is_large(outlet));
        let ready: BTreeSet<Option<i32>> = ready.map(|(_, traffic)| traffic.broker).collect();
        if ready.is_empty() {
            return false;
        }
        push_open(&mut self.outlets, &mut shared, |traffic| !traffic.is_behind && ready.contains(&traffic.broker));
        drop(shared);
        self.driver.wake();
        true
    }

    fn is_any_open(&self) -> bool {
        self.outlets.iter().any(|outlet| !outlet.builder.is_empty())
    }

    fn order<T: Send + 'static>(&mut self, is_flush: bool, order: impl FnOnce(Slot<T>) -> Order) -> Call<T> {
        let (call, slot) = self.driver.call();
        self.hand_over(is_flush, Some(order(slot)));
        call
    }
}

/// Queues the open batches of the partitions that are wanted. Gives whether there are any.
fn push_open(outlets: &mut [Outlet], shared: &mut Shared, is_wanted: impl Fn(&Traffic) -> bool) -> bool {
    let queued = shared.queued;
    for (index, outlet) in outlets.iter_mut().enumerate() {
        if !outlet.builder.is_empty() && shared.traffic.get(index).is_some_and(&is_wanted) {
            let empty = shared.spare.pop().unwrap_or_default();
            shared.push(index, std::mem::replace(&mut outlet.builder, empty));
        }
    }
    shared.queued > queued
}

impl Drop for KafkaWriter {
    fn drop(&mut self) {
        lock(&self.shared).is_closed = true;
        self.driver.wake();
    }
}

impl Writer for KafkaWriter {
    fn init(&mut self) -> Call<()> {
        for outlet in &mut self.outlets {
            outlet.builder.clear();
        }
        let mut shared = lock(&self.shared);
        shared.drop_all();
        // Nothing may count as flushed, nor be committed, for want of the batches that were dropped.
        for (_, order) in std::mem::take(&mut shared.orders) {
            order.fail(begun_anew());
        }
        drop(shared);
        self.order(false, Order::Init)
    }

    fn write_for(&mut self, member_id: &Arc<str>) {
        // A transaction of who is expelled is never committed.
        if self.options.transactional_id.is_none() {
            lock(&self.shared).member = Some(Arc::clone(member_id));
        }
    }

    fn partition_count(&mut self, topic: &str, _: Now) -> Outcome<i32> {
        let mut shared = lock(&self.shared);
        match shared.topics.get_mut(topic) {
            Some(Some(Ok(count))) => Outcome::Done(*count),
            Some(found @ Some(Err(_))) => match found.take() {
                // The next question asks the broker again.
                Some(Err(failure)) => Outcome::Failed(failure),
                _ => Outcome::Pending,
            },
            Some(None) => Outcome::Pending,
            None => {
                shared.topics.insert(topic.into(), None);
                drop(shared);
                self.driver.wake();
                Outcome::Pending
            }
        }
    }

    fn partition(&mut self, partition: &TopicPartition) -> PartitionHandle {
        if let Some(index) = self.by_partition.get(partition) {
            return PartitionHandle(*index as u32);
        }
        let index = self.outlets.len();
        self.by_partition.insert(partition.clone(), index);
        self.outlets.push(Outlet { partition: partition.clone(), builder: BatchBuilder::new() });
        let mut shared = lock(&self.shared);
        shared.partitions.push(partition.clone());
        shared.traffic.push(Traffic::default());
        PartitionHandle(index as u32)
    }

    fn append(
        &mut self,
        to: PartitionHandle,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &Headers,
    ) -> Result<()> {
        let index = to.0 as usize;
        let Some(outlet) = self.outlets.get_mut(index) else {
            return Err(Error::new(ErrorKind::Production, "the partition handle is not of this writer"));
        };
        let len = BatchBuilder::record_len_max(key, value, headers);
        if len + HEADER_LEN > self.options.request_bytes_max {
            let limit = self.options.request_bytes_max;
            let message = format!(
                "a record of about {len} bytes is larger than max.request.size ({limit}); raise \
                 producer.max.request.size and the topic's max.message.bytes, or drop such records with \
                 production.exception.handler=continue"
            );
            return Err(Error::new(ErrorKind::Production, message).with_context(|context| {
                context.topic = Some(Arc::clone(&outlet.partition.topic));
                context.partition = Some(outlet.partition.partition);
            }));
        }
        if outlet.builder.len() + len > self.options.batch_bytes_max && !outlet.builder.is_empty() {
            let mut shared = lock(&self.shared);
            if let Some(failure) = &shared.failure {
                return Err(failure.error.clone());
            }
            let empty = shared.spare.pop().unwrap_or_default();
            let full = std::mem::replace(&mut outlet.builder, empty);
            shared.push(index, full);
            drop(shared);
            self.driver.wake();
        }
        let Some(outlet) = self.outlets.get_mut(index) else { return Ok(()) };
        outlet.builder.append(timestamp, key, value, headers);
        Ok(())
    }

    fn is_full(&self) -> bool {
        lock(&self.shared).bytes > self.options.buffer_bytes_max
    }

    fn send_lingering(&mut self, now: Now) -> Option<u64> {
        if std::mem::take(&mut self.has_sent) {
            self.sent_ns = Some(now.mono_ns);
        }
        if !self.is_any_open() {
            return None;
        }
        if self.send_ready() && !self.is_any_open() {
            self.sent_ns = Some(now.mono_ns);
            return None;
        }
        // After a pause there is nothing to wait for: what lingers is what follows closely. So requests are as far
        // apart as if each waited for its time, and what comes now and then does not wait.
        let linger_ns = self.options.linger_ms.unsigned_abs().saturating_mul(1_000_000);
        let due_ns = self.sent_ns.map_or(now.mono_ns, |sent_ns| sent_ns.saturating_add(linger_ns));
        if now.mono_ns < due_ns {
            return Some(due_ns);
        }
        // As long as earlier batches of a partition wait, the next may as well grow: the producer's next turn is heard of.
        let mut shared = lock(&self.shared);
        if shared.is_empty() && push_open(&mut self.outlets, &mut shared, |traffic| !traffic.is_behind) {
            drop(shared);
            self.driver.wake();
            self.sent_ns = Some(now.mono_ns);
        }
        None
    }

    fn flush(&mut self) -> Call<Acks> {
        self.order(true, Order::Flush)
    }

    fn commit(&mut self, offsets: Vec<(TopicPartition, CommittedOffset)>, group: &GroupMetadata) -> Call<()> {
        if self.options.transactional_id.is_none() {
            let failure = fatal("a writer without transactional id cannot commit");
            return Call::failed(failure.kind, failure.error);
        }
        if let Err(failure) = check_membership("committing offsets in the transaction", group) {
            return Call::failed(failure.kind, failure.error);
        }
        let group = group.clone();
        let call = self.order(true, |slot| Order::Commit { offsets, group, slot });
        if self.options.commits_often {
            // Then the next transaction has its partitions when it is to end, and its offsets need not wait for the last
            // batches.
            (self.has_sent, self.sent_ns) = (false, None);
        }
        call
    }

    fn abort(&mut self) -> Call<()> {
        for outlet in &mut self.outlets {
            outlet.builder.clear();
        }
        if self.options.transactional_id.is_none() {
            return Call::done(());
        }
        self.order(false, Order::Abort)
    }
}
