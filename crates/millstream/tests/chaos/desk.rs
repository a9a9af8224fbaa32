//! Who feeds the application, and reads and checks what it makes of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use millstream::log::NewTopic;
use millstream::prelude::*;
use millstream::{Clock, SystemClock};
use millstream_testbroker::Cluster;

use crate::LIMIT;

const WORDS: [&str; 7] = ["by", "flows", "grain", "mill", "stream", "the", "wheel"];
/// Keys of lines; each has a sequence of its own.
const KEYS: usize = 12;
const PARTITIONS: i32 = 4;

/// The desk.
pub(crate) struct Desk {
    is_exact: bool,
    /// Time of the first line. Of the present: a broker that restarts forgets producers whose last record is older
    /// than a day (`producer.id.expiration.ms`), and takes what they send again for news.
    began_ms: i64,
    lines: Producer<String, String>,
    /// Lines sent of each key.
    sent: [i64; KEYS],
    /// What the words of these lines count to.
    expected: BTreeMap<String, i64>,
    copies: Consumer<String, String>,
    words: Consumer<String, i64>,
    windows: Consumer<String, i64>,
    /// Copies read of each key, without what came again.
    copied: [i64; KEYS],
    copies_again: u64,
    /// Offset of the last copy read of each partition.
    copies_at: BTreeMap<i32, i64>,
    /// The last count of each word, and of each key's window.
    counts: BTreeMap<String, i64>,
    window_counts: BTreeMap<String, i64>,
    /// By how much a count was lower than one before it, at most.
    fell_by: i64,
}

impl Desk {
    pub(crate) fn new(bootstrap: &str, guarantee: ProcessingGuarantee) -> Self {
        let config = Config::builder().application_id("desk").bootstrap_servers(bootstrap).build().unwrap();
        let log = millstream::open_log(&config).unwrap();
        let topics = ["lines", "copies", "words", "window-counts"].map(|name| NewTopic {
            name: name.into(),
            partitions: PARTITIONS,
            replication_factor: 3,
            configs: vec![],
        });
        millstream::answer(&*log, log.admin().create_topics(&topics)).unwrap();
        let counts = |topic| Consumer::new(Arc::clone(&log), topic, Serdes::string(), Serdes::long()).unwrap();
        Self {
            is_exact: guarantee == ProcessingGuarantee::ExactlyOnceV2,
            began_ms: SystemClock::new().now().wall_ms,
            lines: Producer::new(Arc::clone(&log), "lines", Serdes::string(), Serdes::string()).unwrap(),
            sent: [0; KEYS],
            expected: BTreeMap::new(),
            copies: Consumer::new(Arc::clone(&log), "copies", Serdes::string(), Serdes::string()).unwrap(),
            words: counts("words"),
            windows: counts("window-counts"),
            copied: [0; KEYS],
            copies_again: 0,
            copies_at: BTreeMap::new(),
            counts: BTreeMap::new(),
            window_counts: BTreeMap::new(),
            fell_by: 0,
        }
    }

    pub(crate) fn sent(&self) -> i64 {
        self.sent.iter().sum()
    }

    pub(crate) fn words_read(&self) -> i64 {
        self.counts.values().sum()
    }

    pub(crate) fn progress(&self) -> String {
        let (copied, again) = (self.copied.iter().sum::<i64>(), self.copies_again);
        let (sent, words, fell_by) = (self.sent(), self.words_read(), self.fell_by);
        format!("{copied} of {sent} lines copied, {again} again; {words} words counted, {fell_by} less at times")
    }

    /// Sends some lines, and reads what has come meanwhile.
    fn work(&mut self) {
        for _ in 0..40 {
            let number = self.sent();
            let key = usize::try_from(number * 7 % KEYS as i64).unwrap();
            let word = |step: i64| WORDS[usize::try_from((number * (step + 1) + step) % 7).unwrap()];
            let line = format!("{} {} {} {}", self.sent[key], word(0), word(1), word(3));
            for word in line.split(' ').skip(1) {
                *self.expected.entry(word.to_owned()).or_default() += 1;
            }
            self.sent[key] += 1;
            self.lines.send(&Record::new(format!("key {key}"), line, Timestamp(self.began_ms + number))).unwrap();
        }
        self.lines.flush().unwrap();
        self.read(Duration::from_millis(20));
    }

    fn read(&mut self, timeout: Duration) {
        for copy in self.copies.poll(timeout).unwrap() {
            let key: usize = copy.record.key[4..].parse().unwrap();
            let number: i64 = copy.record.value.split(' ').next().unwrap().parse().unwrap();
            let next = self.copied[key];
            let last = self.copies_at.entry(copy.partition.0).or_insert(-1);
            assert!(copy.offset.0 > *last, "offset {} of copies {} came after {last}", copy.offset, copy.partition.0);
            *last = copy.offset.0;
            if number < next && !self.is_exact {
                self.copies_again += 1;
                continue;
            }
            assert_eq!(number, next, "copy of {key} in partition {} at {}", copy.partition.0, copy.offset);
            self.copied[key] += 1;
        }
        for (topic, counts) in [(&mut self.words, &mut self.counts), (&mut self.windows, &mut self.window_counts)] {
            for record in topic.poll(timeout).unwrap() {
                let (key, count) = (record.record.key, record.record.value);
                let known = counts.entry(key).or_default();
                assert!(count > *known || !self.is_exact, "a word was counted to {count} after {known}");
                // Without transactions what an instance has sent when it is frozen may be taken late.
                self.fell_by = self.fell_by.max(*known - count);
                *known = count.max(*known);
            }
        }
    }

    /// Works until something is so.
    #[track_caller]
    pub(crate) fn work_until(&mut self, what: &str, mut is_done: impl FnMut(&Self) -> bool, mut check: impl FnMut()) {
        let deadline = Instant::now() + LIMIT;
        while !is_done(self) {
            assert!(Instant::now() < deadline, "{what}: not in {LIMIT:?}; {}", self.progress());
            self.work();
            check();
        }
    }

    /// Whether all is there that must be, and under exactly-once nothing else.
    fn is_complete(&self) -> bool {
        let windows = (0..KEYS).map(|key| (format!("key {key}"), self.sent[key])).collect::<BTreeMap<_, _>>();
        let fits = |found: &BTreeMap<String, i64>, expected: &BTreeMap<String, i64>| {
            if self.is_exact {
                return found == expected;
            }
            expected.iter().all(|(key, count)| found.get(key).is_some_and(|found| found >= count))
        };
        self.copied == self.sent && fits(&self.counts, &self.expected) && fits(&self.window_counts, &windows)
    }

    /// Reads until all is there.
    #[track_caller]
    pub(crate) fn finish(&mut self, mut check: impl FnMut()) {
        let deadline = Instant::now() + LIMIT;
        while !self.is_complete() {
            let (sent, copied) = (&self.sent, &self.copied);
            assert!(
                Instant::now() < deadline,
                "not all is there: {sent:?} sent, {copied:?} copied;\n{:?} words and not {:?};\n{:?} in windows",
                self.counts,
                self.expected,
                self.window_counts
            );
            self.read(Duration::from_millis(200));
            check();
        }
    }

    /// What comes after the end would be there twice.
    #[track_caller]
    pub(crate) fn check_nothing_follows(&mut self) {
        self.read(Duration::from_secs(1));
        assert!(self.is_complete(), "{}", self.progress());
    }

    /// A consumer of Kafka's own sees the same copies, in the same order.
    #[track_caller]
    pub(crate) fn check_with_java(&self, cluster: &Cluster) {
        let bootstrap = cluster.bootstrap();
        let arguments = [
            "--bootstrap-server",
            &bootstrap,
            "--topic",
            "copies",
            "--from-beginning",
            "--isolation-level",
            "read_committed",
            "--timeout-ms",
            "10000",
            "--formatter-property",
            "print.key=true",
        ];
        let text = cluster.tool("org.apache.kafka.tools.consumer.ConsoleConsumer", &arguments).unwrap();
        let mut seen = [0; KEYS];
        for line in text.lines().filter(|line| line.starts_with("key ")) {
            let (key, value) = line.split_once('\t').unwrap();
            let key: usize = key[4..].parse().unwrap();
            let number: i64 = value.split(' ').next().unwrap().parse().unwrap();
            if number < seen[key] && !self.is_exact {
                continue;
            }
            assert_eq!(number, seen[key], "copy of {key}, as Java reads it");
            seen[key] += 1;
        }
        assert_eq!(seen, self.sent, "what Java reads");
    }
}
