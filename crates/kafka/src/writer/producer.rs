//! The producer: one turn of it takes what the writer queued, sends what may go, and moves the order
//! that is under way.

use std::sync::{Arc, Mutex};

use millstream_log::batch::Stamp;
use millstream_log::{Acks, Failure, FailureKind};
use millstream_types::{Error, ErrorKind};

use super::lane::PartitionLane;
use super::send::Sends;
use super::transaction::{Ending, Transaction};
use super::{Order, ProduceOptions, Shared, begun_anew, lock};
use crate::call::Slot;
use crate::client::{Client, TopicState};
use crate::driver::{Actor, Turn};
use crate::failure::refused;
use crate::protocol::ErrorCode;

/// Sends for one writer.
pub(super) struct Producer {
    shared: Arc<Mutex<Shared>>,
    pub(super) options: Arc<ProduceOptions>,
    pub(super) lanes: Vec<PartitionLane>,
    pub(super) sends: Sends,
    pub(super) transaction: Transaction,
    /// The order under way: flush and commit wait for all batches first.
    order: Option<Running>,
    /// Topics whose partition count is asked for, and since when, in ms.
    asked: Vec<(Arc<str>, i64)>,
    /// The writer is gone. A transaction that it did not abort ends by the broker's timeout.
    is_closing: bool,
}

/// An order under way.
enum Running {
    Init(Slot<()>),
    Flush(Slot<Acks>),
    /// With the flush that was asked for together with it.
    End(Ending, Slot<()>, Option<Slot<Acks>>),
}

impl Running {
    fn fail(self, failure: &Failure) {
        match self {
            Self::Init(slot) => slot.end(Err(failure.clone())),
            Self::Flush(slot) => slot.end(Err(failure.clone())),
            Self::End(_, slot, flush) => {
                if let Some(flush) = flush {
                    flush.end(Err(failure.clone()));
                }
                slot.end(Err(failure.clone()));
            }
        }
    }
}

impl Producer {
    pub(super) fn new(shared: Arc<Mutex<Shared>>, options: Arc<ProduceOptions>) -> Self {
        Self {
            shared,
            transaction: Transaction::new(options.transactional_id.clone()),
            options,
            lanes: Vec::new(),
            sends: Sends::default(),
            order: None,
            asked: Vec::new(),
            is_closing: false,
        }
    }

    /// Who stamps batches now; `None` before the producer is initialised.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        let (producer_id, producer_epoch) = self.transaction.producer?;
        let is_transactional = self.options.transactional_id.is_some();
        Some(Stamp { producer_id, producer_epoch, base_sequence: 0, is_transactional })
    }

    /// Whether a transaction is being aborted, or is to be: nobody waits for its end, but for what it holds up.
    fn is_aborting(&self) -> bool {
        matches!(&self.order, Some(Running::End(ending, ..)) if !ending.is_commit)
            || lock(&self.shared).orders.iter().any(|(_, order)| matches!(order, Order::Abort(_)))
    }

    pub(super) fn is_drained(&self) -> bool {
        self.lanes.iter().all(PartitionLane::is_empty)
    }

    /// The writer is of no use until it is initialised again.
    pub(super) fn fail(&mut self, failure: Failure, now_ms: i64) {
        let failure = &self.transaction.explained(failure, self.options.transaction_timeout_ms, now_ms);
        tracing::debug!(error = %failure, kind = ?failure.kind, "a writer failed");
        self.lanes.iter_mut().for_each(PartitionLane::clear);
        self.sends.forget();
        let mut shared = lock(&self.shared);
        shared.failure = Some(failure.clone());
        shared.drop_all();
        drop(shared);
        if let Some(running) = self.order.take() {
            running.fail(failure);
        }
    }

    /// Takes batches and the next order.
    fn take_work(&mut self, now_ms: i64) {
        // Who begins anew does not wait for batches that may have no leader. What the coordinator was told to end ends.
        let waits_for_batches = !matches!(self.order, Some(Running::Init(_))) && !self.is_drained();
        let mut shared = lock(&self.shared);
        if waits_for_batches
            && matches!(shared.orders.front(), Some((_, Order::Init(_))))
            && let Some(running) = self.order.take()
        {
            running.fail(&begun_anew());
        }
        self.is_closing = shared.is_closed;
        let partitions = shared.partitions.len();
        self.lanes.resize_with(partitions.max(self.lanes.len()), PartitionLane::default);
        if self.order.is_some() {
            // A commit that waits for nothing but the flush before it goes along with it.
            if matches!(self.order, Some(Running::Flush(_)))
                && shared.is_commit_next()
                && let Some(Order::Commit { offsets, group, slot }) = shared.take_order()
                && let Some(Running::Flush(flush)) = self.order.take()
            {
                self.order = Some(Running::End(Ending::commit(offsets, group), slot, Some(flush)));
            }
            return;
        }
        while let Some((index, builder)) = shared.take_batch() {
            if let Some(lane) = self.lanes.get_mut(index) {
                lane.push(builder, now_ms);
            }
        }
        while self.order.is_none()
            && let Some(order) = shared.take_order()
        {
            match order {
                Order::Init(slot) => {
                    shared.failure = None;
                    self.lanes.iter_mut().for_each(PartitionLane::clear);
                    self.sends.forget();
                    self.transaction.restart();
                    self.order = Some(Running::Init(slot));
                }
                order if shared.failure.is_some() => {
                    if let Some(failure) = &shared.failure {
                        order.fail(failure.clone());
                    }
                }
                Order::Flush(slot) => self.order = Some(Running::Flush(slot)),
                Order::Commit { offsets, group, slot } => {
                    self.order = Some(Running::End(Ending::commit(offsets, group), slot, None));
                }
                Order::Abort(slot) => {
                    for (index, lane) in self.lanes.iter_mut().enumerate() {
                        shared.arrived(index, lane.drop_unsent());
                    }
                    self.order = Some(Running::End(Ending::abort(), slot, None));
                }
            }
        }
    }

    /// Moves the order under way.
    fn run_order(&mut self, client: &mut Client) {
        match self.order.take() {
            None => {}
            Some(Running::Init(slot)) => match self.transaction.init(client, &self.options) {
                None => self.order = Some(Running::Init(slot)),
                Some(result) => {
                    self.lanes.iter_mut().for_each(PartitionLane::new_epoch);
                    slot.end(result);
                }
            },
            Some(Running::Flush(slot)) if self.is_drained() => slot.end(Ok(self.acks())),
            Some(Running::End(mut ending, slot, mut flush)) => {
                let is_drained = self.is_drained();
                if is_drained && let Some(flush) = flush.take() {
                    flush.end(Ok(self.acks()));
                }
                if !is_drained && !self.may_commit_offsets() {
                    self.order = Some(Running::End(ending, slot, flush));
                    return;
                }
                match self.transaction.end(client, &mut ending, is_drained) {
                    None => self.order = Some(Running::End(ending, slot, flush)),
                    Some(Ok(is_new_epoch)) => {
                        for lane in &mut self.lanes {
                            lane.new_transaction();
                            if is_new_epoch {
                                lane.new_epoch();
                            }
                        }
                        slot.end(Ok(()));
                    }
                    Some(Err(failure)) => {
                        self.order = Some(Running::End(ending, slot, flush));
                        self.fail(failure, client.now().mono_ms());
                    }
                }
            }
            waiting => self.order = waiting,
        }
    }

    /// Whether offsets may be committed while batches are under way: only to partitions that the transaction has
    /// already, or the coordinator would have to add several at once, which it refuses.
    fn may_commit_offsets(&self) -> bool {
        !self.transaction.must_add_partitions() && self.lanes.iter().all(|lane| lane.is_empty() || lane.is_known())
    }

    fn acks(&mut self) -> Acks {
        let shared = lock(&self.shared);
        let lanes = self.lanes.iter_mut().zip(&shared.partitions);
        lanes.filter_map(|(lane, partition)| Some((partition.clone(), lane.acked.take()?))).collect()
    }

    /// Answers questions for partition counts.
    fn count_partitions(&mut self, client: &mut Client) {
        let now_ms = client.now().mono_ms();
        let mut shared = lock(&self.shared);
        for (topic, count) in &mut shared.topics {
            if count.is_none() && !self.asked.iter().any(|(asked, _)| asked == topic) {
                self.asked.push((Arc::clone(topic), now_ms));
            }
        }
        let block_max_ms = self.options.block_max_ms;
        self.asked.retain(|(topic, since)| {
            let answer = match client.cluster().topic(topic) {
                Some(TopicState::Known { partitions, .. }) => Ok(partitions.len() as i32),
                Some(TopicState::Missing(code)) if !code.is_retriable() || now_ms >= since + block_max_ms => {
                    Err(missing(topic, *code))
                }
                None if now_ms >= since + block_max_ms => {
                    let error = Error::new(ErrorKind::Retriable, format!("no metadata of topic {topic} came in time"));
                    Err(Failure { kind: FailureKind::Retriable, error })
                }
                Some(TopicState::Missing(_)) | None => {
                    client.want_topic_created(topic);
                    return true;
                }
            };
            shared.topics.insert(Arc::clone(topic), Some(answer));
            false
        });
    }

    pub(super) fn shared(&self) -> Arc<Mutex<Shared>> {
        Arc::clone(&self.shared)
    }
}

fn missing(topic: &str, code: ErrorCode) -> Failure {
    if code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION {
        let message = format!("topic {topic} does not exist: create it");
        return Failure { kind: FailureKind::Fatal, error: Error::new(ErrorKind::Fatal, message) };
    }
    refused(&format!("asking for topic {topic}"), code, None)
}

impl Actor for Producer {
    fn turn(&mut self, client: &mut Client) -> Turn {
        let taken = self.take_answers(client);
        if let Err(failure) = taken {
            self.fail(failure, client.now().mono_ms());
        }
        self.take_work(client.now().mono_ms());
        if self.is_closing && self.sends.is_empty() && !self.is_aborting() {
            self.sends.close(client);
            return Turn::Finished;
        }
        self.count_partitions(client);
        let mut due = i64::MAX;
        if self.transaction.may_write(client) {
            if let Err(failure) = self.transaction.add_partitions(client, &self.shared, &mut self.lanes) {
                self.fail(failure, client.now().mono_ms());
            }
            match self.send(client) {
                Ok(until) => due = until,
                Err(failure) => self.fail(failure, client.now().mono_ms()),
            }
        }
        self.run_order(client);
        // An order that is over makes room for what was queued behind it.
        if self.order.is_none() && !lock(&self.shared).is_empty() {
            return Turn::Until(client.now().mono_ms());
        }
        // The end of a transaction is followed at once.
        let may_write = self.transaction.may_write(client) && !matches!(self.order, Some(Running::End(..)));
        for (lane, traffic) in self.lanes.iter().zip(&mut lock(&self.shared).traffic) {
            traffic.is_behind = !may_write || lane.has_unsent();
        }
        Turn::Until(due.min(self.transaction.due_ms()))
    }
}
