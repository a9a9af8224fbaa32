//! Leaders and coordinators move, answers are lost and come late: nothing is lost, nothing is twice, and
//! nothing changes places within a partition. A Java consumer is the judge.

use millstream_kafka::KafkaLog;
use millstream_log::{FailureKind, Log, OffsetSpec, Writer};
use millstream_testbroker::Cluster;
use millstream_types::TopicPartition;

use crate::proxy::Proxy;
use crate::support::*;

const PARTITIONS: i32 = 3;
/// Records of each partition, and after how many a broker dies or comes back.
const RECORDS: usize = 4_000;
const STEP: usize = 1_000;

/// What happens to the brokers, one step after the other: two of them are away, each once.
fn disturb(cluster: &mut Cluster, step: usize) {
    let node = step / 2 % 3 + 1;
    if step.is_multiple_of(2) {
        cluster.kill(node);
    } else {
        cluster.restart(node).unwrap();
    }
}

/// What a Java consumer finds in a topic, by partition.
fn seen_by_java(cluster: &Cluster, topic: &str, count: usize) -> Vec<Vec<usize>> {
    let (bootstrap, count) = (cluster.bootstrap(), count.to_string());
    let printed = cluster
        .tool(
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            &[
                &["--bootstrap-server", &bootstrap, "--topic", topic, "--from-beginning"][..],
                &["--max-messages", &count, "--isolation-level", "read_committed"],
                &["--formatter-property", "print.partition=true"],
            ]
            .concat(),
        )
        .unwrap();
    let mut partitions = vec![Vec::new(); PARTITIONS as usize];
    for line in printed.lines() {
        let (partition, value) = line.split_once('\t').unwrap();
        let partition: usize = partition.trim_start_matches("Partition:").parse().unwrap();
        partitions[partition].push(value.parse().unwrap());
    }
    partitions
}

/// As many records as there should be, in order, and none behind them.
#[track_caller]
fn check(cluster: &Cluster, topic: &str) {
    let all = RECORDS * PARTITIONS as usize;
    for (partition, numbers) in seen_by_java(cluster, topic, all).into_iter().enumerate() {
        let first_wrong = numbers.iter().enumerate().find(|(at, number)| at != *number);
        assert_eq!(first_wrong, None, "{topic}-{partition}");
        assert_eq!(numbers.len(), RECORDS, "{topic}-{partition}");
    }
}

fn partitions(topic: &str) -> Vec<TopicPartition> {
    (0..PARTITIONS).map(|partition| tp(topic, partition)).collect()
}

/// Writes these numbers to all partitions.
fn write(writer: &mut Box<dyn Writer>, topic: &str, numbers: std::ops::Range<usize>) {
    for number in numbers {
        for partition in partitions(topic) {
            put(writer, &partition, &number.to_string());
        }
    }
}

/// Begins where the last transaction that counts ended.
fn begin(log: &KafkaLog, writer: &mut Box<dyn Writer>, group: &str) -> usize {
    loop {
        // Brokers that come and go may leave no coordinator for a while.
        if outcome(log, writer.init()).is_ok() {
            break;
        }
    }
    let committed = committed_offset(log, group, &tp(group, 0));
    committed.map_or(0, |committed| usize::try_from(committed.offset.0).unwrap())
}

/// Writes each number to two topics, disturbed at every step: to one as it comes, to the other in transactions.
fn write_both(log: &KafkaLog, mut disturb: impl FnMut(usize)) {
    for topic in ["plain", "exactly"] {
        ok(log, log.admin().create_topics(&[new_topic(topic, PARTITIONS, &[])]));
    }
    let mut plain = writer(log, None);
    let mut exactly = writer(log, Some("exactly"));
    let mut next = 0;
    for step in 0..RECORDS / STEP {
        let end = (step + 1) * STEP;
        write(&mut plain, "plain", step * STEP..end);
        let flush = plain.flush();
        // Half way through what is to be sent.
        disturb(step);
        while next < end {
            write(&mut exactly, "exactly", next..(next + 100).min(end));
            let position = (next + 100).min(end);
            let offsets = vec![(tp("exactly", 0), offset(position as i64))];
            match outcome(log, exactly.commit(offsets, &nobody("exactly"))) {
                Ok(()) => next = position,
                Err(failure) => {
                    assert_ne!(failure.kind, FailureKind::Fatal, "{failure:?}");
                    next = begin(log, &mut exactly, "exactly");
                }
            }
        }
        ok(log, flush);
    }
}

/// Both topics have each number once and in order, by our count and as Java reads them.
#[track_caller]
fn check_both(log: &KafkaLog, cluster: &Cluster) {
    for partition in partitions("plain") {
        assert_eq!(end(log, &partition, OffsetSpec::EndUncommitted), RECORDS as i64, "{partition}");
    }
    for partition in partitions("exactly") {
        assert_eq!(committed(log, &partition).len(), RECORDS, "{partition}");
    }
    check(cluster, "plain");
    check(cluster, "exactly");
}

#[test]
fn nothing_is_lost_or_doubled_while_brokers_die_and_come_back() {
    let quick = [("broker.session.timeout.ms", 3000), ("broker.heartbeat.interval.ms", 500)];
    let cluster =
        quick.into_iter().fold(Cluster::builder().brokers(3), |cluster, (key, value)| cluster.setting(key, value));
    let mut cluster = cluster.start().unwrap_or_else(|error| panic!("{error}"));
    let settings = [("producer.batch.size", "1000"), ("request.timeout.ms", "5000")];
    let log = connect_to(&cluster, &settings);
    write_both(&log, |step| disturb(&mut cluster, step));
    check_both(&log, &cluster);
}

#[test]
fn nothing_is_lost_or_doubled_while_answers_are_lost_or_late_and_writers_throttled() {
    let proxy = Proxy::start();
    let advertised = format!("PLAINTEXT://127.0.0.1:{}", proxy.port());
    let cluster = Cluster::builder().setting("advertised.listeners", advertised).start();
    let cluster = cluster.unwrap_or_else(|error| panic!("{error}"));
    proxy.lead_to(&cluster.bootstrap());
    let settings = [("producer.batch.size", "1000"), ("request.timeout.ms", "1000"), ("delivery.timeout.ms", "60000")];
    let log = connect_to(&cluster, &settings);
    write_both(&log, |step| {
        proxy.set_faulty(step % 2 == 0);
        if step == 1 {
            // A fraction of what is written.
            let (bootstrap, rate) = (cluster.bootstrap(), "producer_byte_rate=100000");
            let quota = ["--alter", "--entity-type", "clients", "--entity-default", "--add-config", rate];
            let arguments = [&["--bootstrap-server", &bootstrap][..], &quota].concat();
            cluster.tool("kafka.admin.ConfigCommand", &arguments).unwrap();
        }
    });
    proxy.set_faulty(false);
    assert!(proxy.faults() > 20, "{} faults", proxy.faults());
    check_both(&log, &cluster);
}
