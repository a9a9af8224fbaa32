//! Settings of the clients, under Kafka's own keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_log::batch::Compression;
use millstream_types::clock::millis;
use millstream_types::config::{Client as Of, HostPort};
use millstream_types::{Config, Error, ErrorKind, Result};

use crate::client::ClientOptions;
use crate::reader::FetchOptions;
use crate::writer::ProduceOptions;

/// As good as for ever, in ms: 300,000 years. A longer time counts as this, so that times can be added to each other.
const NEVER_MS: i64 = i64::MAX / 1_000_000;

/// How far apart fetches are at most where nothing is seen before it is committed, in ms, and as a part of the time
/// between commits: what is read later than the commit needs it makes requests and nothing else.
const FETCHES_APART_MS: i64 = 4;
const FETCHES_APART_PART: i64 = 3;

/// What an answer has beside the records that it is asked for, at most.
const OVERHEAD_BYTES: usize = 1024 * 1024;

/// What the clients of one application are set to.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) client: ClientOptions,
    pub(crate) fetch: FetchOptions,
    pub(crate) produce: ProduceOptions,
}

impl Settings {
    /// Reads the settings; those that are not given are Kafka's, or Kafka Streams' where it has its own.
    ///
    /// # Errors
    /// `Configuration` that tells every bad value.
    pub(crate) fn of(config: &Config, bootstrap: &[HostPort], seed: u64) -> Result<Self> {
        let mut problems = missing(config);
        let mut client = ClientOptions::new(bootstrap.to_vec(), seed);
        let mut fetch = FetchOptions::default();
        let mut produce = ProduceOptions::default();

        let mut given = Given { values: config.client_configs(Of::MainConsumer), problems: &mut problems };
        given.millis("request.timeout.ms", &mut client.request_timeout_ms);
        given.millis("retry.backoff.ms", &mut client.retry_backoff_ms);
        given.millis("reconnect.backoff.ms", &mut client.reconnect_backoff_ms);
        given.millis("reconnect.backoff.max.ms", &mut client.reconnect_backoff_max_ms);
        given.millis("socket.connection.setup.timeout.ms", &mut client.connection_setup_timeout_ms);
        given.millis("socket.connection.setup.timeout.max.ms", &mut client.connection_setup_timeout_max_ms);
        given.millis_or_never("connections.max.idle.ms", &mut client.connections_max_idle_ms);
        given.millis("metadata.max.age.ms", &mut client.metadata_max_age_ms);
        given.millis("default.api.timeout.ms", &mut client.api_timeout_ms);
        given.rebootstrap(&mut client.rebootstrap_trigger_ms);
        given.number("fetch.max.wait.ms", &mut fetch.wait_max_ms);
        given.number("fetch.min.bytes", &mut fetch.bytes_min);
        given.number("fetch.max.bytes", &mut fetch.bytes_max);
        given.number("max.partition.fetch.bytes", &mut fetch.partition_bytes_max);
        let fetched = usize::try_from(fetch.bytes_max).unwrap_or(0).saturating_add(OVERHEAD_BYTES);
        client.frame_bytes_max = client.frame_bytes_max.max(fetched);
        if let Some(rack) = given.values.get("client.rack") {
            fetch.rack.clone_from(rack);
        }
        if config.is_exactly_once() {
            fetch.apart_ms = FETCHES_APART_MS.min(millis(config.commit_interval()) / FETCHES_APART_PART);
        }

        let mut given = Given { values: config.client_configs(Of::Producer), problems: &mut problems };
        given.millis("linger.ms", &mut produce.linger_ms);
        given.number("batch.size", &mut produce.batch_bytes);
        if given.values.contains_key("batch.size") {
            produce.batch_bytes_max = produce.batch_bytes;
        }
        given.number("max.request.size", &mut produce.request_bytes_max);
        given.millis("delivery.timeout.ms", &mut produce.delivery_timeout_ms);
        given.millis("max.block.ms", &mut produce.block_max_ms);
        given.number("buffer.memory", &mut produce.buffer_bytes_max);
        given.number("max.in.flight.requests.per.connection", &mut produce.in_flight_max);
        // More than five in flight and the broker could not tell a repeated batch from a new one.
        produce.in_flight_max = produce.in_flight_max.clamp(1, 5);
        given.compression(&mut produce.compression);
        produce.commits_often = millis(config.commit_interval()) < produce.linger_ms;
        produce.transaction_timeout_ms = i32::try_from(config.transaction_timeout().as_millis()).unwrap_or(i32::MAX);
        config.client_id().unwrap_or_else(|| config.application_id()).clone_into(&mut client.client_id);
        client.has_client_id = config.client_id().is_some();

        if problems.is_empty() {
            return Ok(Self { client, fetch, produce });
        }
        Err(Error::new(ErrorKind::Configuration, problems.join("\n")))
    }

    /// The settings of a writer.
    pub(crate) fn writer(&self, transactional_id: Option<&str>) -> ProduceOptions {
        ProduceOptions { transactional_id: transactional_id.map(Arc::from), ..self.produce.clone() }
    }
}

/// What is asked for and not there yet. Going on with something else would be worse than stopping.
fn missing(config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    let secure = |of: Of| config.client_configs(of).get("security.protocol").cloned();
    for protocol in [Of::MainConsumer, Of::Producer, Of::Admin].into_iter().filter_map(secure) {
        let problem = format!("security.protocol: {protocol} is not there yet, only PLAINTEXT is");
        if !protocol.eq_ignore_ascii_case("PLAINTEXT") && !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    problems
}

/// Values as they were given.
struct Given<'a> {
    values: BTreeMap<String, String>,
    problems: &'a mut Vec<String>,
}

impl Given<'_> {
    /// Kafka's clients take no number below 0, with one exception.
    fn number<T: std::str::FromStr + PartialOrd + Default>(&mut self, key: &str, target: &mut T) {
        let Some(text) = self.values.get(key) else { return };
        match text.trim().parse() {
            Ok(value) if value >= T::default() => *target = value,
            _ => self.problems.push(format!("{key}: {text} is no number that fits")),
        }
    }

    fn millis(&mut self, key: &str, target: &mut i64) {
        self.number(key, target);
        *target = NEVER_MS.min(*target);
    }

    /// A time that is without limit if it is below 0.
    fn millis_or_never(&mut self, key: &str, target: &mut i64) {
        let is_below_0 = |text: &String| text.trim().parse().is_ok_and(|number: i64| number < 0);
        if self.values.get(key).is_some_and(is_below_0) {
            *target = NEVER_MS;
        } else {
            self.millis(key, target);
        }
    }

    fn rebootstrap(&mut self, target: &mut Option<i64>) {
        let mut trigger_ms = target.unwrap_or_default();
        self.millis("metadata.recovery.rebootstrap.trigger.ms", &mut trigger_ms);
        let strategy = self.values.get("metadata.recovery.strategy");
        *target = Some(trigger_ms).filter(|_| !strategy.is_some_and(|text| text.eq_ignore_ascii_case("none")));
    }

    fn compression(&mut self, target: &mut Compression) {
        let Some(text) = self.values.get("compression.type") else { return };
        match text.as_str() {
            "none" => *target = Compression::None,
            "gzip" => *target = Compression::Gzip,
            "snappy" => *target = Compression::Snappy,
            "lz4" => *target = Compression::Lz4,
            "zstd" => *target = Compression::Zstd,
            _ => self.problems.push(format!("compression.type: {text} is none of none, gzip, snappy, lz4, zstd")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_are_read_are_those_that_are_not_warned_of() {
        let source = include_str!("settings.rs");
        let read = source.split("given.").skip(1).filter(|rest| rest.starts_with(['n', 'm']));
        let read = read.filter_map(|rest| rest.split('"').nth(1));
        let read: Vec<&str> = read.filter(|name| name.ends_with(char::is_alphabetic) && name.contains('.')).collect();
        assert!(read.len() >= 20, "{read:?}");
        for name in read.into_iter().chain(["client.rack", "compression.type", "metadata.recovery.strategy"]) {
            let value = if name.ends_with("strategy") { "none" } else { "5" };
            let config = Config::builder().application_id("app").bootstrap_servers("b:9092").set(name, value).build();
            assert_eq!(config.unwrap().warnings(), [], "{name}");
        }
    }

    fn settings(given: &[(&str, &str)]) -> Result<Settings> {
        let config = Config::builder().application_id("app").bootstrap_servers("b:9092");
        let config = given.iter().fold(config, |config, (key, value)| config.set(*key, value));
        Settings::of(&config.build()?, &[], 1)
    }

    #[test]
    fn fetches_are_apart_where_nothing_is_seen_before_it_is_committed() {
        let apart_ms = |guarantee, interval: &str| {
            let given = [("processing.guarantee", guarantee), ("commit.interval.ms", interval)];
            settings(&given).unwrap().fetch.apart_ms
        };
        let once = |interval| apart_ms("exactly_once_v2", interval);
        assert_eq!((once("100"), once("10"), once("1")), (4, 3, 0));
        assert_eq!(apart_ms("at_least_once", "100"), 0);
    }

    #[test]
    fn times_for_ever_can_be_added_to_each_other() {
        let longest = i64::MAX.to_string();
        let times = ["metadata.max.age.ms", "retry.backoff.ms", "default.api.timeout.ms", "delivery.timeout.ms"];
        let given: Vec<_> = times.iter().map(|key| (*key, &*longest)).collect();
        let Settings { client, produce, .. } = settings(&given).unwrap();
        let sum = [client.metadata_max_age_ms, client.retry_backoff_ms, client.api_timeout_ms]
            .into_iter()
            .try_fold(produce.delivery_timeout_ms, |sum, ms| (ms == NEVER_MS).then(|| sum.checked_add(ms))?);
        assert!(sum.is_some(), "{client:?}");
        let idle = |text| settings(&[("connections.max.idle.ms", text)]).unwrap().client.connections_max_idle_ms;
        assert_eq!((idle("-1"), idle(&longest), idle("5")), (NEVER_MS, NEVER_MS, 5));
    }

    #[test]
    fn numbers_below_0_are_told() {
        for key in ["default.api.timeout.ms", "producer.linger.ms", "max.block.ms", "consumer.fetch.max.wait.ms"] {
            let error = settings(&[(key, "-1")]).unwrap_err();
            let name = key.rsplit_once("er.").map_or(key, |(_, name)| name);
            assert!(error.kind() == ErrorKind::Configuration && error.message().contains(name), "{error}");
        }
    }

    #[test]
    fn what_is_fetched_at_once_is_taken_at_once() {
        let of = |bytes: i32| settings(&[("fetch.max.bytes", &bytes.to_string())]).unwrap().client.frame_bytes_max;
        assert_eq!(of(1), 128 * 1024 * 1024);
        assert!(of(i32::MAX) > i32::MAX.unsigned_abs() as usize);
    }

    #[test]
    fn settings_come_from_kafkas_keys_and_all_problems_are_told() {
        let config = Config::builder()
            .application_id("app")
            .bootstrap_servers("b:9092")
            .set("consumer.fetch.max.wait.ms", 7)
            .set("producer.batch.size", 100)
            .set("request.timeout.ms", 9)
            .set("metadata.recovery.strategy", "NONE")
            .build()
            .unwrap();
        let settings = Settings::of(&config, &[], 1).unwrap();
        assert_eq!((settings.fetch.wait_max_ms, settings.produce.batch_bytes), (7, 100));
        assert_eq!(settings.produce.batch_bytes_max, 100, "a size that is given is the largest, too");
        assert_eq!(settings.client.rebootstrap_trigger_ms, None);
        assert_eq!((settings.client.request_timeout_ms, settings.client.client_id.as_str()), (9, "app"));
        let config = Config::builder()
            .application_id("app")
            .bootstrap_servers("b:9092")
            .set("producer.compression.type", "brotli")
            .set("security.protocol", "SSL")
            .build()
            .unwrap();
        let error = Settings::of(&config, &[], 1).unwrap_err().to_string();
        for problem in ["brotli", "SSL"] {
            assert!(error.contains(problem), "{error}");
        }
    }
}
