//! Reads what is committed, past all faults: the view that the invariants are checked on.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_log::{Admin, Call, Isolation, Log, OffsetSpec, Outcome, Reader, ReaderEvent};
use millstream_types::{Now, Offset, RawRecord, TopicPartition};

use crate::random::mix;

/// Everything committed so far, read as it appears (so that later deletions do not matter).
pub struct Observer {
    admin: Box<dyn Admin>,
    reader: Box<dyn Reader>,
    group: String,
    view: View,
}

/// The committed records and offsets at one moment.
#[derive(Debug, Default)]
pub struct View {
    partitions: BTreeMap<TopicPartition, Seen>,
    committed: BTreeMap<TopicPartition, i64>,
    /// What should not happen to a reader that reads all along.
    pub(super) problems: Vec<String>,
    /// Offsets committed anew that lie before earlier ones. A late commit may do that under
    /// at-least-once, nothing under exactly-once.
    pub(super) regressions: Vec<String>,
}

/// One partition as read so far.
#[derive(Debug, Default)]
pub struct Seen {
    /// Committed records, in order.
    pub records: Vec<RawRecord>,
    /// Where reading goes on.
    pub next: i64,
    /// One past the last offset, open transactions included.
    pub end: i64,
}

impl Seen {
    /// Whether no transaction is open here: everything that is committed can be seen.
    pub fn is_stable(&self) -> bool {
        self.next == self.end
    }
}

impl View {
    /// Changes with everything that can be seen.
    pub fn version(&self) -> u64 {
        let seen = self.partitions.values().map(|seen| (seen.next as u64) << 20 | seen.end as u64);
        let committed = self.committed.values().map(|offset| *offset as u64);
        seen.chain(committed).fold(0, |version, number| mix(version ^ number))
    }

    /// A partition; one without a topic is empty.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&Seen> {
        self.partitions.get(&TopicPartition::new(topic, partition))
    }

    /// The committed records of a partition.
    pub fn records(&self, topic: &str, partition: i32) -> &[RawRecord] {
        self.partition(topic, partition).map_or(&[], |seen| &seen.records)
    }

    /// Whether everything committed in these partitions of a topic can be seen.
    pub fn is_stable(&self, topic: &str, partition: i32) -> bool {
        self.partition(topic, partition).is_none_or(Seen::is_stable)
    }

    /// The records of a partition that the group's committed offset covers.
    pub fn consumed(&self, topic: &str, partition: i32) -> &[RawRecord] {
        let records = self.records(topic, partition);
        let end = self.committed(topic, partition);
        records.get(..records.partition_point(|record| record.offset.0 < end)).unwrap_or_default()
    }

    /// The group's committed offset of a partition; 0 when there is none.
    pub fn committed(&self, topic: &str, partition: i32) -> i64 {
        self.committed.get(&TopicPartition::new(topic, partition)).copied().unwrap_or(0)
    }

    /// All partitions read, with their topics.
    pub fn partitions(&self) -> impl Iterator<Item = (&TopicPartition, &Seen)> {
        self.partitions.iter()
    }

    /// Number of partitions of a topic.
    pub fn partition_count(&self, topic: &str) -> i32 {
        self.partitions.keys().filter(|partition| *partition.topic == *topic).count() as i32
    }
}

impl Observer {
    /// An observer of this group on the log itself.
    pub fn new(log: &dyn Log, group: &str) -> Self {
        Self {
            admin: log.admin(),
            reader: log.reader(Isolation::ReadCommitted),
            group: group.to_owned(),
            view: View::default(),
        }
    }

    /// The view of the last look.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Reads what is new and gives the whole view: one moment of the log, nothing happens meanwhile.
    pub fn look(&mut self, now: Now) -> &View {
        self.find_topics(now);
        let mut events = Vec::new();
        loop {
            self.reader.poll(now, 1 << 20, &mut events);
            let mut progress = false;
            for event in events.drain(..) {
                progress |= self.view.take(event);
            }
            if !progress {
                break;
            }
        }
        let partitions: Vec<TopicPartition> = self.view.partitions.keys().cloned().collect();
        let ends = answer(self.admin.offsets(&partitions, OffsetSpec::EndUncommitted), now);
        for (seen, end) in self.view.partitions.values_mut().zip(ends.unwrap_or_default()) {
            seen.end = end.0;
        }
        let committed = answer(self.admin.committed(&self.group, &partitions), now).unwrap_or_default();
        for (partition, committed) in partitions.into_iter().zip(committed) {
            let Some(committed) = committed else { continue };
            let before = self.view.committed.insert(partition.clone(), committed.offset.0);
            if before.is_some_and(|before| before > committed.offset.0) {
                let (to, from) = (committed.offset, before.unwrap_or_default());
                let problem = format!("the committed offset of {partition} went back from {from} to {to}");
                self.view.regressions.push(problem);
            }
        }
        &self.view
    }

    fn find_topics(&mut self, now: Now) {
        let mut is_new = false;
        for topic in answer(self.admin.list_topics(), now).unwrap_or_default() {
            for partition in 0..topic.partitions {
                let partition = TopicPartition::new(Arc::clone(&topic.name), partition);
                self.view.partitions.entry(partition).or_insert_with(|| {
                    is_new = true;
                    Seen::default()
                });
            }
        }
        if is_new {
            let positions = self.view.partitions.iter();
            let positions = positions.map(|(partition, seen)| (partition.clone(), Offset(seen.next).into()));
            self.reader.assign(&positions.collect::<Vec<_>>());
        }
    }
}

impl View {
    /// Whether the event moved anything.
    fn take(&mut self, event: ReaderEvent) -> bool {
        let fetched = match event {
            ReaderEvent::Fetched(fetched) => fetched,
            other => {
                self.problems.push(format!("the observer cannot read on: {other:?}"));
                return false;
            }
        };
        let Some(seen) = self.partitions.get_mut(&fetched.partition) else { return false };
        for batch in fetched.batches {
            let from = Offset(seen.next);
            match batch.cursor(from) {
                Ok(mut records) => {
                    while records.advance().unwrap_or(false) {
                        seen.records.extend(records.current().map(|record| record.to_raw()));
                    }
                }
                Err(error) => self.problems.push(format!("{}: {error}", fetched.partition)),
            }
        }
        let moved = fetched.next.0 > seen.next;
        seen.next = seen.next.max(fetched.next.0);
        moved
    }
}

/// The answer of a log that answers at once.
pub(super) fn answer<T>(mut call: Call<T>, now: Now) -> Option<T> {
    match call.poll(now) {
        Outcome::Done(answer) => Some(answer),
        Outcome::Pending | Outcome::Failed(_) => None,
    }
}
