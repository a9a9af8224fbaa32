//! Membership in a group: which tasks are ours.

use std::sync::Arc;

use millstream_types::config::HostPort;
use millstream_types::{Now, Offset, TaskId, TopicPartition};

use super::{Call, Failure};

/// Who joins.
#[derive(Clone, Debug, Default)]
pub struct MemberConfig {
    /// Group id: the application id.
    pub group: Arc<str>,
    /// Unique among the members of the group; made by the caller. Who joins with the id of a member takes its
    /// place, and its tasks.
    pub member_id: Arc<str>,
    /// The process (instance) the member belongs to; members of one process share state.
    pub process_id: Arc<str>,
    /// Makes the member a static one, where groups have them (`group.instance.id`): its place is kept while it is away.
    /// Unique among the members of the group.
    pub instance_id: Option<Arc<str>>,
    /// All members that the process starts with, told to the first of them: others with its process id are left from an
    /// earlier run, and released where a group outlives its members.
    pub process_members: Vec<Arc<str>>,
    /// A process silent for longer is expelled and its tasks given away. In ms.
    pub session_timeout_ms: i64,
    /// A member that is not polled for longer loses its tasks; also what it has to give tasks up. In ms.
    pub max_poll_interval_ms: i64,
    /// Copies of each stateful task that other processes keep up to date, where the members say so. Brokers have it in
    /// the settings of the group (`streams.num.standby.replicas`).
    pub standby_replicas: usize,
    /// Where others may ask this process; told to all members that give one.
    pub endpoint: Option<HostPort>,
    /// Tags that copies are spread over, by name.
    pub client_tags: Vec<(String, String)>,
    /// Whether a group whose members agreed on another topology is made anew with its offsets
    /// ([`Admin::renew_group`](super::Admin::renew_group)), where the log does not let it change.
    pub may_renew_group: bool,
}

/// What becomes of a membership when its member ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// The member leaves: its tasks are given away at once.
    Leave,
    /// The membership stays until its session ends. Who joins with the same member id before that has its tasks
    /// back at once, and nobody else is disturbed.
    Remain,
    /// Leaves, unless all members of the group are of this process: then nobody could take the tasks, and a
    /// membership that stays spares the next start the wait of a new group. The group is told that it was closed: who
    /// joins in its place need not wait for its session to end.
    LeaveToOthers,
}

/// What the group must know of the topology to make tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupTopology {
    /// Sub-topologies that have tasks, ascending by number.
    pub subtopologies: Vec<SubtopologyFacts>,
}

/// One sub-topology, as the group sees it. The topics are for brokers that assign tasks themselves
/// (KIP-1071); names are the log's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubtopologyFacts {
    /// Its number: first half of a task's id.
    pub id: i32,
    /// Number of tasks: the largest partition count of its sources.
    pub tasks: i32,
    /// Whether it has stores, so that moving a task costs a restore.
    pub stateful: bool,
    /// Topics of others that it reads.
    pub source_topics: Vec<Arc<str>>,
    /// Those of `source_topics` that a pattern matches, with their partitions. They come and go: a group that was made
    /// with fewer of them serves as well if the others make as many tasks.
    pub matched_topics: Vec<(Arc<str>, i32)>,
    /// Tasks that the topics make which no pattern matches.
    pub fixed_tasks: i32,
    /// Repartition topics that it reads.
    pub repartition_sources: Vec<InternalTopicFacts>,
    /// Repartition topics that it writes.
    pub repartition_sinks: Vec<Arc<str>>,
    /// Changelogs of its stores, input topics that serve as one among them.
    pub changelogs: Vec<InternalTopicFacts>,
    /// Groups of topics that it reads and that must have equally many partitions, in the order told.
    pub copartition_groups: Vec<Vec<Arc<str>>>,
}

/// A topic of the application's own, as the group makes it where it is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InternalTopicFacts {
    /// Name.
    pub name: Arc<str>,
    /// Partitions, where the user fixed them.
    pub partitions: Option<i32>,
    /// Replicas; -1 takes the broker's default.
    pub replication_factor: i16,
    /// Settings, sorted by key.
    pub configs: Vec<(String, String)>,
}

/// An offset to commit or as committed: the next one to read, with its metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// Next offset to read.
    pub offset: Offset,
    /// Leader epoch of the record before it; -1 when not known.
    pub leader_epoch: i32,
    /// Kafka Streams' metadata text (partition time and more); may be empty.
    pub metadata: String,
}

/// Proof of membership that goes with every commit of offsets; a stale one is fenced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMetadata {
    /// Group id.
    pub group: Arc<str>,
    /// Member id.
    pub member_id: Arc<str>,
    /// Member epoch or generation.
    pub epoch: i32,
}

/// A member of a group. One per stream thread.
pub trait Member: Send {
    /// Starts joining; the answer comes as [`MemberEvent::Assigned`].
    fn join(&mut self, topology: GroupTopology);

    /// Heartbeats when one is due and appends what has happened to `events`.
    fn poll(&mut self, now: Now, events: &mut Vec<MemberEvent>);

    /// Says that the tasks of the last [`MemberEvent::Revoke`] are committed and closed.
    fn revoked(&mut self);

    /// Commits offsets outside a transaction (at-least-once).
    fn commit(&mut self, offsets: Vec<(TopicPartition, CommittedOffset)>) -> Call<()>;

    /// Proof of membership for transactional commits.
    fn metadata(&self) -> GroupMetadata;

    /// Has the group tell all its members to end, by [`MemberEvent::Status`] with
    /// [`SHUTDOWN_APPLICATION`]; goes out with the next heartbeat or with [`leave`](Self::leave).
    fn request_shutdown(&mut self);

    /// Ends the membership. Over when the group knows, or is not to know.
    fn leave(&mut self, departure: Departure) -> Call<()>;
}

/// Status code of KIP-1071: a member asked that the whole application ends.
pub const SHUTDOWN_APPLICATION: i8 = 4;

/// Something the group tells a member.
#[derive(Debug)]
pub enum MemberEvent {
    /// The whole assignment as it is now, sorted; tasks not listed were revoked before.
    Assigned {
        /// Tasks to run.
        active: Vec<TaskId>,
        /// Tasks to keep a copy of.
        standby: Vec<TaskId>,
    },
    /// Commit and close these tasks, then call [`Member::revoked`].
    Revoke {
        /// Active tasks to give up.
        tasks: Vec<TaskId>,
    },
    /// Expelled: all tasks are somebody else's already; commit nothing. Join again.
    Lost,
    /// The group cannot run; the code and text say why (missing source topics, ...).
    Status {
        /// Status code of KIP-1071.
        code: i8,
        /// For people.
        detail: String,
    },
    /// Which process has what, of those that give an [endpoint](MemberConfig::endpoint); by endpoint, each once.
    Endpoints(Vec<EndpointPartitions>),
    /// A request failed for good.
    Failed(Failure),
}

/// The source partitions of the tasks of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointPartitions {
    /// Where it may be asked.
    pub endpoint: HostPort,
    /// Of its active tasks, sorted.
    pub active: Vec<TopicPartition>,
    /// Of its standby tasks, sorted.
    pub standby: Vec<TopicPartition>,
}
