//! Partitions as requests name them.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_types::TopicPartition;

/// Partitions by topic, each by its number.
pub(crate) fn by_topic<T>(partitions: Vec<(TopicPartition, T)>) -> BTreeMap<Arc<str>, Vec<(i32, T)>> {
    let mut topics: BTreeMap<Arc<str>, Vec<(i32, T)>> = BTreeMap::new();
    for (partition, what) in partitions {
        topics.entry(partition.topic).or_default().push((partition.partition.0, what));
    }
    topics
}
