//! Settings of the clients that Kafka Streams starts, which it takes with or without a prefix.

use std::collections::BTreeMap;

use ClientSetting::{Read, Unread};

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

/// What settings of the streams group begin with: brokers know them without `group.`.
const GROUP_PREFIX: &str = "group.streams.";

/// What a name that was given stands for.
pub(super) enum Meaning {
    /// A key of the table, perhaps behind a prefix.
    Known(&'static Key),
    /// A setting of Kafka's clients that stands in no table.
    Client(ClientSetting),
    /// A setting of Kafka's clients for the JVM.
    JvmClient,
    /// A setting of internal topics, or a client tag: the name is free.
    Free,
    /// A setting of the group, which brokers keep.
    Group,
    /// None of these.
    Unknown,
}

/// What becomes of a setting of Kafka's clients that stands in no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientSetting {
    /// A connection to Kafka reads it.
    Read,
    /// Nothing acts on it, and why.
    Unread(&'static str),
}

/// What a name stands for, and the name without its prefix.
pub(super) fn meaning(name: &str) -> (Meaning, &str) {
    if name.starts_with("topic.") || name.starts_with("client.tag.") {
        return (Meaning::Free, name);
    }
    if name.starts_with(GROUP_PREFIX) {
        return (Meaning::Group, name);
    }
    let base = CLIENT_PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    let meaning = if let Some(key) = find_key(base) {
        Meaning::Known(key)
    } else if is_jvm_setting(base) {
        Meaning::JvmClient
    } else if let Some(setting) = client_setting(base) {
        Meaning::Client(setting)
    } else {
        Meaning::Unknown
    };
    (meaning, base)
}

/// Why nothing reads a setting behind its prefix though it is known without: it is no client's, or a process has one client.
pub(super) fn unread_behind_prefix(name: &str, base: &str) -> Option<&'static str> {
    let is_of_writing = WRITING.contains(&base);
    let prefix = CLIENT_PREFIXES.iter().find(|prefix| name.starts_with(**prefix))?;
    if find_key(base).is_some_and(|key| key.origin != Origin::KafkaClient && key.reader != KeyReader::Brokers) {
        return Some("it is no setting of a single client: give it without prefix");
    }
    match *prefix {
        "consumer." | "main.consumer." => is_of_writing.then_some("it concerns writing: give it behind producer."),
        "producer." if is_of_writing => None,
        "producer." | "admin." if base == "security.protocol" => None,
        _ => Some("a process has one client: give it without prefix, or behind main.consumer."),
    }
}

impl Config {
    /// Settings given for a client: those without prefix that Kafka's clients know, then those with
    /// its prefixes, which win.
    pub fn client_configs(&self, client: Client) -> BTreeMap<String, String> {
        let mut configs = BTreeMap::new();
        for (key, value) in &self.given {
            let shared = find_key(key).map_or_else(
                || client_setting(key).is_some(),
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

    /// Settings that the application's streams group gets on the brokers, under the names that they have there:
    /// `group.streams.num.standby.replicas` is told as `streams.num.standby.replicas`.
    pub fn group_configs(&self) -> BTreeMap<String, String> {
        self.with_prefix(GROUP_PREFIX).map(|(name, value)| (format!("streams.{name}"), value)).collect()
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

/// The setting of Kafka's clients that has this name.
fn client_setting(name: &str) -> Option<ClientSetting> {
    if name.starts_with("sasl.") || name.starts_with("ssl.") {
        let is_known = name.starts_with("sasl.oauthbearer.") || SECURITY_SETTINGS.contains(&name);
        return is_known.then_some(Unread("TLS and SASL are not there yet"));
    }
    CLIENT_SETTINGS.iter().find(|(known, _)| *known == name).map(|(_, setting)| *setting)
}

fn is_jvm_setting(name: &str) -> bool {
    JVM_SETTINGS.contains(&name) || (name.starts_with("sasl.oauthbearer.") && name.rsplit('.').next() == Some("class"))
}

/// Settings of Kafka 4.3's consumer, producer and admin client that are in no other table.
const CLIENT_SETTINGS: &[(&str, ClientSetting)] = &[
    ("acks", DURABLE),
    ("allow.auto.create.topics", ENGINE),
    ("auto.commit.interval.ms", ENGINE),
    ("batch.size", Read),
    ("bootstrap.controllers", Unread("the engine talks to brokers only")),
    ("buffer.memory", Read),
    ("check.crcs", Unread("checksums are always checked")),
    ("client.dns.lookup", Unread("all addresses of a name are tried")),
    ("client.rack", Read),
    ("compression.gzip.level", LEVEL),
    ("compression.lz4.level", LEVEL),
    ("compression.type", Read),
    ("compression.zstd.level", LEVEL),
    ("default.api.timeout.ms", Read),
    ("delivery.timeout.ms", Read),
    ("enable.auto.commit", ENGINE),
    ("enable.idempotence", DURABLE),
    ("exclude.internal.topics", Unread("patterns match what they match")),
    ("fetch.max.bytes", Read),
    ("fetch.max.wait.ms", Read),
    ("fetch.min.bytes", Read),
    ("group.id", ENGINE),
    ("group.instance.id", Read),
    ("group.remote.assignor", ENGINE),
    ("isolation.level", ENGINE),
    ("linger.ms", Read),
    ("max.block.ms", Read),
    ("max.in.flight.requests.per.connection", Read),
    ("max.partition.fetch.bytes", Read),
    ("max.request.size", Read),
    ("metadata.max.idle.ms", Unread("metadata is kept of the topics that are used")),
    ("partitioner.adaptive.partitioning.enable", PARTITIONER),
    ("partitioner.availability.timeout.ms", PARTITIONER),
    ("partitioner.ignore.keys", PARTITIONER),
    ("retries", DURABLE),
    ("retry.backoff.max.ms", Unread("the pause between tries stays retry.backoff.ms")),
    ("socket.connection.setup.timeout.max.ms", Read),
    ("socket.connection.setup.timeout.ms", Read),
    ("transaction.two.phase.commit.enable", Unread("the engine ends its transactions itself")),
    ("transactional.id", ENGINE),
];

const DURABLE: ClientSetting = Unread("writes are always acks=all, idempotent, and tried until delivery.timeout.ms");
const ENGINE: ClientSetting = Unread("the engine decides on it");
const LEVEL: ClientSetting = Unread("the codecs have one level");
const PARTITIONER: ClientSetting = Unread("records without a key go to one partition for a batch");

/// Those that are read of the producer.
const WRITING: &[&str] = &[
    "batch.size",
    "buffer.memory",
    "compression.type",
    "delivery.timeout.ms",
    "linger.ms",
    "max.block.ms",
    "max.in.flight.requests.per.connection",
    "max.request.size",
    "transaction.timeout.ms",
];

/// Settings of TLS and SASL.
const SECURITY_SETTINGS: &[&str] = &[
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
