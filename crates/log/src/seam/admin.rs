//! Topics and offsets.

use std::sync::Arc;

use millstream_types::{Offset, TopicPartition};

use super::{Call, CommittedOffset};

/// A client for topics and offsets.
pub trait Admin: Send {
    /// Metadata of these topics, in the order asked; `None` for a topic that does not exist.
    fn topics(&mut self, names: &[Arc<str>]) -> Call<Vec<Option<TopicMetadata>>>;

    /// All topics, sorted by name.
    fn list_topics(&mut self) -> Call<Vec<TopicMetadata>>;

    /// Creates topics. One that exists with the same number of partitions counts as created; with
    /// another number the whole call is a fatal failure that names both numbers.
    fn create_topics(&mut self, topics: &[NewTopic]) -> Call<()>;

    /// Deletes topics and all their records.
    fn delete_topics(&mut self, names: &[Arc<str>]) -> Call<()>;

    /// Forgets the records before these offsets.
    fn delete_records(&mut self, before: &[(TopicPartition, Offset)]) -> Call<()>;

    /// Offsets of partitions, in the order asked.
    fn offsets(&mut self, partitions: &[TopicPartition], spec: OffsetSpec) -> Call<Vec<Offset>>;

    /// A group's committed offsets, in the order asked; `None` where nothing was committed. Waits
    /// for transactions that may still change them (a "stable" fetch, KIP-447).
    fn committed(&mut self, group: &str, partitions: &[TopicPartition]) -> Call<Vec<Option<CommittedOffset>>>;

    /// The open transactions of partitions, in the order asked. A log that cannot tell gives none.
    fn open_transactions(&mut self, partitions: &[TopicPartition]) -> Call<Vec<Vec<OpenTransaction>>> {
        Call::done(vec![Vec::new(); partitions.len()])
    }

    /// Gives a group these settings, under the names that brokers have for a group's (`streams.session.timeout.ms`), unless
    /// they are in effect. A log whose groups have none does nothing.
    fn configure_group(&mut self, _group: &str, _settings: &[(String, String)]) -> Call<()> {
        Call::done(())
    }

    /// Offsets that a [`renew_group`](Self::renew_group) which was cut short has left aside, in the order asked: where a
    /// group has no committed offset, it goes on from these. A log that cannot be cut short there has none.
    fn set_aside(&mut self, _group: &str, partitions: &[TopicPartition]) -> Call<Vec<Option<CommittedOffset>>> {
        Call::done(vec![None; partitions.len()])
    }

    /// Makes a group anew with its committed offsets, so that its next members may have another topology. Gives the
    /// number of partitions with offsets. May be begun again if it was cut short. A fatal failure of kind `State`
    /// when the group has members, of kind `Configuration` when brokers know no such group, of
    /// kind `Fatal` when an earlier renewal has left offsets aside that are ahead of the group's.
    fn renew_group(&mut self, group: &str) -> Call<usize>;
}

/// A transaction that has not ended, in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenTransaction {
    /// Id of its producer.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i32,
    /// Its first offset in the partition.
    pub start: Offset,
    /// Timestamp of the last record it wrote, in ms since the epoch: the time of an event, where the application sets it.
    /// Negative when that is not known.
    pub last_timestamp_ms: i64,
}

/// A topic as the log knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Name.
    pub name: Arc<str>,
    /// Changes when a topic is deleted and created again under the same name.
    pub id: u128,
    /// Number of partitions.
    pub partitions: i32,
    /// Settings, sorted by key: those given at creation, and from a broker also the ones in effect that say how long
    /// records last (`cleanup.policy`, `retention.ms`, ...).
    pub configs: Vec<(String, String)>,
}

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// Name.
    pub name: Arc<str>,
    /// Number of partitions, at least 1.
    pub partitions: i32,
    /// Replicas; -1 takes the broker's default. The embedded log keeps one.
    pub replication_factor: i16,
    /// Settings, sorted by key.
    pub configs: Vec<(String, String)>,
}

/// Which offset of a partition is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first that can be read.
    Start,
    /// One past the last, whether its transaction has ended or not (the high watermark).
    EndUncommitted,
    /// One past the last that a read-committed reader may see (the last stable offset).
    EndCommitted,
    /// The first whose timestamp is at least this (ms since the epoch); the end if there is none.
    AtTime(i64),
}
