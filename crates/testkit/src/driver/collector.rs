//! What the task writes, kept until it is moved to the topics.

use std::sync::Arc;

use bytes::Bytes;
use millstream_log::PartitionHandle;
use millstream_runtime::TaskOutput;
use millstream_types::{Headers, Result, Timestamp};

/// A record written to a topic.
#[derive(Clone, Debug)]
pub(super) struct Produced {
    pub(super) topic: Arc<str>,
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
    pub(super) timestamp: Timestamp,
    pub(super) headers: Headers,
}

/// Takes the task's records in order. Every topic has one partition.
#[derive(Debug, Default)]
pub(super) struct Collector {
    topics: Vec<Arc<str>>,
    pub(super) produced: Vec<Produced>,
}

impl TaskOutput for Collector {
    fn partition_count(&mut self, _: &Arc<str>) -> Result<i32> {
        Ok(1)
    }

    fn partition(&mut self, topic: &Arc<str>, _: i32) -> PartitionHandle {
        self.topics.push(Arc::clone(topic));
        PartitionHandle(self.topics.len() as u32 - 1)
    }

    /// The topic's one partition stands for however many the real topic has.
    fn partition_beyond(&mut self, topic: &Arc<str>, partition: i32) -> Option<PartitionHandle> {
        let known = self.topics.iter().position(|it| it == topic).filter(|_| partition >= 0)?;
        Some(PartitionHandle(known as u32))
    }

    fn append(
        &mut self,
        to: PartitionHandle,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &Headers,
    ) -> Result<()> {
        if let Some(topic) = self.topics.get(to.0 as usize) {
            self.produced.push(Produced {
                topic: Arc::clone(topic),
                key: key.map(Bytes::copy_from_slice),
                value: value.map(Bytes::copy_from_slice),
                timestamp,
                headers: headers.clone(),
            });
        }
        Ok(())
    }
}
