//! On a real broker: an instance that was killed or closed goes on at once where it was. Nothing waits for its
//! session to end, and of its state only the tail is read back. Needs Java 17 and Maven.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, clippy::print_stderr)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream::log::{Call, NewTopic, Outcome};
use millstream::prelude::*;
use millstream::{Clock, Log, SystemClock, TopicPartition};
use millstream_testbroker::Cluster;

/// Tells a child of this test what it is: addresses and state directory of an instance.
const INSTANCE: &str = "MILLSTREAM_TEST_INSTANCE";
const LIMIT: Duration = Duration::from_secs(120);
const PARTITIONS: i32 = 4;
/// Records before the kill, and how many keys they have.
const RECORDS: usize = 220_000;
const KEYS: usize = 100_000;
/// Longer than this test takes: what is not released stays to its end.
const FOREVER_MS: i64 = 600_000;

fn config(bootstrap: &str, state: &Path) -> Config {
    Config::builder()
        .application_id("restarts")
        .bootstrap_servers(bootstrap)
        .set("group.protocol", "streams")
        .set("transaction.timeout.ms", FOREVER_MS)
        .processing_guarantee(ProcessingGuarantee::ExactlyOnceV2)
        .state_dir(state)
        .build()
        .unwrap()
}

fn topology() -> Topology {
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>("events").group_by_key().count_with(Materialized::named("counts"));
    builder.build().unwrap()
}

/// Not a test of its own: what the killed instance runs, in a process started by the test below.
#[test]
fn an_instance() {
    let Ok(instance) = std::env::var(INSTANCE) else { return };
    let (bootstrap, state) = instance.split_once(' ').unwrap();
    let streams = Streams::new(&topology(), &config(bootstrap, Path::new(state))).unwrap();
    streams.start().unwrap();
    streams.wait_for(&[State::Error, State::NotRunning], LIMIT);
    panic!("nobody killed this instance: {:?}", streams.error());
}

fn answer<T>(log: &dyn Log, mut call: Call<T>) -> T {
    loop {
        match call.poll(SystemClock::new().now()) {
            Outcome::Pending => log.wait(Duration::from_millis(100)),
            Outcome::Done(answer) => return answer,
            Outcome::Failed(failure) => panic!("{failure:?}"),
        }
    }
}

fn committed(log: &dyn Log) -> usize {
    let partitions: Vec<_> = (0..PARTITIONS).map(|partition| TopicPartition::new("events", partition)).collect();
    let offsets = answer(log, log.admin().committed("restarts", &partitions));
    offsets.into_iter().flatten().map(|committed| committed.offset.0 as usize).sum()
}

#[track_caller]
fn wait_until_committed(log: &dyn Log, records: usize) {
    let deadline = Instant::now() + LIMIT;
    while committed(log) < records {
        assert!(Instant::now() < deadline, "{} of {records} records were processed in {LIMIT:?}", committed(log));
        log.wait(Duration::from_millis(100));
    }
}

fn send(events: &mut Producer<String, String>, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let event = Record::new(format!("key {}", number % KEYS), "event".to_owned(), Timestamp(number as i64));
        events.send(&event).unwrap();
    }
    events.flush().unwrap();
}

#[track_caller]
fn run(streams: &Streams, what: &str) {
    let started = Instant::now();
    streams.start().unwrap();
    assert!(streams.wait_for(&[State::Running], LIMIT), "{what}: {} {:?}", streams.state(), streams.error());
    eprintln!("{what}: RUNNING after {:?}, {} records restored", started.elapsed(), streams.metrics().restored());
}

#[test]
fn a_killed_instance_goes_on_at_once_and_reads_back_the_tail_only() {
    let cluster = Cluster::builder()
        .setting("group.streams.session.timeout.ms", FOREVER_MS)
        .setting("group.streams.max.session.timeout.ms", FOREVER_MS)
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    let bootstrap = cluster.bootstrap();
    let state = tempfile::tempdir().unwrap();
    let desk_state = tempfile::tempdir().unwrap();
    let log: Arc<dyn Log> = Streams::new(&topology(), &config(&bootstrap, desk_state.path())).unwrap().log();
    let topic = NewTopic { name: "events".into(), partitions: PARTITIONS, replication_factor: -1, configs: vec![] };
    answer(&*log, log.admin().create_topics(&[topic]));

    let mut killed = Command::new(std::env::current_exe().unwrap())
        .args(["an_instance", "--exact", "--nocapture"])
        .env(INSTANCE, format!("{bootstrap} {}", state.path().display()))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut events = Producer::new(Arc::clone(&log), "events", Serdes::string(), Serdes::string()).unwrap();
    send(&mut events, 0..RECORDS);
    wait_until_committed(&*log, RECORDS);
    // It has work when it dies, and a transaction open or about to be.
    send(&mut events, RECORDS..RECORDS + 2_000);
    killed.kill().unwrap();
    killed.wait().unwrap();

    let streams = Streams::new(&topology(), &config(&bootstrap, state.path())).unwrap();
    run(&streams, "after kill -9");
    assert!(streams.metrics().restored() < 5_000, "{} records were restored", streams.metrics().restored());
    assert_eq!(streams.metrics().restores_full(), 0);
    send(&mut events, RECORDS + 2_000..RECORDS + 4_000);
    wait_until_committed(&*log, RECORDS + 4_000);
    assert!(streams.close(LIMIT));
    drop(streams);

    let streams = Streams::new(&topology(), &config(&bootstrap, state.path())).unwrap();
    run(&streams, "after a close");
    assert_eq!(streams.metrics().restored(), 0, "everything was there");
    send(&mut events, RECORDS + 4_000..RECORDS + 6_000);
    wait_until_committed(&*log, RECORDS + 6_000);
    assert!(streams.close(LIMIT));
}
