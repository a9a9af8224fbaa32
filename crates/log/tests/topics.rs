//! Topics, offsets and plain reading through the seam.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use millstream_log::batch::{BatchBuilder, Compression, Stamp};
use millstream_log::{EmbeddedLog, FailureKind, Isolation, Log, NewTopic, OffsetSpec, Options, Outcome, ReaderEvent};
use millstream_types::{ErrorKind, Headers, Offset, Timestamp, TopicPartition};
use support::*;

#[test]
fn topics_are_created_listed_and_deleted() {
    for log in logs() {
        let mut admin = log.admin();
        let configs = vec![("cleanup.policy".to_owned(), "compact".to_owned())];
        ok(admin.create_topics(&[
            new_topic("b", 2),
            NewTopic { name: "a".into(), partitions: -1, replication_factor: 3, configs: configs.clone() },
        ]));
        ok(admin.create_topics(&[new_topic("b", 2)]));
        assert_eq!(names(&mut admin), ["a".into(), "b".into()]);
        let found = ok(admin.topics(&["b".into(), "c".into(), "a".into()]));
        assert_eq!(found[0].as_ref().map(|topic| topic.partitions), Some(2));
        assert_eq!(found[1], None);
        let a = found[2].clone().unwrap();
        assert_eq!((a.partitions, &a.configs), (1, &configs));

        let refused = failure(admin.create_topics(&[new_topic("c", 1), new_topic("b", 3)]));
        assert_eq!((refused.kind, refused.error.kind()), (FailureKind::Fatal, ErrorKind::Configuration));
        assert!(refused.to_string().contains("2 partitions, 3 are needed"), "{refused}");
        assert_eq!(names(&mut admin).len(), 2);

        ok(admin.delete_topics(&["a".into()]));
        ok(admin.create_topics(&[new_topic("a", 1)]));
        assert_ne!(ok(admin.topics(&["a".into()]))[0].as_ref().unwrap().id, a.id);
    }
}

#[test]
fn names_that_are_no_topic_names_are_refused() {
    for log in logs() {
        for name in ["", ".", "..", "a/b", "../up", "ümlaut", &"x".repeat(250)] {
            assert_eq!(kind(log.admin().create_topics(&[new_topic(name, 1)])), FailureKind::Fatal, "{name}");
        }
        assert_eq!(kind(log.admin().create_topics(&[new_topic("a", 0)])), FailureKind::Fatal);
        create(&log, &"x".repeat(249), 1);
    }
}

#[test]
fn topics_create_themselves_only_where_that_is_on() {
    let [on, ..] = logs_with(&Options { num_partitions: 3, ..Options::default() });
    assert!(matches!(on.writer(None).partition_count("t", at(0)), Outcome::Done(3)));
    let off = EmbeddedLog::memory(Options { auto_create_topics: false, ..Options::default() });
    assert!(matches!(off.writer(None).partition_count("t", at(0)), Outcome::Failed(_)));
    let mut writer = writer(&off, None);
    let handle = writer.partition(&tp("t", 0));
    let refused = writer.append(handle, Timestamp(1), None, None, &Headers::new()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Production);
    assert_eq!(refused.context().topic.as_deref(), Some("t"));
    // The writer itself is fine.
    create(&off, "t", 1);
    put(&mut writer, &tp("t", 0), "a");
    ok(writer.flush());
    assert_eq!(committed(&off, &tp("t", 0)), ["0:a"]);
}

#[test]
fn a_record_that_is_too_large_is_refused_and_the_rest_goes_on() {
    let log = EmbeddedLog::memory(Options { record_bytes_max: 1000, ..Options::default() });
    let mut writer = writer(&log, None);
    let handle = writer.partition(&tp("t", 0));
    put(&mut writer, &tp("t", 0), "a");
    let refused = writer.append(handle, Timestamp(1), None, Some(&[0; 1000]), &Headers::new()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Production);
    assert!(refused.to_string().contains("max.message.bytes (1000)"), "{refused}");
    put(&mut writer, &tp("t", 0), "b");
    ok(writer.flush());
    assert_eq!(committed(&log, &tp("t", 0)), ["0:a", "1:b"]);
}

#[test]
fn deleted_records_are_out_of_range() {
    for log in logs() {
        let t = tp("t", 0);
        let mut writer = writer(&log, None);
        for value in ["a", "b", "c", "d"] {
            put(&mut writer, &t, value);
            ok(writer.flush());
        }
        ok(log.admin().delete_records(&[(t.clone(), Offset(2))]));
        assert_eq!(ok(log.admin().offsets(&[tp("t", 0)], OffsetSpec::Start)), [Offset(2)]);
        assert_eq!(values(&log, &t, Isolation::ReadUncommitted, 2), ["2:c", "3:d"]);
        for position in [1, 5] {
            let mut reader = log.reader(Isolation::ReadCommitted);
            reader.assign(&[(t.clone(), Offset(position).into())]);
            let mut events = Vec::new();
            reader.poll(at(0), 1000, &mut events);
            reader.poll(at(0), 1000, &mut events);
            match &events[..] {
                [ReaderEvent::OutOfRange { position: found, log_start, log_end, .. }] => {
                    assert_eq!((*found, *log_start, *log_end), (Offset(position), Offset(2), Offset(4)));
                }
                other => panic!("unexpected {other:?}"),
            }
        }
        // Beyond the end all is deleted, and nothing that was not written.
        ok(log.admin().delete_records(&[(t.clone(), Offset(100))]));
        assert_eq!(ok(log.admin().offsets(&[tp("t", 0)], OffsetSpec::Start)), [Offset(4)]);
        put(&mut writer, &t, "e");
        ok(writer.flush());
        assert_eq!(values(&log, &t, Isolation::ReadCommitted, 4), ["4:e"]);
    }
}

#[test]
fn a_deleted_topic_is_gone_even_if_created_again() {
    for log in logs() {
        let t = tp("t", 0);
        let mut writer = writer(&log, None);
        put(&mut writer, &t, "old");
        ok(writer.flush());
        let mut reader = log.reader(Isolation::ReadCommitted);
        reader.assign(&[(t.clone(), Offset(0).into())]);
        assert_eq!(fetch(&mut reader, 1000).len(), 1);
        ok(log.admin().delete_topics(&["t".into()]));
        create(&log, "t", 1);
        let mut events = Vec::new();
        reader.poll(at(0), 1000, &mut events);
        reader.poll(at(0), 1000, &mut events);
        assert!(matches!(&events[..], [ReaderEvent::Gone { partition }] if *partition == t), "{events:?}");
        // A writer that knew the old topic does not write to the new one by accident.
        put(&mut writer, &t, "late");
        assert_eq!(kind(writer.flush()), FailureKind::Fatal);
        ok(writer.init());
        put(&mut writer, &t, "new");
        ok(writer.flush());
        assert_eq!(committed(&log, &t), ["0:new"]);
    }
}

#[test]
fn progress_is_told_without_records() {
    for log in logs() {
        let t = tp("t", 0);
        create(&log, "t", 1);
        let mut reader = log.reader(Isolation::ReadCommitted);
        reader.assign(&[(t.clone(), Offset(0).into())]);
        let say = |reader: &mut Box<dyn millstream_log::Reader>| {
            let fetched = fetch(reader, 1000);
            fetched.iter().map(|f| (f.batches.len(), f.from.0, f.next.0, f.end.0)).collect::<Vec<_>>()
        };
        assert_eq!(say(&mut reader), [(0, 0, 0, 0)]);
        assert_eq!(say(&mut reader), []);
        let mut writer = writer(&log, Some("t"));
        put(&mut writer, &t, "a");
        ok(writer.flush());
        assert_eq!(say(&mut reader), []);
        ok(writer.abort());
        assert_eq!(say(&mut reader), [(0, 0, 2, 2)]);
        assert_eq!(say(&mut reader), []);
    }
}

#[test]
fn reading_is_fair_and_bounded_and_pauses() {
    let log = EmbeddedLog::memory(Options { batch_bytes_max: 4000, ..Options::default() });
    create(&log, "t", 4);
    let mut writer = writer(&log, None);
    for partition in 0..4 {
        for _ in 0..200 {
            put(&mut writer, &tp("t", partition), &"x".repeat(1000));
        }
    }
    ok(writer.flush());
    let mut reader = log.reader(Isolation::ReadCommitted);
    reader.assign(&(0..4).map(|partition| (tp("t", partition), Offset(0).into())).collect::<Vec<_>>());
    reader.pause(&tp("t", 2));
    let mut seen = [0; 4];
    for _ in 0..3 {
        let fetched = fetch(&mut reader, 100_000);
        let bytes: usize = fetched.iter().flat_map(|f| &f.batches).map(|batch| batch.bytes().len()).sum();
        assert!(bytes <= 100_000 + 3 * 5000, "{bytes}");
        for f in fetched {
            seen[f.partition.partition.0 as usize] += texts(&f).len();
        }
    }
    assert_eq!(seen[2], 0);
    assert!(seen[0] > 60 && seen[0].abs_diff(seen[1]) < 8 && seen[1].abs_diff(seen[3]) < 8, "{seen:?}");
    reader.resume(&tp("t", 2));
    // One byte at a time, every partition still gets its turn.
    let mut turns = [0; 4];
    for _ in 0..8 {
        for f in fetch(&mut reader, 1) {
            turns[f.partition.partition.0 as usize] += 1;
        }
    }
    assert_eq!(turns, [2; 4]);
}

#[test]
fn offsets_are_found_by_time() {
    for log in logs() {
        let t = tp("t", 0);
        let mut writer = writer(&log, None);
        let handle = writer.partition(&t);
        for time in [10, 5, 20, 30] {
            writer.append(handle, Timestamp(time), None, None, &Headers::new()).unwrap();
            if time == 5 {
                ok(writer.flush());
            }
        }
        ok(writer.flush());
        let found = |time| ok(log.admin().offsets(&[tp("t", 0)], OffsetSpec::AtTime(time)))[0].0;
        assert_eq!([0, 10, 11, 20, 21, 31].map(found), [0, 0, 2, 2, 3, 4]);
        assert_eq!(kind(log.admin().offsets(&[tp("u", 0)], OffsetSpec::Start)), FailureKind::Fatal);
    }
}

fn batch(producer_id: i64, epoch: i16, sequence: i32, values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new();
    for value in values {
        builder.append(Timestamp(1), None, Some(value.as_bytes()), &Headers::new());
    }
    let stamp = Stamp { producer_id, producer_epoch: epoch, base_sequence: sequence, is_transactional: false };
    builder.finish(stamp, Compression::Lz4)
}

#[test]
fn a_batch_sent_again_counts_once() {
    for log in logs() {
        let t: TopicPartition = tp("t", 0);
        let send = |sequence, values: &[&str]| log.produce(&tp("t", 0), batch(77, 0, sequence, values));
        assert_eq!(send(0, &["a", "b"]).unwrap(), Some(Offset(1)));
        assert_eq!(send(0, &["a", "b"]).unwrap(), None);
        assert_eq!(send(2, &["c"]).unwrap(), Some(Offset(2)));
        assert_eq!(send(0, &["a", "b"]).unwrap(), None);
        assert_eq!(send(4, &["e"]).unwrap_err().kind, FailureKind::Fatal);
        assert_eq!(log.produce(&t, batch(77, 1, 0, &["d"])).unwrap(), Some(Offset(3)));
        assert_eq!(send(3, &["late"]).unwrap_err().kind, FailureKind::Fenced);
        assert_eq!(committed(&log, &t), ["0:a", "1:b", "2:c", "3:d"]);
        assert_eq!(log.produce(&t, Bytes::from_static(b"rubbish")).unwrap_err().kind, FailureKind::Fatal);
    }
}

#[test]
fn waiting_ends_with_data_and_with_wake() {
    let [log, ..] = logs();
    let log: Arc<dyn Log> = Arc::new(log);
    let long = std::time::Duration::from_secs(600);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            log.wait(std::time::Duration::ZERO);
            log.wait(long);
            log.wait(long);
        });
        // However the two threads interleave, enough changes end both waits.
        while !waiter.is_finished() {
            let mut writer = log.writer(None);
            ok(writer.init());
            put(&mut writer, &tp("t", 0), "a");
            ok(writer.flush());
            log.wake();
        }
    });
}
