//! Sources of the DSL: what they read, and which streams share one.

use std::fmt;
use std::sync::Arc;

use millstream_types::Serde;
use millstream_types::config::OffsetReset;

use super::draft::Draft;
use super::options::Consumed;
use crate::flow::{SourceFactory, SourceSpec};
use crate::graph::{NodeCode, NodeKind, SourceFacts};

/// What a source reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subscription {
    /// Topics, sorted, each once.
    Topics(Vec<Arc<str>>),
    /// Topics that match a regular expression.
    Pattern(String),
}

/// A source that further streams of the same topics are read from.
#[derive(Clone, Debug)]
pub(crate) struct SharedSource {
    pub(crate) subscription: Subscription,
    pub(crate) node: Arc<str>,
    pub(crate) reset: Option<OffsetReset>,
}

impl Subscription {
    pub(crate) fn topics(topics: &[&str]) -> Self {
        let mut sorted: Vec<Arc<str>> = topics.iter().map(|topic| Arc::from(*topic)).collect();
        sorted.sort();
        sorted.dedup();
        Self::Topics(sorted)
    }
}

impl fmt::Display for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topics(topics) => write!(f, "topic {}", topics.join(", ")),
            Self::Pattern(pattern) => write!(f, "topic pattern {pattern}"),
        }
    }
}

impl Draft {
    /// Writes a source.
    pub(crate) fn source<K, V>(
        &mut self,
        node: &str,
        subscription: Subscription,
        consumed: Consumed<K, V>,
        key: Serde<K>,
        value: Serde<V>,
    ) where
        K: Clone + Send + 'static,
        V: Clone + Send + 'static,
    {
        let spec = SourceSpec { key, value, timestamp_extractor: consumed.timestamp_extractor };
        let (topics, pattern) = match subscription {
            Subscription::Topics(topics) => (topics, None),
            Subscription::Pattern(pattern) => (Vec::new(), Some(pattern)),
        };
        let kind = NodeKind::Source(SourceFacts { topics, pattern, reset: consumed.reset });
        self.topology.push(node, kind, &[], NodeCode::Source(SourceFactory::new(spec)));
    }
}
