//! Writing a topic.

use std::sync::Arc;

use millstream_log::{Log, Outcome, PartitionHandle, Writer};
use millstream_types::clock::SystemClock;
use millstream_types::{
    CodecError, Error, ErrorKind, Partition, Record, Result, Serde, TopicPartition, partition_for_key,
};

use super::{answer, partition_count, wait};

/// Writes typed records to one topic, outside any transaction. The partition follows from the key as
/// everywhere in Kafka (murmur2 of its bytes); records without key go round.
///
/// ```
/// use std::sync::Arc;
///
/// use millstream_log::{EmbeddedLog, Options};
/// use millstream_runtime::{Consumer, Producer};
/// use millstream_types::{Record, Serdes, Timestamp};
/// use std::time::Duration;
///
/// let log = Arc::new(EmbeddedLog::memory(Options::default()));
/// let mut producer = Producer::new(log.clone(), "words", Serdes::string(), Serdes::long())?;
/// producer.send(&Record::new("mill".to_owned(), 1, Timestamp(0)))?;
/// producer.flush()?;
///
/// let mut consumer = Consumer::new(log, "words", Serdes::string(), Serdes::long())?;
/// let records = consumer.poll(Duration::from_secs(1))?;
/// assert_eq!(records[0].record.key, "mill");
/// # Ok::<(), millstream_types::Error>(())
/// ```
pub struct Producer<K, V> {
    log: Arc<dyn Log>,
    clock: SystemClock,
    writer: Box<dyn Writer>,
    topic: Arc<str>,
    partitions: Vec<PartitionHandle>,
    key: Serde<K>,
    value: Serde<V>,
    key_bytes: Vec<u8>,
    value_bytes: Vec<u8>,
    round: usize,
}

impl<K, V> Producer<K, V> {
    /// Opens a topic for writing. A topic that does not exist is made by a log that does so.
    ///
    /// # Errors
    /// What the log gives, for example for a topic it does not make.
    pub fn new(log: Arc<dyn Log>, topic: &str, key: Serde<K>, value: Serde<V>) -> Result<Self> {
        let clock = SystemClock::new();
        let count = partition_count(&*log, &clock, topic)?;
        let mut writer = log.writer(None);
        answer(&*log, writer.init())?;
        let topic: Arc<str> = topic.into();
        let partitions = (0..count)
            .map(|number| writer.partition(&TopicPartition { topic: Arc::clone(&topic), partition: Partition(number) }))
            .collect();
        let (key_bytes, value_bytes) = (Vec::new(), Vec::new());
        Ok(Self { log, clock, writer, topic, partitions, key, value, key_bytes, value_bytes, round: 0 })
    }

    /// Adds a record to the open batch of its partition, and waits where too much is under way. It is
    /// written for sure only after [`flush`](Self::flush).
    ///
    /// # Errors
    /// `Production` when the record cannot be serialised or is too large; the producer goes on. What the
    /// log gives when it takes nothing more.
    pub fn send(&mut self, record: &Record<K, V>) -> Result<()> {
        if self.writer.is_full() {
            self.wait_for_room()?;
        }
        self.key_bytes.clear();
        self.value_bytes.clear();
        let has_key = self.key.encode(&record.key, &mut self.key_bytes).map_err(|error| refused("key", error))?;
        let has_value =
            self.value.encode(&record.value, &mut self.value_bytes).map_err(|error| refused("value", error))?;
        let count = self.partitions.len();
        let chosen = if has_key {
            let bytes = self.key.partition_bytes(&self.key_bytes);
            partition_for_key(bytes, count as i32) as usize
        } else {
            self.round = (self.round + 1) % count.max(1);
            self.round
        };
        let Some(partition) = self.partitions.get(chosen) else {
            return Err(Error::new(ErrorKind::Production, format!("topic {} has no partitions", self.topic)));
        };
        let key = has_key.then_some(self.key_bytes.as_slice());
        let value = has_value.then_some(self.value_bytes.as_slice());
        self.writer.append(*partition, record.timestamp, key, value, &record.headers)
    }

    /// A log that takes nothing ends this by failing what is under way.
    #[cold]
    fn wait_for_room(&mut self) -> Result<()> {
        let writer = &self.writer;
        wait(&*self.log, &self.clock, |_| if writer.is_full() { Outcome::Pending } else { Outcome::Done(()) })
    }

    /// Waits until everything sent is written.
    ///
    /// # Errors
    /// What the log gives; some of the records may not be written then.
    pub fn flush(&mut self) -> Result<()> {
        answer(&*self.log, self.writer.flush()).map(drop)
    }
}

fn refused(what: &str, error: CodecError) -> Error {
    Error::new(ErrorKind::Production, format!("the {what} cannot be serialised")).with_source(error)
}
