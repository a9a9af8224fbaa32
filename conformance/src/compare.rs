//! Compares a result with what Kafka Streams gave, member by member, and says readably what differs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

/// How a result compares with the expected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Equal in everything.
    Equal,
    /// The first difference, for people.
    Differs(String),
    /// Millstream does not do this yet.
    Unsupported(String),
}

/// Compares a result with the expected one.
#[must_use]
pub fn compare(expected: &Json, actual: &Json) -> Verdict {
    if let Some(what) = actual.get("unsupported") {
        return Verdict::Unsupported(what.to_string());
    }
    match difference(expected, actual) {
        Some(text) => Verdict::Differs(text),
        None => Verdict::Equal,
    }
}

fn difference(expected: &Json, actual: &Json) -> Option<String> {
    if let Some(what) = actual.get("bad") {
        return Some(format!("bad: {what}"));
    }
    let error =
        |result: &Json| result.get("error").map(|error| (error.get("at").cloned(), error.get("class").cloned()));
    if error(expected) != error(actual) {
        return Some(two("error", expected.get("error"), actual.get("error")));
    }
    let has_failed = expected.get("error").is_some();
    let empty = Map::new();
    let members = |result, member: &str| -> BTreeMap<String, Json> {
        let found = Json::get(result, member).and_then(Json::as_object).unwrap_or(&empty);
        found.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let named = |member: &str, sorts: bool| {
        let (expected, actual) = (members(expected, member), members(actual, member));
        let names: BTreeSet<&String> = expected.keys().chain(actual.keys()).collect();
        names.into_iter().find_map(|name| {
            let (one, two) =
                (expected.get(name).map(|it| sorted(it, sorts)), actual.get(name).map(|it| sorted(it, sorts)));
            (one != two).then(|| lists(&format!("{member} {name}"), one.as_ref(), two.as_ref()))
        })
    };
    let whole = |member: &str| {
        let (one, two) = (expected.get(member), actual.get(member));
        (one != two).then(|| lists(member, one, two))
    };
    named("outputs", false)
        .or_else(|| if has_failed { None } else { named("stores", true) })
        .or_else(|| queries(expected.get("queries"), actual.get("queries")))
        .or_else(|| whole("peeked"))
        .or_else(|| if has_failed { None } else { whole("dropped") })
        .or_else(|| whole("branches"))
        .or_else(|| describe(expected.get("describe"), actual.get("describe")))
        .or_else(|| if has_failed { None } else { named("internal", false) })
}

/// A store with its entries in a fixed order.
fn sorted(store: &Json, sorts: bool) -> Json {
    let mut store = store.clone();
    if let (true, Some(Json::Array(entries))) = (sorts, store.get_mut("entries")) {
        entries.sort_by_key(Json::to_string);
    }
    store
}

/// A query that made Kafka Streams throw is not compared.
fn queries(expected: Option<&Json>, actual: Option<&Json>) -> Option<String> {
    let list = |queries: Option<&Json>| queries.and_then(Json::as_array).cloned().unwrap_or_default();
    let (expected, actual) = (list(expected), list(actual));
    if expected.len() != actual.len() {
        return Some(format!("queries: {} expected, {} found", expected.len(), actual.len()));
    }
    let differs = expected.iter().zip(&actual).find(|(one, two)| one.get("error").is_none() && one != two);
    differs.map(|(one, other)| two("query", Some(one), Some(other)))
}

/// Text of `describe()`, but for the order of its lines and the names in links.
fn describe(expected: Option<&Json>, actual: Option<&Json>) -> Option<String> {
    let text = |describe: Option<&Json>| describe.and_then(Json::as_str).unwrap_or_default().to_owned();
    let (expected, actual) = (text(expected), text(actual));
    if parsed(&expected) == parsed(&actual) { None } else { Some(format!("describe:\n{expected}\n  found:\n{actual}")) }
}

/// Nodes by sub-topology; each with its links, sorted.
fn parsed(describe: &str) -> BTreeMap<String, BTreeMap<String, Vec<String>>> {
    let mut parsed: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    let (mut subtopology, mut node) = (String::new(), String::new());
    for line in describe.lines().map(str::trim) {
        if line.starts_with("Sub-topology: ") {
            line.clone_into(&mut subtopology);
            parsed.entry(subtopology.clone()).or_default();
        } else if let Some((arrow, names)) = line.split_once(' ').filter(|(word, _)| matches!(*word, "-->" | "<--")) {
            let mut names: Vec<&str> = names.split(", ").collect();
            names.sort_unstable();
            let links = parsed.entry(subtopology.clone()).or_default().entry(node.clone()).or_default();
            links.push(format!("{arrow} {}", names.join(", ")));
        } else if !line.is_empty() {
            line.clone_into(&mut node);
            parsed.entry(subtopology.clone()).or_default().entry(node.clone()).or_default();
        }
    }
    parsed
}

/// Two values; of lists only where they begin to differ.
fn lists(what: &str, expected: Option<&Json>, actual: Option<&Json>) -> String {
    let entries = |value: Option<&Json>| -> Option<Vec<Json>> {
        let value = value?;
        value.as_array().or_else(|| value.get("entries").and_then(Json::as_array)).cloned()
    };
    let (Some(one), Some(other)) = (entries(expected), entries(actual)) else { return two(what, expected, actual) };
    let same = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
    let what = format!("{what}, entry {same} of {} ({} found)", one.len(), other.len());
    two(&what, one.get(same), other.get(same))
}

fn two(what: &str, expected: Option<&Json>, actual: Option<&Json>) -> String {
    let text = |value: Option<&Json>| value.map_or("(nothing)".to_owned(), Json::to_string);
    format!("{what}\n    - {}\n    + {}", text(expected), text(actual))
}
