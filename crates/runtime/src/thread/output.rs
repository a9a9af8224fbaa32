//! The thread's writer as its tasks see it.

use std::sync::Arc;

use millstream_log::{Outcome, PartitionHandle, Writer};
use millstream_types::{Error, ErrorKind, Headers, Now, Partition, Result, Timestamp, TopicPartition};

use crate::shared::failed;
use crate::task::TaskOutput;

/// Appends to the thread's writer.
pub(crate) struct WriterOutput<'a> {
    pub(crate) writer: &'a mut dyn Writer,
    pub(crate) now: Now,
}

impl TaskOutput for WriterOutput<'_> {
    fn partition_count(&mut self, topic: &Arc<str>) -> Result<i32> {
        let named = |error: Error| error.with_context(|context| context.topic = Some(Arc::clone(topic)));
        match self.writer.partition_count(topic, self.now) {
            Outcome::Done(count) => Ok(count),
            Outcome::Failed(failure) => Err(named(failed(failure))),
            // Topics known from the topology were asked for before the task started; this one was
            // chosen by an extractor.
            Outcome::Pending => Err(named(Error::new(ErrorKind::Retriable, "the topic is not known yet"))),
        }
    }

    fn partition(&mut self, topic: &Arc<str>, partition: i32) -> PartitionHandle {
        self.writer.partition(&TopicPartition { topic: Arc::clone(topic), partition: Partition(partition) })
    }

    fn append(
        &mut self,
        to: PartitionHandle,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &Headers,
    ) -> Result<()> {
        self.writer.append(to, timestamp, key, value, headers)
    }
}
