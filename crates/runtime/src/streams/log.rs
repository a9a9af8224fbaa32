//! The log that `bootstrap.servers` names.

use std::sync::Arc;

use millstream_log::batch::Compression;
use millstream_log::{EmbeddedLog, Flush, Log, Options};
use millstream_types::config::{Bootstrap, EmbeddedCompression, LogFlush};
use millstream_types::{Config, Error, ErrorKind, Result};

pub(super) fn open(config: &Config) -> Result<Arc<dyn Log>> {
    match config.bootstrap() {
        Bootstrap::Memory => Ok(Arc::new(EmbeddedLog::memory(log_options(config)))),
        Bootstrap::Embedded(dir) => Ok(Arc::new(EmbeddedLog::open(dir, log_options(config))?)),
        Bootstrap::Brokers(_) => Err(Error::new(
            ErrorKind::Configuration,
            "bootstrap.servers names Kafka brokers, for which there is no client yet; use embedded:DIR or memory:",
        )),
    }
}

/// The embedded log's settings from the configuration, for those who open the same log beside the
/// application: to write its input, to read its output.
pub fn log_options(config: &Config) -> Options {
    Options {
        flush: match config.log_flush() {
            LogFlush::Os => Flush::Os,
            LogFlush::Commit => Flush::Commit,
        },
        compression: match config.embedded_compression() {
            EmbeddedCompression::None => Compression::None,
            EmbeddedCompression::Lz4 => Compression::Lz4,
        },
        num_partitions: config.embedded_num_partitions(),
        segment_bytes: u64::try_from(config.embedded_log_segment_bytes()).unwrap_or(u64::MAX),
        transaction_timeout_ms: i64::try_from(config.transaction_timeout().as_millis()).unwrap_or(i64::MAX),
        ..Options::default()
    }
}
