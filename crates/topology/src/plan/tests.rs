use millstream_state::{StoreFacts, StoreKind};
use millstream_types::{ErrorKind, TaskId};

use super::*;
use crate::graph::testdata::{facts, logged_store};

/// A count after a re-key, joined with a table that is its own changelog.
const COUNT: &str = "source\torders\torders,more-orders
    processor\tkey\torders
    sink\tby-name-sink\tby-name-repartition\tkey
    repartition\tby-name-repartition\t?
    source\tby-name-source\tby-name-repartition
    processor\tcount\tby-name-source
    store\tcounts\tcount
    sink\tout\ttotals\tcount
    source\tcustomers\tcustomers
    processor\ttable\tcustomers
    store\trows\ttable,count
    changelog\trows\tcustomers
    global\tgs\tcountries\tgp\tcountry-rows
    copartitioned\tby-name-source,customers";

fn task(subtopology: i32, partition: i32) -> TaskId {
    TaskId { subtopology, partition }
}

/// Partition counts as `topic=count`, space between.
fn external(counts: &str) -> impl Fn(&str) -> Option<i32> {
    move |topic| {
        let mut counts = counts.split(' ').filter_map(|count| count.split_once('='));
        counts.find(|(name, _)| *name == topic).map(|(_, count)| count.parse().expect("a count"))
    }
}

#[test]
fn names_in_the_log_have_the_application_id() {
    let plan = Plan::of(&facts(COUNT), "app");
    let [keyed, counted, global] = plan.subtopologies() else { panic!("three sub-topologies") };

    assert_eq!(keyed.nodes.iter().map(|node| &**node).collect::<Vec<_>>(), ["orders", "key", "by-name-sink"]);
    assert_eq!((&*keyed.sinks[0].topic, keyed.sinks[0].is_repartition), ("app-by-name-repartition", true));
    assert_eq!(&*counted.sources[0].topics[0], "app-by-name-repartition");
    assert_eq!((&*counted.sinks[0].topic, counted.sinks[0].is_repartition), ("totals", false));
    let changelog = |store: &str| counted.store(store).expect("a store").changelog.clone();
    assert_eq!(changelog("counts"), Some(Changelog { topic: "app-counts-changelog".into(), is_source: false }));
    assert_eq!(changelog("rows"), Some(Changelog { topic: "customers".into(), is_source: true }));
    assert!(global.is_global);
    assert_eq!(
        plan.global_stores().collect::<Vec<_>>(),
        [GlobalStorePlan {
            store: "country-rows".into(),
            source: "gs".into(),
            processor: "gp".into(),
            topic: "countries".into()
        }]
    );
    let topics = plan.external_topics();
    assert_eq!(topics.join(" "), "countries customers more-orders orders");
}

#[test]
fn a_task_reads_its_partition_of_each_topic() {
    let plan = Plan::of(&facts(COUNT), "app");
    let partitions =
        plan.partitions(&external("orders=2 more-orders=4 customers=4 countries=9")).expect("partitions that fit");

    assert_eq!([0, 1, 2, 3].map(|id| partitions.tasks_of(id)), [4, 4, 0, 0]);
    assert_eq!(partitions.tasks().len(), 8);
    let read = |task| {
        let inputs = partitions.inputs(task);
        inputs.iter().map(|input| format!("{}:{}", input.source, input.partition)).collect::<Vec<_>>()
    };
    assert_eq!(read(task(0, 1)), ["orders:orders-1", "orders:more-orders-1"]);
    assert_eq!(read(task(0, 3)), ["orders:more-orders-3"]);
    assert_eq!(read(task(1, 2)), ["by-name-source:app-by-name-repartition-2", "customers:customers-2"]);
    assert_eq!(read(task(2, 0)), [""; 0]);
    let logs = partitions.changelogs(task(1, 3));
    let logs: Vec<_> = logs.iter().map(|log| format!("{} {} {}", log.store, log.partition, log.is_source)).collect();
    assert_eq!(logs, ["counts app-counts-changelog-3 false", "rows customers-3 true"]);
}

#[test]
fn only_topics_of_the_applications_own_are_created() {
    let plan = Plan::of(&facts(COUNT), "app");
    let partitions = plan.partitions(&external("orders=2 more-orders=4 customers=4 countries=9")).expect("partitions");
    let created = partitions.internal_topics(&InternalTopicDefaults::default());
    let created: Vec<_> = created.iter().map(|topic| (&*topic.name, topic.partitions)).collect();
    assert_eq!(created, [("app-by-name-repartition", 4), ("app-counts-changelog", 4)]);
    assert_eq!(plan.repartition_topics().map(|name| &**name).collect::<Vec<_>>(), ["app-by-name-repartition"]);
}

#[test]
fn missing_topics_are_listed_at_once() {
    let plan = Plan::of(&facts(COUNT), "app");
    let error = plan.partitions(&external("orders=2 customers=4")).expect_err("topics are missing");
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert_eq!(
        error.message(),
        "source topics do not exist; create them before the application starts: \
         countries (of a global store), more-orders (of sub-topology 0)"
    );
}

/// Two repartitioned streams and a table, `fixed` for the first two; joined as `group` says.
fn joined(fixed: [&str; 2], group: &str) -> Plan {
    let [left, right] = fixed;
    let calls = format!(
        "source\tl\tleft\nsink\tls\tl-repartition\tl\nrepartition\tl-repartition\t{left}\nsource\tlr\tl-repartition
        source\tr\tright\nsink\trs\tr-repartition\tr\nrepartition\tr-repartition\t{right}\nsource\trr\tr-repartition
        source\tt\ttable\nprocessor\tj\tlr,rr,t\ncopartitioned\t{group}"
    );
    Plan::of(&facts(&calls), "app")
}

#[track_caller]
fn check_counts(fixed: [&str; 2], group: &str, counts: &str, expected: Result<[i32; 2], &str>) {
    let found = joined(fixed, group).partitions(&external(counts));
    let found = found.as_ref().map(|partitions| {
        ["app-l-repartition", "app-r-repartition"].map(|topic| partitions.partitions_of(topic).expect("a count"))
    });
    assert_eq!(found.map_err(millstream_types::Error::message), expected);
}

#[test]
fn repartition_topics_follow_what_they_are_joined_with() {
    // Each on its own: like the topic upstream, unless fixed.
    check_counts(["?", "?"], "", "left=2 right=5 table=3", Ok([2, 5]));
    check_counts(["7", "?"], "", "left=2 right=5 table=3", Ok([7, 5]));
    // Joined with each other: the larger, or the fixed one.
    check_counts(["?", "?"], "lr,rr", "left=2 right=5 table=3", Ok([5, 5]));
    check_counts(["1", "?"], "lr,rr", "left=2 right=5 table=3", Ok([1, 1]));
    // Joined with a topic of the user's: that one's.
    check_counts(["?", "?"], "lr,rr,t", "left=2 right=5 table=3", Ok([3, 3]));
    check_counts(["3", "?"], "lr,rr,t", "left=2 right=5 table=3", Ok([3, 3]));
    check_counts(["?", "?"], "t,lr\ncopartitioned\trr,lr", "left=2 right=5 table=3", Ok([3, 3]));
}

#[test]
fn topics_that_cannot_be_joined_are_named_with_their_counts() {
    const ADVICE: &str = "; use repartition() for one of them or create them alike";
    let error = |counts: &str| format!("topics that are joined need equally many partitions, but {counts}{ADVICE}");
    check_counts(["4", "?"], "lr,rr,t", "left=2 right=5 table=3", Err(&error("app-l-repartition has 4, table has 3")));
    check_counts(
        ["4", "6"],
        "lr,rr",
        "left=2 right=5 table=3",
        Err(&error("app-l-repartition has 4, app-r-repartition has 6")),
    );
    check_counts(
        ["?", "?"],
        "t,l\ncopartitioned\tt,lr",
        "left=2 right=5 table=3",
        Err(&error("left has 2, table has 3")),
    );
}

#[test]
fn a_chain_of_repartitions_carries_the_count_along() {
    let plan = Plan::of(
        &facts(
            "source\tc\tb-repartition\nsink\tcs\tend\tc\nsource\tb\ta-repartition\nsink\tbs\tb-repartition\tb
            source\ta\tin\nsink\tas\ta-repartition\ta\nrepartition\ta-repartition\t?\nrepartition\tb-repartition\t?",
        ),
        "app",
    );
    let partitions = plan.partitions(&external("in=6")).expect("partitions");
    assert_eq!([0, 1, 2].map(|id| partitions.tasks_of(id)), [6, 6, 6]);
}

#[test]
fn a_repartition_topic_nobody_writes_needs_a_number() {
    let calls = "source\ta\tx-repartition\nsink\tas\tx-repartition\ta\nrepartition\tx-repartition\t";
    let error = Plan::of(&facts(&format!("{calls}?")), "app").partitions(&|_| None).expect_err("no number");
    assert_eq!(
        error.message(),
        "the number of partitions of app-x-repartition cannot be found out: nothing with a known number of partitions \
         writes there; give the number to repartition()"
    );
    let partitions = Plan::of(&facts(&format!("{calls}2")), "app").partitions(&|_| None).expect("a fixed number");
    assert_eq!(partitions.tasks_of(0), 2);
}

#[test]
fn patterns_read_the_topics_that_match_at_the_moment() {
    let plan = Plan::of(&facts("pattern\ta\tflights-.*"), "app");
    assert_eq!(plan.partitions(&|_| None).expect("nothing to read").tasks(), []);
    let existing = ["flights-1", "flights-2", "trains-1", "__flights-3"].map(Arc::from);
    let plan = plan.with_matched_topics(&existing).expect("no topic is read twice");
    let partitions = plan.partitions(&external("flights-1=1 flights-2=2")).expect("partitions");
    assert_eq!(partitions.tasks_of(0), 2);
}

#[test]
fn a_topic_that_matches_two_patterns_is_refused() {
    let plan = Plan::of(&facts("pattern\ta\tflights-.*\npattern\tb\t.*-1"), "app");
    assert!(plan.clone().with_matched_topics(&["flights-2".into(), "trains-1".into()]).is_ok());
    let error = plan.with_matched_topics(&["flights-1".into()]).expect_err("two readers");
    assert!(error.message().contains("topic flights-1 matches the patterns of two sources, a and b"), "{error}");
}

#[test]
fn matched_topics_are_copartitioned_with_those_they_are_joined_with() {
    let plan = Plan::of(&facts("pattern\ta\tin-.*\nsource\tb\tother\ncopartitioned\ta,b"), "app");
    let plan = plan.with_matched_topics(&["in-1".into()]).expect("a match");
    let error = plan.partitions(&external("in-1=1 other=2")).expect_err("different numbers");
    assert!(error.message().contains("in-1"), "{error}");
}

#[test]
fn a_pattern_never_matches_the_topics_of_the_application_itself() {
    let calls = "pattern\ta\t.*\nprocessor\tp\ta\nstore\ts\tp";
    let existing = ["app-s-changelog", "app-other", "in"].map(Arc::from);
    let plan = Plan::of(&facts(calls), "app").with_matched_topics(&existing).expect("no conflict");
    assert_eq!(plan.external_topics(), ["app-other".into(), "in".into()]);
}

#[test]
fn stores_stand_in_the_order_of_nodes_and_java_sets() {
    let plan = Plan::of(
        &facts("source\ta\tt\nprocessor\tp\ta\nprocessor\tq\tp\nstore\tz\tq\nstore\tc\tp\nstore\tb\tp,q\nstore\ta\tp"),
        "app",
    );
    let names: Vec<_> = plan.subtopologies()[0].stores_in_order.iter().map(|store| &*store.name).collect();
    assert_eq!(names, ["a", "b", "c", "z"]);
}

#[track_caller]
fn check_configs(kind: InternalTopicKind, defaults: &[(&str, &str)], expected: &[&str]) {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let defaults =
        InternalTopicDefaults { topic_configs: defaults.iter().map(own).collect(), ..InternalTopicDefaults::default() };
    let configs = InternalTopic { name: "app-x".into(), kind }.configs(&defaults);
    let configs: Vec<_> = configs.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(configs, expected);
}

#[test]
fn settings_of_internal_topics_are_kafka_streams() {
    use InternalTopicKind::{Changelog, Repartition};
    let plain = || logged_store("s");
    let windowed = || StoreFacts { kind: StoreKind::TimestampedWindow, retention_ms: Some(15_000), ..plain() };
    let created = "message.timestamp.type=CreateTime";

    check_configs(Repartition, &[], &["cleanup.policy=delete", created, "retention.ms=-1", "segment.bytes=52428800"]);
    check_configs(
        Repartition,
        &[("segment.bytes", "1"), ("min.insync.replicas", "2")],
        &["cleanup.policy=delete", created, "min.insync.replicas=2", "retention.ms=-1", "segment.bytes=1"],
    );
    check_configs(Changelog(plain()), &[], &["cleanup.policy=compact", created]);
    for kind in [StoreKind::Window, StoreKind::TimestampedWindow, StoreKind::Session] {
        let store = StoreFacts { kind, ..windowed() };
        check_configs(Changelog(store), &[], &["cleanup.policy=compact,delete", created, "retention.ms=86415000"]);
    }
    // The application's retention.ms does not reach window stores, a store's own does.
    check_configs(
        Changelog(windowed()),
        &[("retention.ms", "5")],
        &["cleanup.policy=compact,delete", created, "retention.ms=86415000"],
    );
    let own = vec![("cleanup.policy".to_owned(), "compact".to_owned()), ("retention.ms".to_owned(), "7".to_owned())];
    check_configs(
        Changelog(StoreFacts { changelog_configs: own.clone(), ..windowed() }),
        &[("retention.ms", "5")],
        &["cleanup.policy=compact", created, "retention.ms=7"],
    );
    check_configs(
        Changelog(StoreFacts { changelog_configs: own, retains_duplicates: true, ..windowed() }),
        &[],
        &["cleanup.policy=delete", created, "retention.ms=7"],
    );
    check_configs(
        Changelog(StoreFacts { retention_ms: Some(i64::MAX), ..windowed() }),
        &[],
        &["cleanup.policy=compact,delete", created, "retention.ms=9223372036854775807"],
    );
}
