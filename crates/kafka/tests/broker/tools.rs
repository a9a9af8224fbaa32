//! Kafka's own tools see what they would see of a Java application.

use millstream_log::{Departure, OffsetSpec};

use crate::membership::{Worker, settle};
use crate::support::*;

#[test]
fn kafkas_tools_show_group_records_and_transactions() {
    // Longer than the slowest tool takes.
    let log = connect_to(&KAFKA, &[("transaction.timeout.ms", "60000")]);
    let partition = create(&log, "shown-in", 4);
    let mut worker = Worker::join(&log, "shown", "the-member");
    settle(&log, &mut [&mut worker], &[4]);
    let mut writer = writer(&log, Some("shown-writer"));
    put(&mut writer, &partition, "committed");
    ok(&log, writer.commit(vec![(partition.clone(), offset(1))], &nobody("shown-other")));
    put(&mut writer, &partition, "open");
    ok(&log, writer.flush());
    assert_eq!(end(&log, &partition, OffsetSpec::EndCommitted), 2);

    let bootstrap = KAFKA.bootstrap();
    let tool = &|class: &str, more: &[&str]| {
        let arguments = [&["--bootstrap-server", bootstrap.as_str()], more].concat();
        KAFKA.tool(&format!("org.apache.kafka.tools.{class}"), &arguments).unwrap()
    };
    std::thread::scope(|scope| {
        let group =
            scope.spawn(|| tool("streams.StreamsGroupCommand", &["--describe", "--group", "shown", "--members"]));
        let other =
            scope.spawn(|| tool("consumer.group.ConsumerGroupCommand", &["--describe", "--group", "shown-other"]));
        let transactions = scope.spawn(|| tool("TransactionsCommand", &["list"]));
        let read =
            ["--topic", "shown-in", "--from-beginning", "--max-messages", "1", "--isolation-level", "read_committed"];
        let records = scope.spawn(move || tool("consumer.ConsoleConsumer", &read));

        let group = group.join().unwrap();
        assert!(group.contains("the-member") && group.contains("0:[0,1,2,3]"), "{group}");
        let other = other.join().unwrap();
        assert!(other.contains("shown-in"), "{other}");
        let transactions = transactions.join().unwrap();
        let line = transactions.lines().find(|line| line.contains("shown-writer")).unwrap_or_default();
        assert!(line.contains("Ongoing"), "{transactions}");
        assert_eq!(records.join().unwrap().trim(), "committed");
    });
    ok(&log, writer.abort());
    ok(&log, worker.member().leave(Departure::Leave));
}
