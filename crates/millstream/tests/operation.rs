//! On a real broker, what an operator meets: threads that come, go and fail, topics that are not what they were, a
//! transaction that does not end. Needs Java 17 and Maven.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use millstream::log::{NewTopic, Outcome, Writer};
use millstream::prelude::*;
use millstream::types::config::ConfigBuilder;
use millstream::{Clock, Headers, Log, StreamThreadExceptionResponse, SystemClock, TopicPartition};
use millstream_testbroker::Cluster;
use support::{LIMIT, answer, comes_true};

/// One broker for all tests; each has topics and an application of its own.
static KAFKA: LazyLock<Cluster> = LazyLock::new(|| {
    let settings = Cluster::builder()
        .setting("group.streams.session.timeout.ms", 5_000)
        .setting("group.streams.heartbeat.interval.ms", 300)
        .setting("group.streams.initial.rebalance.delay.ms", 100);
    settings.start().unwrap_or_else(|error| panic!("{error}"))
});
static CLOCK: LazyLock<SystemClock> = LazyLock::new(SystemClock::new);

fn config(application: &str, guarantee: ProcessingGuarantee, state: &Path) -> Config {
    settings(application, guarantee, state).build().unwrap()
}

fn settings(application: &str, guarantee: ProcessingGuarantee, state: &Path) -> ConfigBuilder {
    Config::builder()
        .application_id(application)
        .bootstrap_servers(&KAFKA.bootstrap())
        .set("group.protocol", "streams")
        .set("commit.interval.ms", "50")
        .set("transaction.timeout.ms", "3000")
        .processing_guarantee(guarantee)
        .state_dir(state)
}

/// Counts what comes in a topic by key. The first so many records of value `fail` fail.
fn counting(input: &str, output: &str, failures: u32) -> Topology {
    let left = Arc::new(AtomicU32::new(failures));
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>(input)
        .try_map_values(move |_, value| {
            let fails = value == "fail"
                && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
            if fails { Err("it fails now and then".into()) } else { Ok(value.clone()) }
        })
        .group_by_key()
        .count_with(Materialized::named("counts"))
        .to_stream()
        .to(output);
    builder.build().unwrap()
}

/// An application, its topics, and who feeds and reads it.
struct Desk {
    name: &'static str,
    log: Arc<dyn Log>,
    state: tempfile::TempDir,
    guarantee: ProcessingGuarantee,
    records: Producer<String, String>,
    results: Consumer<String, i64>,
    counts: BTreeMap<String, i64>,
    sent: i64,
}

impl Desk {
    fn new(name: &'static str, partitions: i32, guarantee: ProcessingGuarantee) -> Self {
        let state = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let topology = counting(&format!("{name}-in"), &format!("{name}-out"), 0);
        let log = Streams::new(&topology, &config(name, guarantee, elsewhere.path())).unwrap().log();
        let topics = ["in", "out"].map(|topic| NewTopic {
            name: format!("{name}-{topic}").into(),
            partitions,
            replication_factor: -1,
            configs: vec![],
        });
        answer(&*log, log.admin().create_topics(&topics));
        let (input, output) = (format!("{name}-in"), format!("{name}-out"));
        Self {
            name,
            state,
            guarantee,
            records: Producer::new(Arc::clone(&log), &input, Serdes::string(), Serdes::string()).unwrap(),
            results: Consumer::new(Arc::clone(&log), &output, Serdes::string(), Serdes::long()).unwrap(),
            log,
            counts: BTreeMap::new(),
            sent: 0,
        }
    }

    fn streams(&self, failures: u32) -> Streams {
        let topology = counting(&format!("{}-in", self.name), &format!("{}-out", self.name), failures);
        Streams::new(&topology, &config(self.name, self.guarantee, self.state.path())).unwrap()
    }

    /// Another instance, elsewhere.
    fn instance(&self, state: &Path, threads: usize, failures: u32) -> Streams {
        let topology = counting(&format!("{}-in", self.name), &format!("{}-out", self.name), failures);
        let settings = settings(self.name, self.guarantee, state).num_stream_threads(threads);
        Streams::new(&topology, &settings.build().unwrap()).unwrap()
    }

    fn send(&mut self, value: &str, count: i64) {
        for number in self.sent..self.sent + count {
            let record = Record::new(format!("key {}", number % 10), value.to_owned(), Timestamp(number));
            self.records.send(&record).unwrap();
        }
        self.records.flush().unwrap();
        self.sent += count;
    }

    #[track_caller]
    fn wait_until_counted(&mut self, streams: &Streams) {
        let deadline = Instant::now() + LIMIT;
        while self.counts.values().sum::<i64>() < self.sent {
            assert!(Instant::now() < deadline, "{:?} of {}: {:?}", self.counts, self.sent, streams.error());
            for result in self.results.poll(Duration::from_millis(50)).unwrap() {
                let before = self.counts.insert(result.record.key.clone(), result.record.value).unwrap_or(0);
                assert!(result.record.value > before, "{} after {before}", result.record.value);
            }
        }
        assert_eq!(self.counts.values().sum::<i64>(), self.sent, "{:?}", self.counts);
    }
}

#[track_caller]
fn wait_until(desk: &Desk, streams: &Streams, what: &str, holds: impl FnMut() -> bool) {
    assert!(comes_true(&*desk.log, holds), "{what}: {:?} {:?}", streams.threads_metadata(), streams.error());
}

fn tasks(streams: &Streams) -> Vec<usize> {
    let mut tasks: Vec<usize> = streams.threads_metadata().iter().map(|thread| thread.active.len()).collect();
    tasks.sort_unstable();
    tasks
}

fn error_of(streams: &Streams) -> Option<String> {
    streams.error().map(|error| error.to_string())
}

/// Why an application ends that is started now.
#[track_caller]
fn refusal(desk: &Desk) -> String {
    let streams = desk.streams(0);
    streams.start().unwrap();
    assert!(streams.wait_for(&[State::Error], LIMIT), "{:?}", streams.threads_metadata());
    assert!(streams.close(LIMIT));
    streams.error().unwrap().to_string()
}

#[test]
fn threads_are_added_replaced_and_removed_and_every_record_counts_once() {
    let mut desk = Desk::new("threads", 4, ProcessingGuarantee::ExactlyOnceV2);
    let streams = desk.streams(2);
    streams.set_uncaught_exception_handler(|_| StreamThreadExceptionResponse::ReplaceThread);
    streams.start().unwrap();
    desk.send("x", 200);
    desk.wait_until_counted(&streams);
    let added = streams.add_stream_thread().unwrap().unwrap();
    assert!(added.ends_with("-StreamThread-2"), "{added}");
    wait_until(&desk, &streams, "two threads share the tasks", || tasks(&streams) == [2, 2]);
    desk.send("x", 200);
    desk.wait_until_counted(&streams);

    desk.send("fail", 100);
    desk.wait_until_counted(&streams);
    wait_until(&desk, &streams, "two threads share them again", || tasks(&streams) == [2, 2]);

    streams.remove_stream_thread().unwrap();
    wait_until(&desk, &streams, "one thread has all", || tasks(&streams) == [4]);
    desk.send("x", 200);
    desk.wait_until_counted(&streams);
    assert!(streams.close(LIMIT));
    assert_eq!(streams.error().map(|error| error.to_string()), None);
}

#[test]
fn an_application_that_was_ended_as_a_whole_can_be_started_again_at_once() {
    let mut desk = Desk::new("ended", 4, ProcessingGuarantee::ExactlyOnceV2);
    let states = [1, 2].map(|_| tempfile::tempdir().unwrap());
    let start = |desk: &Desk, failures: u32| {
        // The one that asks has a thread, the one that is told has two: one of them hears of it first.
        let both = [(1, failures), (2, 0)];
        let mut instances = both.iter().zip(&states).map(|((threads, failures), state)| {
            let streams = desk.instance(state.path(), *threads, *failures);
            streams.set_uncaught_exception_handler(|_| StreamThreadExceptionResponse::ShutdownApplication);
            streams.start().unwrap();
            streams
        });
        let (first, second) = (instances.next().unwrap(), instances.next().unwrap());
        let all = || tasks(&first).into_iter().chain(tasks(&second)).collect::<Vec<_>>();
        wait_until(desk, &second, "all threads have tasks", || {
            assert_eq!((error_of(&first), error_of(&second)), (None, None));
            let all = all();
            all.iter().sum::<usize>() == 4 && all.iter().all(|tasks| *tasks > 0)
        });
        [first, second]
    };
    let instances = start(&desk, 1);
    desk.send("fail", 100);
    for streams in &instances {
        assert!(streams.wait_for(&[State::Error], LIMIT), "{:?}", streams.threads_metadata());
        assert!(streams.close(LIMIT));
    }
    let told = error_of(&instances[1]).unwrap();
    assert!(told.contains("status 4"), "{told}");
    drop(instances);

    let instances = start(&desk, 0);
    desk.wait_until_counted(&instances[0]);
    for streams in &instances {
        assert!(streams.close(LIMIT));
        assert_eq!(error_of(streams), None);
    }
}

#[test]
fn under_at_most_once_a_close_in_order_loses_nothing() {
    let mut desk = Desk::new("at-most-once", 2, ProcessingGuarantee::AtMostOnce);
    for _ in 0..3 {
        let streams = desk.streams(0);
        streams.start().unwrap();
        desk.send("x", 5_000);
        // In the middle of it.
        wait_until(&desk, &streams, "it has begun", || streams.metrics().processed() > 0);
        assert!(streams.close(LIMIT));
        drop(streams);
    }
    let streams = desk.streams(0);
    streams.start().unwrap();
    desk.wait_until_counted(&streams);
    assert!(streams.close(LIMIT));
}

#[test]
fn a_changelog_that_is_not_what_it_was_is_refused() {
    let mut desk = Desk::new("changelog", 1, ProcessingGuarantee::ExactlyOnceV2);
    let topic = |configs: Vec<(String, String)>| NewTopic {
        name: "changelog-counts-changelog".into(),
        partitions: 1,
        replication_factor: -1,
        configs,
    };
    // With the broker's default policy, which deletes.
    answer(&*desk.log, desk.log.admin().create_topics(&[topic(vec![])]));
    let error = refusal(&desk);
    assert!(error.contains("topic changelog-counts-changelog has cleanup.policy=delete"), "{error}");

    answer(&*desk.log, desk.log.admin().delete_topics(&["changelog-counts-changelog".into()]));
    let streams = desk.streams(0);
    streams.start().unwrap();
    desk.send("x", 50);
    desk.wait_until_counted(&streams);
    assert!(streams.close(LIMIT));
    drop(streams);
    answer(&*desk.log, desk.log.admin().delete_topics(&["changelog-counts-changelog".into()]));
    let error = refusal(&desk);
    assert!(error.contains("it was deleted and created again"), "{error}");
    assert!(error.contains("topic=changelog-counts-changelog, partition=0, store=counts"), "{error}");
}

#[test]
fn an_input_with_more_partitions_than_before_is_refused_with_both_counts() {
    let mut desk = Desk::new("grown", 1, ProcessingGuarantee::ExactlyOnceV2);
    let streams = desk.streams(0);
    streams.start().unwrap();
    desk.send("x", 50);
    desk.wait_until_counted(&streams);
    let bootstrap = KAFKA.bootstrap();
    let arguments = ["--bootstrap-server", &bootstrap, "--alter", "--topic", "grown-in", "--partitions", "2"];
    KAFKA.tool("org.apache.kafka.tools.TopicCommand", &arguments).unwrap();

    assert!(streams.wait_for(&[State::Error], LIMIT), "{:?}", streams.threads_metadata());
    let running = streams.error().unwrap().to_string();
    assert!(running.contains("grown-counts-changelog"), "{running}");
    assert!(streams.close(LIMIT));
    drop(streams);
    let error = refusal(&desk);
    assert!(error.contains("grown-counts-changelog exists with 1 partitions, 2 are needed"), "{error}");
}

#[test]
fn a_topic_that_a_pattern_matches_is_read_once_it_is_there() {
    let state = tempfile::tempdir().unwrap();
    let builder = StreamsBuilder::new();
    builder.stream_pattern::<String, String>("pattern-in-.*").to("pattern-out");
    let topology = builder.build().unwrap();
    let given = config("pattern", ProcessingGuarantee::ExactlyOnceV2, state.path());
    let config = given.app_configs().fold(Config::builder(), |builder, (key, value)| builder.set(key, value));
    let config = config.set("metadata.max.age.ms", "300").build().unwrap();
    let log = millstream::open_log(&config).unwrap();
    let create = |name: &str, partitions| {
        let topic = NewTopic { name: name.into(), partitions, replication_factor: -1, configs: vec![] };
        answer(&*log, log.admin().create_topics(&[topic]));
    };
    create("pattern-in-b", 2);
    create("pattern-out", 1);
    let mut copies = Consumer::new(Arc::clone(&log), "pattern-out", Serdes::string(), Serdes::string()).unwrap();
    let mut copied = |streams: &Streams, topic: &str, value: &str| {
        let mut records = Producer::new(Arc::clone(&log), topic, Serdes::string(), Serdes::string()).unwrap();
        records.send(&Record::new("k".to_owned(), value.to_owned(), Timestamp(1))).unwrap();
        records.flush().unwrap();
        let deadline = Instant::now() + LIMIT;
        while copies.poll(Duration::from_millis(100)).unwrap().iter().all(|copy| copy.record.value != value) {
            assert!(Instant::now() < deadline, "{value} is not copied: {} {:?}", streams.state(), streams.error());
        }
    };
    let start = || {
        let streams = Streams::new(&topology, &config).unwrap();
        streams.start().unwrap();
        streams
    };

    let streams = start();
    copied(&streams, "pattern-in-b", "of the first topic");
    create("pattern-in-a", 2);
    copied(&streams, "pattern-in-a", "of one that came");
    copied(&streams, "pattern-in-b", "of the first again");
    assert!(streams.close(LIMIT));
    // Who knows both topics joins the group that was made with one.
    let streams = start();
    copied(&streams, "pattern-in-a", "after a restart");

    create("pattern-in-c", 3);
    assert!(streams.wait_for(&[State::Error], LIMIT), "{}", streams.state());
    let error = streams.error().unwrap().to_string();
    assert!(error.contains("topic pattern-in-c now, whose 3 partitions are more"), "{error}");
    assert!(error.contains("millstream upgrade-group"), "{error}");
    assert!(streams.close(LIMIT));
}

#[test]
fn a_transaction_that_does_not_end_is_named() {
    let mut desk = Desk::new("held-up", 1, ProcessingGuarantee::ExactlyOnceV2);
    let streams = desk.streams(0);
    streams.start().unwrap();
    desk.send("x", 10);
    desk.wait_until_counted(&streams);
    let mut writer = foreign_writer(&desk);
    desk.send("x", 10);

    wait_until(&desk, &streams, "it is told", || streams.metrics().held_up() == 1);
    let held_up = streams.threads_metadata().into_iter().flat_map(|thread| thread.held_up).next().unwrap().to_string();
    assert!(held_up.contains("nothing behind offset 10 can be read"), "{held_up}");
    assert!(
        held_up.contains("the transaction of producer") && held_up.contains("whose last record has the timestamp"),
        "{held_up}"
    );
    assert!(held_up.contains("--topic held-up-in --partition 0 --start-offset 10"), "{held_up}");
    answer(&*desk.log, writer.abort());
    desk.wait_until_counted(&streams);
    wait_until(&desk, &streams, "it is over", || streams.metrics().held_up() == 0);
    assert!(streams.close(LIMIT));
}

/// Has written a record to the desk's input in a transaction that is open for a minute.
fn foreign_writer(desk: &Desk) -> Box<dyn Writer> {
    let slow = Config::builder()
        .application_id("somebody-else")
        .bootstrap_servers(&KAFKA.bootstrap())
        .set("group.protocol", "streams")
        .set("transaction.timeout.ms", "60000")
        .build()
        .unwrap();
    let topology = counting("held-up-in", "held-up-out", 0);
    let log = Streams::new(&topology, &slow).unwrap().log();
    let mut writer = log.writer(Some("somebody-else"));
    answer(&*log, writer.init());
    while matches!(writer.partition_count("held-up-in", CLOCK.now()), Outcome::Pending) {
        log.wait(Duration::from_millis(50));
    }
    let to = writer.partition(&TopicPartition::new(format!("{}-in", desk.name), 0));
    writer.append(to, Timestamp(1), Some(b"key"), Some(b"open"), &Headers::new()).unwrap();
    answer(&*log, writer.flush());
    writer
}
