//! The writing client, with faults.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use millstream_log::{
    Acks, Call, CommittedOffset, FailureKind, GroupMetadata, Outcome, PartitionHandle, Pending, Writer,
};
use millstream_types::{Error, ErrorKind, Headers, Now, Result, Timestamp, TopicPartition};

use super::connection::{Connection, Effects};

pub(super) struct FaultyWriter {
    connection: Connection<dyn Writer>,
    /// After a fenced or unknown outcome nothing may be done but `init`.
    is_spent: Arc<AtomicBool>,
    partitions: BTreeMap<PartitionHandle, TopicPartition>,
}

impl FaultyWriter {
    pub(super) fn new(connection: Connection<dyn Writer>) -> Self {
        Self { connection, is_spent: Arc::new(AtomicBool::new(true)), partitions: BTreeMap::new() }
    }

    fn check(&self, what: &str) {
        if self.is_spent.load(Ordering::Relaxed) && !self.connection.link.is_cut() {
            self.connection.link.violation(format!("{what} with a writer that is not initialised, fenced or unsure"));
        }
    }

    fn watched<T: Send + 'static>(&self, call: Call<T>) -> Call<T> {
        Call::pending(Watched { call, is_spent: Arc::clone(&self.is_spent), revives: false })
    }
}

impl Writer for FaultyWriter {
    fn init(&mut self) -> Call<()> {
        if self.connection.link.coin() {
            self.connection.lose_under_way();
        }
        self.is_spent.store(true, Ordering::Relaxed);
        let call = self.connection.request("init", Effects::Once, Writer::init);
        Call::pending(Watched { call, is_spent: Arc::clone(&self.is_spent), revives: true })
    }

    fn partition_count(&mut self, topic: &str, now: Now) -> Outcome<i32> {
        if self.connection.link.strikes(|rates| (rates.late_reply, 1)).is_some() {
            return Outcome::Pending;
        }
        self.connection.now(|writer| writer.partition_count(topic, now)).unwrap_or(Outcome::Pending)
    }

    fn partition(&mut self, partition: &TopicPartition) -> PartitionHandle {
        // A dead instance's handle is never used: its appends go nowhere.
        let handle = self.connection.now(|writer| writer.partition(partition)).unwrap_or(PartitionHandle(0));
        self.partitions.insert(handle, partition.clone());
        handle
    }

    fn append(
        &mut self,
        to: PartitionHandle,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &Headers,
    ) -> Result<()> {
        self.check("append");
        let link = &self.connection.link;
        let partition = self.partitions.get(&to);
        if let Some(partition) = partition {
            link.trace(format_args!("append {partition} {timestamp} {key:?} {value:?}"));
        }
        let result = self.connection.now(|writer| writer.append(to, timestamp, key, value, headers));
        if link.strikes(|rates| (rates.append_failure, 1)).is_some() {
            link.trace(format_args!("append failed on purpose"));
            self.is_spent.store(true, Ordering::Relaxed);
            return Err(Error::new(ErrorKind::Retriable, "the connection broke while batches were sent"));
        }
        result.unwrap_or(Ok(()))
    }

    fn flush(&mut self) -> Call<Acks> {
        self.check("flush");
        let call = self.watched(self.connection.request("flush", Effects::Once, Writer::flush));
        // The broker had the batches already: it acknowledges them, but not where they lie.
        if self.connection.link.strikes(|rates| (rates.duplicate, 1)).is_some() {
            return Call::pending(WithoutOffsets(call));
        }
        call
    }

    fn commit(&mut self, offsets: Vec<(TopicPartition, CommittedOffset)>, group: &GroupMetadata) -> Call<()> {
        self.check("commit");
        for (partition, offset) in &offsets {
            self.connection.link.trace(format_args!("commit {partition} {}", offset.offset));
        }
        let group = group.clone();
        let call =
            self.connection.request("commit", Effects::Once, move |writer| writer.commit(offsets.clone(), &group));
        self.watched(call)
    }

    fn abort(&mut self) -> Call<()> {
        self.watched(self.connection.request("abort", Effects::Once, Writer::abort))
    }
}

/// Watches for the outcomes that spend a writer, or bring it back.
struct Watched<T> {
    call: Call<T>,
    is_spent: Arc<AtomicBool>,
    revives: bool,
}

impl<T: Send> Pending<T> for Watched<T> {
    fn poll(&mut self, now: Now) -> Outcome<T> {
        let outcome = self.call.poll(now);
        match &outcome {
            Outcome::Done(_) if self.revives => self.is_spent.store(false, Ordering::Relaxed),
            Outcome::Failed(failure) if matches!(failure.kind, FailureKind::Fenced | FailureKind::Unknown) => {
                self.is_spent.store(true, Ordering::Relaxed);
            }
            _ => {}
        }
        outcome
    }
}

/// Acknowledgements of batches that were sent twice.
struct WithoutOffsets(Call<Acks>);

impl Pending<Acks> for WithoutOffsets {
    fn poll(&mut self, now: Now) -> Outcome<Acks> {
        match self.0.poll(now) {
            Outcome::Done(acks) => Outcome::Done(acks.into_iter().map(|(partition, _)| (partition, None)).collect()),
            other => other,
        }
    }
}
