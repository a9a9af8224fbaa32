//! What the DSL knows of the nodes it wrote beyond their facts: what an optimiser must know, and
//! which internal names are not the user's.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::draft::Switch;
use crate::flow::NodeFactory;

/// Notes taken while a topology is written, read when it is built.
#[derive(Default)]
pub(crate) struct Outline {
    /// Operators after which records have other keys, in the order written. Those of a processor
    /// of the user's are not among them, as in Kafka Streams.
    pub(crate) key_changers: Vec<Arc<str>>,
    /// Operators that change values only.
    pub(crate) value_changers: HashSet<Arc<str>>,
    /// Merges of two streams, in the order written.
    pub(crate) merges: Vec<Arc<str>>,
    /// Joins that also take records with null keys: repartitions above them must let those pass.
    pub(crate) null_key_joins: HashSet<Arc<str>>,
    /// Repartitions of streams, in the order written.
    pub(crate) repartitions: Vec<Repartition>,
    /// Joins of two streams of one type, in the order written.
    pub(crate) stream_joins: Vec<StreamJoinNodes>,
    /// Stores of tables that are read from a topic, with the topic.
    pub(crate) source_tables: Vec<(Arc<str>, Arc<str>)>,
    /// Internal stores and topics whose names are generated, in the order of the calls.
    pub(crate) unnamed: Vec<Unnamed>,
    /// Nodes that a later call used again: they are written as late as that call, before the node
    /// of that position.
    pub(crate) written_late: HashMap<Arc<str>, usize>,
}

/// The three nodes around a repartition topic.
#[derive(Clone, Debug)]
pub(crate) struct Repartition {
    /// The topic, without the application id.
    pub(crate) topic: Arc<str>,
    /// What the topic should be called, where an earlier repartition has that name. Merging may free
    /// it.
    pub(crate) wanted: Option<Arc<str>>,
    /// Drops null keys unless `null_keys` is on.
    pub(crate) filter: Arc<str>,
    /// Writes the topic.
    pub(crate) sink: Arc<str>,
    /// Reads the topic.
    pub(crate) source: Arc<str>,
    /// The operator whose new keys made it necessary, if it may be merged with others of the same
    /// operator.
    pub(crate) key_changer: Option<Arc<str>>,
    /// Whether records with null keys pass.
    pub(crate) null_keys: Switch,
}

/// The nodes of a stream-stream join, and what becomes of them where both streams are one.
pub(crate) struct StreamJoinNodes {
    /// Keeps the records of the stream the join was called on.
    pub(crate) this_windowed: Arc<str>,
    /// Keeps the records of the other one.
    pub(crate) other_windowed: Arc<str>,
    /// The two sides.
    pub(crate) sides: [Arc<str>; 2],
    /// Where the results of both sides come together.
    pub(crate) merge: Arc<str>,
    /// The store of `this_windowed`.
    pub(crate) this_store: Arc<str>,
    /// The stores that a self-join over one store does not need.
    pub(crate) other_stores: Vec<Arc<str>>,
    /// The code of such a join.
    pub(crate) self_join: NodeFactory,
}

/// An internal store or topic with a generated name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unnamed {
    /// A store, with or without a changelog.
    Store { name: Arc<str>, is_logged: bool },
    /// A repartition topic.
    RepartitionTopic { name: Arc<str> },
}

impl Outline {
    /// What is unnamed, as sentences for a user who wants all names to be given
    /// (`ensure.explicit.internal.resource.naming`): changelogs, stores, repartition topics.
    pub(crate) fn unnamed_problems(&self) -> Vec<String> {
        let mut changelogs = Vec::new();
        let mut stores: Vec<&str> = Vec::new();
        let mut topics: Vec<&str> = Vec::new();
        for unnamed in &self.unnamed {
            match unnamed {
                Unnamed::Store { name, is_logged } => {
                    stores.push(name);
                    changelogs.extend(is_logged.then(|| format!("{name}-changelog")));
                }
                Unnamed::RepartitionTopic { name } => topics.push(name),
            }
        }
        let changelogs: Vec<&str> = changelogs.iter().map(String::as_str).collect();
        let sentence = |what: &str, names: &[&str], advice: &str| {
            (!names.is_empty()).then(|| format!("{what} without a name of yours: {}; {advice}", names.join(", ")))
        };
        [
            sentence("changelog topics", &changelogs, "name their stores"),
            sentence("stores", &stores, "name them with Materialized::named, StreamJoined or Suppressed"),
            sentence("repartition topics", &topics, "name them with Grouped, Joined, StreamJoined or Repartitioned"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
