//! Short words for tests through the seam, against one shared broker. Every test has topics, groups and
//! transactional ids of its own, named after it.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use millstream_kafka::KafkaLog;
use millstream_log::{
    Call, CommittedOffset, Failure, GroupMetadata, Isolation, Log, NewTopic, OffsetSpec, Outcome, Reader, ReaderEvent,
    Writer,
};
use millstream_testbroker::{Cluster, VERSION_BEFORE};
use millstream_types::clock::SystemClock;
use millstream_types::{Clock, Config, Headers, Now, Offset, Timestamp, TopicPartition};

/// After this a broker finds silent members dead.
pub(crate) const SESSION_MS: i64 = 5_000;
/// What takes longer never happens.
const LIMIT: Duration = Duration::from_secs(60);

/// One broker for all tests of this program.
pub(crate) static KAFKA: LazyLock<Cluster> = LazyLock::new(|| {
    let settings = Cluster::builder()
        .setting("group.streams.session.timeout.ms", SESSION_MS)
        .setting("group.streams.heartbeat.interval.ms", 300);
    settings.start().unwrap_or_else(|error| panic!("{error}"))
});

/// One of the version before transactions of version 2 and streams groups.
pub(crate) static OLDER_KAFKA: LazyLock<Cluster> =
    LazyLock::new(|| Cluster::builder().version(VERSION_BEFORE).start().unwrap_or_else(|error| panic!("{error}")));

/// The one clock of a test and its clients.
static CLOCK: LazyLock<SystemClock> = LazyLock::new(SystemClock::new);

pub(crate) fn now() -> Now {
    CLOCK.now()
}

/// A client of the shared broker.
pub(crate) fn connect() -> KafkaLog {
    connect_to(&KAFKA, &[])
}

pub(crate) fn connect_to(cluster: &Cluster, settings: &[(&str, &str)]) -> KafkaLog {
    let bootstrap = cluster.bootstrap();
    let config =
        Config::builder().application_id("tests").bootstrap_servers(&bootstrap).set("group.protocol", "streams");
    let config = settings.iter().fold(config, |config, (key, value)| config.set(*key, value)).build().unwrap();
    let addresses: Vec<_> = bootstrap.split(',').map(|address| address.parse().unwrap()).collect();
    KafkaLog::connect(&config, &addresses, Arc::new(*CLOCK), 1).unwrap()
}

/// Asks after every change until there is an answer.
#[track_caller]
pub(crate) fn until<T>(log: &KafkaLog, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "nothing happened in {LIMIT:?}");
        log.wait(Duration::from_millis(100));
    }
}

#[track_caller]
pub(crate) fn outcome<T>(log: &KafkaLog, mut call: Call<T>) -> Result<T, Failure> {
    until(log, || match call.poll(now()) {
        Outcome::Done(answer) => Some(Ok(answer)),
        Outcome::Failed(failure) => Some(Err(failure)),
        Outcome::Pending => None,
    })
}

#[track_caller]
pub(crate) fn ok<T>(log: &KafkaLog, call: Call<T>) -> T {
    outcome(log, call).unwrap_or_else(|failure| panic!("{failure:?}"))
}

#[track_caller]
pub(crate) fn failure<T>(log: &KafkaLog, call: Call<T>) -> Failure {
    match outcome(log, call) {
        Ok(_) => panic!("succeeded"),
        Err(failure) => failure,
    }
}

pub(crate) fn tp(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

pub(crate) fn new_topic(topic: &str, partitions: i32, configs: &[(&str, &str)]) -> NewTopic {
    let configs = configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    NewTopic { name: topic.into(), partitions, replication_factor: -1, configs }
}

/// Creates a topic; gives its first partition.
#[track_caller]
pub(crate) fn create(log: &KafkaLog, topic: &str, partitions: i32) -> TopicPartition {
    ok(log, log.admin().create_topics(&[new_topic(topic, partitions, &[])]));
    tp(topic, 0)
}

/// An initialised writer.
#[track_caller]
pub(crate) fn writer(log: &KafkaLog, transactional_id: Option<&str>) -> Box<dyn Writer> {
    let mut writer = log.writer(transactional_id);
    ok(log, writer.init());
    writer
}

#[track_caller]
pub(crate) fn put(writer: &mut Box<dyn Writer>, to: &TopicPartition, value: &str) {
    let handle = writer.partition(to);
    writer.append(handle, Timestamp(1), Some(b"k"), Some(value.as_bytes()), &Headers::new()).unwrap();
}

/// Everything of a partition up to its present end, as `offset:value`.
#[track_caller]
pub(crate) fn values(log: &KafkaLog, partition: &TopicPartition, isolation: Isolation) -> Vec<String> {
    let spec = match isolation {
        Isolation::ReadCommitted => OffsetSpec::EndCommitted,
        Isolation::ReadUncommitted => OffsetSpec::EndUncommitted,
    };
    let end = end(log, partition, spec);
    let mut reader = log.reader(isolation);
    reader.assign(&[(partition.clone(), Offset(0).into())]);
    let (mut all, mut position) = (Vec::new(), 0);
    while position < end {
        for event in events(log, &mut reader) {
            let ReaderEvent::Fetched(fetched) = event else { panic!("unexpected {event:?}") };
            assert_eq!((&fetched.partition, fetched.from), (partition, Offset(position)));
            position = fetched.next.0;
            for batch in &fetched.batches {
                let mut records = batch.cursor(fetched.from).unwrap();
                while let Some(record) = records.next_record().unwrap() {
                    let value = String::from_utf8_lossy(record.value.unwrap_or(b"null")).into_owned();
                    all.push(format!("{}:{value}", record.offset));
                }
            }
        }
    }
    all
}

/// What is committed once every transaction has ended: who commits is answered before the partitions
/// have their markers.
#[track_caller]
pub(crate) fn committed(log: &KafkaLog, partition: &TopicPartition) -> Vec<String> {
    until(log, || {
        let ends = [OffsetSpec::EndCommitted, OffsetSpec::EndUncommitted].map(|spec| end(log, partition, spec));
        (ends[0] == ends[1]).then_some(())
    });
    committed_so_far(log, partition)
}

pub(crate) fn committed_so_far(log: &KafkaLog, partition: &TopicPartition) -> Vec<String> {
    values(log, partition, Isolation::ReadCommitted)
}

pub(crate) fn uncommitted(log: &KafkaLog, partition: &TopicPartition) -> Vec<String> {
    values(log, partition, Isolation::ReadUncommitted)
}

pub(crate) fn end(log: &KafkaLog, partition: &TopicPartition, spec: OffsetSpec) -> i64 {
    ok(log, log.admin().offsets(std::slice::from_ref(partition), spec))[0].0
}

/// What a reader has to say next.
#[track_caller]
pub(crate) fn events(log: &KafkaLog, reader: &mut Box<dyn Reader>) -> Vec<ReaderEvent> {
    until(log, || {
        let mut events = Vec::new();
        reader.poll(now(), 1 << 20, &mut events);
        (!events.is_empty()).then_some(events)
    })
}

pub(crate) fn offset(offset: i64) -> CommittedOffset {
    CommittedOffset { offset: Offset(offset), leader_epoch: -1, metadata: format!("m{offset}") }
}

/// A committer that is in no group.
pub(crate) fn nobody(group: &str) -> GroupMetadata {
    GroupMetadata { group: group.into(), member_id: "".into(), epoch: -1 }
}

pub(crate) fn committed_offset(log: &KafkaLog, group: &str, partition: &TopicPartition) -> Option<CommittedOffset> {
    ok(log, log.admin().committed(group, std::slice::from_ref(partition))).remove(0)
}
