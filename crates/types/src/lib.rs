//! What every part of Millstream speaks of: records, identifiers, time, codecs, configuration and errors.
//!
//! This crate stands below all others. The system clock has its one home here ([`clock`]), everything
//! else is handed a [`Now`]; the one file it reads is a properties file ([`config`]).

pub mod clock;
pub mod codec;
pub mod config;
mod error;
mod headers;
mod ids;
mod murmur2;
mod murmur3;
mod patience;
mod record;
mod serde;
mod serdes;
mod windowed;

pub use clock::{Clock, Now};
pub use codec::{Codec, CodecError};
pub use config::{Config, ConfigBuilder, ProcessingGuarantee};
pub use error::{Context, Error, ErrorKind, Result};
pub use headers::{Header, Headers};
pub use ids::{NotATaskId, Offset, Partition, TaskId, Timestamp, TopicPartition};
pub use murmur2::{murmur2, partition_for_key};
pub use murmur3::murmur3_128;
pub use patience::open_patiently;
pub use record::{RawRecord, Record, RecordMetadata};
pub use serde::Serde;
pub use serdes::{SerdeRegistry, Serdes};
pub use windowed::{Window, Windowed};
