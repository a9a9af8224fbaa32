//! What a journal adds up to.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_types::TopicPartition;

use super::Entry;
use crate::seam::CommittedOffset;

/// The state after the last entry.
#[derive(Debug, Default)]
pub(in crate::embedded) struct Replay {
    /// Whether everything acknowledged was made durable.
    pub(in crate::embedded) is_flushed: bool,
    pub(in crate::embedded) seed: u64,
    pub(in crate::embedded) ids: u64,
    pub(in crate::embedded) next_producer_id: i64,
    pub(in crate::embedded) topics: BTreeMap<Arc<str>, ReplayedTopic>,
    pub(in crate::embedded) log_starts: BTreeMap<TopicPartition, i64>,
    pub(in crate::embedded) synced: BTreeMap<TopicPartition, i64>,
    pub(in crate::embedded) producers: BTreeMap<Arc<str>, (i64, i16)>,
    pub(in crate::embedded) offsets: BTreeMap<Arc<str>, BTreeMap<TopicPartition, CommittedOffset>>,
    /// Commit points: last marker's offset and epoch by partition and producer.
    pub(in crate::embedded) markers: BTreeMap<(TopicPartition, i64), (i64, i16)>,
}

/// A topic of the journal.
#[derive(Debug)]
pub(in crate::embedded) struct ReplayedTopic {
    pub(in crate::embedded) id: u128,
    pub(in crate::embedded) partitions: i32,
    pub(in crate::embedded) configs: Vec<(String, String)>,
}

impl Replay {
    /// Applies entries in order.
    pub(in crate::embedded) fn of(entries: Vec<Entry>) -> Self {
        let mut replay = Self::default();
        for entry in entries {
            replay.apply(entry);
        }
        replay
    }

    fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Opened { is_flushed, seed, ids, next_producer_id } => {
                self.is_flushed = is_flushed;
                self.seed = seed;
                self.ids = ids;
                self.next_producer_id = next_producer_id;
            }
            Entry::TopicCreated { name, id, partitions, configs } => {
                self.ids += 1;
                self.topics.insert(name, ReplayedTopic { id, partitions, configs });
            }
            Entry::TopicDeleted { name } => self.delete(&name),
            Entry::LogStart { partition, offset } => {
                self.log_starts.insert(partition, offset);
            }
            Entry::Producer { transactional_id, id, epoch } => {
                self.next_producer_id = self.next_producer_id.max(id + 1);
                self.producers.insert(transactional_id, (id, epoch));
            }
            Entry::Commit { producer_id, epoch, group, offsets, markers } => {
                if !offsets.is_empty() {
                    self.offsets.entry(group).or_default().extend(offsets);
                }
                for (partition, offset) in markers {
                    // Its records were made durable before the commit point.
                    self.raise_synced(&partition, offset);
                    self.markers.insert((partition, producer_id), (offset, epoch));
                }
            }
            Entry::Offsets { group, offsets } => self.offsets.entry(group).or_default().extend(offsets),
            Entry::Synced { partitions } => {
                for (partition, offset) in partitions {
                    self.raise_synced(&partition, offset);
                }
            }
        }
    }

    fn raise_synced(&mut self, partition: &TopicPartition, offset: i64) {
        let synced = self.synced.entry(partition.clone()).or_default();
        *synced = (*synced).max(offset);
    }

    fn delete(&mut self, name: &Arc<str>) {
        self.topics.remove(name);
        self.log_starts.retain(|partition, _| partition.topic != *name);
        self.synced.retain(|partition, _| partition.topic != *name);
        self.markers.retain(|(partition, _), _| partition.topic != *name);
        for offsets in self.offsets.values_mut() {
            offsets.retain(|partition, _| partition.topic != *name);
        }
    }
}
