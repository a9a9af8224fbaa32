//! Reading: positions that do not exist, topics that go, partitions that pause.

use std::collections::BTreeMap;

use millstream_log::{Isolation, Log, Reader, ReaderEvent};
use millstream_types::{Offset, TopicPartition};

use crate::support::*;

#[test]
fn positions_before_the_first_and_after_the_last_record_are_out_of_range() {
    let log = connect();
    let partition = create(&log, "range", 1);
    let mut writer = writer(&log, None);
    for number in 0..5 {
        put(&mut writer, &partition, &number.to_string());
    }
    ok(&log, writer.flush());
    ok(&log, log.admin().delete_records(&[(partition.clone(), Offset(2))]));
    let mut reader = log.reader(Isolation::ReadCommitted);
    for position in [1, 6] {
        reader.assign(&[(partition.clone(), Offset(position).into())]);
        let events = events(&log, &mut reader);
        let [ReaderEvent::OutOfRange { position: told, log_start, log_end, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!((told.0, log_start.0, log_end.0), (position, 2, 5));
    }
    // The end itself is a place to wait at.
    reader.assign(&[(partition.clone(), Offset(5).into())]);
    put(&mut writer, &partition, "next");
    ok(&log, writer.flush());
    assert_eq!(next_offset(&log, &mut reader, 6), 6);
}

/// Reads until a position is reached; gives it.
#[track_caller]
fn next_offset(log: &millstream_kafka::KafkaLog, reader: &mut Box<dyn Reader>, at_least: i64) -> i64 {
    loop {
        for event in events(log, reader) {
            let ReaderEvent::Fetched(fetched) = event else { panic!("unexpected {event:?}") };
            if fetched.next.0 >= at_least {
                return fetched.next.0;
            }
        }
    }
}

#[test]
fn a_topic_that_is_deleted_or_made_anew_is_gone() {
    let log = connect();
    for is_made_anew in [false, true] {
        let topic = format!("gone-{is_made_anew}");
        let partition = create(&log, &topic, 1);
        let mut writer = writer(&log, None);
        put(&mut writer, &partition, "old");
        ok(&log, writer.flush());
        let mut reader = log.reader(Isolation::ReadUncommitted);
        reader.assign(&[(partition.clone(), Offset(0).into())]);
        assert_eq!(next_offset(&log, &mut reader, 1), 1);
        ok(&log, log.admin().delete_topics(&[topic.as_str().into()]));
        if is_made_anew {
            create(&log, &topic, 1);
        }
        let last = loop {
            match events(&log, &mut reader).pop() {
                Some(ReaderEvent::Fetched(fetched)) => assert!(fetched.batches.is_empty()),
                other => break other,
            }
        };
        assert!(matches!(&last, Some(ReaderEvent::Gone { partition: gone }) if *gone == partition), "{last:?}");
    }
}

#[test]
fn a_paused_partition_waits_while_others_go_on() {
    let log = connect();
    let first = create(&log, "paused", 2);
    let second = tp("paused", 1);
    let mut writer = writer(&log, None);
    let mut reader = log.reader(Isolation::ReadUncommitted);
    reader.assign(&[(first.clone(), Offset(0).into()), (second.clone(), Offset(0).into())]);
    reader.pause(&first);
    let mut positions: BTreeMap<TopicPartition, i64> = BTreeMap::new();
    let mut follow = |reader: &mut Box<dyn Reader>, partition: &TopicPartition, to: i64| {
        until(&log, || {
            let mut events = Vec::new();
            reader.poll(now(), 1 << 20, &mut events);
            for event in events {
                let ReaderEvent::Fetched(fetched) = event else { panic!("unexpected {event:?}") };
                positions.insert(fetched.partition, fetched.next.0);
            }
            (positions.get(partition) >= Some(&to)).then_some(())
        });
        positions.clone()
    };
    for round in 1..=3 {
        put(&mut writer, &first, "first");
        put(&mut writer, &second, "second");
        ok(&log, writer.flush());
        assert_eq!(follow(&mut reader, &second, round).get(&first), None);
    }
    reader.resume(&first);
    assert_eq!(follow(&mut reader, &first, 3).get(&second), Some(&3));
}

#[test]
fn a_small_budget_gives_everything_in_small_pieces() {
    let log = connect_to(&KAFKA, &[("consumer.max.partition.fetch.bytes", "2000"), ("producer.batch.size", "500")]);
    let partition = create(&log, "pieces", 1);
    let mut writer = writer(&log, None);
    for number in 0..2_000 {
        put(&mut writer, &partition, &format!("value {number}"));
    }
    ok(&log, writer.flush());
    let seen = committed(&log, &partition);
    assert_eq!(seen.len(), 2_000);
    assert!(seen.iter().enumerate().all(|(at, text)| *text == format!("{at}:value {at}")));
}
