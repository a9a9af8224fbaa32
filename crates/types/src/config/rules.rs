//! Checking all values at once, and what follows from several of them.

use std::collections::BTreeMap;

use super::client::{ClientSetting, Meaning, meaning, names_of, unread_behind_prefix};
use super::key::{KeyDefault, KeyReader, Value};
use super::keys::{APPLICATION_ID_RULE, OPTIMIZATION_RULE};
use super::{
    Bootstrap, Config, ConfigWarning, ConfigWarningKind, GroupProtocol, HostPort, Key, Optimizations, keys, shown,
};
use crate::{Error, ErrorKind};

/// Old names and those that took their place.
const DEPRECATED: [(&str, &str); 4] = [
    ("cache.max.bytes.buffering", "statestore.cache.max.bytes"),
    ("default.deserialization.exception.handler", "deserialization.exception.handler"),
    ("default.production.exception.handler", "production.exception.handler"),
    ("default.dsl.store", "dsl.store.suppliers.class"),
];

/// Client settings that the engine decides itself, as Kafka Streams does.
const NOT_OVERRIDABLE: [&str; 4] = ["enable.auto.commit", "allow.auto.create.topics", "group.id", "transactional.id"];
/// The same under `exactly_once_v2` only.
const NOT_OVERRIDABLE_EXACTLY_ONCE: [&str; 2] = ["isolation.level", "enable.idempotence"];
/// What a streams group says of its members, and how the group is told.
const OF_STREAMS_GROUP: [(&str, Option<&str>); 4] = [
    ("heartbeat.interval.ms", Some("group.streams.heartbeat.interval.ms")),
    ("max.warmup.replicas", None),
    ("num.standby.replicas", Some("group.streams.num.standby.replicas")),
    ("session.timeout.ms", Some("group.streams.session.timeout.ms")),
];

/// Checks what was given.
pub(super) fn build(given: BTreeMap<String, String>) -> Result<Config, Error> {
    let mut problems = Problems { given: &given, lines: Vec::new() };
    problems.check_each();
    let values = values(&given);
    let bootstrap = problems.parsed::<Bootstrap>("bootstrap.servers").unwrap_or(Bootstrap::Memory);
    let application_server = problems.parsed::<HostPort>("application.server");
    let optimizations = problems.optimizations();
    problems.check_application_id();
    let mut config =
        Config { given: BTreeMap::new(), values, bootstrap, application_server, optimizations, warnings: Vec::new() };
    derive_defaults(&mut config, &given);
    problems.check_together(&config);
    let lines = problems.lines;
    if !lines.is_empty() {
        let count = if lines.len() == 1 { "a problem".to_owned() } else { format!("{} problems", lines.len()) };
        let message = format!("the configuration has {count}:\n  {}", lines.join("\n  "));
        return Err(Error::new(ErrorKind::Configuration, message));
    }
    config.warnings = warnings(&given, &config);
    config.given = given;
    Ok(config)
}

/// The value of every known key. What cannot be read was reported already and counts as not given.
fn values(given: &BTreeMap<String, String>) -> BTreeMap<&'static str, Value> {
    let mut values: BTreeMap<&'static str, Value> = keys()
        .map(|key| {
            let text = names_of(key).iter().find_map(|name| given.get(name));
            let value = text.and_then(|text| key.read(text).ok());
            (key.name, value.unwrap_or_else(|| key.default_value()))
        })
        .collect();
    for (old, new) in DEPRECATED {
        if given.contains_key(old)
            && !given.contains_key(new)
            && let Some(value) = values.get(old).cloned()
        {
            values.insert(new, value);
        }
    }
    values
}

/// Defaults that depend on other values.
fn derive_defaults(config: &mut Config, given: &BTreeMap<String, String>) {
    const COMMIT_INTERVAL_EXACTLY_ONCE_MS: i64 = 100;
    if config.is_exactly_once() && !given.contains_key("commit.interval.ms") {
        config.values.insert("commit.interval.ms", Value::Number(COMMIT_INTERVAL_EXACTLY_ONCE_MS));
    }
    let session = config.number("session.timeout.ms");
    if !is_given(given, "heartbeat.interval.ms") {
        // Three signs of life within a session, as Kafka's defaults nearly have it.
        let heartbeat = config.number("heartbeat.interval.ms").min((session / 3).max(1));
        config.values.insert("heartbeat.interval.ms", Value::Number(heartbeat));
    }
}

/// Whether a client setting that the engine reads was given under any of its names.
fn is_given(given: &BTreeMap<String, String>, name: &str) -> bool {
    keys().filter(|key| key.name == name).flat_map(names_of).any(|name| given.contains_key(&name))
}

struct Problems<'a> {
    given: &'a BTreeMap<String, String>,
    lines: Vec<String>,
}

impl Problems<'_> {
    fn add(&mut self, key: &str, value: &str, must_be: &str) {
        self.lines.push(format!("{key} = {}: must be {must_be}", shown(key, value)));
    }

    /// Each given value by itself, and what is required.
    fn check_each(&mut self) {
        for (name, text) in self.given {
            if let (Meaning::Known(key), _) = meaning(name)
                && let Err(allowed) = key.read(text)
            {
                self.add(name, text, &allowed);
            }
        }
        for key in keys() {
            if key.default == KeyDefault::Required && !self.given.contains_key(key.name) {
                self.lines.push(format!("{}: must be given: {}", key.name, key.allowed_text()));
            }
        }
    }

    /// A value with a syntax of its own; empty text counts as not given where nothing is required.
    fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(&mut self, name: &'static str) -> Option<T> {
        let text = self.given.get(name)?;
        let is_optional = keys().any(|key| key.name == name && key.default != KeyDefault::Required);
        if text.trim().is_empty() && is_optional {
            return None;
        }
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.lines.push(format!("{name} = {text}: {error}"));
                None
            }
        }
    }

    fn optimizations(&mut self) -> Optimizations {
        let Some(text) = self.given.get("topology.optimization") else { return Optimizations::default() };
        Optimizations::parse(text).unwrap_or_else(|| {
            self.add("topology.optimization", text, OPTIMIZATION_RULE);
            Optimizations::default()
        })
    }

    /// It becomes part of topic names and the name of a directory.
    fn check_application_id(&mut self) {
        const LEN_MAX: usize = 200;
        let Some(text) = self.given.get("application.id") else { return };
        let id = text.trim();
        let known = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if id.is_empty() || id.len() > LEN_MAX || id == "." || id == ".." || !id.chars().all(known) {
            self.add("application.id", text, APPLICATION_ID_RULE);
        }
    }

    /// Rules over several keys.
    fn check_together(&mut self, config: &Config) {
        if config.is_exactly_once() {
            self.check_exactly_once(config);
        }
        let tags = config.rack_aware_assignment_tags();
        for tag in tags.iter().filter(|tag| !self.given.contains_key(&format!("client.tag.{tag}"))) {
            let must_be = format!("a list of tags that are given; client.tag.{tag} is not");
            self.add("rack.aware.assignment.tags", &tags.join(","), &must_be);
        }
        let (heartbeat, session) = (config.number("heartbeat.interval.ms"), config.number("session.timeout.ms"));
        if heartbeat >= session && is_given(self.given, "heartbeat.interval.ms") {
            self.add("heartbeat.interval.ms", &heartbeat.to_string(), &format!("below session.timeout.ms ({session})"));
        }
    }

    fn check_exactly_once(&mut self, config: &Config) {
        let (commit, timeout) = (config.number("commit.interval.ms"), config.number("transaction.timeout.ms"));
        if timeout < commit {
            let must_be = format!("at least commit.interval.ms ({commit}), or each transaction would time out");
            self.add("transaction.timeout.ms", &timeout.to_string(), &must_be);
        }
        for name in ["max.in.flight.requests.per.connection", "producer.max.in.flight.requests.per.connection"] {
            if let Some(text) = self.given.get(name)
                && !text.trim().parse::<i32>().is_ok_and(|count| count <= 5)
            {
                self.add(name, text, "at most 5 under exactly_once_v2");
            }
        }
    }
}

fn warnings(given: &BTreeMap<String, String>, config: &Config) -> Vec<ConfigWarning> {
    given
        .keys()
        .filter_map(|name| warning(name, config).map(|kind| ConfigWarning { key: name.clone(), kind }))
        .collect()
}

fn warning(name: &str, config: &Config) -> Option<ConfigWarningKind> {
    if let Some((_, instead)) = DEPRECATED.iter().find(|(old, _)| *old == name) {
        return Some(ConfigWarningKind::Deprecated { instead });
    }
    let (meaning, base) = meaning(name);
    if NOT_OVERRIDABLE.contains(&base) || (config.is_exactly_once() && NOT_OVERRIDABLE_EXACTLY_ONCE.contains(&base)) {
        return Some(ConfigWarningKind::NotOverridable);
    }
    let (needs_brokers, unread) = match meaning {
        Meaning::Unknown => return Some(ConfigWarningKind::Unknown),
        Meaning::JvmClient | Meaning::Known(Key { reader: KeyReader::Jvm, .. }) => {
            return Some(ConfigWarningKind::JvmOnly);
        }
        Meaning::Client(ClientSetting::Read)
        | Meaning::Group
        | Meaning::Known(Key { reader: KeyReader::Brokers, .. }) => (true, None),
        Meaning::Client(ClientSetting::Unread(why)) => (true, Some(why)),
        Meaning::Known(Key { reader: KeyReader::Nobody(why), .. }) => (false, Some(*why)),
        Meaning::Known(_) | Meaning::Free => (false, None),
    };
    let has_brokers = matches!(config.bootstrap, Bootstrap::Brokers(_));
    if needs_brokers && !has_brokers {
        return Some(ConfigWarningKind::NeedsBrokers);
    }
    if has_brokers
        && config.group_protocol() == GroupProtocol::Streams
        && let Some((_, instead)) = OF_STREAMS_GROUP.iter().find(|(name, _)| *name == base)
    {
        return Some(ConfigWarningKind::OfGroup { instead: *instead });
    }
    unread.or_else(|| unread_behind_prefix(name, base)).map(|why| ConfigWarningKind::Unread { why })
}
