//! The log that `bootstrap.servers` names.

use std::sync::Arc;

use millstream_log::batch::Compression;
use millstream_log::{EmbeddedLog, Flush, Log, Options};
use millstream_types::clock::{SystemClock, millis};
use millstream_types::config::{Bootstrap, EmbeddedCompression, HostPort, LogFlush};
use millstream_types::{Clock, Config, Result, open_patiently};

use super::PATIENCE;

/// Opens the log that `bootstrap.servers` names, for programs beside an application: to create topics,
/// to write its input with a [`Producer`](crate::Producer), to read its output with a
/// [`Consumer`](crate::Consumer). A log in memory, or one that is embedded and in use, is shared
/// through [`Streams::log`](super::Streams::log) instead.
///
/// # Errors
/// `Configuration` for settings that do not fit the client; `Storage` when a directory cannot be used,
/// or is in use by another process. Brokers that do not answer are told by the first call.
pub fn open_log(config: &Config) -> Result<Arc<dyn Log>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    open(config, &clock, Use::Topics)
}

/// What a log is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Reading and writing topics.
    Topics,
    /// An application, which joins a group.
    Application,
}

pub(super) fn open(config: &Config, clock: &Arc<dyn Clock>, used_for: Use) -> Result<Arc<dyn Log>> {
    match config.bootstrap() {
        Bootstrap::Memory => Ok(Arc::new(EmbeddedLog::memory(log_options(config)))),
        Bootstrap::Embedded(dir) => {
            let open = || EmbeddedLog::open(dir, log_options(config));
            Ok(Arc::new(open_patiently(PATIENCE, open)?))
        }
        Bootstrap::Brokers(brokers) => connect(config, brokers, clock, used_for),
    }
}

/// The one place that knows of a client for brokers; everything else sees a log.
#[cfg(feature = "kafka")]
fn connect(config: &Config, brokers: &[HostPort], clock: &Arc<dyn Clock>, used_for: Use) -> Result<Arc<dyn Log>> {
    // Only spreads pauses: instances that started at the same time must not all come back at once.
    let seed = clock.now().mono_ns ^ clock.now().wall_ms.unsigned_abs() ^ u64::from(std::process::id());
    let log = millstream_kafka::KafkaLog::connect(config, brokers, Arc::clone(clock), seed)?;
    if used_for == Use::Application {
        log.check_groups()?;
    }
    Ok(Arc::new(log))
}

#[cfg(not(feature = "kafka"))]
fn connect(_: &Config, _: &[HostPort], _: &Arc<dyn Clock>, _: Use) -> Result<Arc<dyn Log>> {
    let message = "bootstrap.servers names Kafka brokers, but Millstream was built without its feature `kafka`";
    Err(millstream_types::Error::new(millstream_types::ErrorKind::Configuration, message))
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
        transaction_timeout_ms: millis(config.transaction_timeout()),
        ..Options::default()
    }
}
