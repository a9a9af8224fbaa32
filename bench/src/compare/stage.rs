//! What all runs of a comparison share: the broker, its topics, and the file of results.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use millstream_testbroker::Cluster;
use serde_json::{Value, json};

use super::Peer;
use super::java::{self, Java};
use crate::usage;

/// Settings that differ from Kafka's defaults; README.md gives them.
const BROKER: [(&str, &str); 11] = [
    ("num.partitions", "4"),
    ("offsets.topic.num.partitions", "4"),
    ("transaction.state.log.num.partitions", "4"),
    ("group.initial.rebalance.delay.ms", "0"),
    // Event times in the data lie in the past: no segment expires while all this runs.
    ("log.retention.ms", "-1"),
    ("log.retention.check.interval.ms", "86400000"),
    // Fail-over is measured with a session of 6 s, too, which is set where the group is.
    ("group.streams.min.session.timeout.ms", "6000"),
    ("group.streams.min.heartbeat.interval.ms", "2000"),
    ("group.streams.session.timeout.ms", "45000"),
    ("group.streams.heartbeat.interval.ms", "5000"),
    ("log.segment.delete.delay.ms", "1000"),
];

/// A broker with its topics.
pub(super) struct Stage {
    pub(super) java: Java,
    cluster: Cluster,
    broker: String,
    program: PathBuf,
    /// State directories, one after the other.
    state: tempfile::TempDir,
    results: (PathBuf, File),
    applications: u32,
}

impl Stage {
    /// Starts the broker.
    pub(super) fn start(java: Java, results: Option<&str>) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
        let builder = Cluster::builder().like_production().heap("1g");
        let cluster = BROKER.iter().fold(builder, |builder, (key, value)| builder.setting(key, value)).start()?;
        let broker = cluster.pid(1).ok_or("the broker's process is not known")?.to_string();
        let path = results.map_or_else(|| program.with_file_name("bench-results.jsonl"), PathBuf::from);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(|error| format!("cannot open {}: {error}", path.display()))?;
        let state = tempfile::tempdir().map_err(|error| format!("no place for state: {error}"))?;
        Ok(Self { java, cluster, broker, program, state, results: (path, file), applications: 0 })
    }

    pub(super) fn bootstrap(&self) -> String {
        self.cluster.bootstrap()
    }

    /// The broker's process.
    pub(super) fn broker(&self) -> &str {
        &self.broker
    }

    pub(super) fn results(&self) -> String {
        self.results.0.display().to_string()
    }

    /// Runs one of the drivers.
    pub(super) fn tool(&self, name: &str, given: &[&str]) -> Result<Value, String> {
        let bootstrap = self.bootstrap();
        let mut all = vec!["--bootstrap", &bootstrap];
        all.extend_from_slice(given);
        java::run(&self.java.command(name, &all))
    }

    /// The command of an application under test. Both sides take the same options.
    pub(super) fn application(&self, peer: Peer, given: &[&str]) -> Vec<String> {
        let bootstrap = self.bootstrap();
        let mut all = vec!["--bootstrap", bootstrap.as_str()];
        all.extend_from_slice(given);
        match peer {
            Peer::Java => self.java.command("app", &all),
            Peer::Millstream => {
                let program = self.program.display().to_string();
                [program, "app".to_owned()].into_iter().chain(all.into_iter().map(str::to_owned)).collect()
            }
        }
    }

    /// A new application id.
    pub(super) fn application_id(&mut self, name: &str) -> String {
        self.applications += 1;
        format!("bench-{name}-{}", self.applications)
    }

    /// An empty folder for state.
    pub(super) fn state(&self) -> Result<String, String> {
        let path = self.state.path().join("state");
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).map_err(|error| format!("cannot create {}: {error}", path.display()))?;
        Ok(path.display().to_string())
    }

    /// Deletes an application's topics and group, and these topics.
    pub(super) fn clean(&self, application: &str, topics: &str) -> Result<(), String> {
        self.tool("topics", &["--app-id", application, "--delete", topics]).map(drop)
    }

    /// Keeps a run's line, with the machine's load beside it.
    pub(super) fn keep(&mut self, mut line: Value, lines: &mut Vec<Value>) -> Result<(), String> {
        if let Some(figures) = line.as_object_mut() {
            figures.insert("load".to_owned(), json!(usage::load()));
        }
        println!("{line}");
        let (path, file) = &mut self.results;
        writeln!(file, "{line}").map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        lines.push(line);
        Ok(())
    }
}
