//! On real brokers: two instances count words exactly once while one of them is killed. Needs Java 17 and
//! Maven.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream::log::NewTopic;
use millstream::prelude::*;
use millstream::{ErrorKind, Log};
use millstream_testbroker::Cluster;

/// Tells a child of this test what it is: addresses and state directory of an instance.
const INSTANCE: &str = "MILLSTREAM_TEST_INSTANCE";
const WORDS: [&str; 7] = ["by", "flows", "grain", "mill", "stream", "the", "wheel"];
const LIMIT: Duration = Duration::from_secs(120);

fn config(bootstrap: &str, state: &Path) -> Config {
    Config::builder()
        .application_id("count-words")
        .bootstrap_servers(bootstrap)
        .set("group.protocol", "streams")
        .set("commit.interval.ms", "50")
        // The transaction of the killed instance ends soon.
        .set("transaction.timeout.ms", "3000")
        .processing_guarantee(ProcessingGuarantee::ExactlyOnceV2)
        .state_dir(state)
        .build()
        .unwrap()
}

fn topology() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("lines")
        .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count_with(Materialized::named("counts"))
        .to_stream()
        .to("words");
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

fn start_instance(bootstrap: &str, state: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["an_instance", "--exact", "--nocapture"])
        .env(INSTANCE, format!("{bootstrap} {}", state.display()))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Who feeds the application and reads what it counted.
struct Desk {
    lines: Producer<String, String>,
    sent: usize,
    /// What the words of the lines sent count to.
    expected: BTreeMap<String, i64>,
    words: Consumer<String, i64>,
    /// The last count that came of each word.
    counts: BTreeMap<String, i64>,
}

impl Desk {
    fn new(log: Arc<dyn Log>) -> Self {
        let topics = ["lines", "words"].map(|name| NewTopic {
            name: name.into(),
            partitions: 4,
            replication_factor: -1,
            configs: vec![],
        });
        millstream::answer(&*log, log.admin().create_topics(&topics)).unwrap();
        Self {
            lines: Producer::new(Arc::clone(&log), "lines", Serdes::string(), Serdes::string()).unwrap(),
            sent: 0,
            expected: BTreeMap::new(),
            words: Consumer::new(log, "words", Serdes::string(), Serdes::long()).unwrap(),
            counts: BTreeMap::new(),
        }
    }

    /// Sends some lines, and reads what has come meanwhile.
    fn work(&mut self) {
        for _ in 0..50 {
            let number = self.sent;
            let words = [0, 1, 3].map(|step| WORDS[(number * (step + 1) + step) % WORDS.len()]);
            for word in words {
                *self.expected.entry(word.to_owned()).or_default() += 1;
            }
            let line = Record::new(format!("line {number}"), words.join(" "), Timestamp(number as i64));
            self.lines.send(&line).unwrap();
            self.sent += 1;
        }
        self.lines.flush().unwrap();
        self.read(Duration::from_millis(50));
    }

    fn read(&mut self, timeout: Duration) {
        for word in self.words.poll(timeout).unwrap() {
            let (word, count) = (word.record.key, word.record.value);
            let before = self.counts.insert(word.clone(), count).unwrap_or(0);
            assert!(count > before, "{word} was counted to {count} after {before}");
        }
    }

    fn read_all(&self) -> i64 {
        self.counts.values().sum()
    }

    #[track_caller]
    fn work_until(&mut self, what: &str, mut is_done: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !is_done(self) {
            assert!(Instant::now() < deadline, "{what}: not in {LIMIT:?}");
            self.work();
        }
    }
}

fn active_tasks(streams: &Streams) -> usize {
    streams.threads_metadata().iter().map(|thread| thread.active.len()).sum()
}

#[test]
fn words_are_counted_exactly_once_while_an_instance_is_killed() {
    let cluster = Cluster::builder()
        .setting("group.streams.session.timeout.ms", 5_000)
        .setting("group.streams.heartbeat.interval.ms", 300)
        .start()
        .unwrap_or_else(|error| panic!("{error}"));
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let streams = Streams::new(&topology(), &config(&cluster.bootstrap(), folders[0].path())).unwrap();
    // Who reads and writes topics is in no group, and says nothing of group protocols.
    let beside = Config::builder().application_id("desk").bootstrap_servers(&cluster.bootstrap()).build().unwrap();
    let mut desk = Desk::new(millstream::open_log(&beside).unwrap());
    streams.start().unwrap();
    desk.work_until("the first instance runs all tasks", |desk| active_tasks(&streams) == 8 && desk.read_all() > 0);

    let mut other = start_instance(&cluster.bootstrap(), folders[1].path());
    desk.work_until("the second takes half of them", |_| active_tasks(&streams) == 4);
    let (sent, before) = (desk.sent, desk.read_all());
    desk.work_until("both work", |desk| desk.sent > sent + 500 && desk.read_all() > before + 500);
    other.kill().unwrap();
    other.wait().unwrap();
    desk.work_until("the first has all tasks back", |_| active_tasks(&streams) == 8);

    let deadline = Instant::now() + LIMIT;
    while desk.counts != desk.expected {
        assert!(Instant::now() < deadline, "{:?} and not {:?}", desk.counts, desk.expected);
        assert_eq!(streams.error().map(|error| error.to_string()), None);
        desk.read(Duration::from_secs(1));
    }
    kafkas_tools_show_the_group(&cluster);
    assert!(streams.close(Duration::from_secs(60)));
}

/// What an operator sees is what a Java application would show.
#[track_caller]
fn kafkas_tools_show_the_group(cluster: &Cluster) {
    let bootstrap = cluster.bootstrap();
    let describe = |more: &str| {
        let arguments = ["--bootstrap-server", &bootstrap, "--describe", "--group", "count-words", "--verbose", more];
        cluster.tool("org.apache.kafka.tools.streams.StreamsGroupCommand", &arguments).unwrap()
    };
    let (members, offsets) = (describe("--members"), describe("--offsets"));
    // MEMBER, PROTOCOL, EPOCH, PROCESS and CLIENT-ID, then the tasks.
    let member = members.lines().find(|line| line.contains("streams")).unwrap_or_default();
    let process = member.split_whitespace().nth(6).unwrap_or_default();
    assert!(member.contains(&format!(" count-words-{process}-StreamThread-1-consumer ")), "{members}");
    assert!(member.contains("ACTIVE: 0:[0,1,2,3]; 1:[0,1,2,3];"), "{members}");
    // CURRENT-OFFSET, LEADER-EPOCH, LOG-END-OFFSET and OFFSET-LAG.
    let lines = offsets.lines().filter(|line| line.split_whitespace().nth(1) == Some("lines"));
    let lines: Vec<Vec<&str>> = lines.map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines.len(), 4, "{offsets}");
    for line in lines {
        assert_eq!((line[4], line[6]), ("0", "0"), "{offsets}");
    }
}

#[test]
fn classic_groups_are_refused_at_start_with_what_to_set() {
    let config = Config::builder().application_id("count-words").bootstrap_servers("127.0.0.1:1").build().unwrap();
    let error = Streams::new(&topology(), &config).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("group.protocol=streams"), "{error}");
}
