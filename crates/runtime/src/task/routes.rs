//! From topics to partition handles, looked up by position: nothing is hashed per record.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_log::PartitionHandle;
use millstream_topology::flow::{NodeIndex, SinkRecord};
use millstream_types::{Error, ErrorKind, Result, partition_for_key};

use super::TaskOutput;

/// Records without a key stay in one partition for about this many bytes, as Kafka's producer does
/// for a batch (`batch.size`, KIP-794): full batches instead of many small ones.
const STICKY_BYTES: usize = 16 * 1024;

/// The partitions of the topics that a task writes.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    /// The last topic of each sink, by the sink's place in the flow.
    by_sink: Vec<Option<Route>>,
    /// Topics of dead letters, and those that extractors chose before the last one.
    by_name: BTreeMap<Arc<str>, Route>,
}

#[derive(Clone, Debug)]
struct Route {
    topic: Arc<str>,
    handles: Vec<PartitionHandle>,
    sticky: usize,
    sticky_bytes: usize,
}

impl Routes {
    /// Where a record goes.
    pub(crate) fn find(&mut self, record: &SinkRecord<'_>, output: &mut dyn TaskOutput) -> Result<PartitionHandle> {
        let route = match record.sink {
            Some(sink) => self.of_sink(sink, record.topic, output)?,
            None => Self::of_name(&mut self.by_name, record.topic, output)?,
        };
        let count = route.handles.len();
        let chosen = match (record.partition, record.partition_key) {
            (Some(partition), _) => usize::try_from(partition).unwrap_or(usize::MAX),
            (None, Some(key)) => partition_for_key(key, count as i32) as usize,
            (None, None) => route.next_sticky(record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len)),
        };
        if let Some(handle) = route.handles.get(chosen) {
            return Ok(*handle);
        }
        let chosen = record.partition.unwrap_or(-1);
        output.partition_beyond(record.topic, chosen).ok_or_else(|| {
            let message = format!("the partitioner chose partition {chosen}, but the topic has {count}");
            Error::new(ErrorKind::Fatal, message).with_context(|context| context.topic = Some(Arc::clone(record.topic)))
        })
    }

    fn of_sink(&mut self, sink: NodeIndex, topic: &Arc<str>, output: &mut dyn TaskOutput) -> Result<&mut Route> {
        let at = sink.0 as usize;
        if self.by_sink.len() <= at {
            self.by_sink.resize(at + 1, None);
        }
        let Some(slot) = self.by_sink.get_mut(at) else {
            return Err(Error::new(ErrorKind::Fatal, "a sink has no place in its flow"));
        };
        let is_known = slot.as_ref().is_some_and(|route| Arc::ptr_eq(&route.topic, topic) || *route.topic == **topic);
        if !is_known {
            if let Some(last) = slot.take() {
                self.by_name.insert(Arc::clone(&last.topic), last);
            }
            *slot = Some(Self::of_name(&mut self.by_name, topic, output)?.clone());
        }
        slot.as_mut().ok_or_else(|| Error::new(ErrorKind::Fatal, "a route was lost"))
    }

    fn of_name<'a>(
        by_name: &'a mut BTreeMap<Arc<str>, Route>,
        topic: &Arc<str>,
        output: &mut dyn TaskOutput,
    ) -> Result<&'a mut Route> {
        if !by_name.contains_key(topic) {
            let route = Route::resolve(topic, output)?;
            by_name.insert(Arc::clone(topic), route);
        }
        by_name.get_mut(topic).ok_or_else(|| Error::new(ErrorKind::Fatal, "a route was lost"))
    }
}

impl Route {
    fn resolve(topic: &Arc<str>, output: &mut dyn TaskOutput) -> Result<Self> {
        let named = |error: Error| error.with_context(|context| context.topic = Some(Arc::clone(topic)));
        let count = output.partition_count(topic).map_err(named)?;
        let handles = (0..count).map(|partition| output.partition(topic, partition)).collect();
        Ok(Self { topic: Arc::clone(topic), handles, sticky: 0, sticky_bytes: 0 })
    }

    fn next_sticky(&mut self, bytes: usize) -> usize {
        if self.sticky_bytes >= STICKY_BYTES {
            self.sticky_bytes = 0;
            self.sticky = (self.sticky + 1) % self.handles.len().max(1);
        }
        self.sticky_bytes += bytes.max(1);
        self.sticky
    }
}
