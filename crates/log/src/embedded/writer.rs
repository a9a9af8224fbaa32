//! Writing to the embedded log.

use std::sync::Arc;

use millstream_types::{Error, ErrorKind, Headers, Now, Offset, Result, Timestamp, TopicPartition};

use super::Shared;
use super::broker::Slot;
use super::failure::{Answer, at, call, fatal};
use super::partition::next_sequence;
use super::transaction::Producer;
use crate::batch::{BatchBuilder, Compression, HEADER_LEN, Stamp};
use crate::seam::{Acks, Call, CommittedOffset, Failure, GroupMetadata, Outcome, PartitionHandle, Writer};

/// Builds batches on its own; takes the lock only to send a full one.
pub(super) struct EmbeddedWriter {
    shared: Arc<Shared>,
    transactional_id: Option<Box<str>>,
    producer: Option<Producer>,
    outlets: Vec<Outlet>,
    /// Why this writer is of no use until it is initialised again.
    failure: Option<Failure>,
    compression: Compression,
    batch_bytes_max: usize,
    record_bytes_max: usize,
}

/// Last offset of a batch; `None` when it is not known.
type Ack = Option<Offset>;

/// The open batch of a partition.
struct Outlet {
    partition: TopicPartition,
    slot: Option<Slot>,
    builder: BatchBuilder,
    sequence: i32,
    /// Last offset sent since the last flush.
    acked: Option<Ack>,
}

impl EmbeddedWriter {
    pub(super) fn new(shared: Arc<Shared>, transactional_id: Option<&str>) -> Self {
        let options = shared.options();
        Self {
            transactional_id: transactional_id.map(Into::into),
            producer: None,
            outlets: Vec::new(),
            failure: None,
            compression: options.compression,
            batch_bytes_max: options.batch_bytes_max,
            record_bytes_max: options.record_bytes_max,
            shared,
        }
    }

    fn ready(&self) -> Answer<Producer> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.producer.ok_or_else(|| fatal(ErrorKind::State, "the writer was not initialised"))
    }

    /// Sends all open batches under one lock.
    fn send_all(&mut self) -> Answer<Producer> {
        let producer = self.ready()?;
        for index in 0..self.outlets.len() {
            self.send(index, producer)?;
        }
        Ok(producer)
    }

    /// Sends the open batch of one partition. A failure ends the writer.
    fn send(&mut self, index: usize, producer: Producer) -> Answer<()> {
        let Some(outlet) = self.outlets.get_mut(index).filter(|outlet| !outlet.builder.is_empty()) else {
            return Ok(());
        };
        let Some(slot) = outlet.slot else { return Ok(()) };
        let stamp = Stamp {
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            base_sequence: outlet.sequence,
            is_transactional: self.transactional_id.is_some(),
        };
        let next = next_sequence(outlet.sequence, outlet.builder.count());
        let batch = outlet.builder.finish(stamp, self.compression);
        match self.shared.request(|broker| broker.append(slot, batch)) {
            Ok(offset) => {
                outlet.sequence = next;
                outlet.acked = Some(offset);
                Ok(())
            }
            Err(failure) => {
                let error = at(failure.error, &outlet.partition);
                Err(self.fail(Failure { error, ..failure }))
            }
        }
    }

    fn fail(&mut self, failure: Failure) -> Failure {
        self.failure = Some(failure.clone());
        failure
    }

    fn end(&mut self, answer: Answer<()>) -> Call<()> {
        call(answer.map_err(|failure| self.fail(failure)))
    }
}

impl Writer for EmbeddedWriter {
    fn init(&mut self) -> Call<()> {
        let id = self.transactional_id.as_deref();
        let producer = self.shared.request(|broker| broker.init_producer(id));
        for outlet in &mut self.outlets {
            outlet.builder.clear();
            outlet.sequence = 0;
            outlet.acked = None;
            // The topic may have been deleted, or created again, since.
            outlet.slot = self.shared.request(|broker| broker.slot(&outlet.partition));
        }
        self.failure = None;
        let answer = producer.map(|producer| self.producer = Some(producer));
        self.end(answer)
    }

    fn partition_count(&mut self, topic: &str, now: Now) -> Outcome<i32> {
        let answer = self.shared.request(|broker| {
            broker.tick(now);
            broker.partition_count(topic)
        });
        match answer {
            Ok(count) => Outcome::Done(count),
            Err(failure) => Outcome::Failed(failure),
        }
    }

    fn partition(&mut self, partition: &TopicPartition) -> PartitionHandle {
        let known = self.outlets.iter().position(|outlet| outlet.partition == *partition);
        let index = known.unwrap_or_else(|| {
            self.outlets.push(Outlet {
                partition: partition.clone(),
                slot: None,
                builder: BatchBuilder::with_limit(self.batch_bytes_max),
                sequence: 0,
                acked: None,
            });
            self.outlets.len() - 1
        });
        if let Some(outlet) = self.outlets.get_mut(index).filter(|outlet| outlet.slot.is_none()) {
            outlet.slot = self.shared.request(|broker| broker.slot_or_create(partition)).ok();
        }
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
        let outlet = self.outlets.get_mut(index).ok_or_else(unknown_handle)?;
        let len = BatchBuilder::record_len_max(key, value, headers);
        if len + HEADER_LEN > self.record_bytes_max {
            let limit = self.record_bytes_max;
            let message = format!("a record of about {len} bytes is larger than max.message.bytes ({limit})");
            return Err(at(Error::new(ErrorKind::Production, message), &outlet.partition));
        }
        if outlet.slot.is_none() {
            let message = "the partition does not exist in the embedded log";
            return Err(at(Error::new(ErrorKind::Production, message), &outlet.partition));
        }
        if let Some(failure) = &self.failure {
            return Err(failure.error.clone());
        }
        if outlet.builder.len() + len > self.batch_bytes_max && !outlet.builder.is_empty() {
            let producer = self.ready().map_err(|failure| failure.error)?;
            self.send(index, producer).map_err(|failure| failure.error)?;
        }
        let outlet = self.outlets.get_mut(index).ok_or_else(unknown_handle)?;
        outlet.builder.append(timestamp, key, value, headers);
        Ok(())
    }

    fn flush(&mut self) -> Call<Acks> {
        let answer = self.send_all().and_then(|_| self.shared.request(super::broker::Broker::flush));
        let answer = answer.map_err(|failure| self.fail(failure)).map(|()| {
            let acked = |outlet: &mut Outlet| Some((outlet.partition.clone(), outlet.acked.take()?));
            self.outlets.iter_mut().filter_map(acked).collect()
        });
        call(answer)
    }

    fn commit(&mut self, offsets: Vec<(TopicPartition, CommittedOffset)>, group: &GroupMetadata) -> Call<()> {
        if self.transactional_id.is_none() {
            return call(Err(fatal(ErrorKind::State, "a writer without transactional id cannot commit")));
        }
        let answer = self
            .send_all()
            .and_then(|producer| self.shared.request(|broker| broker.commit_transaction(producer, offsets, group)));
        self.end(answer)
    }

    fn abort(&mut self) -> Call<()> {
        for outlet in &mut self.outlets {
            outlet.builder.clear();
        }
        let Some(producer) = self.producer.filter(|_| self.transactional_id.is_some()) else {
            return Call::done(());
        };
        let answer = self.shared.request(|broker| broker.abort_transaction(producer));
        self.end(answer)
    }
}

fn unknown_handle() -> Error {
    Error::new(ErrorKind::Production, "the partition handle is not of this writer")
}
