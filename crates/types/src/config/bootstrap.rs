//! `bootstrap.servers`: which log the application runs on.

use std::fmt;
use std::path::PathBuf;

/// Which log the application runs on.
///
/// ```
/// use millstream_types::config::Bootstrap;
///
/// assert_eq!("embedded:data/log".parse(), Ok(Bootstrap::Embedded("data/log".into())));
/// assert_eq!("memory:".parse(), Ok(Bootstrap::Memory));
/// assert!("broker".parse::<Bootstrap>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bootstrap {
    /// The embedded log in this directory: `embedded:DIR`.
    Embedded(PathBuf),
    /// The embedded log in memory, gone with the process: `memory:`.
    Memory,
    /// Kafka brokers: `host:port,…`.
    Brokers(Vec<HostPort>),
}

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// Name or address; IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// A text names no log or host; what is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub struct NotAnAddress(&'static str);

/// What `bootstrap.servers` accepts.
pub(super) const BOOTSTRAP_RULE: &str =
    "`host:port,…` (Kafka brokers), `embedded:DIR` (a log in that directory) or `memory:`";
/// What a host and port look like.
pub(super) const HOST_PORT_RULE: &str = "`host:port`";

impl std::str::FromStr for Bootstrap {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        const REFUSED: NotAnAddress = NotAnAddress(BOOTSTRAP_RULE);
        let text = text.trim();
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        if let Some(dir) = text.strip_prefix("embedded:") {
            return if dir.trim().is_empty() { Err(REFUSED) } else { Ok(Self::Embedded(dir.trim().into())) };
        }
        let brokers = text.split(',').map(str::trim).map(str::parse).collect::<Result<Vec<HostPort>, _>>();
        Ok(Self::Brokers(brokers.map_err(|_| REFUSED)?))
    }
}

impl std::str::FromStr for HostPort {
    type Err = NotAnAddress;

    /// Takes what Kafka's clients take: `host:port`, `[v6]:port`, and a scheme before it.
    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        const REFUSED: NotAnAddress = NotAnAddress(HOST_PORT_RULE);
        let text = text.trim();
        let address = text.split_once("://").map_or(text, |(_, address)| address);
        let (host, port) = address.rsplit_once(':').ok_or(REFUSED)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let known = |c: char| c.is_ascii_alphanumeric() || "-%._:".contains(c);
        if host.is_empty() || !host.chars().all(known) {
            return Err(REFUSED);
        }
        Ok(Self { host: host.to_owned(), port: port.parse().map_err(|_| REFUSED)? })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(dir) => write!(f, "embedded:{}", dir.display()),
            Self::Memory => f.write_str("memory:"),
            Self::Brokers(brokers) => {
                let brokers: Vec<String> = brokers.iter().map(ToString::to_string).collect();
                f.write_str(&brokers.join(","))
            }
        }
    }
}
