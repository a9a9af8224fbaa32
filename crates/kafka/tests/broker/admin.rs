//! Topics and offsets.

use std::sync::Arc;

use millstream_log::{FailureKind, Log, OffsetSpec};
use millstream_types::{Headers, Offset, Timestamp};

use crate::support::*;

#[test]
fn topics_are_created_described_and_deleted() {
    let log = connect();
    let configs = [("cleanup.policy", "compact"), ("retention.ms", "1234")];
    let wanted = [new_topic("admin-b", 3, &configs), new_topic("admin-a", 1, &[])];
    ok(&log, log.admin().create_topics(&wanted));
    ok(&log, log.admin().create_topics(&wanted));

    let names: [Arc<str>; 3] = ["admin-b".into(), "admin-none".into(), "admin-a".into()];
    let found = ok(&log, log.admin().topics(&names));
    let [Some(b), None, Some(a)] = &found[..] else { panic!("{found:?}") };
    assert_eq!((b.name.as_ref(), b.partitions, a.name.as_ref(), a.partitions), ("admin-b", 3, "admin-a", 1));
    assert!(a.id != 0 && a.id != b.id);
    let configs: Vec<(&str, &str)> = b.configs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    // What says how long records last is told even where it is a default of the broker.
    assert_eq!(
        configs,
        [
            ("cleanup.policy", "compact"),
            ("delete.retention.ms", "86400000"),
            ("min.compaction.lag.ms", "0"),
            ("retention.bytes", "-1"),
            ("retention.ms", "1234")
        ]
    );

    let all: Vec<Arc<str>> = ok(&log, log.admin().list_topics()).into_iter().map(|topic| topic.name).collect();
    assert!(all.is_sorted() && all.contains(&names[0]) && all.contains(&names[2]), "{all:?}");

    ok(&log, log.admin().delete_topics(&names[..1]));
    assert!(matches!(&ok(&log, log.admin().topics(&names))[..], [None, None, Some(_)]));
    ok(&log, log.admin().delete_topics(&names[2..]));
}

#[test]
fn a_topic_with_another_number_of_partitions_is_refused() {
    let log = connect();
    create(&log, "admin-two", 2);
    let failure = failure(&log, log.admin().create_topics(&[new_topic("admin-two", 3, &[])]));
    assert_eq!(failure.kind, FailureKind::Fatal);
    let text = failure.to_string();
    assert!(text.contains("admin-two") && text.contains('2') && text.contains('3'), "{text}");
}

#[test]
fn a_bad_setting_is_told_with_its_name() {
    let log = connect();
    let failure = failure(&log, log.admin().create_topics(&[new_topic("admin-bad", 1, &[("retention.ms", "soon")])]));
    assert_eq!(failure.kind, FailureKind::Fatal);
    assert!(failure.to_string().contains("retention.ms"), "{failure}");
}

#[test]
fn offsets_are_found_by_end_and_by_time_and_records_are_deleted() {
    let log = connect();
    let partition = create(&log, "admin-offsets", 1);
    let mut writer = writer(&log, None);
    let handle = writer.partition(&partition);
    for time in [10, 20, 30, 40] {
        writer.append(handle, Timestamp(time), None, Some(b"x"), &Headers::new()).unwrap();
        ok(&log, writer.flush());
    }
    let find = |spec| end(&log, &partition, spec);
    assert_eq!([find(OffsetSpec::Start), find(OffsetSpec::EndCommitted), find(OffsetSpec::EndUncommitted)], [0, 4, 4]);
    assert_eq!([find(OffsetSpec::AtTime(20)), find(OffsetSpec::AtTime(21)), find(OffsetSpec::AtTime(41))], [1, 2, 4]);
    ok(&log, log.admin().delete_records(&[(partition.clone(), Offset(3))]));
    assert_eq!([find(OffsetSpec::Start), find(OffsetSpec::EndCommitted)], [3, 4]);
}

#[test]
fn a_group_that_never_committed_has_no_offsets() {
    let log = connect();
    let partition = create(&log, "admin-nothing", 1);
    assert_eq!(committed_offset(&log, "admin-nobody", &partition), None);
}

/// Kafka's own tool tells them, and the coordinator before the call is over.
#[test]
fn a_group_gets_settings_before_it_has_members() {
    let log = connect();
    let setting = |name: &str, value: &str| (format!("streams.{name}"), value.to_owned());
    let wanted = [setting("num.standby.replicas", "1"), setting("initial.rebalance.delay.ms", "0")];
    for _ in 0..2 {
        ok(&log, log.admin().configure_group("admin-settings", &wanted));
    }
    let bootstrap = KAFKA.bootstrap();
    let arguments = ["--bootstrap-server", &bootstrap, "--describe", "--entity-type", "groups", "--entity-name"];
    let told = KAFKA.tool("kafka.admin.ConfigCommand", &[&arguments[..], &["admin-settings"]].concat()).unwrap();
    for (name, value) in &wanted {
        assert!(told.contains(&format!("{name}={value}")), "{told}");
    }

    for (name, value) in [("session.timeout.ms", "1"), ("no.such.setting", "1")] {
        let refused = failure(&log, log.admin().configure_group("admin-settings", &[setting(name, value)]));
        assert_eq!(refused.kind, FailureKind::Fatal);
        let text = refused.to_string();
        assert!(text.contains("admin-settings") && text.contains(name), "{text}");
    }
}
