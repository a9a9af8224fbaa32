//! What lies behind the lock: topics, partitions, transactions and groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_types::{Error, ErrorKind, Now, Offset, TopicPartition};

use super::disk::{DiskStorage, sync_dir};
use super::durable::Files;
use super::failure::{Answer, fatal, unknown_partition};
use super::group::Group;
use super::journal::Entry;
use super::memory::MemoryStorage;
use super::options::Options;
use super::partition::Partition;
use super::storage::Storage;
use super::transaction::Transactions;
use crate::seam::{CommittedOffset, Failure, GroupMetadata, NewTopic, OffsetSpec, OpenTransaction, TopicMetadata};

/// Longest topic name Kafka takes.
const TOPIC_NAME_LEN_MAX: usize = 249;

/// The state of an embedded log. Every method is one request, done when it returns.
#[derive(Debug)]
pub(super) struct Broker {
    pub(super) options: Options,
    pub(super) topics: BTreeMap<Arc<str>, Topic>,
    /// By [`Slot`]; deleted partitions leave a hole, so that no slot ever means another partition.
    pub(super) partitions: Vec<Option<Partition>>,
    pub(super) transactions: Transactions,
    pub(super) groups: BTreeMap<Arc<str>, Group>,
    /// The latest time any client has told.
    pub(super) now: Now,
    /// Moves with everything a client may be waiting for.
    pub(super) version: u64,
    pub(super) seed: u64,
    /// Topic ids given out so far.
    pub(super) ids: u64,
    /// Where the log lies; `None` in memory.
    pub(super) files: Option<Files>,
    /// When retention is looked at next, in ms of the monotonic clock.
    pub(super) retention_due_ms: i64,
}

/// Index of a partition in the broker.
pub(super) type Slot = usize;

/// A topic.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) id: u128,
    /// By partition.
    pub(super) slots: Vec<Slot>,
    pub(super) configs: Vec<(String, String)>,
}

impl Broker {
    pub(super) fn new(options: Options, seed: u64) -> Self {
        Self {
            options,
            topics: BTreeMap::new(),
            partitions: Vec::new(),
            transactions: Transactions::default(),
            groups: BTreeMap::new(),
            now: Now::default(),
            version: 0,
            seed,
            ids: 0,
            files: None,
            retention_due_ms: 0,
        }
    }

    /// Takes note of the time: expels silent members and ends overdue transactions.
    pub(super) fn tick(&mut self, now: Now) {
        let before = self.now;
        // Clients may have clocks of their own; the one that is furthest counts.
        if now.mono_ns >= before.mono_ns {
            self.now = now;
        }
        let now_ms = self.now.mono_ms();
        if now_ms == before.mono_ms() {
            return;
        }
        for group in self.groups.values_mut() {
            if group.expel(now_ms) {
                self.version += 1;
            }
        }
        self.abort_overdue(now_ms);
        self.expire_records(now_ms);
    }

    /// Slot of a partition that exists.
    pub(super) fn slot(&self, partition: &TopicPartition) -> Option<Slot> {
        let index = usize::try_from(partition.partition.0).ok()?;
        self.topics.get(&partition.topic)?.slots.get(index).copied()
    }

    pub(super) fn partition(&self, slot: Slot) -> Option<&Partition> {
        self.partitions.get(slot)?.as_ref()
    }

    pub(super) fn partition_mut(&mut self, slot: Slot) -> Option<&mut Partition> {
        self.partitions.get_mut(slot)?.as_mut()
    }

    /// Slot of a partition, after creating its topic where the log does so on its own.
    pub(super) fn slot_or_create(&mut self, partition: &TopicPartition) -> Answer<Slot> {
        self.partition_count(&partition.topic)?;
        self.slot(partition).ok_or_else(|| unknown_partition(partition))
    }

    /// Number of partitions of a topic, which is created where the log does so on its own.
    pub(super) fn partition_count(&mut self, topic: &str) -> Answer<i32> {
        if !self.topics.contains_key(topic) {
            if !self.options.auto_create_topics {
                return Err(fatal(
                    ErrorKind::Configuration,
                    format!("topic {topic} does not exist in the embedded log"),
                ));
            }
            let partitions = self.options.num_partitions;
            self.create_topics(&[NewTopic {
                name: topic.into(),
                partitions,
                replication_factor: -1,
                configs: vec![],
            }])?;
        }
        Ok(self.topics.get(topic).map_or(0, |topic| topic.slots.len() as i32))
    }

    pub(super) fn metadata(&self, name: &Arc<str>) -> Option<TopicMetadata> {
        let topic = self.topics.get(name)?;
        Some(TopicMetadata {
            name: name.clone(),
            id: topic.id,
            partitions: topic.slots.len() as i32,
            configs: topic.configs.clone(),
        })
    }

    pub(super) fn list_topics(&self) -> Vec<TopicMetadata> {
        self.topics.keys().filter_map(|name| self.metadata(name)).collect()
    }

    pub(super) fn create_topics(&mut self, topics: &[NewTopic]) -> Answer<()> {
        for topic in topics {
            self.check_topic(topic)?;
        }
        for topic in topics {
            if !self.topics.contains_key(&topic.name) {
                self.create_topic(topic)?;
            }
        }
        Ok(())
    }

    fn check_topic(&self, topic: &NewTopic) -> Answer<()> {
        let name = &*topic.name;
        if !is_topic_name(name) {
            let rule = "1 to 249 letters, digits, '.', '_' or '-', and neither '.' nor '..'";
            return Err(fatal(ErrorKind::Configuration, format!("{name:?} is no topic name: it takes {rule}")));
        }
        let asked = self.partitions_of(topic);
        if asked < 1 {
            return Err(fatal(ErrorKind::Configuration, format!("topic {name} cannot have {asked} partitions")));
        }
        match self.topics.get(name).map(|topic| topic.slots.len() as i32) {
            Some(found) if found != asked => Err(fatal(
                ErrorKind::Configuration,
                format!("topic {name} exists with {found} partitions, {asked} are needed"),
            )),
            _ => Ok(()),
        }
    }

    /// -1 asks for the default, as in Kafka.
    fn partitions_of(&self, topic: &NewTopic) -> i32 {
        if topic.partitions == -1 { self.options.num_partitions } else { topic.partitions }
    }

    fn create_topic(&mut self, topic: &NewTopic) -> Answer<()> {
        self.writable()?;
        let (id, count) = (self.next_id(), self.partitions_of(topic));
        let mut partitions = Vec::new();
        for partition in 0..count {
            let name = TopicPartition::new(topic.name.clone(), partition);
            let storage = self.new_storage(&name);
            partitions.push(Partition::new(name, id, self.guard(storage)?));
        }
        if let Some(files) = &self.files {
            // The directories are durable before the journal says that they are there.
            let synced = sync_dir(&*files.disk.fs, &files.disk.dir).map_err(storage_failure);
            self.guard(synced)?;
        }
        let (name, configs) = (topic.name.clone(), topic.configs.clone());
        self.record(Entry::TopicCreated { name, id, partitions: count, configs })?;
        let first = self.partitions.len();
        self.partitions.extend(partitions.into_iter().map(Some));
        let slots = (first..self.partitions.len()).collect();
        self.topics.insert(topic.name.clone(), Topic { id, slots, configs: topic.configs.clone() });
        self.version += 1;
        Ok(())
    }

    fn new_storage(&self, name: &TopicPartition) -> Answer<Storage> {
        match &self.files {
            None => Ok(Storage::Memory(MemoryStorage::default())),
            Some(files) => DiskStorage::create(&files.disk, name).map(Storage::Disk).map_err(storage_failure),
        }
    }

    pub(super) fn delete_topics(&mut self, names: &[Arc<str>]) -> Answer<()> {
        for name in names {
            if self.topics.contains_key(name) {
                self.delete_topic(name)?;
            }
        }
        Ok(())
    }

    fn delete_topic(&mut self, name: &Arc<str>) -> Answer<()> {
        self.writable()?;
        self.record(Entry::TopicDeleted { name: name.clone() })?;
        self.version += 1;
        for group in self.groups.values_mut() {
            group.offsets.retain(|partition, _| partition.topic != *name);
        }
        for slot in self.topics.remove(name).map(|topic| topic.slots).unwrap_or_default() {
            self.transactions.forget(slot);
            let partition = self.partitions.get_mut(slot).and_then(Option::take);
            if let (Some(partition), Some(files)) = (partition, &self.files) {
                let removed = DiskStorage::remove(&files.disk, &partition.name).map_err(storage_failure);
                self.guard(removed)?;
            }
        }
        Ok(())
    }

    pub(super) fn delete_records(&mut self, before: &[(TopicPartition, i64)]) -> Answer<()> {
        for (name, _) in before {
            self.find(name)?;
        }
        for (name, offset) in before {
            if let Some(slot) = self.slot(name) {
                self.delete_before(slot, *offset)?;
            }
        }
        Ok(())
    }

    pub(super) fn delete_before(&mut self, slot: Slot, offset: i64) -> Answer<()> {
        self.writable()?;
        let Some(partition) = self.partition(slot) else { return Ok(()) };
        let offset = offset.min(partition.end());
        if offset <= partition.log_start() {
            return Ok(());
        }
        let removes_files = partition.has_files_before(offset);
        self.record(Entry::LogStart { partition: partition.name.clone(), offset })?;
        if let Some(files) = self.files.as_mut().filter(|_| removes_files) {
            // A missing file is damage unless the journal explains it.
            let synced = files.journal.sync();
            self.guard(synced)?;
        }
        if let Some(partition) = self.partition_mut(slot) {
            let deleted = partition.delete_before(offset).map_err(storage_failure);
            self.guard(deleted)?;
        }
        self.version += 1;
        Ok(())
    }

    pub(super) fn offset(&self, name: &TopicPartition, spec: OffsetSpec) -> Answer<i64> {
        use crate::seam::Isolation::{ReadCommitted, ReadUncommitted};
        let partition = self.find(name)?;
        match spec {
            OffsetSpec::Start => Ok(partition.log_start()),
            OffsetSpec::EndUncommitted => Ok(partition.end_for(ReadUncommitted)),
            OffsetSpec::EndCommitted => Ok(partition.end_for(ReadCommitted)),
            OffsetSpec::AtTime(time) => partition.offset_at(time).map_err(storage_failure),
        }
    }

    /// The open transactions of a partition; none where there is no such partition.
    pub(super) fn open_transactions(&self, name: &TopicPartition) -> Vec<OpenTransaction> {
        let Ok(partition) = self.find(name) else { return Vec::new() };
        let open = partition.open().map(|(producer_id, first)| OpenTransaction {
            producer_id,
            producer_epoch: partition.epoch_of(producer_id),
            start: Offset(first),
            last_timestamp_ms: -1,
        });
        open.collect()
    }

    /// Commits a group's offsets, if the proof of membership holds.
    pub(super) fn commit_offsets(
        &mut self,
        proof: &GroupMetadata,
        offsets: Vec<(TopicPartition, CommittedOffset)>,
    ) -> Answer<()> {
        self.check_member(proof)?;
        self.writable()?;
        if offsets.is_empty() {
            return Ok(());
        }
        self.record(Entry::Offsets { group: proof.group.clone(), offsets: offsets.clone() })?;
        self.apply_offsets(&proof.group, offsets);
        self.compact()
    }

    pub(super) fn check_member(&self, proof: &GroupMetadata) -> Answer<()> {
        match self.groups.get(&proof.group) {
            Some(group) => group.check(proof),
            None => Group::default().check(proof),
        }
    }

    pub(super) fn apply_offsets(&mut self, group: &Arc<str>, offsets: Vec<(TopicPartition, CommittedOffset)>) {
        if !offsets.is_empty() {
            self.groups.entry(group.clone()).or_default().offsets.extend(offsets);
            self.version += 1;
        }
    }

    fn find(&self, name: &TopicPartition) -> Answer<&Partition> {
        self.slot(name).and_then(|slot| self.partition(slot)).ok_or_else(|| unknown_partition(name))
    }

    fn next_id(&mut self) -> u128 {
        self.ids += 1;
        let high = mix(self.seed, self.ids.wrapping_mul(2));
        let low = mix(self.seed, self.ids.wrapping_mul(2).wrapping_add(1));
        u128::from(high) << 64 | u128::from(low)
    }
}

/// A failure of the storage, which had no effect.
pub(super) fn storage_failure(error: Error) -> Failure {
    Failure { kind: crate::seam::FailureKind::Fatal, error }
}

/// splitmix64: spreads small numbers over all 64 bits.
fn mix(seed: u64, number: u64) -> u64 {
    let mut z = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Whether Kafka takes this name for a topic. It becomes the name of a directory, too.
pub(super) fn is_topic_name(name: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=TOPIC_NAME_LEN_MAX).contains(&name.len()) && name != "." && name != ".." && name.bytes().all(is_legal)
}
