//! Typed reading of what the engine needs.

use crate::clock::millis;
use std::path::PathBuf;
use std::time::Duration;

use super::key::Value;
use super::{
    Bootstrap, Config, DslStoreChoice, DslStoreFormat, EmbeddedCompression, GroupProtocol, HandlerChoice, HostPort,
    LogFlush, MetricsLevel, OffsetReset, ProcessingGuarantee, RackStrategy, TimestampExtractorChoice, TopologyUpgrade,
};

/// `max.task.idle.ms`: how long a task with empty partitions waits before it goes on with the
/// others, and so perhaps takes records out of the order of their timestamps (KIP-695).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskIdle {
    /// -1: not at all.
    Never,
    /// 0: only while the log is known to have records that are not fetched yet.
    Fetching,
    /// So long in addition, for records that producers have not written yet.
    Wait(Duration),
}

impl TaskIdle {
    pub(super) fn as_millis(self) -> i64 {
        match self {
            Self::Never => -1,
            Self::Fetching => 0,
            Self::Wait(time) => millis(time),
        }
    }
}

impl From<Duration> for TaskIdle {
    fn from(time: Duration) -> Self {
        if time < Duration::from_millis(1) { Self::Fetching } else { Self::Wait(time) }
    }
}

/// `topology.optimization`: which rewritings are on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Optimizations {
    /// A source table reads its topic as changelog.
    pub reuse_ktable_source_topics: bool,
    /// Repartition topics of one stream become one.
    pub merge_repartition_topics: bool,
    /// A stream joined with itself keeps one store.
    pub single_store_self_join: bool,
}

impl Optimizations {
    /// `all`.
    pub const ALL: Self =
        Self { reuse_ktable_source_topics: true, merge_repartition_topics: true, single_store_self_join: true };

    /// Reads the list; `all` and `none` stand alone.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut chosen = Self::default();
        match text.trim() {
            "all" => return Some(Self::ALL),
            "none" => return Some(chosen),
            _ => {}
        }
        for name in text.split(',').map(str::trim) {
            match name {
                "reuse.ktable.source.topics" => chosen.reuse_ktable_source_topics = true,
                "merge.repartition.topics" => chosen.merge_repartition_topics = true,
                "single.store.self.join" => chosen.single_store_self_join = true,
                _ => return None,
            }
        }
        Some(chosen)
    }
}

/// Writes getters of one shape: `name: "key";` with the key's first line as documentation.
macro_rules! getters {
    ($read:ident -> $type:ty { $($(#[$doc:meta])* $name:ident: $key:literal;)+ }) => {
        impl Config {
            $(
                $(#[$doc])*
                #[doc = concat!("(`", $key, "`)")]
                pub fn $name(&self) -> $type {
                    self.$read($key)
                }
            )+
        }
    };
}

getters! { duration -> Duration {
    /// Time between commits. 100 ms under `exactly_once_v2` unless given.
    commit_interval: "commit.interval.ms";
    /// Longest wait for records.
    poll: "poll.ms";
    /// Time between deletions of processed records from repartition topics.
    repartition_purge_interval: "repartition.purge.interval.ms";
    /// How long a task retries after timeouts before it fails.
    task_timeout: "task.timeout.ms";
    /// Age at which the directory of a task that is gone is removed.
    state_cleanup_delay: "state.cleanup.delay.ms";
    /// Time between looks at whether a warm-up is done.
    probing_rebalance_interval: "probing.rebalance.interval.ms";
    /// Added to the retention of windowed changelogs.
    windowstore_changelog_additional_retention: "windowstore.changelog.additional.retention.ms";
    /// Length of a sample of the metrics.
    metrics_sample_window: "metrics.sample.window.ms";
    /// An instance without a sign of life for this long loses its tasks.
    session_timeout: "session.timeout.ms";
    /// Time between signs of life; a third of a short session timeout unless given.
    heartbeat_interval: "heartbeat.interval.ms";
    /// A thread that does not ask for records for this long loses its tasks.
    max_poll_interval: "max.poll.interval.ms";
    /// An open transaction is aborted after this time.
    transaction_timeout: "transaction.timeout.ms";
}}

getters! { size -> usize {
    /// Threads of this instance.
    num_stream_threads: "num.stream.threads";
    /// A partition is paused above this many buffered records.
    buffered_records_per_partition: "buffered.records.per.partition";
    /// Records taken from the log at once.
    max_poll_records: "max.poll.records";
    /// Copies of each store kept up to date on other instances.
    num_standby_replicas: "num.standby.replicas";
    /// Tasks that warm up elsewhere at one time.
    max_warmup_replicas: "max.warmup.replicas";
    /// Record cache of the whole instance, in bytes.
    statestore_cache_max_bytes: "statestore.cache.max.bytes";
    /// Memory of all local stores on disk together, in bytes.
    statestore_memory_max_bytes: "statestore.memory.max.bytes";
    /// A thread commits early when its uncommitted state is larger, in bytes.
    statestore_uncommitted_max_bytes: "statestore.uncommitted.max.bytes";
    /// Samples a rate is computed over.
    metrics_num_samples: "metrics.num.samples";
}}

getters! { number -> i64 {
    /// Lag, in records, under which an instance counts as caught up.
    acceptable_recovery_lag: "acceptable.recovery.lag";
    /// Size at which the embedded log starts a new segment file, in bytes.
    embedded_log_segment_bytes: "embedded.log.segment.bytes";
}}

getters! { int -> i32 {
    /// Replicas of internal topics; -1 is the broker's default.
    replication_factor: "replication.factor";
    /// Partitions of a topic that the embedded log creates by itself.
    embedded_num_partitions: "embedded.num.partitions";
}}

getters! { boolean -> bool {
    /// Whether generated names of stores and internal topics are an error.
    ensure_explicit_internal_resource_naming: "ensure.explicit.internal.resource.naming";
    /// Whether the processing handler also serves global stores.
    processing_exception_handler_global_enabled: "processing.exception.handler.global.enabled";
    /// Whether state directories may be written by the group.
    allow_os_group_write_access: "allow.os.group.write.access";
}}

getters! { text -> Option<&str> {
    /// Prefix of client and thread names; `None`: application id and process id.
    client_id: "client.id";
    /// Topic that the handlers write dropped records to.
    dead_letter_queue_topic: "errors.dead.letter.queue.topic.name";
    /// Version that other instances still have during a rolling upgrade.
    upgrade_from: "upgrade.from";
}}

/// Writes getters of enums: `name -> Type or default: "key";`.
macro_rules! choice_getters {
    ($($(#[$doc:meta])* $name:ident -> $type:ident or $default:ident: $key:literal;)+) => {
        impl Config {
            $(
                $(#[$doc])*
                #[doc = concat!("(`", $key, "`)")]
                pub fn $name(&self) -> $type {
                    self.text($key).and_then($type::from_kept).unwrap_or($type::$default)
                }
            )+
        }
    };
}

choice_getters! {
    /// What a crash may do to results.
    processing_guarantee -> ProcessingGuarantee or AtLeastOnce: "processing.guarantee";
    /// Where event time comes from, where `Consumed` names nothing.
    default_timestamp_extractor -> TimestampExtractorChoice or FailOnInvalidTimestamp: "default.timestamp.extractor";
    /// Decides on records that cannot be read.
    deserialization_exception_handler -> HandlerChoice or Fail: "deserialization.exception.handler";
    /// Decides on records that user code fails on.
    processing_exception_handler -> HandlerChoice or Fail: "processing.exception.handler";
    /// Decides on records that cannot be written.
    production_exception_handler -> HandlerChoice or Fail: "production.exception.handler";
    /// Where stores of the DSL live.
    dsl_store -> DslStoreChoice or Persistent: "dsl.store.suppliers.class";
    /// What the DSL's stores keep beside a value.
    dsl_store_format -> DslStoreFormat or Default: "dsl.store.format";
    /// Who assigns tasks when running on brokers.
    group_protocol -> GroupProtocol or Classic: "group.protocol";
    /// What the embedded log survives.
    log_flush -> LogFlush or Os: "log.flush";
    /// What to do when the group on the brokers has another topology, and may not change it.
    topology_upgrade -> TopologyUpgrade or Manual: "group.topology.upgrade";
    /// How batches lie in the embedded log.
    embedded_compression -> EmbeddedCompression or None: "embedded.compression.type";
    /// How much the metrics record.
    metrics_recording_level -> MetricsLevel or Info: "metrics.recording.level";
    /// Whether tasks stay in the rack of their partitions.
    rack_aware_assignment_strategy -> RackStrategy or None: "rack.aware.assignment.strategy";
}

impl Config {
    /// The group id, and the prefix of internal topics.
    pub fn application_id(&self) -> &str {
        self.text("application.id").unwrap_or_default()
    }

    /// Where to start in a partition without a committed offset. (`auto.offset.reset`)
    pub fn auto_offset_reset(&self) -> OffsetReset {
        self.text("auto.offset.reset").and_then(|text| text.parse().ok()).unwrap_or(OffsetReset::Earliest)
    }

    /// The log to run on.
    pub fn bootstrap(&self) -> &Bootstrap {
        &self.bootstrap
    }

    /// Address given to other instances for queries.
    pub fn application_server(&self) -> Option<&HostPort> {
        self.application_server.as_ref()
    }

    /// Rewritings of the topology.
    pub fn topology_optimization(&self) -> Optimizations {
        self.optimizations
    }

    /// Base directory of local state; `millstream` in the system's temporary directory unless given.
    pub fn state_dir(&self) -> PathBuf {
        self.text("state.dir").map_or_else(|| std::env::temp_dir().join("millstream"), PathBuf::from)
    }

    /// How long a task waits for empty partitions (`max.task.idle.ms`).
    pub fn max_task_idle(&self) -> TaskIdle {
        match self.number("max.task.idle.ms") {
            ..0 => TaskIdle::Never,
            0 => TaskIdle::Fetching,
            _ => TaskIdle::Wait(self.duration("max.task.idle.ms")),
        }
    }

    /// Whether results are exactly once.
    pub fn is_exactly_once(&self) -> bool {
        self.processing_guarantee() == ProcessingGuarantee::ExactlyOnceV2
    }

    /// Time between summaries in the program's log; `None`: no summaries (`log.summary.interval.ms`).
    pub fn log_summary_interval(&self) -> Option<Duration> {
        Some(self.duration("log.summary.interval.ms")).filter(|interval| !interval.is_zero())
    }

    /// Age above which state directories are removed at start (`state.cleanup.dir.max.age.ms`).
    pub fn state_cleanup_dir_max_age(&self) -> Option<Duration> {
        let age = self.number("state.cleanup.dir.max.age.ms");
        u64::try_from(age).ok().map(Duration::from_millis)
    }

    /// Client tags that standbys are spread over (`rack.aware.assignment.tags`).
    pub fn rack_aware_assignment_tags(&self) -> &[String] {
        match self.values.get("rack.aware.assignment.tags") {
            Some(Value::List(tags)) => tags,
            _ => &[],
        }
    }

    /// Empty text counts as none.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.values.get(key) {
            Some(Value::Text(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    pub(super) fn number(&self, key: &str) -> i64 {
        match self.values.get(key) {
            Some(Value::Number(number)) => *number,
            _ => 0,
        }
    }

    fn boolean(&self, key: &str) -> bool {
        matches!(self.values.get(key), Some(Value::Boolean(true)))
    }

    fn int(&self, key: &str) -> i32 {
        i32::try_from(self.number(key)).unwrap_or(i32::MAX)
    }

    fn size(&self, key: &str) -> usize {
        usize::try_from(self.number(key).max(0)).unwrap_or(usize::MAX)
    }

    /// A negative time is none.
    fn duration(&self, key: &str) -> Duration {
        Duration::from_millis(u64::try_from(self.number(key)).unwrap_or(0))
    }
}
