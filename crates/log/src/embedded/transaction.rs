//! Producers and their transactions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use millstream_types::{Error, ErrorKind, Offset, Timestamp, TopicPartition};

use super::broker::{Broker, Slot};
use super::failure::{Answer, fatal, fenced};
use crate::batch::{Batch, Marker};
use crate::seam::{CommittedOffset, Failure, FailureKind, GroupMetadata};

/// Who may write, and in which transaction.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    by_id: BTreeMap<Arc<str>, Transaction>,
    /// Transactional id of each producer id in use.
    producers: BTreeMap<i64, Arc<str>>,
    next_producer_id: i64,
}

/// The present writer of a transactional id.
#[derive(Debug)]
struct Transaction {
    producer: Producer,
    open: Option<Open>,
}

/// A transaction under way.
#[derive(Debug)]
struct Open {
    started_ms: i64,
    partitions: BTreeSet<Slot>,
}

/// A producer as the log knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Producer {
    pub(super) id: i64,
    pub(super) epoch: i16,
}

impl Transactions {
    /// A partition was deleted: its part of every transaction is over.
    pub(super) fn forget(&mut self, slot: Slot) {
        for transaction in self.by_id.values_mut() {
            if let Some(open) = &mut transaction.open {
                open.partitions.remove(&slot);
            }
        }
    }

    fn new_id(&mut self) -> i64 {
        let id = self.next_producer_id;
        self.next_producer_id += 1;
        id
    }

    /// The next producer of a transactional id; every earlier one is fenced by it.
    fn successor(&mut self, transactional_id: &str) -> Producer {
        match self.by_id.get(transactional_id).map(|transaction| transaction.producer) {
            Some(Producer { id, epoch }) if epoch < i16::MAX - 1 => Producer { id, epoch: epoch + 1 },
            _ => Producer { id: self.new_id(), epoch: 0 },
        }
    }

    fn register(&mut self, transactional_id: &str, producer: Producer) {
        let id: Arc<str> = transactional_id.into();
        let earlier = self.by_id.insert(id.clone(), Transaction { producer, open: None });
        if let Some(earlier) = earlier {
            self.producers.remove(&earlier.producer.id);
        }
        self.producers.insert(producer.id, id);
    }

    /// The transaction of this producer, if that is still the one in charge.
    fn of(&mut self, producer: Producer) -> Answer<&mut Transaction> {
        let gone = || fenced("a newer writer with the same transactional id has taken over");
        let id = self.producers.get(&producer.id).ok_or_else(gone)?;
        match self.by_id.get_mut(id) {
            Some(transaction) if transaction.producer == producer => Ok(transaction),
            Some(transaction) => Err(fenced(format!(
                "transactional id {id} is at epoch {}, this writer has {}: a newer writer has taken over, or the \
                 transaction took longer than transaction.timeout.ms",
                transaction.producer.epoch, producer.epoch
            ))),
            None => Err(gone()),
        }
    }
}

impl Broker {
    /// Registers a writer. With a transactional id, fences every earlier one and aborts its open
    /// transaction.
    pub(super) fn init_producer(&mut self, transactional_id: Option<&str>) -> Answer<Producer> {
        let Some(id) = transactional_id else {
            return Ok(Producer { id: self.transactions.new_id(), epoch: 0 });
        };
        let producer = self.transactions.successor(id);
        self.replace_producer(id, producer)?;
        Ok(producer)
    }

    /// Puts a new producer in charge, then aborts what the earlier one left open.
    fn replace_producer(&mut self, transactional_id: &str, producer: Producer) -> Answer<()> {
        let earlier = self.transactions.by_id.get_mut(transactional_id);
        let left = earlier.and_then(|earlier| Some((earlier.producer, earlier.open.take()?)));
        self.transactions.register(transactional_id, producer);
        match left {
            Some((earlier, open)) => self.write_markers(Marker::Abort, earlier, &open.partitions),
            None => Ok(()),
        }
    }

    /// Appends a batch; `None` when it was there already.
    pub(super) fn append(&mut self, slot: Slot, batch: Bytes) -> Answer<Option<Offset>> {
        let (batch, _) = Batch::parse(batch).map_err(|error| Failure {
            kind: FailureKind::Fatal,
            error: Error::new(ErrorKind::Production, "a batch to be appended is malformed").with_source(error),
        })?;
        let is_transactional = batch.is_transactional();
        let producer = Producer { id: batch.producer_id(), epoch: batch.producer_epoch() };
        if is_transactional || self.transactions.producers.contains_key(&producer.id) {
            self.transactions.of(producer)?;
        }
        let Some(partition) = self.partition_mut(slot) else {
            return Err(fatal(ErrorKind::Production, "the partition was deleted while it was written to"));
        };
        let offset = partition.append(batch)?;
        self.version += 1;
        if is_transactional {
            let started_ms = self.now.mono_ms();
            let transaction = self.transactions.of(producer)?;
            let open = transaction.open.get_or_insert_with(|| Open { started_ms, partitions: BTreeSet::new() });
            open.partitions.insert(slot);
        }
        Ok(offset)
    }

    /// Commits a transaction with a group's offsets: all of it or, on a failure, nothing.
    pub(super) fn commit_transaction(
        &mut self,
        producer: Producer,
        offsets: Vec<(TopicPartition, CommittedOffset)>,
        proof: &GroupMetadata,
    ) -> Answer<()> {
        self.transactions.of(producer)?;
        // Without offsets and membership there is nothing a stale member could overwrite.
        if !offsets.is_empty() || !proof.member_id.is_empty() {
            self.check_member(proof)?;
        }
        let open = self.transactions.of(producer)?.open.take();
        self.apply_offsets(&proof.group, offsets);
        match open {
            Some(open) => self.write_markers(Marker::Commit, producer, &open.partitions),
            None => Ok(()),
        }
    }

    /// Aborts the open transaction, if there is one.
    pub(super) fn abort_transaction(&mut self, producer: Producer) -> Answer<()> {
        match self.transactions.of(producer)?.open.take() {
            Some(open) => self.write_markers(Marker::Abort, producer, &open.partitions),
            None => Ok(()),
        }
    }

    /// Aborts transactions that are open for too long, and fences their writers.
    pub(super) fn abort_overdue(&mut self, now_ms: i64) {
        let timeout_ms = self.options.transaction_timeout_ms;
        let is_overdue = |transaction: &Transaction| {
            transaction.open.as_ref().is_some_and(|open| now_ms.saturating_sub(open.started_ms) > timeout_ms)
        };
        let overdue: Vec<Arc<str>> = self
            .transactions
            .by_id
            .iter()
            .filter(|(_, transaction)| is_overdue(transaction))
            .map(|(id, _)| id.clone())
            .collect();
        for id in overdue {
            tracing::warn!(transactional_id = %id, timeout_ms, "a transaction took too long and is aborted");
            let producer = self.transactions.successor(&id);
            if let Err(failure) = self.replace_producer(&id, producer) {
                tracing::error!(transactional_id = %id, %failure, "an overdue transaction could not be aborted");
            }
        }
    }

    fn write_markers(&mut self, marker: Marker, producer: Producer, slots: &BTreeSet<Slot>) -> Answer<()> {
        let timestamp = Timestamp(self.now.wall_ms);
        for slot in slots {
            if let Some(partition) = self.partition_mut(*slot) {
                partition.mark(marker, &marker.batch(producer.id, producer.epoch, timestamp))?;
            }
        }
        self.version += 1;
        Ok(())
    }
}
