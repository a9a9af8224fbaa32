//! Millstream's log seam over the Kafka protocol: a native client at the level of batches.
//!
//! [`KafkaLog`] gives the runtime what it needs of brokers. All connections of a process live on one
//! network thread ([`driver`](self)), on which fetchers, producers and members take their turns; a
//! stream thread shares batches with them, never records. Kafka 3.3 to 4.3 are spoken.

mod admin;
mod by_topic;
mod call;
mod client;
mod driver;
mod failure;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod fake;
#[doc(hidden)]
pub mod fuzzing;
mod group;
mod log;
mod member;
mod net;
pub mod protocol;
mod reader;
mod renewal;
mod settings;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
mod tries;
mod writer;

pub use log::KafkaLog;
