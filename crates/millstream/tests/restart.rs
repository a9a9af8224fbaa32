//! On real brokers: an instance that was killed or closed goes on at once where it was, and who has a copy of the state of
//! one that is gone takes over at once. Of the state only the tail is read back. Needs Java 17 and Maven.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, clippy::print_stderr, clippy::print_stdout)]

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream::log::{NewTopic, OffsetSpec};
use millstream::prelude::*;
use millstream::types::config::ConfigBuilder;
use millstream::types::partition_for_key;
use millstream::{
    FailureReason, KeyQuery, Log, QueryableStoreTypes, StateQueryRequest, StoreQueryParameters, TopicPartition,
};
use millstream_testbroker::Cluster;
use support::{LIMIT, answer, comes_true, wait_until};

/// Tells a child of this test what it is: application, addresses and state directory of an instance.
const INSTANCE: &str = "MILLSTREAM_TEST_INSTANCE";
const PARTITIONS: i32 = 4;
/// Records before the kill, and how many keys they have.
const RECORDS: usize = 220_000;
const KEYS: usize = 100_000;
/// An instance says so when all records are processed and its stores have what is committed.
const SETTLED: &str = "settled";
/// Longer than this test takes: what is not released stays to its end.
const FOREVER_MS: i64 = 600_000;
/// The application that copies few records.
const COPYING: &str = "copying";

fn config(application: &str, bootstrap: &str, state: &Path) -> Config {
    settings(application, bootstrap, state).build().unwrap()
}

fn settings(application: &str, bootstrap: &str, state: &Path) -> ConfigBuilder {
    Config::builder()
        .application_id(application)
        .bootstrap_servers(bootstrap)
        .set("group.protocol", "streams")
        .set("transaction.timeout.ms", FOREVER_MS)
        .processing_guarantee(ProcessingGuarantee::ExactlyOnceV2)
        .state_dir(state)
        // Nobody listens there; it only names the instance.
        .set("application.server", format!("{}:1", state.file_name().unwrap().to_string_lossy().replace('.', "host")))
}

/// Copies few records.
fn copying() -> Topology {
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>("few").to("copies");
    builder.build().unwrap()
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
    let [application, bootstrap, state] = instance.split(' ').collect::<Vec<_>>()[..] else { panic!("{instance}") };
    let (topology, config) = if application == COPYING {
        // Two threads that commit once while this test runs.
        let settings = settings(application, bootstrap, Path::new(state)).num_stream_threads(2);
        (copying(), settings.commit_interval(Duration::from_millis(FOREVER_MS as u64 / 2)).build().unwrap())
    } else {
        (topology(), config(application, bootstrap, Path::new(state)))
    };
    let streams = Streams::new(&topology, &config).unwrap();
    streams.start().unwrap();
    let deadline = Instant::now() + LIMIT;
    let is_behind = || streams.threads_metadata().iter().any(|thread| thread.is_behind);
    while Instant::now() < deadline && !streams.wait_for(&[State::Error, State::NotRunning], Duration::from_millis(50))
    {
        if streams.metrics().processed() == RECORDS as u64 && !is_behind() {
            println!("{SETTLED}");
            streams.wait_for(&[State::Error, State::NotRunning], LIMIT);
        }
    }
    panic!("nobody killed this instance: {:?}", streams.error());
}

fn start_instance(application: &str, bootstrap: &str, state: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["an_instance", "--exact", "--nocapture"])
        .env(INSTANCE, format!("{application} {bootstrap} {}", state.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// A client beside the applications, and the topic they read.
fn connect(bootstrap: &str) -> Arc<dyn Log> {
    let config = Config::builder().application_id("desk").bootstrap_servers(bootstrap).build().unwrap();
    let log = millstream::open_log(&config).unwrap();
    let topic = NewTopic { name: "events".into(), partitions: PARTITIONS, replication_factor: -1, configs: vec![] };
    answer(&*log, log.admin().create_topics(&[topic]));
    log
}

fn committed(log: &dyn Log, application: &str, topic: &str) -> usize {
    let partitions: Vec<_> = (0..PARTITIONS).map(|partition| TopicPartition::new(topic, partition)).collect();
    let offsets = answer(log, log.admin().committed(application, &partitions));
    offsets.into_iter().flatten().map(|committed| committed.offset.0 as usize).sum()
}

#[track_caller]
fn wait_until_committed(log: &dyn Log, application: &str, records: usize) {
    let count = || committed(log, application, "events");
    assert!(comes_true(log, || count() >= records), "{} of {records} records were processed in {LIMIT:?}", count());
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
        // As brokers have it unless told: nobody waits for it who takes his own place.
        .setting("group.streams.initial.rebalance.delay.ms", 3_000)
        .setting("group.streams.max.session.timeout.ms", FOREVER_MS)
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    let bootstrap = cluster.bootstrap();
    let state = tempfile::tempdir().unwrap();
    let log = connect(&bootstrap);
    let mut killed = start_instance("restarts", &bootstrap, state.path());
    let mut events = Producer::new(Arc::clone(&log), "events", Serdes::string(), Serdes::string()).unwrap();
    send(&mut events, 0..RECORDS);
    let said = BufReader::new(killed.stdout.take().unwrap()).lines();
    assert!(said.map_while(Result::ok).any(|line| line == SETTLED), "the instance ended");
    // It has work when it dies, and a transaction open or about to be.
    send(&mut events, RECORDS..RECORDS + 2_000);
    killed.kill().unwrap();
    killed.wait().unwrap();

    let streams = Streams::new(&topology(), &config("restarts", &bootstrap, state.path())).unwrap();
    run(&streams, "after kill -9");
    assert!(streams.metrics().restored() < 5_000, "{} records were restored", streams.metrics().restored());
    assert_eq!(streams.metrics().restores_full(), 0);
    send(&mut events, RECORDS + 2_000..RECORDS + 4_000);
    wait_until_committed(&*log, "restarts", RECORDS + 4_000);
    assert!(streams.close(LIMIT));
    drop(streams);

    let streams = Streams::new(&topology(), &config("restarts", &bootstrap, state.path())).unwrap();
    run(&streams, "after a close");
    assert_eq!(streams.metrics().restored(), 0, "everything was there");
    send(&mut events, RECORDS + 4_000..RECORDS + 6_000);
    wait_until_committed(&*log, "restarts", RECORDS + 6_000);
    let more = streams.add_stream_thread().unwrap();
    assert!(more.is_some());
    let tasks = |streams: &Streams| -> Vec<usize> {
        streams.threads_metadata().iter().map(|thread| thread.active.len()).collect()
    };
    wait_until(&*log, "two threads share the tasks", || tasks(&streams) == [2, 2]);
    assert!(streams.close(LIMIT));
    drop(streams);

    // The second thread is gone, and its session has not ended.
    let streams = Streams::new(&topology(), &config("restarts", &bootstrap, state.path())).unwrap();
    run(&streams, "after a close, with fewer threads");
    wait_until(&*log, "the one thread has all tasks", || tasks(&streams) == [4]);
    assert_eq!(streams.metrics().restored(), 0, "everything was there");
    wait_until_committed(&*log, "restarts", RECORDS + 6_000);
    assert!(streams.close(LIMIT));
    drop(streams);

    // Another process: the member that was closed stays in the group, and nobody waits for the end of its session.
    let fresh = tempfile::tempdir().unwrap();
    let streams = Streams::new(&topology(), &config("restarts", &bootstrap, fresh.path())).unwrap();
    run(&streams, "after a close, on a fresh directory");
    wait_until(&*log, "the one thread has all tasks", || tasks(&streams) == [4]);
    assert!(streams.metrics().restored() >= KEYS as u64, "everything came from the changelogs");
    assert!(streams.close(LIMIT));
    transactions_of_threads_that_there_are_no_more_end(&bootstrap, &*log);
}

/// Of two threads that were killed with open transactions only one comes back.
#[track_caller]
fn transactions_of_threads_that_there_are_no_more_end(bootstrap: &str, log: &dyn Log) {
    let topic =
        |name: &str| NewTopic { name: name.into(), partitions: PARTITIONS, replication_factor: -1, configs: vec![] };
    answer(log, log.admin().create_topics(&[topic("few"), topic("copies")]));
    let state = tempfile::tempdir().unwrap();
    let mut killed = start_instance(COPYING, bootstrap, state.path());
    let copies: Vec<_> = (0..PARTITIONS).map(|partition| TopicPartition::new("copies", partition)).collect();
    let ends = |spec| answer(log, log.admin().offsets(&copies, spec));
    let log_of = millstream::open_log(&config(COPYING, bootstrap, state.path())).unwrap();
    let mut few = Producer::new(log_of, "few", Serdes::string(), Serdes::string()).unwrap();
    // What comes first is committed at once. From then on nothing is, for longer than this test takes.
    let mut sent = 0;
    wait_until(log, "something in each partition is not committed", || {
        send(&mut few, sent..sent + 100);
        sent += 100;
        let (all, committed) = (ends(OffsetSpec::EndUncommitted), ends(OffsetSpec::EndCommitted));
        all.iter().zip(&committed).all(|(all, committed)| committed < all)
    });
    killed.kill().unwrap();
    killed.wait().unwrap();

    let streams = Streams::new(&copying(), &config(COPYING, bootstrap, state.path())).unwrap();
    run(&streams, "with one thread where two were killed");
    wait_until(log, "nothing of the dead holds anybody up", || {
        ends(OffsetSpec::EndCommitted) == ends(OffsetSpec::EndUncommitted) && committed(log, COPYING, "few") == sent
    });
    assert!(streams.close(LIMIT));
}

#[test]
fn who_keeps_a_copy_takes_over_with_the_tail_only() {
    const RECORDS: usize = 40_000;
    let cluster = Cluster::builder()
        .setting("group.streams.session.timeout.ms", 5_000)
        .setting("group.streams.heartbeat.interval.ms", 300)
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    let bootstrap = cluster.bootstrap();
    let states = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let log = connect(&bootstrap);
    let mut other = start_instance("copies", &bootstrap, states[0].path());
    // Who starts last tells the group.
    let config = settings("copies", &bootstrap, states[1].path());
    let config = config.set("group.streams.num.standby.replicas", 1).build().unwrap();
    let streams = Streams::new(&topology(), &config).unwrap();
    streams.start().unwrap();
    let tasks = || {
        let thread = streams.threads_metadata().remove(0);
        (thread.active.len(), thread.standby.len())
    };
    wait_until(&*log, "two tasks here and copies of the other two", || tasks() == (2, 2));
    let mut events = Producer::new(Arc::clone(&log), "events", Serdes::string(), Serdes::string()).unwrap();
    send(&mut events, 0..RECORDS);
    wait_until_committed(&*log, "copies", RECORDS);

    // All keys are different, so the copies are complete when they have taken one record for each.
    let own: Vec<i32> = streams.threads_metadata()[0].active.iter().map(|task| task.partition).collect();
    let key = |number: usize| partition_for_key(format!("key {number}").as_bytes(), PARTITIONS);
    let copied = (0..RECORDS).filter(|number| !own.contains(&key(*number))).count() as u64;
    wait_until(&*log, "the copies are complete", || streams.metrics().updated() >= copied);
    // Where a key is, as the brokers tell it: with its active task, and a copy with the other instance.
    let here = config.application_server().unwrap();
    let place =
        |number: usize| streams.query_metadata_for_key("counts", &format!("key {number}"), &Serdes::string()).unwrap();
    for number in 0..20 {
        wait_until(&*log, "it is known where a key is", || {
            place(number).is_some_and(|place| {
                let is_here = own.contains(&key(number));
                place.partition == Some(key(number))
                    && (place.active_host == *here) == is_here
                    && place.standby_hosts.contains(here) != is_here
            })
        });
    }
    assert_eq!(streams.streams_metadata_for_store("counts").len(), 2);
    what_is_here_answers_queries(&streams, &own, key);
    other.kill().unwrap();
    other.wait().unwrap();
    wait_until(&*log, "all tasks are here", || tasks() == (4, 0));
    eprintln!("taken over: {copied} records copied, {} restored", streams.metrics().restored());
    assert!(streams.metrics().restored() < 1_000, "{} records were restored", streams.metrics().restored());
    send(&mut events, RECORDS..RECORDS + 1_000);
    wait_until_committed(&*log, "copies", RECORDS + 1_000);
    assert_eq!(streams.error().map(|error| error.to_string()), None);
    assert!(streams.close(LIMIT));
}

/// Of each key the active task or its copy is here.
#[track_caller]
fn what_is_here_answers_queries(streams: &Streams, own: &[i32], partition_of: impl Fn(usize) -> i32) {
    let kind = QueryableStoreTypes::key_value_store::<String, i64>();
    let stale = StoreQueryParameters::from_name_and_type("counts", kind).enable_stale_stores();
    let counts = streams.store(stale).unwrap();
    for number in 0..20 {
        let key = format!("key {number}");
        assert_eq!(counts.get(&key).unwrap(), Some(1), "{key}");
        let at = partition_of(number);
        let query = KeyQuery::<String, i64>::with_key(key);
        let request = StateQueryRequest::in_store("counts").with_query(query).with_partitions([at]).require_active();
        let found = streams.query(&request).unwrap().into_only_value();
        if own.contains(&at) {
            assert_eq!(found, Ok(Some(1)), "partition {at}");
        } else {
            assert_eq!(found.unwrap_err().reason, FailureReason::NotActive, "partition {at}");
        }
    }
    assert_eq!(counts.all().unwrap().count(), 40_000);
    let lags = streams.all_local_store_partition_lags().unwrap();
    assert_eq!(lags["counts"].len(), 4, "{lags:?}");
    assert!(lags["counts"].iter().all(|(at, lag)| !own.contains(at) || lag.offset_lag == 0), "{lags:?}");
}
