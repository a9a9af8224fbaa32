//! Settings of an embedded log.

use crate::batch::Compression;

/// When written data is made to survive more than the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flush {
    /// Never explicitly: what was acknowledged survives a crash of the process, not one of the
    /// machine. `log.flush=os`.
    #[default]
    Os,
    /// At every flush and commit: what was acknowledged survives a power failure. `log.flush=commit`.
    Commit,
}

/// Settings of an embedded log; plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// When data is made durable. Of no meaning in memory.
    pub flush: Flush,
    /// Whether a topic that a writer asks for is created (`auto.create.topics.enable`).
    pub auto_create_topics: bool,
    /// Partitions of topics created without a number (`num.partitions`).
    pub num_partitions: i32,
    /// Compression of what writers append.
    pub compression: Compression,
    /// A writer's batch is sent when it has reached this size, in bytes.
    pub batch_bytes_max: usize,
    /// Largest record, in bytes; larger ones are refused (`max.message.bytes`).
    pub record_bytes_max: usize,
    /// A segment file is closed when it has reached this size, in bytes (`log.segment.bytes`).
    pub segment_bytes: u64,
    /// A transaction open for longer is aborted and its writer fenced, in ms
    /// (`transaction.timeout.ms`).
    pub transaction_timeout_ms: i64,
    /// What topic ids are made from. `None` takes the wall clock when the log is created; a
    /// simulation gives a number.
    pub seed: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            flush: Flush::Os,
            auto_create_topics: true,
            num_partitions: 1,
            compression: Compression::None,
            batch_bytes_max: 64 << 10,
            record_bytes_max: 1 << 20,
            segment_bytes: 128 << 20,
            transaction_timeout_ms: 60_000,
            seed: None,
        }
    }
}
