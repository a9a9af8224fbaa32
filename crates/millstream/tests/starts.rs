//! On a real broker: applications that start where something is missing that an earlier run has left: topics, committed
//! offsets, the beginning of a changelog. Nothing is left out or counted again silently. Needs Java 17 and Maven.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods)]

mod support;

use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, Once};
use std::time::{Duration, Instant};

use millstream::log::{NewTopic, OffsetSpec};
use millstream::prelude::*;
use millstream::types::config::ConfigBuilder;
use millstream::{CloseOptions, GroupMembershipOperation, Log, Offset, TopicPartition};
use millstream_testbroker::Cluster;
use support::told::Told;
use support::{LIMIT, answer, comes_true, wait_until};
use tracing::Level;

/// One broker for all tests; each has topics and an application of its own. It forgets offsets a minute after their
/// group was left.
static KAFKA: LazyLock<Cluster> = LazyLock::new(|| {
    let settings =
        Cluster::builder().setting("offsets.retention.minutes", 1).setting("offsets.retention.check.interval.ms", 500);
    settings.start().unwrap_or_else(|error| panic!("{error}"))
});

/// An application, and who feeds it.
struct Desk {
    name: &'static str,
    log: Arc<dyn Log>,
    guarantee: ProcessingGuarantee,
    topology: Topology,
    sent: i64,
}

impl Desk {
    /// An application that counts what comes in these topics by key.
    fn counting(name: &'static str, inputs: &[&str], guarantee: ProcessingGuarantee) -> Self {
        let builder = StreamsBuilder::new();
        let records = builder.stream_with(inputs, Consumed::with(Serdes::string(), Serdes::string()));
        records.group_by_key().count_with(Materialized::named("counts")).to_stream().to(&format!("{name}-out"));
        Self::new(name, inputs, guarantee, builder.build().unwrap())
    }

    /// One that counts in a window, whose changelog may expire.
    fn counting_in_windows(name: &'static str, input: &str) -> Self {
        let windows = TimeWindows::of_size_with_no_grace(Duration::from_secs(4_000_000_000)).unwrap();
        let builder = StreamsBuilder::new();
        let records = builder.stream::<String, String>(input).group_by_key().windowed_by(windows);
        let counts = records.count_with(Materialized::named("counts")).to_stream();
        counts.map(|window, count| (window.key.clone(), count.unwrap_or(0))).to(&format!("{name}-out"));
        Self::new(name, &[input], ProcessingGuarantee::ExactlyOnceV2, builder.build().unwrap())
    }

    /// One that keeps the last value of each key, and tells its length.
    fn keeping(name: &'static str, input: &str, guarantee: ProcessingGuarantee) -> Self {
        let builder = StreamsBuilder::new();
        let records = builder.stream::<String, String>(input).group_by_key();
        let last = records.reduce_with(|_, new| new.clone(), Materialized::named("last")).to_stream();
        last.map_values(|value| value.as_ref().map_or(0, String::len) as i64).to(&format!("{name}-out"));
        Self::new(name, &[input], guarantee, builder.build().unwrap())
    }

    /// Sets something of a topic.
    fn alter(topic: &str, setting: &str) {
        let (bootstrap, kind) = (KAFKA.bootstrap(), ["--entity-type", "topics", "--entity-name", topic]);
        let arguments = ["--bootstrap-server", &bootstrap, "--alter", "--add-config", setting];
        KAFKA.tool("kafka.admin.ConfigCommand", &[&arguments[..], &kind].concat()).unwrap();
    }

    /// Counts with one local copy, then goes on with another, and has the beginning of the changelog deleted, so that
    /// the first one stands before what is left. Gives the first one.
    fn count_twice(&mut self, input: &str, delete: impl FnOnce(&Self, &str, Offset)) -> tempfile::TempDir {
        let states = [(); 2].map(|()| tempfile::tempdir().unwrap());
        for state in &states {
            self.send(input, &["a", "b"]);
            self.run(state.path(), input);
        }
        let changelog = format!("{}-counts-changelog", self.name);
        let ends = self.log.admin().offsets(&[TopicPartition::new(&*changelog, 0)], OffsetSpec::EndUncommitted);
        // Of the last commit two records and a marker are left.
        let start = Offset(answer(&*self.log, ends)[0].0 - 2);
        delete(self, &changelog, start);
        let [first, _] = states;
        first
    }

    fn delete_records(&self, topic: &str, before: Offset) {
        answer(&*self.log, self.log.admin().delete_records(&[(TopicPartition::new(topic, 0), before)]));
    }

    fn copying(name: &'static str, input: &str) -> Self {
        let builder = StreamsBuilder::new();
        builder.stream::<String, String>(input).map_values(|_| 1_i64).to(&format!("{name}-out"));
        Self::new(name, &[input], ProcessingGuarantee::ExactlyOnceV2, builder.build().unwrap())
    }

    fn new(name: &'static str, inputs: &[&str], guarantee: ProcessingGuarantee, topology: Topology) -> Self {
        warnings();
        let elsewhere = tempfile::tempdir().unwrap();
        let log = millstream::open_log(&settings(name, guarantee, elsewhere.path()).build().unwrap()).unwrap();
        let desk = Self { name, log, guarantee, topology, sent: 0 };
        desk.create(&desk.output());
        for input in inputs {
            desk.create(input);
        }
        desk
    }

    fn create(&self, topic: &str) {
        let topic = NewTopic { name: topic.into(), partitions: 1, replication_factor: -1, configs: vec![] };
        answer(&*self.log, self.log.admin().create_topics(&[topic]));
    }

    fn create_again(&self, topic: &str) {
        answer(&*self.log, self.log.admin().delete_topics(&[topic.into()]));
        self.create(topic);
    }

    fn send(&mut self, topic: &str, values: &[&str]) {
        let log = Arc::clone(&self.log);
        let mut records = Producer::new(log, topic, Serdes::string(), Serdes::string()).unwrap();
        for value in values {
            self.sent += 1;
            records.send(&Record::new("k".to_owned(), (*value).to_owned(), Timestamp(self.sent))).unwrap();
        }
        records.flush().unwrap();
    }

    fn start(&self, state: &Path) -> Streams {
        self.start_with(state, &[])
    }

    fn start_with(&self, state: &Path, more: &[(&str, &str)]) -> Streams {
        let settings = settings(self.name, self.guarantee, state);
        let settings = more.iter().fold(settings, |settings, (key, value)| settings.set(*key, *value));
        let streams = Streams::new(&self.topology, &settings.build().unwrap()).unwrap();
        streams.start().unwrap();
        streams
    }

    /// Starts the application, waits until it is through with a topic, and has it leave its group.
    #[track_caller]
    fn run(&self, state: &Path, input: &str) {
        let streams = self.start(state);
        let input = TopicPartition::new(input, 0);
        let is_through = || self.committed(&input) == Some(self.end(&input)) || streams.error().is_some();
        assert!(comes_true(&*self.log, is_through), "{:?}", streams.threads_metadata());
        close(&streams);
        assert_eq!(streams.error().map(|error| error.to_string()), None);
    }

    /// Why the application ends that is started now.
    #[track_caller]
    fn refusal(&self, state: &Path) -> String {
        let streams = self.start(state);
        assert!(streams.wait_for(&[State::Error], LIMIT), "{:?}", streams.threads_metadata());
        close(&streams);
        streams.error().unwrap().to_string()
    }

    fn committed(&self, partition: &TopicPartition) -> Option<Offset> {
        let committed = self.log.admin().committed(self.name, std::slice::from_ref(partition));
        answer(&*self.log, committed)[0].as_ref().map(|committed| committed.offset)
    }

    fn end(&self, partition: &TopicPartition) -> Offset {
        answer(&*self.log, self.log.admin().offsets(std::slice::from_ref(partition), OffsetSpec::EndCommitted))[0]
    }

    /// What the application has written, if it is so much.
    #[track_caller]
    fn results(&self, count: usize) -> Vec<i64> {
        let log = Arc::clone(&self.log);
        let mut results = Consumer::new(log, &self.output(), Serdes::string(), Serdes::long()).unwrap();
        let mut found = Vec::new();
        let deadline = Instant::now() + LIMIT;
        loop {
            let records = results.poll(Duration::from_millis(100)).unwrap();
            // One more look when all are there: there are no others.
            if records.is_empty() && found.len() >= count {
                return found;
            }
            assert!(Instant::now() < deadline, "{found:?} are not {count} results");
            found.extend(records.into_iter().map(|result| result.record.value));
        }
    }

    fn output(&self) -> String {
        format!("{}-out", self.name)
    }
}

fn settings(name: &str, guarantee: ProcessingGuarantee, state: &Path) -> ConfigBuilder {
    Config::builder()
        .application_id(name)
        .bootstrap_servers(&KAFKA.bootstrap())
        .set("group.protocol", "streams")
        .set("commit.interval.ms", "50")
        // Each count is told.
        .set("statestore.cache.max.bytes", "0")
        .set("consumer.auto.offset.reset", "earliest")
        .processing_guarantee(guarantee)
        .state_dir(state)
}

fn close(streams: &Streams) {
    let leave = CloseOptions::group_membership_operation(GroupMembershipOperation::LeaveGroup);
    assert!(streams.close_with(&leave.with_timeout(LIMIT)));
}

/// Warnings of all threads of this program, a line each.
static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Keeps warnings from now on. The warnings so far.
fn warnings() -> Vec<String> {
    static ONCE: Once = Once::new();
    let told = Told {
        is_wanted: |metadata| *metadata.level() <= Level::WARN,
        tell: |_, line| WARNINGS.lock().unwrap().push(line),
    };
    ONCE.call_once(|| tracing::subscriber::set_global_default(told).unwrap());
    WARNINGS.lock().unwrap().clone()
}

/// The one warning about missing offsets of a topic.
#[track_caller]
fn warning(topic: &str) -> String {
    let is_of = |line: &&String| line.contains("no offset is committed") && line.contains(&format!("{topic}-0"));
    let lines = warnings();
    let [line] = lines.iter().filter(is_of).collect::<Vec<_>>()[..] else { panic!("{lines:?}") };
    line.clone()
}

#[test]
fn an_input_created_again_while_a_stateless_application_was_down_is_warned_of() {
    let mut desk = Desk::copying("again", "again-in");
    let state = tempfile::tempdir().unwrap();
    desk.send("again-in", &["a", "b", "c"]);
    desk.run(state.path(), "again-in");
    assert!(!warnings().iter().any(|line| line.contains("again-in")), "a first start is no reason to warn");
    desk.create_again("again-in");
    desk.send("again-in", &["d", "e"]);
    desk.run(state.path(), "again-in");
    let line = warning("again-in");
    for part in ["an earlier run has used this state directory", "position=0", "log_start=0", "log_end=2", "earliest"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    assert_eq!(desk.results(5).len(), 5);
}

#[test]
fn an_input_deleted_beyond_the_committed_offset_is_refused_with_what_was_lost() {
    let mut desk = Desk::copying("overtaken", "overtaken-in");
    let state = tempfile::tempdir().unwrap();
    desk.send("overtaken-in", &["a"]);
    desk.run(state.path(), "overtaken-in");
    desk.send("overtaken-in", &["b", "c", "d"]);
    desk.delete_records("overtaken-in", Offset(3));
    let error = desk.refusal(state.path());
    assert!(error.contains("offset 1 is committed, but the log now starts at 3: 2 records were deleted"), "{error}");
    assert!(error.contains("topic=overtaken-in, partition=0") && error.contains("set the group's offset"), "{error}");
    assert_eq!(desk.results(1).len(), 1);
}

#[test]
fn one_input_of_two_created_again_is_warned_of_where_local_state_is_gone() {
    let mut desk = Desk::counting("one-of-two", &["one-in", "two-in"], ProcessingGuarantee::ExactlyOnceV2);
    desk.send("one-in", &["a"]);
    desk.send("two-in", &["b", "c"]);
    let state = tempfile::tempdir().unwrap();
    desk.run(state.path(), "one-in");
    desk.run(state.path(), "two-in");
    desk.create_again("two-in");
    desk.send("two-in", &["d"]);
    // The local state knows.
    let error = desk.refusal(state.path());
    assert!(error.contains("no committed offset for this input, of which local state has 1 and all before"), "{error}");
    let fresh = tempfile::tempdir().unwrap();
    desk.run(fresh.path(), "two-in");
    let line = warning("two-in");
    assert!(line.contains("other inputs of the task have one"), "{line}");
    assert_eq!(desk.results(4), [1, 2, 3, 4]);
}

#[test]
fn offsets_that_the_broker_let_expire_are_told() {
    let mut copying = Desk::copying("expired-copies", "expired-in");
    let counting = Desk::counting("expired-counts", &["expired-in"], ProcessingGuarantee::ExactlyOnceV2);
    let careless = Desk::counting("expired-careless", &["expired-in"], ProcessingGuarantee::AtLeastOnce);
    let states = [(); 3].map(|()| tempfile::tempdir().unwrap());
    copying.send("expired-in", &["a", "b", "c"]);
    let desks = [&copying, &counting, &careless];
    for (desk, state) in desks.iter().zip(&states) {
        desk.run(state.path(), "expired-in");
    }
    let input = TopicPartition::new("expired-in", 0);
    wait_until(&*copying.log, "the offsets have expired", || desks.iter().all(|desk| desk.committed(&input).is_none()));

    copying.run(states[0].path(), "expired-in");
    let line = warning("expired-in");
    assert!(line.contains("an earlier run has used this state directory") && line.contains("log_end=3"), "{line}");
    assert_eq!(copying.results(6).len(), 6, "the reset policy says earliest");
    for (desk, state) in desks.iter().zip(&states).skip(1) {
        let error = desk.refusal(state.path());
        assert!(
            error.contains("no committed offset for any input of the task") && error.contains("expired"),
            "{error}"
        );
        assert!(error.contains("task=0_0, topic=expired-in, partition=0"), "{error}");
        assert_eq!(desk.results(3), [1, 2, 3]);
    }
    // Without local state changelogs tell; where they may have records of a run that never committed, they do not prove it.
    let fresh = tempfile::tempdir().unwrap();
    let error = counting.refusal(fresh.path());
    assert!(error.contains("no committed offset for any input of the task"), "{error}");
}

#[test]
fn a_local_copy_before_the_start_of_a_changelog_that_expires_is_restored_anew() {
    let mut desk = Desk::counting_in_windows("windows", "windows-in");
    let state = desk.count_twice("windows-in", Desk::delete_records);
    desk.send("windows-in", &["c"]);
    desk.run(state.path(), "windows-in");
    let is_told =
        |line: &String| line.contains("windows-counts-changelog-0") && line.contains("is deleted and restored");
    assert!(warnings().iter().any(is_told), "{:?}", warnings());
    assert_eq!(desk.results(5), [1, 2, 3, 4, 5]);
}

#[test]
fn a_local_copy_before_the_start_of_a_changelog_that_keeps_everything_is_refused() {
    let mut desk = Desk::counting("shortened", &["shortened-in"], ProcessingGuarantee::ExactlyOnceV2);
    let state = desk.count_twice("shortened-in", |desk, changelog, start| {
        // Brokers delete records of such a topic only if it is said that it may lose them.
        Desk::alter(changelog, "cleanup.policy=[compact,delete],retention.ms=-1");
        desk.delete_records(changelog, start);
        Desk::alter(changelog, "cleanup.policy=compact");
    });
    let error = desk.refusal(state.path());
    assert!(error.contains("it starts at") && error.contains("records between were deleted"), "{error}");
    assert!(error.contains("topic=shortened-counts-changelog, partition=0, store=counts"), "{error}");
    assert_eq!(desk.results(4), [1, 2, 3, 4], "nothing was counted from zero");
    // The remedy.
    desk.send("shortened-in", &["c"]);
    let fresh = tempfile::tempdir().unwrap();
    desk.run(fresh.path(), "shortened-in");
    let is_told = |line: &String| line.contains("shortened-counts-changelog-0") && line.contains("may lack rows");
    assert!(warnings().iter().any(is_told), "{:?}", warnings());
    assert_eq!(desk.results(5), [1, 2, 3, 4, 5]);
}

/// An application whose changelog takes less than its output is asked to keep a value that is too long for it.
fn check_refused_change(name: &'static str, input: &'static str, guarantee: ProcessingGuarantee) {
    let mut desk = Desk::keeping(name, input, guarantee);
    let changelog = format!("{name}-last-changelog");
    let state = tempfile::tempdir().unwrap();
    desk.send(input, &["a"]);
    desk.run(state.path(), input);
    Desk::alter(&changelog, "max.message.bytes=2000");
    let long = "x".repeat(5_000);
    desk.send(input, &["bb", &long, "ccc"]);
    let before = desk.committed(&TopicPartition::new(input, 0));
    let error = desk.refusal(state.path());
    assert!(error.contains(&format!("topic={changelog}, partition=0")), "{error}");
    assert!(error.contains("MESSAGE_TOO_LARGE"), "{error}");
    let after = desk.committed(&TopicPartition::new(input, 0));
    let last = desk.end(&TopicPartition::new(input, 0));
    assert!(after >= before && after < Some(last), "{after:?} is committed of {last}");
    // The remedy.
    Desk::alter(&changelog, "max.message.bytes=1000000");
    desk.run(state.path(), input);
    // Without transactions all offsets are records.
    let count = |desk: &Desk, exactly_once: usize| match guarantee {
        ProcessingGuarantee::ExactlyOnceV2 => exactly_once,
        _ => desk.end(&TopicPartition::new(desk.output(), 0)).0 as usize,
    };
    let results = desk.results(count(&desk, 4));
    if guarantee == ProcessingGuarantee::ExactlyOnceV2 {
        assert_eq!(results, [1, 2, 5_000, 3]);
    } else {
        assert_eq!(results.first().zip(results.last()), Some((&1, &3)), "{results:?}");
    }
    // What was refused is in the changelog now.
    let fresh = tempfile::tempdir().unwrap();
    desk.send(input, &["dddd"]);
    desk.run(fresh.path(), input);
    assert_eq!(desk.results(count(&desk, 5)).last(), Some(&4));
}

#[test]
fn a_change_that_the_changelog_alone_refuses_ends_the_application_before_its_offset_is_committed() {
    check_refused_change("refused", "refused-in", ProcessingGuarantee::ExactlyOnceV2);
    check_refused_change("refused-once", "refused-once-in", ProcessingGuarantee::AtLeastOnce);
}
