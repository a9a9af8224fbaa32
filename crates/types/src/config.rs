//! Configuration as data: Kafka Streams' keys, from code, a properties file or the environment.
//!
//! Values are given as text under their keys, wherever they come from, and checked together at
//! [`ConfigBuilder::build`]. Components (a clock, a log, handlers that are code) are no
//! configuration; they are given to the runtime.

mod bootstrap;
mod builder;
mod choice;
mod client;
mod environment;
mod file;
mod getters;
mod key;
mod keys;
mod offset_reset;
mod properties;
mod rules;
mod warning;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use crate::Error;

pub use bootstrap::{Bootstrap, HostPort, NotAnAddress};
pub use builder::ConfigBuilder;
pub use choice::{
    DslStoreChoice, DslStoreFormat, EmbeddedCompression, GroupProtocol, HandlerChoice, LogFlush, MetricsLevel,
    ProcessingGuarantee, RackStrategy, TimestampExtractorChoice, TopologyUpgrade,
};
pub use client::Client;
pub use getters::{Optimizations, TaskIdle};
pub use key::{Allowed, Importance, Key, KeyDefault, KeyKind, KeyReader, Origin};
pub use keys::{find_key, keys};
pub use offset_reset::{OffsetReset, UnknownOffsetReset};
pub use warning::{ConfigWarning, ConfigWarningKind};

use key::Value;

/// A checked configuration.
///
/// ```
/// use millstream_types::config::{Bootstrap, Config, ProcessingGuarantee};
/// use std::time::Duration;
///
/// let file = Config::from_properties_str("application.id = flights\nnum.stream.threads = 2")?;
/// let code = Config::builder()
///     .bootstrap_servers("memory:")
///     .processing_guarantee(ProcessingGuarantee::ExactlyOnceV2);
/// let config = file.merge(code).build()?;
///
/// assert_eq!(config.application_id(), "flights");
/// assert_eq!(config.bootstrap(), &Bootstrap::Memory);
/// assert_eq!(config.commit_interval(), Duration::from_millis(100));
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Config {
    /// What the user gave, by key, as text.
    given: BTreeMap<String, String>,
    /// The value of every known key.
    values: BTreeMap<&'static str, Value>,
    bootstrap: Bootstrap,
    application_server: Option<HostPort>,
    optimizations: Optimizations,
    warnings: Vec<ConfigWarning>,
}

impl Config {
    /// Starts with nothing given.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }

    /// Starts with the keys of a file in Java's properties syntax, in UTF-8.
    ///
    /// # Errors
    /// `Configuration` when the file cannot be read or breaks the syntax. Values are checked at
    /// [`ConfigBuilder::build`].
    pub fn from_properties_file(path: impl AsRef<Path>) -> Result<ConfigBuilder, Error> {
        Self::from_properties_str(&file::read(path.as_ref())?)
    }

    /// Starts with the keys of a text in Java's properties syntax.
    ///
    /// # Errors
    /// `Configuration` when the text breaks the syntax.
    pub fn from_properties_str(text: &str) -> Result<ConfigBuilder, Error> {
        Ok(ConfigBuilder::from_map(properties::parse(text)?))
    }

    /// Starts with the environment variables of that prefix, [`Config::ENV_PREFIX`] as a rule:
    /// `MILLSTREAM_APPLICATION_ID` is `application.id`. An underscore is a dot, two are an
    /// underscore; the known keys that contain one are found with a single one too.
    pub fn from_env(prefix: &str) -> ConfigBuilder {
        ConfigBuilder::from_map(environment::parse(prefix, environment::variables()))
    }

    /// The usual prefix of environment variables.
    pub const ENV_PREFIX: &str = "MILLSTREAM_";

    /// All that was given, in the order of the keys, also keys that Millstream does not know: user
    /// code may read its own settings here, as from Kafka Streams' `appConfigs()`.
    pub fn app_configs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.given.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The value of a key as text: what was given, or the default of a known key. `None` where it
    /// has neither.
    pub fn get(&self, key: &str) -> Option<String> {
        match self.values.get(key) {
            Some(Value::Null) => None,
            Some(value) => Some(value.to_string()),
            None => self.given.get(key).cloned(),
        }
    }

    /// What is odd, once per key that was given, in the order of the keys.
    pub fn warnings(&self) -> &[ConfigWarning] {
        &self.warnings
    }

    /// What was given, in properties syntax. Holds secrets in clear: it is for writing a file, not
    /// for a log; use `Display` there.
    pub fn to_properties(&self) -> String {
        self.given.iter().map(|(key, value)| properties::line(key, value)).collect()
    }
}

/// The effective values, a line each, secrets left out.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: BTreeMap<&str, String> =
            self.values.iter().map(|(key, value)| (*key, value.to_string())).collect();
        for (key, value) in &self.given {
            lines.entry(key).or_insert_with(|| value.clone());
        }
        for (key, value) in lines {
            writeln!(f, "{key} = {}", shown(key, &value))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Config ")?;
        debug_given(&self.given, f)
    }
}

/// Given values as a map, secrets left out.
fn debug_given(given: &BTreeMap<String, String>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.debug_map().entries(given.iter().map(|(key, value)| (key, shown(key, value)))).finish()
}

/// The value, or a place-holder where the key's name says that it is a secret.
fn shown<'a>(key: &str, value: &'a str) -> &'a str {
    const SECRET: [&str; 7] = ["password", "secret", "jaas", "token", "passphrase", "ssl.keystore.key", "credential"];
    let key = key.to_ascii_lowercase();
    if SECRET.iter().any(|word| key.contains(word)) { "[hidden]" } else { value }
}
