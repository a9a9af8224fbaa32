//! A broker as five small traits, Kafka's record batches, and the embedded log.
//!
//! [`EmbeddedLog`] takes a broker's place inside the process, in memory or on disk.
//!
//! The runtime speaks to every broker through [`seam`]: an operation is started and its outcome
//! polled; nothing blocks. [`batch`] is the one batch format of the project (v2).

pub mod batch;
mod embedded;
mod fs;
pub mod seam;
mod signal;

pub use embedded::{EmbeddedLog, Flush, Options};
pub use seam::{
    Acks, Admin, Call, CommittedOffset, Departure, EndpointPartitions, Failure, FailureKind, Fetched, GroupMetadata,
    GroupTopology, InternalTopicFacts, Isolation, Log, Member, MemberConfig, MemberEvent, NewTopic, OffsetSpec,
    OpenTransaction, Outcome, PartitionHandle, Pending, ReadPosition, Reader, ReaderEvent, SHUTDOWN_APPLICATION,
    SubtopologyFacts, TopicMetadata, Writer,
};
pub use signal::Signal;
