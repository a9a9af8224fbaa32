//! A log over another one, with some of its calls changed by a test.

use std::sync::Arc;

use millstream_log::{
    Acks, Admin, Call, CommittedOffset, Departure, GroupMetadata, GroupTopology, Isolation, Log, Member, MemberConfig,
    MemberEvent, NewTopic, OffsetSpec, Outcome, PartitionHandle, ReadPosition, Reader, ReaderEvent, TopicMetadata,
    Writer,
};
use millstream_types::{Headers, Now, Offset, Result, Timestamp, TopicPartition};

/// What is changed; by itself nothing.
pub trait Changes: Send + Sync + 'static {
    /// Commits: a transaction, or the offsets of a member. `begin` does it.
    fn commit(&self, begin: &mut dyn FnMut() -> Call<()>) -> Call<()> {
        begin()
    }

    /// What a log says of topics.
    fn topics(&self, answer: Call<Vec<Option<TopicMetadata>>>) -> Call<Vec<Option<TopicMetadata>>> {
        answer
    }

    /// What a log says of the offsets of partitions.
    fn offsets(&self, partitions: &[TopicPartition], spec: OffsetSpec, answer: Call<Vec<Offset>>) -> Call<Vec<Offset>> {
        let _ = (partitions, spec);
        answer
    }

    /// What a log says of committed offsets.
    fn committed(&self, answer: Call<Vec<Option<CommittedOffset>>>) -> Call<Vec<Option<CommittedOffset>>> {
        answer
    }

    /// What a renewal of the group that was cut short has left of these.
    fn set_aside(&self, partitions: &[TopicPartition]) -> Call<Vec<Option<CommittedOffset>>> {
        Call::done(vec![None; partitions.len()])
    }

    /// A reader of the log.
    fn reader(&self, inner: Box<dyn Reader>) -> Box<dyn Reader> {
        inner
    }

    /// What a reader has given.
    fn read(&self, events: &mut Vec<ReaderEvent>) {
        let _ = events;
    }

    /// A group is joined with this topology.
    fn join(&self, topology: &GroupTopology) {
        let _ = topology;
    }
}

/// A log, or a part of it, with changes.
pub struct Changed<I: ?Sized, C> {
    changes: Arc<C>,
    inner: Box<I>,
}

/// Over a log.
pub fn changed<C: Changes>(inner: impl Log + 'static, changes: &Arc<C>) -> Arc<dyn Log> {
    Arc::new(Changed::<dyn Log, C> { changes: Arc::clone(changes), inner: Box::new(inner) })
}

impl<C: Changes> Log for Changed<dyn Log, C> {
    fn admin(&self) -> Box<dyn Admin> {
        Box::new(Changed { changes: Arc::clone(&self.changes), inner: self.inner.admin() })
    }
    fn reader(&self, isolation: Isolation) -> Box<dyn Reader> {
        Box::new(Changed {
            changes: Arc::clone(&self.changes),
            inner: self.changes.reader(self.inner.reader(isolation)),
        })
    }
    fn writer(&self, transactional_id: Option<&str>) -> Box<dyn Writer> {
        Box::new(Changed { changes: Arc::clone(&self.changes), inner: self.inner.writer(transactional_id) })
    }
    fn member(&self, config: MemberConfig) -> Box<dyn Member> {
        Box::new(Changed { changes: Arc::clone(&self.changes), inner: self.inner.member(config) })
    }
    fn wait(&self, timeout: std::time::Duration) {
        self.inner.wait(timeout);
    }
    fn wake(&self) {
        self.inner.wake();
    }
}

impl<C: Changes> Reader for Changed<dyn Reader, C> {
    fn assign(&mut self, positions: &[(TopicPartition, ReadPosition)]) {
        self.inner.assign(positions);
    }
    fn pause(&mut self, partition: &TopicPartition) {
        self.inner.pause(partition);
    }
    fn resume(&mut self, partition: &TopicPartition) {
        self.inner.resume(partition);
    }
    fn poll(&mut self, now: Now, bytes_max: usize, events: &mut Vec<ReaderEvent>) {
        self.inner.poll(now, bytes_max, events);
        self.changes.read(events);
    }
}

impl<C: Changes> Writer for Changed<dyn Writer, C> {
    fn init(&mut self) -> Call<()> {
        self.inner.init()
    }
    fn partition_count(&mut self, topic: &str, now: Now) -> Outcome<i32> {
        self.inner.partition_count(topic, now)
    }
    fn partition(&mut self, partition: &TopicPartition) -> PartitionHandle {
        self.inner.partition(partition)
    }
    fn append(
        &mut self,
        to: PartitionHandle,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &Headers,
    ) -> Result<()> {
        self.inner.append(to, timestamp, key, value, headers)
    }
    fn flush(&mut self) -> Call<Acks> {
        self.inner.flush()
    }
    fn commit(&mut self, offsets: Vec<(TopicPartition, CommittedOffset)>, group: &GroupMetadata) -> Call<()> {
        self.changes.commit(&mut || self.inner.commit(offsets.clone(), group))
    }
    fn abort(&mut self) -> Call<()> {
        self.inner.abort()
    }
}

impl<C: Changes> Member for Changed<dyn Member, C> {
    fn join(&mut self, topology: GroupTopology) {
        self.changes.join(&topology);
        self.inner.join(topology);
    }
    fn poll(&mut self, now: Now, events: &mut Vec<MemberEvent>) {
        self.inner.poll(now, events);
    }
    fn revoked(&mut self) {
        self.inner.revoked();
    }
    fn commit(&mut self, offsets: Vec<(TopicPartition, CommittedOffset)>) -> Call<()> {
        self.changes.commit(&mut || self.inner.commit(offsets.clone()))
    }
    fn metadata(&self) -> GroupMetadata {
        self.inner.metadata()
    }
    fn request_shutdown(&mut self) {
        self.inner.request_shutdown();
    }
    fn leave(&mut self, departure: Departure) -> Call<()> {
        self.inner.leave(departure)
    }
}

impl<C: Changes> Admin for Changed<dyn Admin, C> {
    fn topics(&mut self, names: &[Arc<str>]) -> Call<Vec<Option<TopicMetadata>>> {
        self.changes.topics(self.inner.topics(names))
    }
    fn list_topics(&mut self) -> Call<Vec<TopicMetadata>> {
        self.inner.list_topics()
    }
    fn create_topics(&mut self, topics: &[NewTopic]) -> Call<()> {
        self.inner.create_topics(topics)
    }
    fn delete_topics(&mut self, names: &[Arc<str>]) -> Call<()> {
        self.inner.delete_topics(names)
    }
    fn delete_records(&mut self, before: &[(TopicPartition, Offset)]) -> Call<()> {
        self.inner.delete_records(before)
    }
    fn offsets(&mut self, partitions: &[TopicPartition], spec: OffsetSpec) -> Call<Vec<Offset>> {
        let answer = self.inner.offsets(partitions, spec);
        self.changes.offsets(partitions, spec, answer)
    }
    fn committed(&mut self, group: &str, partitions: &[TopicPartition]) -> Call<Vec<Option<CommittedOffset>>> {
        let answer = self.inner.committed(group, partitions);
        self.changes.committed(answer)
    }
    fn set_aside(&mut self, _group: &str, partitions: &[TopicPartition]) -> Call<Vec<Option<CommittedOffset>>> {
        self.changes.set_aside(partitions)
    }
    fn renew_group(&mut self, group: &str) -> Call<usize> {
        self.inner.renew_group(group)
    }
}
