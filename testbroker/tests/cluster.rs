//! Brokers come up, fall, come up again, and leave nothing behind.

use millstream_testbroker::{Cluster, VERSION_BEFORE};

const TOPICS: &str = "org.apache.kafka.tools.TopicCommand";

#[test]
fn a_killed_broker_comes_back_with_its_data_and_the_others_went_on() {
    let mut cluster = Cluster::builder().brokers(3).start().expect("three brokers");
    let bootstrap = cluster.bootstrap();
    assert_eq!(bootstrap.split(',').count(), 3);
    cluster.tool(TOPICS, &["--bootstrap-server", &bootstrap, "--create", "--topic", "kept"]).expect("a topic");
    cluster.kill(1);
    let shown = cluster.tool(TOPICS, &["--bootstrap-server", &bootstrap, "--list"]).expect("two brokers answer");
    assert_eq!(shown.trim(), "kept");
    cluster.restart(1).expect("the first comes back");
    cluster.wait_in_sync().expect("and has what it missed");
    let behind = ["--bootstrap-server", &bootstrap, "--describe", "--under-replicated-partitions"];
    assert_eq!(cluster.tool(TOPICS, &behind).expect("all answer").trim(), "");
    cluster.stop(2).expect("the second hands over and stops");
    let first = bootstrap.split(',').next().expect("an address");
    let shown = cluster.tool(TOPICS, &["--bootstrap-server", first, "--list"]).expect("the first answers");
    assert_eq!(shown.trim(), "kept");
}

#[test]
fn an_older_version_comes_up_too() {
    let cluster = Cluster::builder().version(VERSION_BEFORE).start().expect("an old broker");
    assert!(!cluster.log(1).contains("ERROR"), "{}", cluster.log(1));
}

#[test]
fn a_broker_that_cannot_start_says_why() {
    let error = Cluster::builder().setting("log.cleaner.threads", "many").start().expect_err("no number");
    assert!(error.contains("log.cleaner.threads"), "{error}");
}
