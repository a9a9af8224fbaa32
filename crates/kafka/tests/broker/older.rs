//! Brokers without transactions of version 2 and without streams groups.

use millstream_log::{FailureKind, Log, MemberEvent, OffsetSpec};
use millstream_testbroker::Cluster;
use millstream_types::Offset;

use crate::membership::join;
use crate::support::*;

#[test]
fn an_older_broker_serves_topics_transactions_and_offsets() {
    serves_topics_transactions_and_offsets(&OLDER_KAFKA);
}

#[test]
fn the_oldest_broker_serves_topics_transactions_and_offsets() {
    let oldest = Cluster::builder().version("3.3.2").start().unwrap_or_else(|error| panic!("{error}"));
    serves_topics_transactions_and_offsets(&oldest);
}

/// A cluster that was upgraded, but has not agreed on transactions of version 2 (KIP-890) yet.
#[test]
fn a_new_broker_serves_transactions_of_version_1() {
    let cluster = Cluster::builder().start().unwrap_or_else(|error| panic!("{error}"));
    let bootstrap = cluster.bootstrap();
    let downgrade = ["--bootstrap-server", &bootstrap, "downgrade", "--feature", "transaction.version=1"];
    cluster.tool("org.apache.kafka.tools.FeatureCommand", &downgrade).unwrap();
    serves_topics_transactions_and_offsets(&cluster);
}

fn serves_topics_transactions_and_offsets(cluster: &Cluster) {
    let log = connect_to(cluster, &[]);
    let other = connect_to(cluster, &[]);
    let partition = create(&log, "older", 2);
    let mut old = writer(&log, Some("older"));
    put(&mut old, &partition, "a");
    put(&mut old, &tp("older", 1), "other");
    ok(&log, old.commit(vec![(partition.clone(), offset(4))], &nobody("older")));
    put(&mut old, &partition, "b");
    ok(&log, old.flush());
    ok(&log, old.abort());
    put(&mut old, &partition, "c");
    ok(&log, old.commit(vec![(partition.clone(), offset(5))], &nobody("older")));
    assert_eq!(committed(&log, &partition), ["0:a", "4:c"]);
    assert_eq!(uncommitted(&log, &partition), ["0:a", "2:b", "4:c"]);
    assert_eq!(committed_offset(&log, "older", &partition), Some(offset(5)));

    let mut new = writer(&other, Some("older"));
    put(&mut old, &partition, "zombie");
    assert_eq!(failure(&log, old.commit(vec![], &nobody("older"))).kind, FailureKind::Fenced);
    put(&mut new, &partition, "d");
    ok(&other, new.commit(vec![], &nobody("older")));
    assert_eq!(committed(&log, &partition), ["0:a", "4:c", "6:d"]);

    ok(&log, log.admin().delete_records(&[(partition.clone(), Offset(3))]));
    assert_eq!(end(&log, &partition, OffsetSpec::Start), 3);
    let names = [partition.topic.clone()];
    assert!(ok(&log, log.admin().topics(&names))[0].is_some());
    ok(&log, log.admin().delete_topics(&names));
    assert!(ok(&log, log.admin().topics(&names))[0].is_none());
}

#[test]
fn an_older_broker_has_no_streams_groups_and_the_error_says_so() {
    let log = connect_to(&OLDER_KAFKA, &[]);
    create(&log, "too-old-in", 4);
    let mut member = join(&log, "too-old", "a");
    let failure = until(&log, || {
        let mut events = Vec::new();
        member.poll(now(), &mut events);
        events.into_iter().find_map(|event| match event {
            MemberEvent::Failed(failure) => Some(failure),
            _ => None,
        })
    });
    assert_eq!(failure.kind, FailureKind::Fatal);
    let text = failure.to_string();
    assert!(text.contains("4.2") || text.contains("streams groups"), "{text}");
}
