//! The instances: processes of this very program that run the application until they are killed.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use millstream::prelude::*;
use tracing::Level;

use crate::plan::Random;
use crate::support::told::Told;

/// Tells a child what it is: addresses, guarantee and directory.
const INSTANCE: &str = "MILLSTREAM_TEST_INSTANCE";
const INSTANCES: usize = 3;

/// Sequence numbers as they came, words counted over a repartition topic, and lines counted in windows.
fn topology() -> Topology {
    let builder = StreamsBuilder::new();
    let lines = builder.stream::<String, String>("lines");
    lines.to("copies");
    lines
        .flat_map_values(|line| line.split(' ').skip(1).map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count_with(Materialized::named("counts"))
        .to_stream()
        .to("words");
    lines
        .group_by_key()
        .windowed_by(TimeWindows::of_size_with_no_grace(Duration::from_secs(1_000_000_000)).unwrap())
        .count_with(Materialized::named("windows"))
        .to_stream()
        .map(|window, count| (window.key, count.unwrap_or_default()))
        .to("window-counts");
    builder.build().unwrap()
}

fn config(bootstrap: &str, guarantee: ProcessingGuarantee, state: &Path) -> Config {
    Config::builder()
        .application_id("chaos")
        .bootstrap_servers(bootstrap)
        .set("group.protocol", "streams")
        .set("replication.factor", "3")
        .set("num.stream.threads", "2")
        .set("commit.interval.ms", "100")
        .set("transaction.timeout.ms", "4000")
        .set("windowstore.changelog.additional.retention.ms", "3153600000000")
        .processing_guarantee(guarantee)
        .state_dir(state)
        .build()
        .unwrap()
}

/// Runs the application where this process was started for that, until it is killed.
pub(crate) fn run_if_asked() {
    let Ok(instance) = std::env::var(INSTANCE) else { return };
    let [bootstrap, guarantee, folder] = *instance.splitn(3, ' ').collect::<Vec<_>>() else { panic!("{instance}") };
    let folder = Path::new(folder);
    let told = Told {
        is_wanted: |metadata| *metadata.level() <= Level::INFO && metadata.target().starts_with("millstream"),
        tell: |metadata, line| {
            let _ =
                writeln!(std::io::stderr().lock(), "{:?} {} {line}", std::time::SystemTime::now(), metadata.level());
        },
    };
    tracing::subscriber::set_global_default(told).unwrap();
    let guarantee = match guarantee {
        "exactly-once" => ProcessingGuarantee::ExactlyOnceV2,
        _ => ProcessingGuarantee::AtLeastOnce,
    };
    let streams = Streams::new(&topology(), &config(bootstrap, guarantee, &folder.join("state"))).unwrap();
    streams.set_uncaught_exception_handler(|error| {
        eprintln!("a thread ended: {error:?}");
        // Nothing in this game is worth ending for.
        std::process::exit(1);
    });
    streams.start().unwrap();
    // Until somebody closes its standard input, or it is killed.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    assert!(streams.close(Duration::from_secs(60)), "the threads did not end");
    if let Some(error) = streams.error() {
        panic!("the instance ended: {error:?}");
    }
}

/// The instances, each with its directory.
pub(crate) struct Instances {
    bootstrap: String,
    guarantee: ProcessingGuarantee,
    folders: [PathBuf; INSTANCES],
    running: [Option<Child>; INSTANCES],
    /// An instance that is stopped, and until when.
    frozen: Option<(usize, Instant)>,
}

impl Instances {
    pub(crate) fn new(bootstrap: &str, guarantee: ProcessingGuarantee, home: &Path) -> Self {
        let folders = [1, 2, 3].map(|number| home.join(format!("instance-{number}")));
        Self { bootstrap: bootstrap.to_owned(), guarantee, folders, running: [None, None, None], frozen: None }
    }

    pub(crate) fn start_all(&mut self) {
        for at in 0..INSTANCES {
            self.start(at);
        }
    }

    fn start(&mut self, at: usize) {
        if self.running[at].is_some() {
            return;
        }
        let folder = &self.folders[at];
        fs::create_dir_all(folder).unwrap();
        let words = File::options().create(true).append(true).open(folder.join("words")).unwrap();
        let guarantee = match self.guarantee {
            ProcessingGuarantee::ExactlyOnceV2 => "exactly-once",
            _ => "at-least-once",
        };
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["an_instance", "--exact", "--nocapture"])
            .env(INSTANCE, format!("{} {guarantee} {}", self.bootstrap, folder.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(words)
            .spawn()
            .unwrap();
        self.running[at] = Some(child);
    }

    /// Kills an instance and starts those that lie dead, or not yet; at times it has lost its disk, or
    /// another one is frozen for a while.
    pub(crate) fn kill_one(&mut self, random: &mut Random) -> String {
        let running: Vec<usize> = (0..INSTANCES).filter(|at| self.running[*at].is_some()).collect();
        let at = running[usize::try_from(random.below(running.len() as u64)).unwrap()];
        self.kill(at);
        let loses_disk = random.below(5) == 0;
        if loses_disk {
            let _ = fs::remove_dir_all(self.folders[at].join("state"));
        }
        let is_frozen = random.below(3) == 0;
        let frozen_ms = 500 + random.below(9_000);
        // Some stay dead until the next kill, so that others take their tasks over.
        let stays_dead = random.below(3) == 0;
        for other in (0..INSTANCES).filter(|other| *other != at || !stays_dead) {
            self.start(other);
        }
        let mut what = format!("instance {} killed", at + 1);
        if loses_disk {
            what.push_str(", its disk lost");
        }
        if stays_dead {
            what.push_str(", not started");
        }
        let mut others = (0..INSTANCES).filter(|other| *other != at && self.running[*other].is_some());
        if let (true, None, Some(other)) = (is_frozen, self.frozen, others.next_back()) {
            // Longer than its session: it goes on as if nothing had happened, and must have no effect.
            self.signal(other, "-STOP");
            self.frozen = Some((other, Instant::now() + Duration::from_millis(frozen_ms)));
            let _ = write!(what, ", instance {} frozen for {frozen_ms} ms", other + 1);
        }
        what
    }

    fn signal(&self, at: usize, signal: &str) {
        if let Some(child) = &self.running[at] {
            assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        }
    }

    /// Lets a frozen instance go on, when it is time or in any case.
    fn thaw(&mut self, in_any_case: bool) {
        if let Some((at, until)) = self.frozen
            && (in_any_case || Instant::now() >= until)
        {
            self.frozen = None;
            self.signal(at, "-CONT");
        }
    }

    fn kill(&mut self, at: usize) {
        if self.frozen.is_some_and(|(frozen, _)| frozen == at) {
            self.frozen = None;
        }
        if let Some(mut child) = self.running[at].take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Nobody ends but by being killed.
    #[track_caller]
    pub(crate) fn check(&mut self) {
        self.thaw(false);
        for at in 0..INSTANCES {
            if let Some(child) = &mut self.running[at]
                && let Some(status) = child.try_wait().unwrap()
            {
                panic!("instance {} ended by itself ({status}):\n{}", at + 1, self.words());
            }
        }
    }

    /// What the instances said last.
    pub(crate) fn words(&self) -> String {
        let mut text = String::new();
        for folder in &self.folders {
            let words = fs::read(folder.join("words")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words);
            let lines: Vec<&str> = words.lines().collect();
            let _ = writeln!(text, "--- {}", folder.display());
            for line in &lines[lines.len().saturating_sub(40)..] {
                let _ = writeln!(text, "{line}");
            }
        }
        text
    }

    /// Asks all to stop, and waits until they have.
    #[track_caller]
    pub(crate) fn stop_all(&mut self) {
        self.thaw(true);
        for child in self.running.iter_mut().flatten() {
            drop(child.stdin.take());
        }
        for at in 0..INSTANCES {
            if let Some(mut child) = self.running[at].take() {
                let status = child.wait().unwrap();
                assert!(status.success(), "instance {} did not stop well ({status}):\n{}", at + 1, self.words());
            }
        }
    }
}

impl Drop for Instances {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.words());
        }
        for at in 0..INSTANCES {
            self.kill(at);
        }
    }
}
