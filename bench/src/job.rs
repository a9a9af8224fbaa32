//! What the program under test has to do, and with what: one workload, its topics, guarantee and configuration.

use std::path::PathBuf;
use std::time::Duration;

use millstream::{
    Clock, CloseOptions, Config, ConfigBuilder, GroupMembershipOperation, ProcessingGuarantee, Streams, SystemClock,
};

use crate::generator::KEYS;
use crate::options::Options;
use crate::usage;
use crate::workload::{Guarantee, Topics, Workload};

/// Names of all options.
pub(crate) const OPTIONS: &[&str] = &[
    "workload",
    "guarantee",
    "bootstrap",
    "app-id",
    "state-dir",
    "in",
    "out",
    "table",
    "records",
    "threads",
    "commit-ms",
    "linger-ms",
    "cache-bytes",
    "standby",
    "session-ms",
    "protocol",
    "broker-pid",
    "timeout-s",
    "restore-only",
    "leave",
    "warm",
    "config",
    "partitions",
    "keys",
];

/// How often it is looked how far the application is.
pub(crate) const LOOK: Duration = Duration::from_millis(5);
/// How long a close may take.
pub(crate) const CLOSE: Duration = Duration::from_secs(120);

/// What is to be run.
pub(crate) struct Job {
    pub(crate) workload: Workload,
    pub(crate) guarantee: Guarantee,
    pub(crate) topics: Topics,
    /// Ends when so many are processed; else with SIGTERM.
    pub(crate) records: Option<u64>,
    pub(crate) timeout: Duration,
    /// Process of the broker, whose CPU time is told.
    pub(crate) broker: Option<String>,
    pub(crate) is_restore: bool,
    pub(crate) is_warm: bool,
    /// Whether it leaves its group at the end.
    pub(crate) leaves: bool,
    pub(crate) config: Config,
    /// Keys of the input that is generated for the embedded log.
    pub(crate) keys: u64,
    pub(crate) partitions: i32,
    pub(crate) clock: SystemClock,
}

impl Job {
    pub(crate) fn read(options: &Options, clock: SystemClock) -> Result<Self, String> {
        let workload: Workload = options.needed("workload")?.parse()?;
        let guarantee = options.text("guarantee").unwrap_or("alo").parse()?;
        let topic = |name: &str, default: String| options.text(name).map_or(default, str::to_owned);
        Ok(Self {
            workload,
            guarantee,
            topics: Topics {
                input: topic("in", "in-2m".to_owned()),
                output: topic("out", format!("out-{}", workload.name())),
                table: topic("table", "table".to_owned()),
            },
            records: options.number("records")?,
            timeout: Duration::from_secs(options.number("timeout-s")?.unwrap_or(300)),
            broker: options.text("broker-pid").map(str::to_owned),
            is_restore: options.has("restore-only"),
            is_warm: options.has("warm"),
            leaves: options.has("leave"),
            config: config(options, workload, guarantee)?,
            keys: options.number("keys")?.unwrap_or(KEYS),
            partitions: options.number("partitions")?.unwrap_or(4),
            clock,
        })
    }

    pub(crate) fn now_ns(&self) -> u64 {
        self.clock.now().mono_ns
    }

    /// Stops gracefully; whether that was done in time.
    pub(crate) fn close(&self, streams: &Streams) -> bool {
        let leave = GroupMembershipOperation::LeaveGroup;
        if self.leaves {
            streams.close_with(&CloseOptions::group_membership_operation(leave).with_timeout(CLOSE))
        } else {
            streams.close(CLOSE)
        }
    }

    /// What everybody has used so far.
    pub(crate) fn sample(&self) -> Result<Sample, String> {
        let broker = self.broker.as_deref().map(usage::cpu_seconds).transpose()?;
        Ok(Sample {
            ns: self.now_ns(),
            cpu: usage::cpu_seconds("self")?,
            broker: broker.map_or(0.0, |(user, system)| user + system),
            machine: usage::machine_seconds()?,
        })
    }
}

/// A look at what was used; seconds of CPU.
pub(crate) struct Sample {
    pub(crate) ns: u64,
    /// User and system.
    pub(crate) cpu: (f64, f64),
    pub(crate) broker: f64,
    pub(crate) machine: f64,
}

impl Sample {
    pub(crate) fn cpu(&self) -> f64 {
        self.cpu.0 + self.cpu.1
    }
}

/// Kafka Streams' configuration but for what the options say and README.md names.
fn config(options: &Options, workload: Workload, guarantee: Guarantee) -> Result<Config, String> {
    let mut config = Config::builder()
        .application_id(options.text("app-id").unwrap_or("bench"))
        .bootstrap_servers(options.needed("bootstrap")?)
        .state_dir(options.text("state-dir").map_or_else(|| std::env::temp_dir().join("bench-state"), PathBuf::from))
        .set("group.protocol", options.text("protocol").unwrap_or("streams"))
        // As the brokers have it for classic groups.
        .set("group.streams.initial.rebalance.delay.ms", 0)
        .processing_guarantee(match guarantee {
            Guarantee::Alo => ProcessingGuarantee::AtLeastOnce,
            Guarantee::Eos => ProcessingGuarantee::ExactlyOnceV2,
        });
    if workload == Workload::W2n {
        config = config.statestore_cache_max_bytes(0);
    }
    let passed_on = [
        ("threads", "num.stream.threads"),
        ("commit-ms", "commit.interval.ms"),
        ("linger-ms", "producer.linger.ms"),
        ("cache-bytes", "statestore.cache.max.bytes"),
        ("standby", "group.streams.num.standby.replicas"),
    ];
    for (option, key) in passed_on {
        if let Some(value) = options.text(option) {
            config = config.set(key, value);
        }
    }
    for (key, value) in &options.configs {
        config = config.set(key, value);
    }
    let build = |config: ConfigBuilder| config.build().map_err(|error| error.to_string());
    let Some(session_ms) = options.number::<u64>("session-ms")? else { return build(config) };
    let of_session = config
        .clone()
        .set("group.streams.session.timeout.ms", session_ms)
        .set("group.streams.heartbeat.interval.ms", session_ms / 3);
    let of_session = build(of_session)?;
    let Err(error) = configure_group(&of_session) else { return Ok(of_session) };
    eprintln!("going on with the brokers' session timeout: {}", text(error));
    build(config)
}

/// Gives its group the settings of an application now, which it does itself when it starts.
fn configure_group(config: &Config) -> millstream::Result<()> {
    if config.bootstrap() == &millstream::types::config::Bootstrap::Memory {
        return Ok(());
    }
    let settings: Vec<(String, String)> = config.group_configs().into_iter().collect();
    let log = millstream::open_log(config)?;
    millstream::answer(&*log, log.admin().configure_group(config.application_id(), &settings))
}

/// What ended the application before its time.
pub(crate) fn check_error(streams: &Streams) -> Result<(), String> {
    streams.error().map_or(Ok(()), |error| Err(text(error)))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
pub(crate) fn text(error: millstream::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
