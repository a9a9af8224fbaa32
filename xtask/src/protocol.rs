//! `cargo xtask protocol`: writes the Kafka client's messages from the schemas inside Apache Kafka's
//! own client jar (`kafka-clients`, from Maven). The schemas stay in the jar; what is generated is
//! committed, so that building needs neither Java nor Maven.
#![expect(clippy::disallowed_methods, reason = "a command that reads and writes files")]

mod emit;
mod schema;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use schema::Schema;

const KAFKA: &str = "4.3.0";

/// The requests that Millstream sends, each with the versions it speaks: all "flexible" ones that
/// brokers from 3.3 to 4.3 know, so that one encoding serves everything.
const REQUESTS: &[(&str, i16, i16)] = &[
    ("AddOffsetsToTxn", 3, 4),
    // From 4 on the request is for brokers among themselves.
    ("AddPartitionsToTxn", 3, 3),
    ("ApiVersions", 3, 4),
    ("CreateTopics", 7, 7),
    ("DeleteGroups", 2, 2),
    ("DeleteRecords", 2, 2),
    ("DeleteTopics", 6, 6),
    ("DescribeCluster", 0, 2),
    ("DescribeConfigs", 4, 4),
    ("DescribeGroups", 5, 6),
    ("DescribeProducers", 0, 0),
    ("DescribeTransactions", 0, 0),
    ("EndTxn", 3, 5),
    ("Fetch", 13, 18),
    ("FindCoordinator", 4, 6),
    ("Heartbeat", 4, 4),
    ("IncrementalAlterConfigs", 1, 1),
    // 6 is for two-phase commit.
    ("InitProducerId", 4, 5),
    ("JoinGroup", 6, 9),
    ("LeaveGroup", 4, 5),
    ("ListGroups", 4, 5),
    ("ListOffsets", 7, 11),
    ("ListTransactions", 0, 1),
    ("Metadata", 12, 13),
    // From 10 on (13 for Produce) topics have ids for names, which helps brokers more than clients.
    ("OffsetCommit", 8, 9),
    ("OffsetFetch", 8, 9),
    ("OffsetForLeaderEpoch", 4, 4),
    ("Produce", 9, 12),
    ("StreamsGroupDescribe", 0, 0),
    ("StreamsGroupHeartbeat", 0, 0),
    ("SyncGroup", 4, 5),
    ("TxnOffsetCommit", 3, 5),
];

/// Writes the messages anew.
pub(crate) fn generate(root: &Path) -> Result<(), String> {
    let schemas = unpack()?;
    let folder = root.join("crates/kafka/src/protocol/messages");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for (name, first, last) in REQUESTS {
        let read = |kind: &str| Schema::read(&schemas.join(format!("{name}{kind}.json")), *first, *last);
        let (request, response) = (read("Request")?, read("Response")?);
        files.insert(emit::snake(name), emit::pair(&request, &response));
    }
    let modules: BTreeMap<String, &str> = REQUESTS.iter().map(|(name, ..)| (emit::snake(name), *name)).collect();
    let mut written = Vec::new();
    for (name, text) in &files {
        written.push(write(&folder.join(format!("{name}.rs")), text)?);
    }
    written.push(write(
        &root.join("crates/kafka/src/protocol/messages.rs"),
        &emit::table(modules.iter().map(|(module, name)| (module, *name))),
    )?);
    let status = Command::new("rustfmt").args(["--edition", "2024"]).args(&written).status();
    match status {
        Ok(status) if status.success() => {
            println!("== {} messages of Kafka {KAFKA} in {}", REQUESTS.len() * 2, folder.display());
            Ok(())
        }
        _ => Err("rustfmt failed on the generated messages".to_owned()),
    }
}

fn write(path: &Path, text: &str) -> Result<PathBuf, String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path.to_owned())
}

/// The schemas, out of the jar that Maven brings.
fn unpack() -> Result<PathBuf, String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let folder = target.join("kafka-schemas");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let artifact = format!("org.apache.kafka:kafka-clients:{KAFKA}");
    let output = format!("-DoutputDirectory={}", fs::canonicalize(&folder).unwrap_or(folder.clone()).display());
    run("mvn", &["-q", "dependency:copy", &format!("-Dartifact={artifact}"), &output], None)?;
    run("jar", &["xf", &format!("kafka-clients-{KAFKA}.jar"), "common/message"], Some(&folder))?;
    Ok(folder.join("common/message"))
}

fn run(program: &str, arguments: &[&str], folder: Option<&Path>) -> Result<(), String> {
    let mut command = Command::new(program);
    command.args(arguments);
    if let Some(folder) = folder {
        command.current_dir(folder);
    }
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{program} {} ended with {status}", arguments.join(" "))),
        Err(error) => Err(format!("{program} cannot be run ({error}): Java 17 and Maven are needed for this task")),
    }
}
