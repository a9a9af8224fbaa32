//! Producers and their transactions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use millstream_types::{Error, ErrorKind, Offset, Timestamp, TopicPartition};

use super::broker::{Broker, Slot, storage_failure};
use super::failure::{Answer, fatal, fenced};
use super::journal::Entry;
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

    /// The id the next producer gets.
    pub(super) fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// The producers in charge, for a journal.
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.by_id.iter().map(|(id, transaction)| Entry::Producer {
            transactional_id: id.clone(),
            id: transaction.producer.id,
            epoch: transaction.producer.epoch,
        })
    }

    /// Brings back the producers of a journal.
    pub(super) fn restore(&mut self, next_producer_id: i64, producers: &BTreeMap<Arc<str>, (i64, i16)>) {
        self.next_producer_id = next_producer_id;
        for (transactional_id, (id, epoch)) in producers {
            self.register(transactional_id, Producer { id: *id, epoch: *epoch });
        }
    }

    /// Forgets all writers. No writer outlives its process, and ids are never given out twice, so
    /// a log that was just opened has nobody to fence.
    pub(super) fn forget_writers(&mut self) {
        self.by_id.clear();
        self.producers.clear();
    }

    /// Epoch of a producer; 0 when it is not in charge any more.
    pub(super) fn epoch_of(&self, producer_id: i64) -> i16 {
        let transaction = self.producers.get(&producer_id).and_then(|id| self.by_id.get(id));
        transaction.map_or(0, |transaction| transaction.producer.epoch)
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
        self.replace_producer(id)
    }

    /// Puts a new producer in charge, then aborts what the earlier one left open.
    fn replace_producer(&mut self, transactional_id: &str) -> Answer<Producer> {
        self.writable()?;
        let producer = self.transactions.successor(transactional_id);
        self.record(Entry::Producer {
            transactional_id: transactional_id.into(),
            id: producer.id,
            epoch: producer.epoch,
        })?;
        let earlier = self.transactions.by_id.get_mut(transactional_id);
        let left = earlier.and_then(|earlier| Some((earlier.producer, earlier.open.take()?)));
        self.transactions.register(transactional_id, producer);
        if let Some((earlier, open)) = left {
            self.write_markers(Marker::Abort, earlier, &open.partitions)?;
        }
        Ok(producer)
    }

    /// Appends a batch; `None` when it was there already.
    pub(super) fn append(&mut self, slot: Slot, batch: Bytes) -> Answer<Option<Offset>> {
        self.writable()?;
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
        let offset = partition.append(batch);
        let offset = self.guard(offset)?;
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
        self.writable()?;
        let partitions = match &self.transactions.of(producer)?.open {
            Some(open) => open.partitions.clone(),
            None => BTreeSet::new(),
        };
        if partitions.is_empty() && offsets.is_empty() {
            self.transactions.of(producer)?.open = None;
            return Ok(());
        }
        self.commit_point(producer, &partitions, &offsets, proof)?;
        self.transactions.of(producer)?.open = None;
        self.apply_offsets(&proof.group, offsets);
        self.write_markers(Marker::Commit, producer, &partitions)
            // It has happened; only this process cannot show it any more.
            .map_err(|failure| Failure { kind: FailureKind::Unknown, ..failure })?;
        self.compact().map_err(|failure| Failure { kind: FailureKind::Unknown, ..failure })
    }

    /// Makes the transaction happen. Its records are durable before, where that was asked for.
    fn commit_point(
        &mut self,
        producer: Producer,
        slots: &BTreeSet<Slot>,
        offsets: &[(TopicPartition, CommittedOffset)],
        proof: &GroupMetadata,
    ) -> Answer<()> {
        if self.files.is_none() {
            return Ok(());
        }
        let is_flushed = self.is_flushed();
        let mut markers = Vec::new();
        for slot in slots {
            let Some(partition) = self.partition_mut(*slot).filter(|partition| partition.is_open(producer.id)) else {
                continue;
            };
            markers.push((partition.name.clone(), partition.end()));
            if is_flushed {
                let synced = partition.sync().map_err(storage_failure);
                self.guard(synced)?;
            }
        }
        self.record(Entry::Commit {
            producer_id: producer.id,
            epoch: producer.epoch,
            group: proof.group.clone(),
            offsets: offsets.to_vec(),
            markers,
        })
    }

    /// Aborts the open transaction, if there is one.
    pub(super) fn abort_transaction(&mut self, producer: Producer) -> Answer<()> {
        self.transactions.of(producer)?;
        self.writable()?;
        match self.transactions.of(producer)?.open.take() {
            Some(open) => self.write_markers(Marker::Abort, producer, &open.partitions),
            None => Ok(()),
        }
    }

    /// Aborts transactions that are open for too long, and fences their writers.
    pub(super) fn abort_overdue(&mut self, now_ms: i64) {
        if self.writable().is_err() {
            return;
        }
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
            if let Err(failure) = self.replace_producer(&id) {
                tracing::error!(transactional_id = %id, %failure, "an overdue transaction could not be aborted");
            }
        }
    }

    fn write_markers(&mut self, marker: Marker, producer: Producer, slots: &BTreeSet<Slot>) -> Answer<()> {
        let timestamp = Timestamp(self.now.wall_ms);
        for slot in slots {
            if let Some(partition) = self.partition_mut(*slot) {
                let answer = partition.mark(marker, &marker.batch(producer.id, producer.epoch, timestamp));
                self.guard(answer)?;
            }
        }
        self.version += 1;
        Ok(())
    }
}
