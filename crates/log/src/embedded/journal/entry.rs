//! What the journal records, and its bytes.
//!
//! A tag, then the fields in order: numbers big endian, texts and lists with a length (u32) before
//! them.

use std::sync::Arc;

use millstream_types::{Offset, Partition, TopicPartition};

use crate::embedded::broker::is_topic_name;
use crate::seam::CommittedOffset;

/// Numbers that are counted on from are below half of what there is: no log lives long enough to reach that.
const COUNTED_MAX: i64 = i64::MAX / 2;

/// A change of what the partitions' own files do not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::embedded) enum Entry {
    /// How the log is run from here on; first in every journal.
    Opened { is_flushed: bool, seed: u64, ids: u64, next_producer_id: i64 },
    /// A topic was created.
    TopicCreated { name: Arc<str>, id: u128, partitions: i32, configs: Vec<(String, String)> },
    /// A topic was deleted, with its offsets in all groups.
    TopicDeleted { name: Arc<str> },
    /// The records before an offset were deleted.
    LogStart { partition: TopicPartition, offset: i64 },
    /// A producer took charge of a transactional id.
    Producer { transactional_id: Arc<str>, id: i64, epoch: i16 },
    /// A transaction's commit point: from here on it has happened, with its offsets, whether its
    /// markers are written or not. They belong at these offsets.
    Commit { producer_id: i64, epoch: i16, group: Arc<str>, offsets: Offsets, markers: Vec<(TopicPartition, i64)> },
    /// A group's offsets were committed outside a transaction.
    Offsets { group: Arc<str>, offsets: Offsets },
    /// Everything before these offsets is durable.
    Synced { partitions: Vec<(TopicPartition, i64)> },
}

/// Offsets of a group.
pub(in crate::embedded) type Offsets = Vec<(TopicPartition, CommittedOffset)>;

impl Entry {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Opened { is_flushed, seed, ids, next_producer_id } => {
                out.extend([1, u8::from(*is_flushed)]);
                out.extend(seed.to_be_bytes());
                out.extend(ids.to_be_bytes());
                out.extend(next_producer_id.to_be_bytes());
            }
            Self::TopicCreated { name, id, partitions, configs } => {
                out.push(2);
                text(out, name);
                out.extend(id.to_be_bytes());
                out.extend(partitions.to_be_bytes());
                list(out, configs, |out, (key, value)| {
                    text(out, key);
                    text(out, value);
                });
            }
            Self::TopicDeleted { name } => {
                out.push(3);
                text(out, name);
            }
            Self::LogStart { partition, offset } => {
                out.push(4);
                position(out, &(partition.clone(), *offset));
            }
            Self::Producer { transactional_id, id, epoch } => {
                out.push(5);
                text(out, transactional_id);
                out.extend(id.to_be_bytes());
                out.extend(epoch.to_be_bytes());
            }
            Self::Commit { producer_id, epoch, group, offsets, markers } => {
                out.push(6);
                out.extend(producer_id.to_be_bytes());
                out.extend(epoch.to_be_bytes());
                text(out, group);
                list(out, offsets, committed);
                list(out, markers, position);
            }
            Self::Offsets { group, offsets } => {
                out.push(7);
                text(out, group);
                list(out, offsets, committed);
            }
            Self::Synced { partitions } => {
                out.push(8);
                list(out, partitions, position);
            }
        }
    }

    /// Reads entries that take exactly these bytes; at least one.
    pub(super) fn read_all(bytes: &[u8]) -> Option<Vec<Self>> {
        let (mut from, mut entries) = (Source(bytes), Vec::new());
        while !from.0.is_empty() || entries.is_empty() {
            entries.push(Self::read(&mut from)?);
        }
        Some(entries)
    }

    fn read(from: &mut Source<'_>) -> Option<Self> {
        Some(match from.u8()? {
            1 => Self::Opened {
                is_flushed: from.u8()? != 0,
                seed: u64::from_be_bytes(from.array()?),
                ids: from.counted()?.unsigned_abs(),
                next_producer_id: from.counted()?,
            },
            2 => Self::TopicCreated {
                // It leads to files.
                name: from.text().filter(|name| is_topic_name(name))?,
                id: u128::from_be_bytes(from.array()?),
                partitions: from.i32()?,
                configs: from.list(|from| Some((from.text()?.to_string(), from.text()?.to_string())))?,
            },
            3 => Self::TopicDeleted { name: from.text()? },
            4 => {
                let (partition, offset) = from.position()?;
                Self::LogStart { partition, offset }
            }
            5 => Self::Producer { transactional_id: from.text()?, id: from.counted()?, epoch: from.i16()? },
            6 => Self::Commit {
                producer_id: from.i64()?,
                epoch: from.i16()?,
                group: from.text()?,
                offsets: from.list(Source::committed)?,
                markers: from.list(Source::position)?,
            },
            7 => Self::Offsets { group: from.text()?, offsets: from.list(Source::committed)? },
            8 => Self::Synced { partitions: from.list(Source::position)? },
            _ => return None,
        })
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u32).to_be_bytes());
    out.extend(text.as_bytes());
}

fn list<T>(out: &mut Vec<u8>, items: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
    out.extend((items.len() as u32).to_be_bytes());
    for item in items {
        write(out, item);
    }
}

fn position(out: &mut Vec<u8>, (partition, offset): &(TopicPartition, i64)) {
    text(out, &partition.topic);
    out.extend(partition.partition.0.to_be_bytes());
    out.extend(offset.to_be_bytes());
}

fn committed(out: &mut Vec<u8>, (partition, committed): &(TopicPartition, CommittedOffset)) {
    position(out, &(partition.clone(), committed.offset.0));
    out.extend(committed.leader_epoch.to_be_bytes());
    text(out, &committed.metadata);
}

/// Bytes still to be read. `None` from any method: malformed.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    fn i16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    fn counted(&mut self) -> Option<i64> {
        self.i64().filter(|number| (0..=COUNTED_MAX).contains(number))
    }

    fn text(&mut self) -> Option<Arc<str>> {
        let len = u32::from_be_bytes(self.array()?) as usize;
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        std::str::from_utf8(head).ok().map(Arc::from)
    }

    fn list<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        // Nothing is reserved: the count is not to be trusted with memory.
        let count = u32::from_be_bytes(self.array()?);
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(read(self)?);
        }
        Some(items)
    }

    fn position(&mut self) -> Option<(TopicPartition, i64)> {
        let topic = self.text()?;
        let partition = Partition(self.i32()?);
        Some((TopicPartition { topic, partition }, self.i64()?))
    }

    fn committed(&mut self) -> Option<(TopicPartition, CommittedOffset)> {
        let (partition, offset) = self.position()?;
        let leader_epoch = self.i32()?;
        let metadata = self.text()?.to_string();
        Some((partition, CommittedOffset { offset: Offset(offset), leader_epoch, metadata }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let partition = TopicPartition::new("t", 3);
        let committed = CommittedOffset { offset: Offset(5), leader_epoch: -1, metadata: "é".into() };
        vec![
            Entry::Opened { is_flushed: true, seed: 1, ids: 2, next_producer_id: 3 },
            Entry::TopicCreated {
                name: "t".into(),
                id: u128::MAX - 1,
                partitions: 4,
                configs: vec![("a".into(), "b".into()), (String::new(), "c".into())],
            },
            Entry::TopicDeleted { name: "t".into() },
            Entry::LogStart { partition: partition.clone(), offset: 9 },
            Entry::Producer { transactional_id: "app-1".into(), id: 7, epoch: 3 },
            Entry::Commit {
                producer_id: 7,
                epoch: 3,
                group: "app".into(),
                offsets: vec![(partition.clone(), committed.clone())],
                markers: vec![(partition.clone(), 11), (TopicPartition::new("u", 0), 12)],
            },
            Entry::Offsets { group: "app".into(), offsets: vec![(partition.clone(), committed)] },
            Entry::Synced { partitions: vec![(partition, 4)] },
        ]
    }

    #[test]
    fn entries_come_back() {
        for entry in entries() {
            let mut bytes = Vec::new();
            entry.write(&mut bytes);
            assert_eq!(Entry::read_all(&bytes), Some(vec![entry]));
        }
        let mut bytes = Vec::new();
        for entry in entries() {
            entry.write(&mut bytes);
        }
        assert_eq!(Entry::read_all(&bytes), Some(entries()));
    }

    #[test]
    fn a_topic_that_would_lead_elsewhere_is_refused() {
        for name in ["../../etc", "..", "/etc", "a/b", "", "a\0"] {
            let entry = Entry::TopicCreated { name: name.into(), id: 1, partitions: 1, configs: Vec::new() };
            let mut bytes = Vec::new();
            entry.write(&mut bytes);
            assert_eq!(Entry::read_all(&bytes), None, "{name:?}");
        }
    }

    #[test]
    fn numbers_that_could_not_be_counted_on_from_are_refused() {
        let opened = |ids, next_producer_id| Entry::Opened { is_flushed: true, seed: u64::MAX, ids, next_producer_id };
        let producer = |id| Entry::Producer { transactional_id: "app-1".into(), id, epoch: i16::MAX };
        let largest = COUNTED_MAX.unsigned_abs();
        for (entry, is_good) in [
            (opened(largest, COUNTED_MAX), true),
            (opened(largest + 1, 0), false),
            (opened(u64::MAX, 0), false),
            (opened(0, i64::MAX), false),
            (opened(0, -1), false),
            (producer(COUNTED_MAX), true),
            (producer(i64::MAX), false),
            (producer(i64::MIN), false),
        ] {
            let mut bytes = Vec::new();
            entry.write(&mut bytes);
            assert_eq!(Entry::read_all(&bytes).is_some(), is_good, "{entry:?}");
        }
    }

    #[test]
    fn what_is_cut_short_or_too_long_is_refused() {
        for entry in entries() {
            let mut bytes = Vec::new();
            entry.write(&mut bytes);
            for len in 0..bytes.len() {
                assert_eq!(Entry::read_all(&bytes[..len]), None, "{entry:?}");
            }
            bytes.push(0);
            assert_eq!(Entry::read_all(&bytes), None);
        }
    }
}
