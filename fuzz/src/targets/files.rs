//! Files that somebody else may have written: those of an embedded log and of a state directory. Checksums
//! are made right, as who means harm would.
//!
//! ```text
//! segments            the only segment of a topic; its journal is right
//! journals            entries, in one frame
//! state-directories   format, process id, number of threads: length (1), bytes
//! ```
#![expect(clippy::disallowed_methods, reason = "files are what is decoded here")]

use std::path::Path;
use std::sync::OnceLock;

use millstream_log::batch::{BatchBuilder, Compression, Marker, Stamp};
use millstream_log::{EmbeddedLog, Isolation, Log, NewTopic, Options, Outcome, ReaderEvent};
use millstream_state::{CommitMark, EngineProvider, MemoryEngines};
use millstream_types::{Headers, Now, Offset, Result, Timestamp, TopicPartition};

use super::Target;
use super::batches::check_in;
use crate::input::{Input, put};

const MEMORY_MAX: u64 = 112 << 20;
const MAGIC: &[u8] = b"MILLLOG1";
const SEGMENT: &str = "words-0/00000000000000000000.log";

pub(super) fn journals() -> Target {
    let (journal, _) = written();
    let entries = frames(journal).concat();
    Target { name: "journals", right: vec![entries], run: run_journal, memory_max: MEMORY_MAX }
}

pub(super) fn segments() -> Target {
    let (_, segment) = written();
    let mut two = batch();
    let mut marker = Marker::Abort.batch(9, 2, Timestamp(5)).to_vec();
    marker.splice(..8, 3_i64.to_be_bytes());
    two.extend(marker);
    Target { name: "segments", right: vec![segment.clone(), two], run: run_segment, memory_max: MEMORY_MAX }
}

pub(super) fn state_directories() -> Target {
    let mut right = Vec::new();
    put(&mut right, Some(b"format=1\napplication.id=app\n"));
    put(&mut right, Some(b"{\"processId\":\"11111111-2222-3333-4444-555555555555\"}"));
    put(&mut right, Some(b"3\n"));
    Target { name: "state-directories", right: vec![right], run: run_directory, memory_max: 4 << 20 }
}

pub(super) fn marks() -> Target {
    let partition = TopicPartition::new("in", 2);
    let position = vec![(partition, Offset(9)), (TopicPartition::new("", 0), Offset(-1))];
    let mark = CommitMark { changelog_offset: Offset(41), topic_id: 7, leader_epoch: 3, position, wall_ms: 5 };
    let right = vec![millstream_state::fuzzing::mark_bytes(&mark)];
    Target { name: "marks", right, run: millstream_state::fuzzing::commit_mark, memory_max: 8 << 20 }
}

/// Three records of a transaction that nobody has ended.
fn batch() -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    for number in 0..3 {
        builder.append(Timestamp(number), Some(b"key"), Some(b"value"), &Headers::new());
    }
    let stamp = Stamp { producer_id: 9, producer_epoch: 2, base_sequence: 0, is_transactional: true };
    builder.finish(stamp, Compression::None).to_vec()
}

/// Journal and segment of a log with a topic, a transaction and an offset.
fn written() -> &'static (Vec<u8>, Vec<u8>) {
    static WRITTEN: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    WRITTEN.get_or_init(|| write().unwrap_or_default())
}

fn write() -> Result<(Vec<u8>, Vec<u8>)> {
    let Ok(dir) = tempfile::tempdir() else { return Ok(Default::default()) };
    {
        let log = EmbeddedLog::open(dir.path(), options())?;
        let topic = NewTopic { name: "words".into(), partitions: 1, replication_factor: 1, configs: Vec::new() };
        drop(log.admin().create_topics(&[topic]).poll(Now::default()));
        let mut writer = log.writer(Some("tx"));
        drop(writer.init().poll(Now::default()));
        let handle = writer.partition(&TopicPartition::new("words", 0));
        writer.append(handle, Timestamp(1), Some(b"key"), Some(b"value"), &Headers::new())?;
        let group = millstream_log::GroupMetadata { group: "g".into(), member_id: "".into(), epoch: -1 };
        let offset = millstream_log::CommittedOffset { offset: Offset(1), leader_epoch: -1, metadata: "m".into() };
        drop(writer.commit(vec![(TopicPartition::new("words", 0), offset)], &group).poll(Now::default()));
    }
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap_or_default();
    Ok((read("journal"), read(SEGMENT)))
}

fn options() -> Options {
    Options { seed: Some(1), ..Options::default() }
}

/// What the frames of a journal hold.
fn frames(journal: &[u8]) -> Vec<&[u8]> {
    let mut rest = journal.get(MAGIC.len()..).unwrap_or_default();
    let mut found = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let end = 4 + u32::from_be_bytes(*length) as usize;
        found.push(after.get(4..end).unwrap_or_default());
        rest = after.get(end..).unwrap_or_default();
    }
    found
}

fn run_journal(bytes: &[u8]) -> bool {
    let (_, segment) = written();
    let mut journal = MAGIC.to_vec();
    journal.extend((bytes.len() as u32).to_be_bytes());
    journal.extend(crc32c::crc32c(bytes).to_be_bytes());
    journal.extend(bytes);
    opened(&journal, segment)
}

fn run_segment(bytes: &[u8]) -> bool {
    let (journal, _) = written();
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while let Some(end) = check_in(&mut bytes, at) {
        at = end;
    }
    opened(journal, &bytes)
}

/// Opens a log of these files and reads it; whether all could be read.
fn opened(journal: &[u8], segment: &[u8]) -> bool {
    let Ok(around) = tempfile::tempdir() else { return false };
    let dir = around.path().join("log");
    let is_written = std::fs::create_dir_all(dir.join("words-0")).is_ok()
        && std::fs::write(dir.join("journal"), journal).is_ok()
        && std::fs::write(dir.join(SEGMENT), segment).is_ok();
    let Ok(log) = EmbeddedLog::open(&dir, options()) else { return false };
    let is_read = is_written && read_all(&log);
    drop(log);
    assert!(names(around.path()) == ["log"], "a log writes elsewhere");
    is_read
}

fn read_all(log: &EmbeddedLog) -> bool {
    let words = TopicPartition::new("words", 0);
    for isolation in [Isolation::ReadCommitted, Isolation::ReadUncommitted] {
        let mut reader = log.reader(isolation);
        reader.assign(&[(words.clone(), Offset(0).into())]);
        let mut next = Offset(0);
        // Each poll but the first and the last, which tell where the end is, gives a record at least.
        for _ in 0..1 << 16 {
            let mut events = Vec::new();
            reader.poll(Now::default(), 1 << 20, &mut events);
            if events.is_empty() {
                break;
            }
            for event in events {
                let ReaderEvent::Fetched(fetched) = event else { return false };
                assert!(fetched.next >= next, "a log leads back: {fetched:?} after {next:?}");
                next = fetched.next;
                for batch in &fetched.batches {
                    let Ok(mut records) = batch.cursor(fetched.from) else { return false };
                    while let Ok(Some(record)) = records.next_record() {
                        drop(record.to_raw());
                    }
                }
            }
        }
    }
    matches!(log.admin().topics(&["words".into()]).poll(Now::default()), Outcome::Done(found) if found != [None])
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn run_directory(bytes: &[u8]) -> bool {
    let Ok(state_dir) = tempfile::tempdir() else { return false };
    let app = state_dir.path().join("app");
    let mut input = Input(bytes);
    let files = ["millstream-format", "kafka-streams-process-metadata", "millstream-threads"];
    let is_written = std::fs::create_dir(&app).is_ok()
        && files.iter().all(|name| {
            let content = input.bytes();
            content.is_none_or(|content| std::fs::write(app.join(name), content).is_ok())
        });
    let fresh = || "fresh".to_owned();
    let Ok(engines) = MemoryEngines::with_kept_id(state_dir.path(), "app", fresh) else { return false };
    let process_id = engines.process_id();
    assert!(!process_id.is_empty() && process_id.len() <= 64, "{process_id:?}");
    assert!(engines.kept_threads() <= 10_000, "{} threads", engines.kept_threads());
    is_written && &*process_id != "fresh"
}
