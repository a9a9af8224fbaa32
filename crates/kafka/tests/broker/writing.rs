//! Writing, plainly and in transactions.

use millstream_log::{FailureKind, Log, OffsetSpec};
use millstream_types::{ErrorKind, Headers, Offset, Timestamp};

use crate::support::*;

#[test]
fn what_is_flushed_can_be_read_in_order_and_its_offsets_are_told() {
    let log = connect();
    let first = create(&log, "plain", 2);
    let second = tp("plain", 1);
    let mut writer = writer(&log, None);
    assert_eq!(ok(&log, writer.flush()), []);
    for round in 0..3 {
        for number in 0..10 {
            put(&mut writer, &first, &format!("{round}.{number}"));
        }
        put(&mut writer, &second, "other");
        let acks = ok(&log, writer.flush());
        assert_eq!(acks, [(first.clone(), Some(Offset(round * 10 + 9))), (second.clone(), Some(Offset(round)))]);
    }
    let wanted: Vec<String> = (0..30).map(|at| format!("{at}:{}.{}", at / 10, at % 10)).collect();
    assert_eq!(committed(&log, &first), wanted);
    assert_eq!(uncommitted(&log, &second), ["0:other", "1:other", "2:other"]);
}

#[test]
fn many_batches_in_flight_stay_in_order() {
    let log = connect_to(&KAFKA, &[("producer.batch.size", "400")]);
    let partition = create(&log, "in-flight", 1);
    let mut writer = writer(&log, None);
    for number in 0..5_000 {
        put(&mut writer, &partition, &number.to_string());
    }
    ok(&log, writer.flush());
    let wanted: Vec<String> = (0..5_000).map(|at| format!("{at}:{at}")).collect();
    assert_eq!(committed(&log, &partition), wanted);
}

#[test]
fn committed_transactions_are_seen_and_aborted_ones_only_by_who_reads_all() {
    let log = connect();
    let partition = create(&log, "transactions", 1);
    let mut writer = writer(&log, Some("transactions"));
    put(&mut writer, &partition, "a");
    ok(&log, writer.commit(vec![], &nobody("transactions")));
    put(&mut writer, &partition, "b");
    ok(&log, writer.flush());
    ok(&log, writer.abort());
    // Nothing to end.
    ok(&log, writer.abort());
    ok(&log, writer.commit(vec![], &nobody("transactions")));
    put(&mut writer, &partition, "c");
    ok(&log, writer.commit(vec![], &nobody("transactions")));
    // Offsets 1, 3 and 5 are the ends of transactions.
    assert_eq!(committed(&log, &partition), ["0:a", "4:c"]);
    assert_eq!(uncommitted(&log, &partition), ["0:a", "2:b", "4:c"]);
}

#[test]
fn an_open_transaction_holds_back_who_reads_committed() {
    let log = connect();
    let partition = create(&log, "open", 1);
    let mut open = writer(&log, Some("open"));
    put(&mut open, &partition, "open");
    ok(&log, open.flush());
    let mut plain = writer(&log, None);
    put(&mut plain, &partition, "behind");
    ok(&log, plain.flush());
    let ends = [OffsetSpec::EndCommitted, OffsetSpec::EndUncommitted].map(|spec| end(&log, &partition, spec));
    assert_eq!(ends, [0, 2]);
    assert!(committed_so_far(&log, &partition).is_empty());
    assert_eq!(uncommitted(&log, &partition), ["0:open", "1:behind"]);
    ok(&log, open.commit(vec![], &nobody("open")));
    assert_eq!(committed(&log, &partition), ["0:open", "1:behind"]);
}

#[test]
fn offsets_are_committed_with_the_transaction_or_not_at_all() {
    let log = connect();
    let partition = create(&log, "with-offsets", 1);
    let mut writer = writer(&log, Some("with-offsets"));
    put(&mut writer, &partition, "a");
    ok(&log, writer.commit(vec![(partition.clone(), offset(7))], &nobody("with-offsets")));
    assert_eq!(committed_offset(&log, "with-offsets", &partition), Some(offset(7)));
    // Without a record the offsets count all the same.
    ok(&log, writer.commit(vec![(partition.clone(), offset(8))], &nobody("with-offsets")));
    assert_eq!(committed_offset(&log, "with-offsets", &partition), Some(offset(8)));
    assert_eq!(committed(&log, &partition), ["0:a"]);
}

#[test]
fn a_later_writer_of_the_same_id_fences_the_earlier_and_ends_its_transaction() {
    let log = connect();
    let other = connect();
    let partition = create(&log, "fenced", 1);
    let mut old = writer(&log, Some("fenced"));
    put(&mut old, &partition, "zombie");
    ok(&log, old.flush());
    let mut new = writer(&other, Some("fenced"));
    put(&mut old, &partition, "zombie again");
    assert_eq!(failure(&log, old.commit(vec![], &nobody("fenced"))).kind, FailureKind::Fenced);
    put(&mut new, &partition, "new");
    ok(&other, new.commit(vec![], &nobody("fenced")));
    let seen: Vec<String> = committed(&log, &partition).iter().map(|text| text[2..].to_owned()).collect();
    assert_eq!(seen, ["new"]);
    // Who was fenced may come back, and fences in turn.
    ok(&log, old.init());
    put(&mut new, &partition, "late");
    assert_eq!(failure(&other, new.commit(vec![], &nobody("fenced"))).kind, FailureKind::Fenced);
}

#[test]
fn compressed_batches_are_small_on_the_broker_and_whole_again_when_read() {
    let log = connect_to(&KAFKA, &[("producer.compression.type", "lz4")]);
    let partition = create(&log, "compressed", 1);
    let mut writer = writer(&log, None);
    let value = "all work and no play ".repeat(20);
    for _ in 0..100 {
        put(&mut writer, &partition, &value);
    }
    ok(&log, writer.flush());
    let seen = committed(&log, &partition);
    assert_eq!(seen.len(), 100);
    assert!(seen.iter().enumerate().all(|(at, text)| *text == format!("{at}:{value}")));
    let described = KAFKA
        .tool(
            "org.apache.kafka.tools.LogDirsCommand",
            &["--bootstrap-server", &KAFKA.bootstrap(), "--describe", "--topic-list", "compressed"],
        )
        .unwrap();
    let size = described.split("\"size\":").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    assert!(size.parse::<usize>().unwrap() < 100 * value.len() / 4, "{described}");
}

#[test]
fn a_record_that_is_too_large_is_refused_and_the_writer_goes_on() {
    let log = connect_to(&KAFKA, &[("producer.max.request.size", "2000")]);
    let partition = create(&log, "large", 1);
    let mut writer = writer(&log, None);
    let handle = writer.partition(&partition);
    let error = writer.append(handle, Timestamp(1), None, Some(&[b'x'; 3000]), &Headers::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Production);
    put(&mut writer, &partition, "small");
    ok(&log, writer.flush());
    assert_eq!(committed(&log, &partition), ["0:small"]);
}

#[test]
fn a_record_that_only_the_broker_finds_too_large_is_told_with_its_topic() {
    let log = connect();
    ok(&log, log.admin().create_topics(&[new_topic("narrow", 1, &[("max.message.bytes", "1000")])]));
    let partition = tp("narrow", 0);
    let mut writer = writer(&log, None);
    put(&mut writer, &partition, &"x".repeat(5000));
    let failure = failure(&log, writer.flush());
    assert_eq!(failure.kind, FailureKind::Fatal);
    assert!(failure.to_string().contains("narrow"), "{failure}");
}

#[test]
fn batches_larger_than_a_topic_takes_are_split_and_stay_in_order() {
    let log = connect();
    ok(&log, log.admin().create_topics(&[new_topic("split", 1, &[("max.message.bytes", "1000")])]));
    let partition = tp("split", 0);
    let mut writer = writer(&log, None);
    let filler = "x".repeat(100);
    for number in 0..700 {
        put(&mut writer, &partition, &format!("{number} {filler}"));
    }
    ok(&log, writer.flush());
    let wanted: Vec<String> = (0..700).map(|at| format!("{at}:{at} {filler}")).collect();
    assert_eq!(committed(&log, &partition), wanted);
}

#[test]
fn the_number_of_partitions_is_known_or_the_topic_missing() {
    let log = connect_to(&KAFKA, &[("producer.max.block.ms", "10000")]);
    create(&log, "counted", 3);
    let mut writer = writer(&log, None);
    let mut count = |topic: &str| {
        until(&log, || match writer.partition_count(topic, now()) {
            millstream_log::Outcome::Pending => None,
            millstream_log::Outcome::Done(count) => Some(Ok(count)),
            millstream_log::Outcome::Failed(failure) => Some(Err(failure.to_string())),
        })
    };
    assert_eq!(count("counted"), Ok(3));
    // This broker makes topics that somebody asks for in order to write.
    assert_eq!(count("made-when-asked"), Ok(4));
    assert!(count("not a name").is_err_and(|text| text.contains("not a name")));
}
