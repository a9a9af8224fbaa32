//! A cluster of brokers that ends with its value.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::broker::{Broker, Common, StartError};
use crate::jars::Jars;
use crate::keeper::Keeper;
use crate::{ports, probe, wait};

/// Replicas that are not in sync by then never will be.
const SYNC_LIMIT: Duration = Duration::from_secs(120);

/// How often new ports are taken when somebody else was faster.
const TRIES_MAX: usize = 5;

/// Names a folder that the brokers' data goes to, and stays in, to be looked at when a test has failed.
const KEEP: &str = "MILLSTREAM_KEEP_BROKERS";

/// Clusters of one process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// What a cluster is to be.
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) version: String,
    pub(crate) brokers: usize,
    pub(crate) port: Option<u16>,
    pub(crate) heap: String,
    pub(crate) purpose: Purpose,
    pub(crate) settings: Vec<(String, String)>,
}

/// What brokers are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Up soon and quick to react.
    Tests,
    /// As in production, to be measured.
    Measurements,
}

impl Builder {
    /// Kafka's version, as Maven knows it. [`VERSION`](crate::VERSION) unless set.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// How many brokers, each a controller too. One unless set.
    #[must_use]
    pub fn brokers(mut self, brokers: usize) -> Self {
        self.brokers = brokers.max(1);
        self
    }

    /// The port of the first broker; the others have the next ones. Free ones unless set.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Most memory of a broker's heap, as Java's `-Xmx` takes it: `300m` unless set.
    #[must_use]
    pub fn heap(mut self, heap: &str) -> Self {
        heap.clone_into(&mut self.heap);
        self
    }

    /// Takes Kafka's defaults, the JVM's own compilers, and heap and garbage collector as Kafka's start script sets them,
    /// in place of what makes tests quick: brokers to be measured.
    #[must_use]
    pub fn like_production(mut self) -> Self {
        self.purpose = Purpose::Measurements;
        self
    }

    /// A setting of the brokers (`server.properties`).
    #[must_use]
    pub fn setting(mut self, key: &str, value: impl ToString) -> Self {
        self.settings.push((key.to_owned(), value.to_string()));
        self
    }

    /// Starts the brokers and waits until all of them answer and know each other.
    ///
    /// # Errors
    /// What is missing or failed, in words for people, with the last lines of a broker's log.
    pub fn start(self) -> Result<Cluster, String> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut cluster = Cluster::prepare(&self)?;
            match cluster.start_all() {
                Ok(()) => return Ok(cluster),
                Err(StartError::PortTaken) if tries < TRIES_MAX && self.port.is_none() => {}
                Err(StartError::PortTaken) => return Err("a port of the brokers is taken by somebody else".to_owned()),
                Err(StartError::Other(text)) => return Err(text),
            }
        }
    }

    /// What the brokers of a new cluster share.
    pub(crate) fn common(&self) -> Result<Common, String> {
        let ports = match self.port {
            None => ports::free(self.brokers * 2)?,
            Some(first) => {
                let clients = (0..self.brokers).map(|index| first.saturating_add(index as u16));
                clients.chain(ports::free(self.brokers)?).collect()
            }
        };
        let (clients, controllers) = ports.split_at(self.brokers);
        Ok(Common {
            jars: Jars::of(&self.version)?,
            cluster_id: unique_id(),
            ports: clients.iter().copied().zip(controllers.iter().copied()).collect(),
            heap: self.heap.clone(),
            purpose: self.purpose,
            settings: self.settings.clone(),
        })
    }
}

/// Running brokers. They end, and their data is gone, with this value or with the process.
#[derive(Debug)]
pub struct Cluster {
    brokers: Vec<Broker>,
    jars: Jars,
    /// Stands last: the folder goes after those who write into it. `None` where it stays.
    _folder: Option<Keeper>,
}

impl Cluster {
    /// One broker of [`VERSION`](crate::VERSION) unless said otherwise.
    pub fn builder() -> Builder {
        Builder {
            version: crate::VERSION.to_owned(),
            brokers: 1,
            port: None,
            heap: "300m".to_owned(),
            purpose: Purpose::Tests,
            settings: Vec::new(),
        }
    }

    fn prepare(builder: &Builder) -> Result<Self, String> {
        let common = builder.common()?;
        let kept = std::env::var_os(KEEP).map(PathBuf::from);
        let folder = folder(kept.as_deref(), &common.cluster_id);
        let keeper = if kept.is_none() { Some(Keeper::remove(&folder)?) } else { None };
        let brokers = (1..=builder.brokers)
            .map(|node| Broker::prepare(&common, node, &folder.join(format!("broker-{node}"))))
            .collect::<Result<_, _>>()?;
        Ok(Self { brokers, jars: common.jars, _folder: keeper })
    }

    fn start_all(&mut self) -> Result<(), StartError> {
        for broker in &mut self.brokers {
            broker.start().map_err(StartError::Other)?;
        }
        let count = self.brokers.len();
        self.brokers.iter_mut().try_for_each(|broker| broker.wait(count))
    }

    /// `host:port` of all brokers, with commas between.
    pub fn bootstrap(&self) -> String {
        let addresses: Vec<String> = self.brokers.iter().map(|broker| format!("127.0.0.1:{}", broker.port)).collect();
        addresses.join(",")
    }

    /// The process of a broker, to look at what it uses (Linux only); `node` counts from 1.
    pub fn pid(&self, node: usize) -> Option<u32> {
        self.brokers.iter().find(|broker| broker.node == node).and_then(Broker::pid)
    }

    /// Kills a broker (SIGKILL); `node` counts from 1, as `node.id` does.
    pub fn kill(&mut self, node: usize) {
        self.brokers.iter_mut().filter(|broker| broker.node == node).for_each(Broker::kill);
    }

    /// Stops a broker as its operator would (SIGTERM), so that it hands over what it leads.
    ///
    /// # Errors
    /// When it had to be killed, or was not running.
    pub fn stop(&mut self, node: usize) -> Result<(), String> {
        let has_stopped = self.brokers.iter_mut().filter(|broker| broker.node == node).any(Broker::stop);
        if has_stopped { Ok(()) } else { Err(format!("broker {node} did not stop by itself")) }
    }

    /// Starts a broker that was killed or stopped, on its port and with its data, and waits until it knows
    /// all others that run.
    ///
    /// # Errors
    /// As [`Builder::start`].
    pub fn restart(&mut self, node: usize) -> Result<(), String> {
        let running = self.brokers.iter().filter(|broker| broker.is_running() && broker.node != node).count();
        let Some(broker) = self.brokers.iter_mut().find(|broker| broker.node == node) else {
            return Err(format!("there is no broker {node}"));
        };
        broker.kill();
        broker.start()?;
        broker.wait(running + 1).map_err(|error| match error {
            StartError::PortTaken => format!("port {} of broker {node} was taken meanwhile", broker.port),
            StartError::Other(text) => text,
        })
    }

    /// Waits until every partition has a leader and all its replicas are in sync, as whoever restarts broker after
    /// broker does before the next one. All brokers must run.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn wait_in_sync(&self) -> Result<(), String> {
        let is_in_sync = |broker: &Broker| probe::partitions_behind(broker.port) == Some(0);
        wait::until(SYNC_LIMIT, || self.brokers.iter().all(is_in_sync).then_some(()))
            .ok_or_else(|| format!("replicas are not in sync after {} s", SYNC_LIMIT.as_secs()))
    }

    /// Where the partitions of a broker lie, to look at them, or to change them while it is stopped; `node` counts from 1.
    pub fn data(&self, node: usize) -> Option<PathBuf> {
        self.brokers.iter().find(|broker| broker.node == node).map(Broker::data)
    }

    /// What a broker logged since it was started last: warnings and errors.
    pub fn log(&self, node: usize) -> String {
        self.brokers.iter().find(|broker| broker.node == node).map(Broker::log).unwrap_or_default()
    }

    /// Runs one of Kafka's own tools, by its Java class, to its end. What it printed.
    ///
    /// # Errors
    /// What it printed when it failed.
    pub fn tool(&self, class: &str, arguments: &[&str]) -> Result<String, String> {
        self.jars.run(class, arguments)
    }
}

/// Ids are 16 bytes in base64: 22 characters, of which the last has four bits to spare.
fn unique_id() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_micros());
    let process = std::process::id() & 0xF_FFFF;
    let next = NEXT.fetch_add(1, Ordering::Relaxed) & 0xFF;
    format!("K{:0>13x}{process:0>5x}{next:0>2x}A", now & 0xF_FFFF_FFFF_FFFF)
}

fn folder(kept: Option<&Path>, id: &str) -> PathBuf {
    kept.map_or_else(std::env::temp_dir, Path::to_path_buf).join(format!("millstream-kafka-{id}"))
}
