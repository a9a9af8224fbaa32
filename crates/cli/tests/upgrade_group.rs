//! `millstream upgrade-group` on a real broker: the next version of an application has another topology and goes on where
//! the last one stopped. Needs Java 17 and Maven.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, missing_docs)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream::log::NewTopic;
use millstream::prelude::*;
use millstream::{CloseOptions, GroupMembershipOperation, Log, answer, open_log};
use millstream_testbroker::Cluster;

const LIMIT: Duration = Duration::from_secs(60);

fn config(bootstrap: &str, state: &Path) -> Config {
    let config = Config::builder().application_id("upgrades").bootstrap_servers(bootstrap).state_dir(state);
    config.set("group.protocol", "streams").set("commit.interval.ms", 50).build().unwrap()
}

/// Counts each topic in a store of its own; a version counts one more.
fn topology(version: usize) -> Topology {
    let builder = StreamsBuilder::new();
    for topic in ["first", "second"].into_iter().take(version) {
        builder.stream::<String, String>(topic).group_by_key().count_with(Materialized::named(topic));
    }
    builder.build().unwrap()
}

fn send(log: &Arc<dyn Log>, topic: &str, count: i64) {
    let mut producer = Producer::new(Arc::clone(log), topic, Serdes::string(), Serdes::string()).unwrap();
    for number in 0..count {
        producer.send(&Record::new("key".to_owned(), "value".to_owned(), Timestamp(number))).unwrap();
    }
    producer.flush().unwrap();
}

#[track_caller]
fn wait_until_processed(log: &Arc<dyn Log>, streams: &Streams, records: u64) {
    let deadline = Instant::now() + LIMIT;
    while streams.metrics().processed() < records {
        assert!(Instant::now() < deadline, "{} records of {records}", streams.metrics().processed());
        log.wait(Duration::from_millis(50));
    }
}

fn leave(streams: &Streams) {
    let leave = GroupMembershipOperation::LeaveGroup;
    assert!(streams.close_with(&CloseOptions::group_membership_operation(leave).with_timeout(LIMIT)));
}

#[test]
fn a_version_with_another_topology_goes_on_where_the_last_one_stopped() {
    let cluster = Cluster::builder().start().unwrap_or_else(|error| panic!("{error}"));
    let (bootstrap, state) = (cluster.bootstrap(), tempfile::tempdir().unwrap());
    let config = config(&bootstrap, state.path());
    let log = open_log(&config).unwrap();
    let topics = ["first", "second"].map(|name| NewTopic {
        name: name.into(),
        partitions: 2,
        replication_factor: -1,
        configs: vec![],
    });
    answer(&*log, log.admin().create_topics(&topics)).unwrap();
    send(&log, "first", 10);
    let streams = Streams::new(&topology(1), &config).unwrap();
    streams.start().unwrap();
    wait_until_processed(&log, &streams, 10);
    leave(&streams);
    drop(streams);

    let streams = Streams::new(&topology(2), &config).unwrap();
    streams.start().unwrap();
    assert!(streams.wait_for(&[State::Error], LIMIT), "{}", streams.state());
    let error = streams.error().unwrap().to_string();
    assert!(error.contains("millstream upgrade-group") && error.contains("--application-id upgrades"), "{error}");
    drop(streams);

    let upgrade = |id: &str| {
        let command = ["upgrade-group", "--bootstrap", &bootstrap, "--application-id", id];
        Command::new(env!("CARGO_BIN_EXE_millstream")).args(command).output().unwrap()
    };
    let mistyped = upgrade("upgrade");
    let said = String::from_utf8_lossy(&mistyped.stderr);
    assert!(mistyped.status.code() == Some(1) && said.contains("there is no group upgrade on these brokers"), "{said}");

    let done = upgrade("upgrades");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said} {}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("with the offsets of"), "{said}");

    send(&log, "first", 1);
    send(&log, "second", 5);
    let streams = Streams::new(&topology(2), &config).unwrap();
    streams.start().unwrap();
    wait_until_processed(&log, &streams, 6);
    assert_eq!(streams.metrics().processed(), 6, "nothing is processed again");
    leave(&streams);
}
