//! Settings of the clients that Kafka Streams starts, which it takes with or without a prefix.

use std::collections::BTreeMap;

use super::key::{Key, KeyReader, Origin};
use super::{Config, find_key};

/// Which client a setting is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Reads the input of tasks.
    MainConsumer,
    /// Reads changelogs.
    RestoreConsumer,
    /// Reads the topics of global tables.
    GlobalConsumer,
    /// Writes.
    Producer,
    /// Creates topics and asks for offsets.
    Admin,
}

impl Client {
    /// Prefixes of its settings, the one that wins last.
    fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::MainConsumer => &["consumer.", "main.consumer."],
            Self::RestoreConsumer => &["consumer.", "restore.consumer."],
            Self::GlobalConsumer => &["consumer.", "global.consumer."],
            Self::Producer => &["producer."],
            Self::Admin => &["admin."],
        }
    }
}

/// All prefixes of client settings. None begins with another.
const CLIENT_PREFIXES: [&str; 6] =
    ["consumer.", "main.consumer.", "restore.consumer.", "global.consumer.", "producer.", "admin."];

/// What a name that was given stands for.
pub(super) enum Meaning {
    /// A key of the table, perhaps behind a prefix.
    Known(&'static Key),
    /// A setting of Kafka's clients that Millstream passes on.
    Client,
    /// A setting of Kafka's clients for the JVM.
    JvmClient,
    /// A setting of internal topics, or a client tag: the name is free.
    Free,
    /// None of these.
    Unknown,
}

/// What a name stands for, and the name without its prefix.
pub(super) fn meaning(name: &str) -> (Meaning, &str) {
    if name.starts_with("topic.") || name.starts_with("client.tag.") {
        return (Meaning::Free, name);
    }
    let base = CLIENT_PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    let meaning = if let Some(key) = find_key(base) {
        Meaning::Known(key)
    } else if is_jvm_setting(base) {
        Meaning::JvmClient
    } else if is_client_setting(base) {
        Meaning::Client
    } else {
        Meaning::Unknown
    };
    (meaning, base)
}

impl Config {
    /// Settings given for a client: those without prefix that Kafka's clients know, then those with
    /// its prefixes, which win.
    pub fn client_configs(&self, client: Client) -> BTreeMap<String, String> {
        let mut configs = BTreeMap::new();
        for (key, value) in &self.given {
            let shared = find_key(key).map_or_else(
                || is_client_setting(key),
                |key| key.reader == KeyReader::Brokers || key.origin == Origin::KafkaClient,
            );
            if shared {
                configs.insert(key.clone(), value.clone());
            }
        }
        for prefix in client.prefixes() {
            configs.extend(self.with_prefix(prefix));
        }
        configs
    }

    /// Settings of internal topics: `topic.` without the prefix.
    pub fn topic_configs(&self) -> BTreeMap<String, String> {
        self.with_prefix("topic.").collect()
    }

    /// Tags of this instance, by name: `client.tag.` without the prefix.
    pub fn client_tags(&self) -> BTreeMap<String, String> {
        self.with_prefix("client.tag.").collect()
    }

    /// `group.instance.id` of the main consumer: makes the threads static members, where groups have them.
    pub fn group_instance_id(&self) -> Option<String> {
        self.client_configs(Client::MainConsumer).remove("group.instance.id").filter(|id| !id.is_empty())
    }

    fn with_prefix(&self, prefix: &str) -> impl Iterator<Item = (String, String)> {
        self.given.iter().filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone())))
    }
}

/// Names under which a client setting that the engine reads may be given, the one that wins first.
pub(super) fn names_of(key: &Key) -> Vec<String> {
    let prefixes: &[&str] = match (key.origin, key.name) {
        (Origin::KafkaClient, "transaction.timeout.ms") => &["producer.", ""],
        (Origin::KafkaClient, _) => &["main.consumer.", "consumer.", ""],
        _ => &[""],
    };
    prefixes.iter().map(|prefix| format!("{prefix}{}", key.name)).collect()
}

fn is_client_setting(name: &str) -> bool {
    CLIENT_SETTINGS.contains(&name) || name.starts_with("sasl.oauthbearer.")
}

/// Whether nothing acts on a setting, though it is known.
pub(super) fn is_unread(name: &str) -> bool {
    UNREAD.contains(&name) || (is_client_setting(name) && !READ.contains(&name))
}

fn is_jvm_setting(name: &str) -> bool {
    JVM_SETTINGS.contains(&name) || (name.starts_with("sasl.oauthbearer.") && name.rsplit('.').next() == Some("class"))
}

/// Those of the settings below that a connection to Kafka reads.
const READ: &[&str] = &[
    "batch.size",
    "buffer.memory",
    "client.rack",
    "compression.type",
    "default.api.timeout.ms",
    "delivery.timeout.ms",
    "fetch.max.bytes",
    "fetch.max.wait.ms",
    "fetch.min.bytes",
    "linger.ms",
    "max.block.ms",
    "max.in.flight.requests.per.connection",
    "max.partition.fetch.bytes",
    "max.request.size",
    "socket.connection.setup.timeout.max.ms",
    "socket.connection.setup.timeout.ms",
];

/// Keys with a place in the tables that nothing acts on yet.
const UNREAD: &[&str] = &[
    "acceptable.recovery.lag",
    "allow.os.group.write.access",
    "enable.metrics.push",
    "log.summary.interval.ms",
    "max.poll.records",
    "max.warmup.replicas",
    "probing.rebalance.interval.ms",
    "rack.aware.assignment.non_overlap_cost",
    "rack.aware.assignment.strategy",
    "rack.aware.assignment.tags",
    "rack.aware.assignment.traffic_cost",
    "receive.buffer.bytes",
    "send.buffer.bytes",
    "state.cleanup.delay.ms",
    "state.cleanup.dir.max.age.ms",
    "upgrade.from",
];

/// Settings of Kafka 4.3's consumer, producer and admin client that are in no other table.
const CLIENT_SETTINGS: &[&str] = &[
    "acks",
    "allow.auto.create.topics",
    "auto.commit.interval.ms",
    "batch.size",
    "bootstrap.controllers",
    "buffer.memory",
    "check.crcs",
    "client.dns.lookup",
    "client.rack",
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.type",
    "compression.zstd.level",
    "default.api.timeout.ms",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.idempotence",
    "exclude.internal.topics",
    "fetch.max.bytes",
    "fetch.max.wait.ms",
    "fetch.min.bytes",
    "group.id",
    "group.instance.id",
    "group.remote.assignor",
    "isolation.level",
    "linger.ms",
    "max.block.ms",
    "max.in.flight.requests.per.connection",
    "max.partition.fetch.bytes",
    "max.request.size",
    "metadata.max.idle.ms",
    "partitioner.adaptive.partitioning.enable",
    "partitioner.availability.timeout.ms",
    "partitioner.ignore.keys",
    "retries",
    "retry.backoff.max.ms",
    "sasl.jaas.config",
    "sasl.kerberos.kinit.cmd",
    "sasl.kerberos.min.time.before.relogin",
    "sasl.kerberos.service.name",
    "sasl.kerberos.ticket.renew.jitter",
    "sasl.kerberos.ticket.renew.window.factor",
    "sasl.login.connect.timeout.ms",
    "sasl.login.read.timeout.ms",
    "sasl.login.refresh.buffer.seconds",
    "sasl.login.refresh.min.period.seconds",
    "sasl.login.refresh.window.factor",
    "sasl.login.refresh.window.jitter",
    "sasl.login.retry.backoff.max.ms",
    "sasl.login.retry.backoff.ms",
    "sasl.mechanism",
    "socket.connection.setup.timeout.max.ms",
    "socket.connection.setup.timeout.ms",
    "ssl.cipher.suites",
    "ssl.enabled.protocols",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.password",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.protocol",
    "ssl.truststore.certificates",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
    "transaction.two.phase.commit.enable",
    "transactional.id",
];

/// Those that name Java classes, or otherwise only mean something to Kafka's Java clients.
const JVM_SETTINGS: &[&str] = &[
    "interceptor.classes",
    "internal.throw.on.fetch.stable.offset.unsupported",
    "key.deserializer",
    "key.serializer",
    "partition.assignment.strategy",
    "partitioner.class",
    "sasl.client.callback.handler.class",
    "sasl.login.callback.handler.class",
    "sasl.login.class",
    "security.providers",
    "share.acknowledgement.mode",
    "share.acquire.mode",
    "ssl.engine.factory.class",
    "ssl.keymanager.algorithm",
    "ssl.provider",
    "ssl.secure.random.implementation",
    "ssl.trustmanager.algorithm",
    "value.deserializer",
    "value.serializer",
];
