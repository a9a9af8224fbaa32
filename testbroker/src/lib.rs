//! Real Kafka brokers for tests: from Maven coordinates, on free ports, gone with the test.
//!
//! ```no_run
//! let cluster = millstream_testbroker::Cluster::builder().brokers(3).start()?;
//! println!("{}", cluster.bootstrap());
//! # Ok::<(), String>(())
//! ```
//!
//! Java 17 and Maven are needed. The jars are fetched once into cargo's target directory. A [`Cluster`] may
//! stand in a `static`: its brokers end with the process, however that ends.

#![expect(clippy::disallowed_methods, reason = "processes, files, ports and clocks are all this crate is about")]

mod broker;
mod cluster;
mod detached;
mod jars;
mod keeper;
mod ports;
mod probe;
mod wait;

pub use cluster::{Builder, Cluster};
pub use detached::{start_detached, status, stop_detached};

/// The version that is meant where none is named.
pub const VERSION: &str = "4.3.0";
/// The last version before transactions of version 2 and streams groups.
pub const VERSION_BEFORE: &str = "3.9.1";
