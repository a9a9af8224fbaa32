//! What is odd about a configuration without making it wrong.

use std::fmt;

/// Something odd about a key that was given. The runtime logs each once, at start.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigWarning {
    /// The key, as it was given.
    pub key: String,
    /// What is odd.
    pub kind: ConfigWarningKind,
}

/// What is odd about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigWarningKind {
    /// No such key is known. It is kept for user code.
    Unknown,
    /// It has a meaning inside the JVM only.
    JvmOnly,
    /// Use the other key; where both are given this one is ignored.
    Deprecated {
        /// The key to use.
        instead: &'static str,
    },
    /// Only a connection to Kafka brokers reads it, and there is none.
    NeedsBrokers,
    /// The engine sets it itself, as Kafka Streams does.
    NotOverridable,
    /// A streams group takes it from its own settings on the brokers.
    OfGroup {
        /// The key that gives the group this setting, where groups have it.
        instead: Option<&'static str>,
    },
    /// Kafka's clients or Kafka Streams know it, Millstream does not act on it.
    Unread {
        /// Why not.
        why: &'static str,
    },
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.key)?;
        match self.kind {
            ConfigWarningKind::Unknown => f.write_str("unknown key, kept for user code"),
            ConfigWarningKind::JvmOnly => f.write_str("has a meaning inside the JVM only, ignored"),
            ConfigWarningKind::Deprecated { instead } => write!(f, "deprecated, use {instead}"),
            ConfigWarningKind::NeedsBrokers => f.write_str("only read when running on Kafka brokers, ignored"),
            ConfigWarningKind::OfGroup { instead } => {
                f.write_str("a setting of the group on the brokers with group.protocol = streams, ignored")?;
                instead.map_or(Ok(()), |instead| write!(f, "; {instead} sets it"))
            }
            ConfigWarningKind::Unread { why } => write!(f, "Millstream does not act on it, ignored: {why}"),
            ConfigWarningKind::NotOverridable => f.write_str("set by the engine itself, ignored"),
        }
    }
}
