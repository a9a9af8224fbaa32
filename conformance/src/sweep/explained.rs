//! Differences that are decided: `docs/differences.md` has each with its reason. They are counted
//! apart, so that whatever else differs is seen.

use serde_json::Value as Json;

use crate::{Verdict, compare};

/// Bytes below which a record cache holds so few entries that a scan decides which ones stay.
const TINY_CACHE: i64 = 4096;

/// The decision that explains a difference, if one does.
pub(super) fn reason(case: &Json, expected: &Json, actual: &Json) -> Option<&'static str> {
    let message = expected.pointer("/error/msg").and_then(Json::as_str).unwrap_or_default();
    if message.contains("Fatal user code error in deserialization error callback") {
        return Some("a dead letter at a negative time is written at time 0");
    }
    if message.contains("Found a null keyChangingChild node") {
        return Some("repartitions below merged streams are merged where that is right");
    }
    if case.pointer("/config/processing.guarantee").and_then(Json::as_str) == Some("exactly_once_v2")
        && compare(&without_unreadable(case, expected), &without_unreadable(case, actual)) == Verdict::Equal
    {
        return Some("the test driver keeps dead letters of unreadable records under exactly-once");
    }
    let text = case.to_string();
    if text.contains("9223372036854775807") && text.contains("\"ts\":\"v") {
        return Some("windows and joins of the last time there is");
    }
    if is_plain_global(case) {
        return Some("global stores have no record cache");
    }
    if message.is_empty() && actual.to_string().contains("unknown downstream node") {
        return Some("forwarding to a child that does not exist is fatal");
    }
    if text.contains("\"query\":\"windowRange\"")
        && text.contains("\"emit\":\"final\"")
        && text.contains("\"sliding\"")
        && compare(&without_answers(expected), &without_answers(actual)) == Verdict::Equal
    {
        return Some("ranges of keys of sliding windows that are told on close come by time");
    }
    let cache = case.pointer("/config/statestore.cache.max.bytes").and_then(Json::as_i64);
    if cache.is_some_and(|bytes| (2..TINY_CACHE).contains(&bytes)) && text.contains("\"op\":\"windowedBy\"") {
        return Some("a scan of windows counts as use of what it gives, not of what lies beside");
    }
    None
}

/// A result without answers to queries.
fn without_answers(result: &Json) -> Json {
    let mut result = result.clone();
    if let Some(members) = result.as_object_mut() {
        members.remove("queries");
    }
    result
}

/// A result without the dead letters of records that could not be read.
fn without_unreadable(case: &Json, result: &Json) -> Json {
    let mut result = result.clone();
    let topic = case.pointer("/config/errors.dead.letter.queue.topic.name").and_then(Json::as_str).unwrap_or_default();
    let letters = result.get_mut("outputs").and_then(|outputs| outputs.get_mut(topic)).and_then(Json::as_array_mut);
    if let Some(letters) = letters {
        letters.retain(|letter| !letter.to_string().contains("errors.SerializationException"));
    }
    result
}

/// Whether a global table has a cached store without timestamps, in which the cache would be seen.
fn is_plain_global(case: &Json) -> bool {
    let operators = case.get("topology").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    operators.iter().any(|op| {
        let kept = |member: &str| op.pointer(&format!("/mat/{member}"));
        op.get("op").and_then(Json::as_str) == Some("globalTable")
            && kept("store").and_then(Json::as_str) == Some("supplierPlain")
            && kept("caching").and_then(Json::as_bool) != Some(false)
    })
}
