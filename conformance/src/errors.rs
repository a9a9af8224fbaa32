//! The names Kafka Streams' exceptions have in results, for Millstream's kinds of errors. The one
//! place that knows them: Millstream itself has no such names.

use millstream_types::{Error, ErrorKind};
use serde_json::{Value as Json, json};

use crate::functions::BOOM;
use crate::stop::ARGUMENT;

/// A refused topology.
pub(crate) const TOPOLOGY: &str = "TopologyException";
const STREAMS: &str = "StreamsException";
const STATE: &str = "ProcessorStateException";
const SERIALIZATION: &str = "SerializationException";

/// When an error came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// While the topology was built.
    Build,
    /// While it ran, or its driver started or closed.
    Running,
}

/// How the driver says that a commit could not flush the caches.
const FLUSH_FAILED: &str = "the commit could not flush the stores";

/// An exception and its innermost cause, for errors of a kind whose message holds a text. Where
/// Java tells apart what one kind is here, the text does. The first that fits counts.
const TABLE: &[(When, ErrorKind, &str, &str, &str)] = &[
    // Found in the whole topology here, and where it is said in Java.
    (When::Build, ErrorKind::Topology, "less than their size plus grace", ARGUMENT, ARGUMENT),
    (When::Build, ErrorKind::Topology, "the table it joins must be versioned", ARGUMENT, ARGUMENT),
    // Java finds what is wrong with sources before it looks at the history of tables.
    (When::Build, ErrorKind::Topology, "offset reset policies", TOPOLOGY, TOPOLOGY),
    (When::Build, ErrorKind::Topology, "- KSTREAM-SOURCE", TOPOLOGY, TOPOLOGY),
    (When::Build, ErrorKind::Topology, "is read by more than one source", TOPOLOGY, TOPOLOGY),
    (When::Build, ErrorKind::Topology, "also matches", TOPOLOGY, TOPOLOGY),
    (When::Build, ErrorKind::Topology, "-source forwards", TOPOLOGY, TOPOLOGY),
    (When::Build, ErrorKind::Topology, "has a grace period", ARGUMENT, ARGUMENT),
    (When::Build, ErrorKind::Topology, "", TOPOLOGY, TOPOLOGY),
    (When::Running, ErrorKind::Topology, "of a source's topic as a pattern", TOPOLOGY, TOPOLOGY),
    (When::Running, ErrorKind::State, "", ARGUMENT, ARGUMENT),
    (When::Running, ErrorKind::Configuration, "", ARGUMENT, ARGUMENT),
    (When::Running, ErrorKind::Corrupted, "", STATE, STATE),
    (When::Running, ErrorKind::Storage, "", STATE, STATE),
    (When::Running, ErrorKind::Deserialization, "", STREAMS, SERIALIZATION),
    (When::Running, ErrorKind::Production, "negative timestamp", STREAMS, ARGUMENT),
    (When::Running, ErrorKind::Processing, "negative timestamp", STREAMS, ARGUMENT),
    (When::Running, ErrorKind::Processing, "a time difference of 0", STREAMS, ARGUMENT),
];

/// Names of an exception and its innermost cause.
fn names(when: When, error: &Error) -> (&'static str, &'static str) {
    let fits =
        |row: &&(When, ErrorKind, &str, &str, &str)| row.0 == when && row.1 == error.kind() && says(error, row.2);
    let (class, root) = TABLE.iter().find(fits).map_or((STREAMS, STREAMS), |row| (row.3, row.4));
    // Whatever fails in a flush of the caches is put into an exception of the store.
    let class = if error.message() == FLUSH_FAILED { STATE } else { class };
    (class, if is_thrown_by_the_case(error) { BOOM } else { root })
}

/// Whether a function of the catalogue threw, and all else follows from it.
fn is_thrown_by_the_case(error: &Error) -> bool {
    says(error, BOOM)
}

/// Whether an error, or what caused it, holds a text.
fn says(error: &Error, text: &str) -> bool {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = next {
        if cause.to_string().contains(text) {
            return true;
        }
        next = cause.source();
    }
    false
}

/// Name of what `build` throws.
pub(crate) fn of_build(error: &Error) -> &'static str {
    if is_history_told_first(&error.to_string()) { ARGUMENT } else { names(When::Build, error).0 }
}

/// Whether a join with grace whose table keeps too little history comes before a source that reads a
/// topic once more: Java tells the first of them. Generated names are numbered in that order.
fn is_history_told_first(problems: &str) -> bool {
    let line = |text: &str| problems.lines().find(|line| line.contains(text));
    let number = |name: &str| name.trim_end_matches([')', ';']).rsplit('-').next()?.parse::<u64>().ok();
    let join = line("longer than store").and_then(|line| number(line.trim_start_matches("- ").split(' ').next()?));
    let source = line("is read by more than one source").and_then(|line| number(line.split([',', ';']).nth(1)?.trim()));
    join.zip(source).is_some_and(|(join, source)| join < source)
}

/// The `error` member of a result.
fn json(at: &str, (class, root): (&str, &str), error: &Error) -> Json {
    let message: String = error.to_string().chars().take(200).collect();
    json!({"at": at, "class": class, "root": root, "msg": message})
}

/// The `error` member for a topology that was refused with this class.
pub(crate) fn of_refusal(class: &str, error: &Error) -> Json {
    json("build", (class, class), error)
}

/// The `error` member for a step or the driver's start or close.
pub(crate) fn of_running(at: &str, error: &Error) -> Json {
    json(at, names(When::Running, error), error)
}

/// What the exception's name in a dead letter's headers is in Java; Millstream writes its kind. Where
/// that is not enough, the message tells.
pub(crate) fn in_dead_letter(kind: &str, message: &str) -> &'static str {
    match kind {
        "Deserialization" => "org.apache.kafka.common.errors.SerializationException",
        _ if ["negative timestamp", "exceeded its maximal capacity"].iter().any(|text| message.contains(text)) => {
            "org.apache.kafka.streams.errors.StreamsException"
        }
        _ => "oracle.Boom",
    }
}
