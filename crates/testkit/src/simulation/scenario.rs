//! The topologies that are simulated, each with its reference: a naive fold of the input in code of
//! its own, which the committed output, changelogs and stores must equal.

mod count;
mod foreign_key;
mod global;
mod join;
mod latest;
mod once;
mod sessions;
mod stream_join;
mod suppressed;
mod ticker;
mod versioned;
mod windows;

use std::collections::BTreeMap;
use std::time::Duration;

use millstream_topology::graph::Topology;
use millstream_types::{ProcessingGuarantee, RawRecord};

use super::observer::View;
use super::plan::Plan;

/// A topology to simulate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScenarioKind {
    /// Counts records by key.
    Count,
    /// Re-keys through a repartition topic and counts by key and tumbling window.
    Windows,
    /// A processor that counts into a store, and a stream-time punctuator that forwards the counts
    /// and deletes them.
    Ticker,
    /// A stream left-joined with a table.
    Join,
    /// A stream left-joined with a global table.
    Global,
    /// A processor that keeps the last value of each key and forwards every record: the same when
    /// it is done twice.
    Latest,
    /// A stream left-joined with another one, within windows.
    StreamJoin,
    /// A table left-joined with another one on a foreign key.
    ForeignKey,
    /// A stream left-joined with a versioned table.
    Versioned,
    /// Counts that are held back for a time.
    Suppressed,
    /// Counts by session, told when it closes.
    Sessions,
}

impl ScenarioKind {
    /// The scenarios of [`Plan::new`].
    pub const ALL: [Self; 6] = [Self::Count, Self::Windows, Self::Ticker, Self::Join, Self::Global, Self::Latest];

    /// Operators with more than one store, topic or moment to keep right: [`Plan::of_operators`].
    pub const OPERATORS: [Self; 5] =
        [Self::StreamJoin, Self::ForeignKey, Self::Versioned, Self::Suppressed, Self::Sessions];

    /// Whether its result is the same when records are processed twice, so that it can be run under
    /// `at_least_once`.
    pub fn may_repeat(self) -> bool {
        self == Self::Latest
    }

    /// The topics it reads.
    pub fn input_topics(self) -> &'static [&'static str] {
        match self {
            Self::Join | Self::Global | Self::StreamJoin | Self::ForeignKey | Self::Versioned => &["in", "side"],
            _ => &["in"],
        }
    }

    /// The topology.
    pub fn topology(self, plan: &Plan) -> millstream_types::Result<Topology> {
        match self {
            Self::Count => count::topology(plan),
            Self::Windows => windows::topology(plan),
            Self::Ticker => Ok(ticker::topology()),
            Self::Join => join::topology(plan),
            Self::Global => global::topology(),
            Self::Latest => Ok(latest::topology()),
            Self::StreamJoin => stream_join::topology(),
            Self::ForeignKey => foreign_key::topology(plan),
            Self::Versioned => versioned::topology(),
            Self::Suppressed => suppressed::topology(plan),
            Self::Sessions => sessions::topology(),
        }
    }

    /// Checks a moment of a run against the reference.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(self, plan: &Plan, view: &View) -> Result<(), String> {
        if plan.guarantee == ProcessingGuarantee::AtMostOnce {
            return once::check(self, plan, view);
        }
        match self {
            Self::Count => count::check(plan, view),
            Self::Windows => windows::check(plan, view),
            Self::Ticker => ticker::check(plan, view),
            Self::Join => join::check(plan, view),
            Self::Global => global::check(plan, view),
            Self::Latest => latest::check(plan, view),
            Self::StreamJoin => stream_join::check(plan, view),
            Self::ForeignKey => foreign_key::check(plan, view),
            Self::Versioned => versioned::check(plan, view),
            Self::Suppressed => suppressed::check(plan, view),
            Self::Sessions => sessions::check(plan, view),
        }
    }

    /// A store of the topology whose rows are its changelog's, and whether they begin with a timestamp.
    pub fn store(self) -> Option<(&'static str, bool)> {
        Some(match self {
            Self::Count => (count::STORE, true),
            Self::Windows => (windows::STORE, true),
            Self::Ticker => (ticker::STORE, false),
            Self::Join => (join::STORE, true),
            Self::Global => (global::STORE, true),
            Self::Latest => (latest::STORE, false),
            Self::ForeignKey => (foreign_key::STORE, true),
            Self::Suppressed => (suppressed::STORE, true),
            Self::Sessions => (sessions::STORE, false),
            Self::StreamJoin | Self::Versioned => return None,
        })
    }

    /// Whether a topic's records are processed by tasks, so that offsets are committed.
    pub fn reads(self, topic: &str) -> bool {
        let is_input = self.input_topics().contains(&topic) && !(self == Self::Global && topic == "side");
        is_input || topic.ends_with("-repartition") || topic.ends_with("-topic")
    }

    /// Checks the end of a run, when everything is processed.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check_end(self, plan: &Plan, view: &View) -> Result<(), String> {
        match self {
            _ if plan.guarantee == ProcessingGuarantee::AtMostOnce => once::check_end(self, plan, view),
            Self::ForeignKey => foreign_key::check_end(plan, view),
            Self::Latest if plan.is_exactly_once() || !plan.makes_zombies() => latest::check_end(plan, view),
            _ => Ok(()),
        }
    }
}

/// Longer than any run.
const NEVER: Duration = Duration::from_secs(86_400);

/// `application.id` of all runs.
pub const APPLICATION: &str = "app";

/// The changelog topic of a store.
pub fn changelog(store: &str) -> String {
    format!("{APPLICATION}-{store}-changelog")
}

/// Bytes as text, for comparing and reporting.
fn text(bytes: Option<&[u8]>) -> String {
    bytes.map_or_else(|| "null".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
}

fn key_of(record: &RawRecord) -> String {
    text(record.key.as_deref())
}

fn value_of(record: &RawRecord) -> String {
    text(record.value.as_deref())
}

/// A value of 8 bytes as a number.
fn number_of(record: &RawRecord) -> Option<i64> {
    record.value.as_deref().and_then(|bytes| Some(i64::from_be_bytes(bytes.try_into().ok()?)))
}

/// Last value of each key; deleted ones are gone.
fn last_by_key(records: &[RawRecord]) -> BTreeMap<Vec<u8>, RawRecord> {
    let mut last = BTreeMap::new();
    for record in records {
        let key = record.key.as_deref().unwrap_or_default().to_vec();
        match record.value {
            Some(_) => last.insert(key, record.clone()),
            None => last.remove(&key),
        };
    }
    last
}

/// Compares an output with what it should be, in order. While a transaction is open in the
/// partition, committed records behind it cannot be seen yet.
fn compare<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &[T],
    wanted: &[T],
    is_stable: bool,
) -> Result<(), String> {
    for (at, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        if found != wanted {
            return Err(format!("{what}: record {at} is {found:?} and should be {wanted:?}"));
        }
    }
    if found.len() > wanted.len() {
        return Err(format!("{what}: {:?} is more than the {} records there should be", found.last(), wanted.len()));
    }
    if found.len() < wanted.len() && is_stable {
        return Err(format!("{what}: ends after {} records, {:?} is missing", found.len(), wanted.get(found.len())));
    }
    Ok(())
}

/// Checks a stream of growing values per key: never the same or an older one again, and the last
/// one as it should be once everything can be seen.
fn compare_growing(
    what: &str,
    found: impl Iterator<Item = (String, i64)>,
    wanted: &BTreeMap<String, i64>,
    is_stable: bool,
) -> Result<(), String> {
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    for (key, value) in found {
        let before = last.insert(key.clone(), value).unwrap_or(0);
        if value <= before {
            return Err(format!("{what}: {key} goes from {before} to {value}"));
        }
        let most = wanted.get(&key).copied().unwrap_or(0);
        if value > most {
            return Err(format!("{what}: {key} is {value}, more than the {most} it should be"));
        }
    }
    if is_stable && last != *wanted {
        return Err(format!("{what}: ends as {last:?}, should be {wanted:?}"));
    }
    Ok(())
}
