//! The demo on a real broker, as its user runs it: several instances, some of which are killed. Needs Java
//! 17 and Maven.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use millstream::log::NewTopic;
use millstream::{Config, answer, open_log};
use millstream_testbroker::Cluster;

use crate::expected::Expected;
use crate::tables::Tables;
use crate::{crash, finish, millstream, run, stderr};

/// Less than a month, which is quick.
const FLIGHTS: &str = "20000";

/// An instance on its own, in the background.
fn start(dir: &Path, arguments: &[&str]) -> Child {
    millstream(dir).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the instance says so, on standard error.
fn wait_for_line(instance: &mut Child, part: &str) {
    let mut lines = BufReader::new(instance.stderr.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(part)), "`{part}` was never said");
}

#[track_caller]
fn refused(dir: &Path, arguments: &[&str], reason: &str) {
    let output = run(dir, arguments);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains(reason), "{}", stderr(&output));
}

#[test]
fn instances_on_kafka_are_killed_and_added_and_the_tables_are_exact() {
    let cluster = Cluster::builder()
        .setting("group.streams.session.timeout.ms", 3_000)
        .setting("group.streams.heartbeat.interval.ms", 300)
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    let home = tempfile::tempdir().unwrap();
    let (dir, bootstrap) = (home.path(), cluster.bootstrap());
    let load = |flights: &str| finish(dir, &["demo", "load", "--bootstrap", &bootstrap, "--flights", flights]);
    let instance = |more: &[&'static str]| {
        [&["demo", "run", "--bootstrap", bootstrap.as_str(), "--flights", FLIGHTS], more].concat()
    };

    refused(dir, &instance(&[]), "topics are not there: run `millstream demo load");
    load("1000");
    refused(dir, &instance(&[]), "only 1,000 of 20,000 flights are loaded: run `millstream demo load");
    assert!(load(FLIGHTS).starts_with("20,000 flights are loaded, which an earlier load had begun"));
    assert!(load(FLIGHTS).starts_with("20,000 flights are there already"));

    // What the killed left behind is taken over by another one, and by itself once it is back.
    crash(dir, &instance(&["--dir", "a", "--threads", "2", "--crash-after", "4000"]));
    crash(dir, &instance(&["--dir", "a", "--crash-after", "1"]));
    let mut follower = start(dir, &instance(&["--dir", "b", "--follow"]));
    let report = finish(dir, &instance(&["--dir", "a"]));
    assert!(report.contains("Most-flown aircraft"), "{report}");

    wait_for_line(&mut follower, "flights are processed; waiting for more until stopped");
    refused(dir, &instance(&["--dir", "b"]), "in use by another process: give this one its own with --dir");
    assert!(Command::new("kill").args(["-TERM", &follower.id().to_string()]).status().unwrap().success());
    let output = follower.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(130), b"".as_slice()), "{}", stderr(&output));

    let expected = Expected::compute(FLIGHTS.parse().unwrap());
    Tables { dir, place: &["--bootstrap", &bootstrap], expected: &expected }.check();
    refused(dir, &["demo", "dump", "trains", "--bootstrap", &bootstrap], "there is no topic trains");

    let changelog = "flights-demo-traffic-changelog";
    recreate(&bootstrap, changelog);
    let output = run(dir, &instance(&["--dir", "a"]));
    let told = stderr(&output);
    assert!(told.starts_with(&format!("millstream: internal topic {changelog} exists with 1 partitions")), "{told}");
    assert_eq!(told.lines().count(), 1, "an error is told once: {told}");
}

/// Makes a topic anew, with one partition.
fn recreate(bootstrap: &str, topic: &str) {
    let config = Config::builder().application_id("tests").bootstrap_servers(bootstrap).build().unwrap();
    let log = open_log(&config).unwrap();
    answer(&*log, log.admin().delete_topics(&[topic.into()])).unwrap();
    let new = NewTopic { name: topic.into(), partitions: 1, replication_factor: -1, configs: vec![] };
    answer(&*log, log.admin().create_topics(&[new])).unwrap();
}

#[test]
fn a_broker_that_is_not_there_is_named() {
    let home = tempfile::tempdir().unwrap();
    // Nobody listens on port 1.
    refused(home.path(), &["demo", "load", "--bootstrap", "127.0.0.1:1"], "127.0.0.1:1");
}
