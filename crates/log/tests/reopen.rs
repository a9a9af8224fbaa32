//! The embedded log on real files, closed and opened again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods)]

mod support;

use std::path::Path;

use millstream_log::{EmbeddedLog, Flush, Isolation, Log, NewTopic, OffsetSpec, Options};
use millstream_types::{ErrorKind, Headers, Offset, Timestamp};
use support::*;

fn options(flush: Flush) -> Options {
    Options { flush, segment_bytes: 500, ..Options::default() }
}

fn open(dir: &Path, flush: Flush) -> EmbeddedLog {
    EmbeddedLog::open(dir, options(flush)).unwrap()
}

#[test]
fn everything_is_there_again() {
    for flush in [Flush::Os, Flush::Commit] {
        let dir = dir();
        let log = open(&dir, flush);
        let configs = vec![("cleanup.policy".to_owned(), "compact".to_owned())];
        ok(log.admin().create_topics(&[NewTopic { configs, ..new_topic("out", 2) }, new_topic("gone", 1)]));
        let topics = ok(log.admin().topics(&["out".into()]));
        let mut writer = writer(&log, Some("t"));
        for round in 0..20 {
            put(&mut writer, &tp("out", round % 2), &format!("v{round}"));
            ok(writer.flush());
            ok(if round % 5 == 4 {
                writer.abort()
            } else {
                writer.commit(vec![(tp("in", 0), offset(i64::from(round)))], &nobody())
            });
        }
        ok(log.admin().delete_records(&[(tp("out", 1), Offset(9))]));
        ok(log.admin().delete_topics(&["gone".into()]));
        let expected = [committed(&log, &tp("out", 0)), values(&log, &tp("out", 1), Isolation::ReadCommitted, 9)];
        let aborted = uncommitted(&log, &tp("out", 0));
        let ends = ok(log.admin().offsets(&[tp("out", 0), tp("out", 1)], OffsetSpec::EndCommitted));
        drop((log, writer));

        for _ in 0..2 {
            let log = open(&dir, flush);
            assert_eq!(ok(log.admin().topics(&["out".into(), "gone".into()])), [topics[0].clone(), None]);
            let found = [committed(&log, &tp("out", 0)), values(&log, &tp("out", 1), Isolation::ReadCommitted, 9)];
            assert_eq!(found, expected);
            assert_eq!(uncommitted(&log, &tp("out", 0)), aborted);
            assert_eq!(ok(log.admin().offsets(&[tp("out", 0), tp("out", 1)], OffsetSpec::EndCommitted)), ends);
            assert_eq!(ok(log.admin().offsets(&[tp("out", 1)], OffsetSpec::Start)), [Offset(9)]);
            assert_eq!(log.groups(), ["app".into()]);
            assert_eq!(log.group_offsets("app"), [(tp("in", 0), offset(18))]);
        }
        // A topic under an old name is another topic, and empty.
        let log = open(&dir, flush);
        create(&log, "gone", 1);
        assert!(committed(&log, &tp("gone", 0)).is_empty());
        let ids: Vec<u128> = ok(log.admin().list_topics()).iter().map(|topic| topic.id).collect();
        assert_ne!(ids[0], ids[1]);
    }
}

#[test]
fn a_writer_from_before_is_fenced_and_its_transaction_aborted() {
    let dir = dir();
    let log = open(&dir, Flush::Os);
    let mut old = writer(&log, Some("t"));
    put(&mut old, &tp("out", 0), "old");
    ok(old.flush());
    drop((log, old));
    let log = open(&dir, Flush::Os);
    let mut new = writer(&log, Some("t"));
    put(&mut new, &tp("out", 0), "new");
    ok(new.commit(vec![], &nobody()));
    assert_eq!(committed(&log, &tp("out", 0)), ["2:new"]);
    assert_eq!(uncommitted(&log, &tp("out", 0)), ["0:old", "2:new"]);
}

#[test]
fn a_directory_in_use_is_refused_until_it_is_free() {
    let dir = dir();
    let log = open(&dir, Flush::Os);
    let error = EmbeddedLog::open(&dir, Options::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    let text = error.to_string();
    assert!(text.contains(dir.to_str().unwrap()) && text.contains("stop that one"), "{text}");
    drop(log);
    open(&dir, Flush::Os);
}

#[test]
fn a_path_that_cannot_be_a_directory_is_a_storage_error() {
    let dir = dir();
    let file = dir.join("file");
    std::fs::write(&file, b"in the way").unwrap();
    let error = EmbeddedLog::open(&file, Options::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
}

#[test]
fn a_torn_file_is_cut_and_written_on() {
    let dir = dir();
    let log = open(&dir, Flush::Os);
    let mut plain = writer(&log, None);
    for value in ["a", "b", "c"] {
        put(&mut plain, &tp("t", 0), value);
        ok(plain.flush());
    }
    drop((log, plain));
    let path = dir.join("t-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 3);
    std::fs::write(&path, &bytes).unwrap();
    let log = open(&dir, Flush::Os);
    assert_eq!(committed(&log, &tp("t", 0)), ["0:a", "1:b"]);
    let mut plain = writer(&log, None);
    put(&mut plain, &tp("t", 0), "d");
    ok(plain.flush());
    assert_eq!(committed(&log, &tp("t", 0)), ["0:a", "1:b", "2:d"]);
    drop((log, plain));
    // The same bytes gone in the middle are not a torn write.
    bytes.drain(20..40);
    bytes.extend(std::fs::read(&path).unwrap());
    std::fs::write(&path, &bytes).unwrap();
    let error = EmbeddedLog::open(&dir, options(Flush::Os)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupted);
    assert_eq!(error.context().topic.as_deref(), Some("t"));
    assert!(error.to_string().contains("00000000000000000000.log is damaged at byte 0"), "{error}");
}

#[test]
fn large_batches_and_old_positions_are_read() {
    let dir = dir();
    let log = EmbeddedLog::open(&dir, Options { segment_bytes: 400_000, ..Options::default() }).unwrap();
    let mut plain = writer(&log, None);
    let mut expected = Vec::new();
    for index in 0..3000 {
        let value = format!("{index}{}", "x".repeat(index % 700));
        put(&mut plain, &tp("t", 0), &value);
        if index % 97 == 0 {
            ok(plain.flush());
        }
        expected.push(format!("{index}:{value}"));
    }
    ok(plain.flush());
    drop((log, plain));
    let log = EmbeddedLog::open(&dir, Options::default()).unwrap();
    assert_eq!(committed(&log, &tp("t", 0)), expected);
    for from in (0..3000).step_by(61) {
        let mut reader = log.reader(Isolation::ReadCommitted);
        reader.assign(&[(tp("t", 0), Offset(from as i64).into())]);
        let first = texts(&fetch(&mut reader, 1)[0]);
        assert_eq!(first, expected[from..from + first.len()]);
        assert!(!first.is_empty());
    }
}

#[test]
fn old_segments_go_where_the_topic_says_so() {
    let dir = dir();
    let log = open(&dir, Flush::Os);
    let configs = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
    ok(log.admin().create_topics(&[
        NewTopic { configs: configs("retention.ms", "1000"), ..new_topic("time", 1) },
        NewTopic { configs: configs("retention.bytes", "1200"), ..new_topic("size", 1) },
        new_topic("all", 1),
    ]));
    let now = at(400_000);
    let mut plain = writer(&log, None);
    for topic in ["time", "size", "all"] {
        let handle = plain.partition(&tp(topic, 0));
        for index in 0..40i64 {
            let time = Timestamp(now.wall_ms - 20_000 + index * 1000);
            plain.append(handle, time, None, Some(b"value"), &Headers::new()).unwrap();
            ok(plain.flush());
        }
    }
    let starts = || {
        let partitions = ["time", "size", "all"].map(|topic| tp(topic, 0));
        ok(log.admin().offsets(&partitions, OffsetSpec::Start)).iter().map(|offset| offset.0).collect::<Vec<_>>()
    };
    assert_eq!(starts(), [0, 0, 0]);
    let mut other = member(&log, "anybody");
    other.join(topology(1));
    poll(&mut other, now);
    let found = starts();
    // Records up to 19 are older than a second, and six fit a segment.
    assert!(found[0] > 12 && found[0] <= 19, "{found:?}");
    assert!(found[1] > 15 && found[1] <= 30, "{found:?}");
    assert_eq!(found[2], 0);
    let files = |topic: &str| std::fs::read_dir(dir.join(format!("{topic}-0"))).unwrap().count();
    assert!(files("time") < files("all") && files("size") < files("all"));
    let first = values(&log, &tp("size", 0), Isolation::ReadCommitted, found[1]);
    assert_eq!(first[0], format!("{}:value", found[1]));
    drop((log, plain, other));
    let log = open(&dir, Flush::Os);
    assert_eq!(ok(log.admin().offsets(&[tp("time", 0)], OffsetSpec::Start)), [Offset(found[0])]);
}
