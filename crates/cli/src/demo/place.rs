//! Where a demo's topics and state are: embedded in a directory, or on Kafka brokers.

use millstream::types::config::ConfigBuilder;
use millstream::types::{Config, ProcessingGuarantee, Result};

use super::directory::Directory;
use super::topics::APPLICATION_ID;
use crate::args::{Guarantee, RunArgs};

/// Between two commits, under either guarantee.
const COMMIT_INTERVAL_MS: u64 = 100;
/// How long brokers may take to answer a question about topics: somebody waits for it.
const ANSWER_MS: u64 = 15_000;
/// A century: the flights of 2013 are old, and a broker deletes what is older than a changelog's retention.
const CHANGELOG_RETENTION_MS: u64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// What an instance of the demo runs on.
#[derive(Debug)]
pub(super) struct Place {
    /// Locked, for as long as the instance lives.
    pub(super) directory: Directory,
    pub(super) config: Config,
}

impl Place {
    /// The place that the arguments name.
    pub(super) fn open(args: &RunArgs) -> Result<Self> {
        let (directory, config) = if let Some(bootstrap) = &args.bootstrap {
            let directory = Directory::kept(&args.dir)?;
            let config = on_kafka(bootstrap).state_dir(directory.kafka_state());
            // The broker assigns the tasks (KIP-1071).
            (directory, config.set("group.protocol", "streams"))
        } else {
            let directory = if args.keep { Directory::kept(&args.dir)? } else { Directory::fresh(&args.dir)? };
            let config = embedded(&directory).state_dir(directory.state());
            (directory, config)
        };
        let guarantee = match args.guarantee {
            Guarantee::ExactlyOnceV2 => ProcessingGuarantee::ExactlyOnceV2,
            Guarantee::AtLeastOnce => ProcessingGuarantee::AtLeastOnce,
        };
        let config = config
            .set("num.stream.threads", args.threads)
            .processing_guarantee(guarantee)
            .set("commit.interval.ms", COMMIT_INTERVAL_MS)
            .set("windowstore.changelog.additional.retention.ms", CHANGELOG_RETENTION_MS)
            .build()?;
        Ok(Self { directory, config })
    }
}

/// Settings of every client of the demo's topics on Kafka.
pub(super) fn on_kafka(bootstrap: &str) -> ConfigBuilder {
    Config::builder()
        .application_id(APPLICATION_ID)
        .bootstrap_servers(bootstrap)
        .set("default.api.timeout.ms", ANSWER_MS)
        // The year in JSON is 115 MB, compressed a fifth of it.
        .set("producer.compression.type", "lz4")
}

/// Settings of every client of the demo's embedded log.
pub(super) fn embedded(directory: &Directory) -> ConfigBuilder {
    Config::builder()
        .application_id(APPLICATION_ID)
        .bootstrap_servers(&format!("embedded:{}", directory.log().display()))
        .set("embedded.compression.type", "lz4")
}
