//! Millstream's log seam over the Kafka protocol: a native client at the level of batches.

pub mod protocol;
