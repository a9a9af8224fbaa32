//! The log seam: what the runtime needs of a broker.
//!
//! Kafka, the embedded log and the simulation implement these traits. No call blocks: an operation
//! is started and gives a [`Call`], whose [`poll`](Call::poll) yields the outcome as a value. Per
//! stream thread there is one [`Member`], one [`Reader`] and one [`Writer`].

mod admin;
mod member;
mod outcome;
mod reader;
mod writer;

pub use admin::{Admin, NewTopic, OffsetSpec, OpenTransaction, TopicMetadata};
pub use member::{
    CommittedOffset, Departure, EndpointPartitions, GroupMetadata, GroupTopology, InternalTopicFacts, Member,
    MemberConfig, MemberEvent, SHUTDOWN_APPLICATION, SubtopologyFacts,
};
pub use outcome::{Call, Failure, FailureKind, Outcome, Pending};
pub use reader::{Fetched, Isolation, ReadPosition, Reader, ReaderEvent};
pub use writer::{Acks, PartitionHandle, Writer};

use std::time::Duration;

/// A broker, or what takes its place.
pub trait Log: Send + Sync {
    /// A client for topics and offsets.
    fn admin(&self) -> Box<dyn Admin>;

    /// A client that reads partitions.
    fn reader(&self, isolation: Isolation) -> Box<dyn Reader>;

    /// A client that writes; with a transactional id all its writes belong to transactions.
    fn writer(&self, transactional_id: Option<&str>) -> Box<dyn Writer>;

    /// A member of a group, not yet joined.
    fn member(&self, config: MemberConfig) -> Box<dyn Member>;

    /// Blocks the calling thread until something may have changed since its last call (data, group,
    /// outcome) or the time is over. For the thread around the step, never for the step.
    fn wait(&self, timeout: Duration);

    /// Ends every [`wait`](Self::wait) under way.
    fn wake(&self);
}
