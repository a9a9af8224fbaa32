//! The order in which a task waits for its empty partitions under `max.task.idle.ms`: one after the
//! other, and Kafka Streams takes them in the order of a hash table.

use millstream_runtime::TaskInput;

/// Size of a new `HashMap`, which doubles when it is more than three quarters full.
const TABLE_SIZE: usize = 16;

/// Puts inputs in the order of the keys of a `HashMap<TopicPartition, …>`, all of partition 0.
pub(super) fn sort(inputs: &mut [TaskInput]) {
    let mut size = TABLE_SIZE;
    while inputs.len() * 4 > size * 3 {
        size *= 2;
    }
    inputs.sort_by_key(|input| bucket(&input.partition.topic, size));
}

fn bucket(topic: &str, table_size: usize) -> usize {
    let text = topic.encode_utf16().fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
    // `TopicPartition.hashCode` begins with 31 * (31 * 1 + partition).
    let hash = text.wrapping_add(31 * 31);
    (hash ^ (hash >> 16)) as usize & (table_size - 1)
}
