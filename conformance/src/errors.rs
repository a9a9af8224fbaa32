//! The names Kafka Streams' exceptions have in results, for Millstream's kinds of errors. The one
//! place that knows them: Millstream itself has no such names.

use std::error::Error as _;

use millstream_types::{Error, ErrorKind};
use serde_json::{Value as Json, json};

use crate::functions::BOOM;

/// A refused argument of a call.
pub(crate) const ARGUMENT: &str = "IllegalArgumentException";
const TOPOLOGY: &str = "TopologyException";
const STREAMS: &str = "StreamsException";
const STATE: &str = "ProcessorStateException";

/// What Millstream finds in a topology as a whole, and Kafka Streams refuses where it is said.
const ARGUMENT_PROBLEMS: &[&str] = &["less than their size plus grace"];

/// Name of what `build` throws.
pub(crate) fn of_build(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Topology if ARGUMENT_PROBLEMS.iter().any(|problem| error.message().contains(problem)) => ARGUMENT,
        ErrorKind::Topology => TOPOLOGY,
        _ => STREAMS,
    }
}

/// Name of what a step of a running topology throws.
fn of_step(error: &Error) -> &'static str {
    if is_from_flush(error) {
        return STATE;
    }
    match error.kind() {
        ErrorKind::State | ErrorKind::Configuration => ARGUMENT,
        ErrorKind::Corrupted | ErrorKind::Storage => STATE,
        _ => STREAMS,
    }
}

/// How the driver says that a commit could not flush the caches.
const FLUSH_FAILED: &str = "the commit could not flush the stores";

/// Whether the error came out of a commit's flush of the record caches.
fn is_from_flush(error: &Error) -> bool {
    error.message() == FLUSH_FAILED
}

/// Name of the innermost cause.
fn root(error: &Error, class: &'static str) -> &'static str {
    let mut texts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        texts.push(cause.to_string());
        next = cause.source();
    }
    if texts.iter().any(|text| text.contains(BOOM)) {
        BOOM
    } else if error.kind() == ErrorKind::Deserialization {
        "SerializationException"
    } else {
        class
    }
}

/// The `error` member of a result.
pub(crate) fn json(at: &str, class: &'static str, error: &Error) -> Json {
    let message: String = error.to_string().chars().take(200).collect();
    json!({"at": at, "class": class, "root": root(error, class), "msg": message})
}

/// The `error` member for a step or the driver's start or close.
pub(crate) fn of_running(at: &str, error: &Error) -> Json {
    json(at, of_step(error), error)
}

/// What the exception's name in a dead letter's headers is in Java; Millstream writes its kind.
pub(crate) fn in_dead_letter(kind: &str) -> &'static str {
    if kind == "Deserialization" { "org.apache.kafka.common.errors.SerializationException" } else { "oracle.Boom" }
}
