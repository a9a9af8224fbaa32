//! One broker: its settings, its start and its end.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cluster::Purpose;
use crate::jars::{self, Jars};
use crate::keeper::Keeper;
use crate::{probe, wait};

/// A broker on a busy machine is up after this, or never.
const START_LIMIT: Duration = Duration::from_secs(120);
/// A broker that was asked to stop is killed after this.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// What a broker logs once it takes requests.
const STARTED: &str = "Kafka Server started";

/// In a broker's folder: what it keeps.
const DATA: &str = "data";

/// How Kafka's start script sets the JVM's collector, beside a heap that has its whole size from the start: one that
/// grows as the JVM likes stays at a third of that, so that collections come several times as often.
const START_SCRIPT: [&str; 4] = [
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
];

/// A broker with its own folder and ports.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) node: usize,
    pub(crate) port: u16,
    folder: PathBuf,
    command: Vec<String>,
    keeper: Option<Keeper>,
}

/// What all brokers of a cluster share.
#[derive(Clone, Debug)]
pub(crate) struct Common {
    pub(crate) jars: Jars,
    pub(crate) cluster_id: String,
    /// Ports for clients, in the order of the brokers, and for controllers.
    pub(crate) ports: Vec<(u16, u16)>,
    pub(crate) heap: String,
    pub(crate) purpose: Purpose,
    pub(crate) settings: Vec<(String, String)>,
}

/// Why a broker is not up.
#[derive(Debug)]
pub(crate) enum StartError {
    /// Somebody else took its port meanwhile.
    PortTaken,
    Other(String),
}

impl Broker {
    /// Writes a broker's folder, unless it is there already.
    pub(crate) fn prepare(common: &Common, node: usize, folder: &Path) -> Result<Self, String> {
        let (port, controller) = *common.ports.get(node - 1).ok_or("a broker without ports")?;
        let data = folder.join(DATA);
        jars::create(folder)?;
        let config = folder.join("server.properties");
        jars::write(&config, &properties(common, node, port, controller, &data))?;
        if !data.join("meta.properties").is_file() {
            common.jars.format(&data, node, &common.cluster_id, &config)?;
        }
        let (heap, whole_heap) = (format!("-Xmx{}", common.heap), format!("-Xms{}", common.heap));
        let mut options = vec![
            heap.as_str(),
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
        ];
        let mut command = match common.purpose {
            Purpose::Tests => common.jars.java(&options, "kafka.Kafka"),
            Purpose::Measurements => {
                options.extend(START_SCRIPT);
                options.push(&whole_heap);
                common.jars.java_as_it_is(&options, "kafka.Kafka")
            }
        };
        command.push(config.display().to_string());
        Ok(Self { node, port, folder: folder.to_owned(), command, keeper: None })
    }

    pub(crate) fn command(&self) -> &[String] {
        &self.command
    }

    /// A new log for a new process.
    pub(crate) fn open_log(&self) -> Result<File, String> {
        let path = self.log_path();
        // What earlier processes said is kept.
        if let (Ok(said), Ok(mut earlier)) =
            (fs::read(&path), File::options().create(true).append(true).open(self.folder.join("earlier.log")))
        {
            let _ = earlier.write_all(&said);
        }
        File::create(&path).map_err(|error| format!("cannot create {}: {error}", path.display()))
    }

    /// Starts the process, which ends with ours.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        let log = self.open_log()?;
        self.keeper = Some(Keeper::run(&self.command, log)?);
        Ok(())
    }

    /// Waits until the broker takes requests and knows all `brokers` of its cluster.
    pub(crate) fn wait(&mut self, brokers: usize) -> Result<(), StartError> {
        let ended = |broker: &mut Self| broker.keeper.as_mut().is_some_and(Keeper::has_ended);
        self.wait_with(brokers, ended)
    }

    /// The same for a process that somebody else watches.
    pub(crate) fn wait_with(
        &mut self,
        brokers: usize,
        mut has_ended: impl FnMut(&mut Self) -> bool,
    ) -> Result<(), StartError> {
        let mut is_started = false;
        let up = wait::until(START_LIMIT, || {
            if has_ended(self) {
                return Some(false);
            }
            // Its word before its port: as long as nobody listens there, others may.
            is_started = is_started || self.log().contains(STARTED);
            (is_started && probe::brokers(self.port) == Some(brokers)).then_some(true)
        });
        match up {
            Some(true) => Ok(()),
            Some(false) if self.log().contains("Address already in use") => Err(StartError::PortTaken),
            Some(false) => Err(StartError::Other(format!("broker {} ended:\n{}", self.node, self.last_lines()))),
            None => {
                let text =
                    format!("broker {} is not up after {} s:\n{}", self.node, START_LIMIT.as_secs(), self.last_lines());
                Err(StartError::Other(text))
            }
        }
    }

    /// Kills the process (SIGKILL).
    pub(crate) fn kill(&mut self) {
        self.keeper = None;
    }

    /// Asks the process to stop. Whether it stopped by itself.
    pub(crate) fn stop(&mut self) -> bool {
        self.keeper.take().is_some_and(|mut keeper| keeper.stop(STOP_LIMIT))
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.keeper.as_ref().and_then(Keeper::pid)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.keeper.is_some()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join(DATA)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("broker.log")
    }

    /// What the broker logged since it was started last.
    pub(crate) fn log(&self) -> String {
        fs::read(self.log_path()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    fn last_lines(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(40)..).unwrap_or_default();
        last.join("\n")
    }
}

/// The broker's settings: combined mode, quick for tests, as safe as the number of brokers allows.
fn properties(common: &Common, node: usize, port: u16, controller: u16, data: &Path) -> String {
    let voters: Vec<String> =
        (1..).zip(&common.ports).map(|(id, (_, port))| format!("{id}@127.0.0.1:{port}")).collect();
    let brokers = common.ports.len();
    let replicas = brokers.min(3);
    let in_sync = if replicas > 2 { 2 } else { 1 };
    let mut text = format!(
        "process.roles=broker,controller
node.id={node}
controller.quorum.voters={}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={}
default.replication.factor={replicas}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={replicas}
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={in_sync}
",
        voters.join(","),
        data.display(),
    );
    if common.purpose == Purpose::Tests {
        text.extend(QUICK.iter().map(|(key, value)| format!("{key}={value}\n")));
    }
    text.extend(common.settings.iter().map(|(key, value)| format!("{key}={value}\n")));
    text
}

/// Settings that make tests quick; those a version does not know it ignores. What is set for a cluster
/// stands behind and wins.
const QUICK: [(&str, &str); 15] = [
    ("num.partitions", "4"),
    ("offsets.topic.num.partitions", "4"),
    ("transaction.state.log.num.partitions", "4"),
    ("share.coordinator.state.topic.num.partitions", "1"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.streams.initial.rebalance.delay.ms", "0"),
    // Members may be found dead quickly; they say how quickly.
    ("group.min.session.timeout.ms", "1000"),
    ("group.streams.min.session.timeout.ms", "1000"),
    ("group.streams.min.heartbeat.interval.ms", "100"),
    ("group.consumer.min.session.timeout.ms", "1000"),
    ("group.consumer.min.heartbeat.interval.ms", "100"),
    // Transactions of the dead end soon after their timeout.
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "500"),
    // Event times in tests lie in the past: nothing expires while they run.
    ("log.retention.ms", "-1"),
    // Deleted topics are gone from the disk soon.
    ("log.segment.delete.delay.ms", "1000"),
    ("log.index.size.max.bytes", "65536"),
];
