//! A log that keeps some answers back for as long as it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use millstream_log::{
    Acks, Admin, Call, CommittedOffset, GroupMetadata, Isolation, Log, Member, MemberConfig, NewTopic, OffsetSpec,
    Outcome, PartitionHandle, Pending, Reader, TopicMetadata, Writer,
};
use millstream_types::{Headers, Now, Offset, Result, Timestamp, TopicPartition};

/// While `is_slow`, what begins has its effect at once, and its answer comes when that is over: ends of transactions, and
/// which offsets belong to a point in time.
pub struct SlowLog {
    pub inner: Arc<dyn Log>,
    pub is_slow: Arc<AtomicBool>,
}

impl SlowLog {
    /// Over a log; slow from now on until told otherwise.
    pub fn over(inner: Arc<dyn Log>) -> (Self, Arc<AtomicBool>) {
        let is_slow = Arc::new(AtomicBool::new(true));
        (Self { inner, is_slow: Arc::clone(&is_slow) }, is_slow)
    }
}

/// The answer of a call, kept back.
struct Kept<T> {
    call: Call<T>,
    is_slow: Arc<AtomicBool>,
}

impl<T: Send> Pending<T> for Kept<T> {
    fn poll(&mut self, now: Now) -> Outcome<T> {
        if self.is_slow.load(Ordering::SeqCst) { Outcome::Pending } else { self.call.poll(now) }
    }
}

/// Keeps the answer of a call that begins while the log is slow.
fn kept<T: Send + 'static>(call: Call<T>, is_slow: &Arc<AtomicBool>) -> Call<T> {
    if is_slow.load(Ordering::SeqCst) { Call::pending(Kept { call, is_slow: Arc::clone(is_slow) }) } else { call }
}

impl Log for SlowLog {
    fn admin(&self) -> Box<dyn Admin> {
        Box::new(SlowAdmin { inner: self.inner.admin(), is_slow: Arc::clone(&self.is_slow) })
    }
    fn reader(&self, isolation: Isolation) -> Box<dyn Reader> {
        self.inner.reader(isolation)
    }
    fn writer(&self, transactional_id: Option<&str>) -> Box<dyn Writer> {
        Box::new(SlowWriter { inner: self.inner.writer(transactional_id), is_slow: Arc::clone(&self.is_slow) })
    }
    fn member(&self, config: MemberConfig) -> Box<dyn Member> {
        self.inner.member(config)
    }
    fn wait(&self, timeout: std::time::Duration) {
        self.inner.wait(timeout);
    }
    fn wake(&self) {
        self.inner.wake();
    }
}

struct SlowWriter {
    inner: Box<dyn Writer>,
    is_slow: Arc<AtomicBool>,
}

impl Writer for SlowWriter {
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
        kept(self.inner.commit(offsets, group), &self.is_slow)
    }
    fn abort(&mut self) -> Call<()> {
        self.inner.abort()
    }
}

struct SlowAdmin {
    inner: Box<dyn Admin>,
    is_slow: Arc<AtomicBool>,
}

impl Admin for SlowAdmin {
    fn topics(&mut self, names: &[Arc<str>]) -> Call<Vec<Option<TopicMetadata>>> {
        self.inner.topics(names)
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
        if matches!(spec, OffsetSpec::AtTime(_)) { kept(answer, &self.is_slow) } else { answer }
    }
    fn committed(&mut self, group: &str, partitions: &[TopicPartition]) -> Call<Vec<Option<CommittedOffset>>> {
        self.inner.committed(group, partitions)
    }
    fn renew_group(&mut self, group: &str) -> Call<usize> {
        self.inner.renew_group(group)
    }
}
