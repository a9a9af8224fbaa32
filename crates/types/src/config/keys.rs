//! All configuration keys, in alphabetical order within their origin.
//!
//! The first table is that of Kafka Streams 4.3.0 (`StreamsConfig.configDef()`), with its defaults but
//! for `state.dir`. Where Kafka checks nothing and a value could only fail later, a bound is added.

use super::bootstrap::{BOOTSTRAP_RULE, HOST_PORT_RULE};
use super::choice::{
    DslStoreChoice, DslStoreFormat, EmbeddedCompression, GroupProtocol, HandlerChoice, LogFlush, MetricsLevel,
    ProcessingGuarantee, RackStrategy, TimestampExtractorChoice, TopologyUpgrade,
};
use super::key::Allowed::{Any, AtLeast, AtMostItems, OffsetResetPolicy, OneOf, OneOfAnyCase, Rule};
use super::key::Importance::{High, Low, Medium};
use super::key::KeyDefault::{Is, Null, Required};
use super::key::KeyKind::{Boolean, Class, Int, List, Long, Text};
use super::key::KeyReader::{Brokers, Engine, Jvm, Nobody};
use super::key::{Key, KeyReader, Origin};

/// What `application.id` accepts: it becomes part of topic and directory names.
pub(super) const APPLICATION_ID_RULE: &str = "1 to 200 of the characters a-z A-Z 0-9 . _ - (and not . or ..)";
/// What `topology.optimization` accepts.
pub(super) const OPTIMIZATION_RULE: &str =
    "all, none, or a list of reuse.ktable.source.topics, merge.repartition.topics, single.store.self.join";

const UPGRADE_VERSIONS: &[&[&str]] = &[
    &["2.4"],
    &["2.5"],
    &["2.6"],
    &["2.7"],
    &["2.8"],
    &["3.0"],
    &["3.1"],
    &["3.2"],
    &["3.3"],
    &["3.4"],
    &["3.5"],
    &["3.6"],
    &["3.7"],
    &["3.8"],
    &["3.9"],
    &["4.0"],
    &["4.1"],
    &["4.2"],
];

/// Why keys of classic groups' assignment have no effect.
const NO_WARM_UPS: KeyReader = Nobody("tasks move at once: brokers assign them, and have no warm-up tasks (4.3)");
const BROKERS_ASSIGN: KeyReader = Nobody("brokers assign tasks, and do not look at racks or tags (4.3)");
const SYSTEM_BUFFERS: KeyReader = Nobody("the system sizes its buffers itself");

const SECURITY_PROTOCOLS: &[&[&str]] = &[&["PLAINTEXT"], &["SSL"], &["SASL_PLAINTEXT"], &["SASL_SSL"]];

/// Writes a table: `name: kind = default, allowed, importance, reader, meaning;`.
macro_rules! keys {
    ($table:ident, $origin:ident, $($name:literal: $kind:ident = $default:expr, $allowed:expr, $importance:ident,
        $reader:expr, $meaning:literal;)+) => {
        const $table: &[Key] = &[$(Key {
            name: $name,
            kind: $kind,
            default: $default,
            allowed: $allowed,
            importance: $importance,
            origin: Origin::$origin,
            reader: $reader,
            meaning: $meaning,
        }),+];
    };
}

/// All keys: Kafka Streams' own, those of its clients that the engine reads, and Millstream's own.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    [KAFKA_STREAMS, KAFKA_CLIENT, MILLSTREAM].into_iter().flatten()
}

/// The key of that name.
pub fn find_key(name: &str) -> Option<&'static Key> {
    keys().find(|key| key.name == name)
}

keys! { KAFKA_STREAMS, KafkaStreams,
    "acceptable.recovery.lag": Long = Is("10000"), AtLeast(0), Medium, NO_WARM_UPS,
        "lag, in records, under which an instance counts as caught up";
    "allow.os.group.write.access": Boolean = Is("false"), Any, Low, Nobody("only the user of the process may write its state"),
        "group write permission on state directories (KIP-1230)";
    "application.id": Text = Required, Rule(APPLICATION_ID_RULE), High, Engine,
        "group id; prefix of internal topics, client ids, transactional ids; name of the state directory";
    "application.server": Text = Is(""), Rule(HOST_PORT_RULE), Low, Engine,
        "`host:port` given to other instances for queries; empty: none";
    "bootstrap.servers": Text = Required, Rule(BOOTSTRAP_RULE), High, Engine,
        "the log to run on";
    "buffered.records.per.partition": Int = Is("1000"), AtLeast(1), Low, Engine,
        "a partition is paused above this many buffered records";
    "built.in.metrics.version": Text = Is("latest"), OneOf(&[&["latest"]]), Low, Engine,
        "only `latest`";
    "cache.max.bytes.buffering": Long = Is("10485760"), AtLeast(0), Medium, Engine,
        "old name of `statestore.cache.max.bytes`";
    "client.id": Text = Is(""), Any, Medium, Engine,
        "prefix of client and thread names; empty: `<application.id>-<process id>`";
    "commit.interval.ms": Long = Is("30000"), AtLeast(0), Low, Engine,
        "time between commits; 100 under exactly_once_v2 unless given";
    "config.providers": List = Is(""), Any, Low, Jvm,
        "classes that fetch secrets";
    "connections.max.idle.ms": Long = Is("540000"), Any, Low, Brokers,
        "idle connections are closed after this time";
    "default.client.supplier": Class = Null, Any, Low, Jvm,
        "class that makes Kafka's clients";
    "default.deserialization.exception.handler": Class = Is("fail"), OneOf(HandlerChoice::NAMES), Medium, Engine,
        "old name of `deserialization.exception.handler`";
    "default.dsl.store": Class = Is("persistent"), OneOf(DslStoreChoice::NAMES), Low, Engine,
        "old form of `dsl.store.suppliers.class`";
    "default.key.serde": Class = Null, Any, Medium, Jvm,
        "class; here defaults by type are given in code";
    "default.list.key.serde.inner": Class = Null, Any, Medium, Jvm,
        "class; lists know their elements here";
    "default.list.key.serde.type": Class = Null, Any, Medium, Jvm,
        "class of Java's list";
    "default.list.value.serde.inner": Class = Null, Any, Medium, Jvm,
        "class; lists know their elements here";
    "default.list.value.serde.type": Class = Null, Any, Medium, Jvm,
        "class of Java's list";
    "default.production.exception.handler": Class = Is("fail"), OneOf(HandlerChoice::NAMES), Medium, Engine,
        "old name of `production.exception.handler`";
    "default.timestamp.extractor": Class = Is("fail"), OneOf(TimestampExtractorChoice::NAMES), Medium, Engine,
        "where event time comes from, where `Consumed` names nothing";
    "default.value.serde": Class = Null, Any, Medium, Jvm,
        "class; here defaults by type are given in code";
    "deserialization.exception.handler": Class = Is("fail"), OneOf(HandlerChoice::NAMES), Medium, Engine,
        "decides on records that cannot be read, where none is given in code";
    "dsl.store.format": Text = Is("DEFAULT"), OneOfAnyCase(DslStoreFormat::NAMES), Low, Engine,
        "HEADERS keeps record headers in the DSL's stores (KIP-1285)";
    "dsl.store.suppliers.class": Class = Is("persistent"), OneOf(DslStoreChoice::NAMES), Low, Engine,
        "where stores of the DSL live unless `Materialized` says so";
    "enable.metrics.push": Boolean = Is("true"), Any, Low, Nobody("metrics are not sent to brokers"),
        "client metrics are sent to brokers that ask for them (KIP-714)";
    "ensure.explicit.internal.resource.naming": Boolean = Is("false"), Any, High, Engine,
        "generated names of stores and internal topics are an error (KIP-1111)";
    "errors.dead.letter.queue.topic.name": Text = Null, Any, Medium, Engine,
        "topic that the handlers write dropped records to (KIP-1034)";
    "group.protocol": Text = Is("classic"), OneOfAnyCase(GroupProtocol::NAMES), Medium, Engine,
        "who assigns tasks on brokers: must be streams there, classic (an instance assigns) is refused for now; means nothing on \
         the embedded log";
    "log.summary.interval.ms": Long = Is("120000"), Any, Low, Engine,
        "time between summaries in the program's log; 0 or less: none";
    "max.task.idle.ms": Long = Is("0"), AtLeast(-1), Medium, Engine,
        "how long a task waits for empty partitions; 0: only for records the log is known to have; -1: never";
    "max.warmup.replicas": Int = Is("2"), AtLeast(1), Medium, NO_WARM_UPS,
        "tasks that warm up elsewhere at one time";
    "metadata.max.age.ms": Long = Is("300000"), AtLeast(0), Low, Brokers,
        "age at which topic metadata is asked for again";
    "metadata.recovery.rebootstrap.trigger.ms": Long = Is("300000"), AtLeast(0), Low, Brokers,
        "time without metadata after which bootstrapping starts anew";
    "metadata.recovery.strategy": Text = Is("rebootstrap"), OneOfAnyCase(&[&["rebootstrap"], &["none"]]), Low, Brokers,
        "what to do when no known broker answers";
    "metric.reporters": List = Null, Any, Low, Jvm,
        "classes that metrics are given to";
    "metrics.num.samples": Int = Is("2"), AtLeast(1), Low, Engine,
        "samples a rate is computed over";
    "metrics.recording.level": Text = Is("INFO"), OneOf(MetricsLevel::NAMES), Low, Engine,
        "which sensors of processors record";
    "metrics.sample.window.ms": Long = Is("30000"), AtLeast(0), Low, Engine,
        "length of a sample";
    "num.standby.replicas": Int = Is("0"), AtLeast(0), High, Engine,
        "copies of each store kept up to date on other instances of the embedded log; on brokers \
         group.streams.num.standby.replicas says it";
    "num.stream.threads": Int = Is("1"), AtLeast(0), Medium, Engine,
        "threads of this instance";
    "poll.ms": Long = Is("100"), AtLeast(0), Low, Engine,
        "longest time a thread waits for records";
    "probing.rebalance.interval.ms": Long = Is("600000"), AtLeast(60_000), Low, NO_WARM_UPS,
        "time between looks at whether a warm-up is done";
    "processing.exception.handler": Class = Is("fail"), OneOf(HandlerChoice::NAMES), Medium, Engine,
        "decides on records that user code fails on, where none is given in code";
    "processing.exception.handler.global.enabled": Boolean = Is("false"), Any, High, Engine,
        "the processing handler also serves global stores (KIP-1270)";
    "processing.guarantee": Text = Is("at_least_once"), OneOf(ProcessingGuarantee::NAMES), Medium, Engine,
        "what a crash may do to results";
    "processor.wrapper.class": Class = Null, Any, Low, Jvm,
        "class around each processor; `Topology::wrap_processors` does that here";
    "production.exception.handler": Class = Is("fail"), OneOf(HandlerChoice::NAMES), Medium, Engine,
        "decides on records that cannot be written, where none is given in code";
    "rack.aware.assignment.non_overlap_cost": Int = Null, Any, Low, BROKERS_ASSIGN,
        "cost of moving a task, against traffic (KIP-925)";
    "rack.aware.assignment.strategy": Text = Is("none"), OneOf(RackStrategy::NAMES), Low, BROKERS_ASSIGN,
        "whether tasks stay in the rack of their partitions (KIP-925)";
    "rack.aware.assignment.tags": List = Is(""), AtMostItems(5), Low, BROKERS_ASSIGN,
        "client tags that standbys are spread over (KIP-708)";
    "rack.aware.assignment.traffic_cost": Int = Null, Any, Low, BROKERS_ASSIGN,
        "cost of traffic between racks (KIP-925)";
    "receive.buffer.bytes": Int = Is("32768"), AtLeast(-1), Low, SYSTEM_BUFFERS,
        "TCP receive buffer; -1: the system's";
    "reconnect.backoff.max.ms": Long = Is("1000"), AtLeast(0), Low, Brokers,
        "longest wait before connecting again";
    "reconnect.backoff.ms": Long = Is("50"), AtLeast(0), Low, Brokers,
        "first wait before connecting again";
    "repartition.purge.interval.ms": Long = Is("30000"), AtLeast(0), Low, Engine,
        "time between deletions of processed records from repartition topics";
    "replication.factor": Int = Is("-1"), AtLeast(-1), Medium, Engine,
        "of internal topics; -1: the broker's default";
    "request.timeout.ms": Int = Is("40000"), AtLeast(0), Low, Brokers,
        "longest wait for a broker's answer; clients take 30000 unless it is given, as Java's do";
    "retry.backoff.ms": Long = Is("100"), AtLeast(0), Low, Brokers,
        "first wait before a request is sent again";
    "rocksdb.config.setter": Class = Null, Any, Low, Jvm,
        "class that tunes RocksDB";
    "security.protocol": Text = Is("PLAINTEXT"), OneOfAnyCase(SECURITY_PROTOCOLS), Medium, Brokers,
        "how to speak to brokers: only PLAINTEXT is there yet, the others are refused at start";
    "send.buffer.bytes": Int = Is("131072"), AtLeast(-1), Low, SYSTEM_BUFFERS,
        "TCP send buffer; -1: the system's";
    "state.cleanup.delay.ms": Long = Is("600000"), AtLeast(0), Low, Engine,
        "age at which the directory of a task that is gone is removed";
    "state.cleanup.dir.max.age.ms": Long = Is("-1"), Any, Low, Nobody("a local copy that is older than its changelog keeps tombstones is always restored anew"),
        "older directories are removed at start (KIP-1259); -1: none";
    "state.dir": Text = Null, Any, High, Engine,
        "directory of local state; default: `millstream` in the system's temporary directory";
    "statestore.cache.max.bytes": Long = Is("10485760"), AtLeast(0), Medium, Engine,
        "record cache of the whole instance";
    "task.assignor.class": Text = Null, Any, Medium, Jvm,
        "class that assigns tasks";
    "task.timeout.ms": Long = Is("300000"), AtLeast(0), Medium, Engine,
        "how long a task retries after timeouts before it fails (KIP-572)";
    "topology.optimization": Text = Is("none"), Rule(OPTIMIZATION_RULE), Medium, Engine,
        "rewritings of the topology";
    "upgrade.from": Text = Null, OneOf(UPGRADE_VERSIONS), Low, Nobody("there is no older version to upgrade from"),
        "version that other instances still have during a rolling upgrade";
    "window.size.ms": Long = Null, Any, Low, Jvm,
        "only for plain consumers";
    "windowed.inner.class.serde": Text = Null, Any, Low, Jvm,
        "only for plain consumers";
    "windowstore.changelog.additional.retention.ms": Long = Is("86400000"), AtLeast(0), Low, Engine,
        "added to the retention of windowed changelogs";
}

keys! { KAFKA_CLIENT, KafkaClient,
    "auto.offset.reset": Text = Is("earliest"), OffsetResetPolicy, Medium, Engine,
        "where to start in a partition without a committed offset, where `Consumed` says nothing";
    "heartbeat.interval.ms": Int = Is("3000"), AtLeast(1), Low, Nobody("a streams group has its own, group.streams.heartbeat.interval.ms, and the embedded log sees its members with each step"),
        "time between an instance's signs of life";
    "max.poll.interval.ms": Int = Is("300000"), AtLeast(1), Medium, Engine,
        "a thread that does not ask for records for this long loses its tasks";
    "max.poll.records": Int = Is("1000"), AtLeast(1), Medium, Nobody("records are taken from the log by bytes, and processed in steps that look at the time"),
        "records taken from the log at once";
    "session.timeout.ms": Int = Is("45000"), AtLeast(1), Medium, Engine,
        "on the embedded log: an instance without a sign of life for this long loses its tasks; on brokers \
         group.streams.session.timeout.ms says it";
    "transaction.timeout.ms": Int = Is("10000"), AtLeast(1), Medium, Engine,
        "an open transaction is aborted after this time; under exactly_once_v2 at least the commit interval";
}

keys! { MILLSTREAM, Millstream,
    "embedded.compression.type": Text = Is("none"), OneOf(EmbeddedCompression::NAMES), Low, Engine,
        "how batches lie in the embedded log";
    "embedded.log.segment.bytes": Long = Is("134217728"), AtLeast(1024), Low, Engine,
        "size at which the embedded log starts a new segment file";
    "embedded.num.partitions": Int = Is("1"), AtLeast(1), Medium, Engine,
        "partitions of a topic that the embedded log creates by itself";
    "group.topology.upgrade": Text = Is("manual"), OneOf(TopologyUpgrade::NAMES), Medium, Engine,
        "what to do when the group on the brokers has another topology, and may not change it";
    "log.flush": Text = Is("os"), OneOf(LogFlush::NAMES), Medium, Engine,
        "what the embedded log survives: a crash of the process (os) or of the machine (commit)";
    "statestore.memory.max.bytes": Long = Is("201326592"), AtLeast(16_777_216), Medium, Engine,
        "memory of all local stores on disk together: record caches, uncommitted writes, engine; rows kept at hand get the rest";
    "statestore.uncommitted.max.bytes": Long = Is("67108864"), AtLeast(0), Medium, Engine,
        "a thread commits early when its uncommitted state is larger than this";
}
