//! Short words for tests through the seam.

#![allow(dead_code)]

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use millstream_log::batch::Compression;
use millstream_log::{
    Admin, Call, CommittedOffset, EmbeddedLog, Failure, FailureKind, Fetched, Flush, GroupMetadata, GroupTopology,
    Isolation, Log, Member, MemberConfig, MemberEvent, NewTopic, Options, Outcome, Reader, ReaderEvent,
    SubtopologyFacts, Writer,
};
use millstream_types::{Headers, Now, Offset, TaskId, Timestamp, TopicPartition};
use tempfile::TempDir;

thread_local! {
    /// Removed when the test's thread ends.
    static DIRS: RefCell<Vec<TempDir>> = const { RefCell::new(Vec::new()) };
}

/// A directory that lives as long as the test.
pub(crate) fn dir() -> PathBuf {
    let dir = TempDir::new().unwrap();
    let path = dir.path().to_owned();
    DIRS.with_borrow_mut(|dirs| dirs.push(dir));
    path
}

/// The same log in memory, on disk, and on disk in tiny segments that are flushed.
pub(crate) fn logs() -> [EmbeddedLog; 3] {
    logs_with(&Options { seed: Some(1), ..Options::default() })
}

pub(crate) fn logs_with(options: &Options) -> [EmbeddedLog; 3] {
    let tiny = Options { flush: Flush::Commit, segment_bytes: 200, compression: Compression::Lz4, ..options.clone() };
    [
        EmbeddedLog::memory(options.clone()),
        EmbeddedLog::open(dir(), options.clone()).unwrap(),
        EmbeddedLog::open(dir(), tiny).unwrap(),
    ]
}

/// A time, in ms.
pub(crate) fn at(ms: u64) -> Now {
    Now { mono_ns: ms * 1_000_000, wall_ms: 1_700_000_000_000 + ms as i64 }
}

pub(crate) fn tp(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

#[track_caller]
pub(crate) fn ok<T>(mut call: Call<T>) -> T {
    match call.poll(Now::default()) {
        Outcome::Done(answer) => answer,
        Outcome::Failed(failure) => panic!("failed: {failure:?}"),
        Outcome::Pending => panic!("pending"),
    }
}

#[track_caller]
pub(crate) fn failure<T>(mut call: Call<T>) -> Failure {
    match call.poll(Now::default()) {
        Outcome::Failed(failure) => failure,
        Outcome::Done(_) => panic!("succeeded"),
        Outcome::Pending => panic!("pending"),
    }
}

#[track_caller]
pub(crate) fn kind<T>(call: Call<T>) -> FailureKind {
    failure(call).kind
}

pub(crate) fn writer(log: &EmbeddedLog, transactional_id: Option<&str>) -> Box<dyn Writer> {
    let mut writer = log.writer(transactional_id);
    ok(writer.init());
    writer
}

#[track_caller]
pub(crate) fn put(writer: &mut Box<dyn Writer>, to: &TopicPartition, value: &str) {
    let handle = writer.partition(to);
    writer.append(handle, Timestamp(1), Some(b"k"), Some(value.as_bytes()), &Headers::new()).unwrap();
}

pub(crate) fn create(log: &EmbeddedLog, topic: &str, partitions: i32) {
    ok(log.admin().create_topics(&[new_topic(topic, partitions)]));
}

pub(crate) fn new_topic(topic: &str, partitions: i32) -> NewTopic {
    NewTopic { name: topic.into(), partitions, replication_factor: -1, configs: vec![] }
}

/// Everything a fresh reader sees of a partition from an offset on, as `offset:value`.
pub(crate) fn values(log: &EmbeddedLog, partition: &TopicPartition, isolation: Isolation, from: i64) -> Vec<String> {
    let mut reader = log.reader(isolation);
    reader.assign(&[(partition.clone(), Offset(from).into())]);
    let mut all = Vec::new();
    loop {
        let fetched = fetch(&mut reader, 1 << 20);
        if fetched.is_empty() {
            return all;
        }
        all.extend(fetched.iter().flat_map(texts));
    }
}

pub(crate) fn committed(log: &EmbeddedLog, partition: &TopicPartition) -> Vec<String> {
    values(log, partition, Isolation::ReadCommitted, 0)
}

pub(crate) fn uncommitted(log: &EmbeddedLog, partition: &TopicPartition) -> Vec<String> {
    values(log, partition, Isolation::ReadUncommitted, 0)
}

pub(crate) fn texts(fetched: &Fetched) -> Vec<String> {
    let mut all = Vec::new();
    for batch in &fetched.batches {
        let mut records = batch.cursor(fetched.from).unwrap();
        while let Some(record) = records.next_record().unwrap() {
            all.push(format!("{}:{}", record.offset, String::from_utf8_lossy(record.value.unwrap_or(b"null"))));
        }
    }
    all
}

#[track_caller]
pub(crate) fn fetch(reader: &mut Box<dyn Reader>, bytes_max: usize) -> Vec<Fetched> {
    let mut events = Vec::new();
    reader.poll(at(0), bytes_max, &mut events);
    events
        .into_iter()
        .map(|event| match event {
            ReaderEvent::Fetched(fetched) => fetched,
            other => panic!("unexpected {other:?}"),
        })
        .collect()
}

pub(crate) fn offset(offset: i64) -> CommittedOffset {
    CommittedOffset { offset: Offset(offset), leader_epoch: -1, metadata: format!("m{offset}") }
}

/// A committer that is in no group.
pub(crate) fn nobody() -> GroupMetadata {
    GroupMetadata { group: "app".into(), member_id: "".into(), epoch: -1 }
}

pub(crate) fn committed_offset(log: &EmbeddedLog, group: &str, partition: &TopicPartition) -> Option<i64> {
    let partitions = [partition.clone()];
    ok(log.admin().committed(group, &partitions)).remove(0).map(|committed| committed.offset.0)
}

/// One sub-topology with this many tasks.
pub(crate) fn topology(tasks: i32) -> GroupTopology {
    GroupTopology {
        subtopologies: vec![SubtopologyFacts { id: 0, tasks, stateful: true, ..SubtopologyFacts::default() }],
    }
}

pub(crate) fn member(log: &EmbeddedLog, id: &str) -> Box<dyn Member> {
    log.member(MemberConfig {
        group: "app".into(),
        member_id: id.into(),
        process_id: format!("process of {id}").into(),
        session_timeout_ms: 1000,
        ..MemberConfig::default()
    })
}

/// What one poll says, in short: `+` assigned, `-` revoke, `!` lost.
pub(crate) fn poll(member: &mut Box<dyn Member>, now: Now) -> String {
    let mut events = Vec::new();
    member.poll(now, &mut events);
    let list = |tasks: &[TaskId]| tasks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let say = |event: &MemberEvent| match event {
        MemberEvent::Assigned { active, standby } => {
            assert!(standby.is_empty());
            format!("+{}", list(active))
        }
        MemberEvent::Revoke { tasks } => format!("-{}", list(tasks)),
        MemberEvent::Lost => "!".into(),
        other => panic!("unexpected {other:?}"),
    };
    events.iter().map(say).collect::<Vec<_>>().join(", ")
}

pub(crate) fn names(admin: &mut Box<dyn Admin>) -> Vec<Arc<str>> {
    ok(admin.list_topics()).into_iter().map(|topic| topic.name).collect()
}
