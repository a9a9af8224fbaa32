//! Compares a result with what Kafka Streams gave, member by member, and says readably what differs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

mod describe;

/// How a result compares with the expected one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Equal in everything.
    Equal,
    /// The first difference, for people.
    Differs(String),
    /// Millstream does not do this yet.
    Unsupported(String),
    /// Kafka Streams itself crashed on this case, or came to no end: there is nothing to compare with.
    Quirk(String),
    /// Kafka Streams could not run this case at all: the case is wrong.
    Invalid(String),
}

/// Exceptions of Kafka Streams that are faults of its own, not an answer.
const CRASHES: [&str; 5] = [
    "UnsupportedOperationException",
    "IndexOutOfBoundsException",
    "NullPointerException",
    "ClassCastException",
    "InvalidStateStoreException",
];

/// Compares a result with the expected one.
#[must_use]
pub fn compare(expected: &Json, actual: &Json) -> Verdict {
    if expected.get("timeout").is_some() {
        return Verdict::Quirk("it takes too long".to_owned());
    }
    if let Some((what, text)) = special(expected, &["bad", "unsupported"]) {
        return Verdict::Invalid(format!("{what}: {text}"));
    }
    if let Some(error) = expected.get("error") {
        let class = |member: &str| error.get(member).and_then(Json::as_str).unwrap_or_default();
        if CRASHES.contains(&class("class")) || CRASHES.contains(&class("root")) {
            return Verdict::Quirk(error.to_string());
        }
    }
    if let Some((_, what)) = special(actual, &["unsupported"]) {
        return Verdict::Unsupported(what.to_string());
    }
    match difference(expected, actual) {
        Some(text) => Verdict::Differs(text),
        None => Verdict::Equal,
    }
}

/// The first of these members that a result has.
fn special<'a>(result: &'a Json, members: &[&'static str]) -> Option<(&'static str, &'a Json)> {
    members.iter().find_map(|member| Some((*member, result.get(member)?)))
}

fn difference(expected: &Json, actual: &Json) -> Option<String> {
    if let Some((what, text)) = special(actual, &["bad", "timeout"]) {
        return Some(format!("{what}: {text}"));
    }
    let error =
        |result: &Json| result.get("error").map(|error| (error.get("at").cloned(), error.get("class").cloned()));
    if error(expected) != error(actual) {
        return Some(two("error", expected.get("error"), actual.get("error")));
    }
    let both = Both { expected, actual };
    // What an error has left behind is not defined.
    let unless_failed = |difference: &dyn Fn() -> Option<String>| {
        if expected.get("error").is_some() { None } else { difference() }
    };
    both.outputs()
        .or_else(|| unless_failed(&|| both.stores()))
        .or_else(|| both.queries())
        .or_else(|| both.list("peeked"))
        .or_else(|| unless_failed(&|| both.whole("dropped")))
        .or_else(|| both.whole("branches"))
        .or_else(|| describe::difference(expected.get("describe"), actual.get("describe")))
        .or_else(|| unless_failed(&|| both.internal()))
}

/// Two results.
struct Both<'a> {
    expected: &'a Json,
    actual: &'a Json,
}

impl<'a> Both<'a> {
    /// A member that is an object, of both; empty where it is not there.
    fn members(&self, member: &str) -> [BTreeMap<&'a str, &'a Json>; 2] {
        [self.expected, self.actual].map(|result| {
            let found = result.get(member).and_then(Json::as_object);
            found.into_iter().flatten().map(|(name, value)| (name.as_str(), value)).collect()
        })
    }

    /// A member that is a list, of both; empty where it is not there.
    fn lists(&self, member: &str) -> [&'a [Json]; 2] {
        [self.expected, self.actual].map(|result| entries(result.get(member)))
    }

    fn outputs(&self) -> Option<String> {
        let [expected, actual] = self.members("outputs");
        union(&expected, &actual).into_iter().find_map(|topic| {
            let (one, other) = (entries(expected.get(topic).copied()), entries(actual.get(topic).copied()));
            lists_differ(&format!("outputs of {topic}"), one, other)
        })
    }

    fn stores(&self) -> Option<String> {
        let [expected, actual] = self.members("stores");
        union(&expected, &actual).into_iter().find_map(|name| {
            let (one, other) = (expected.get(name).copied(), actual.get(name).copied());
            let (Some(store), Some(found)) = (one, other) else {
                return Some(two(&format!("store {name}"), one, other));
            };
            if store.get("kind").and_then(Json::as_str) == Some("unreadable") {
                return None;
            }
            let (store, found) = (sorted(store), sorted(found));
            if is_same(&store, &found) {
                return None;
            }
            let what = format!("store {name}");
            if store.get("kind") == found.get("kind") && store.get("entries").is_some() {
                return lists_differ(&what, entries(store.get("entries")), entries(found.get("entries")));
            }
            Some(two(&what, Some(&store), Some(&found)))
        })
    }

    /// A query that made Kafka Streams throw is not compared.
    fn queries(&self) -> Option<String> {
        let [expected, actual] = self.lists("queries");
        if expected.len() != actual.len() {
            return lists_differ("queries", expected, actual);
        }
        let differs =
            expected.iter().zip(actual).find(|(one, other)| one.get("error").is_none() && !is_same(one, other));
        differs.map(|(one, other)| two("query", Some(one), Some(other)))
    }

    fn list(&self, member: &str) -> Option<String> {
        let [expected, actual] = self.lists(member);
        lists_differ(member, expected, actual)
    }

    fn whole(&self, member: &str) -> Option<String> {
        let (one, other) = (self.expected.get(member), self.actual.get(member));
        (one != other).then(|| two(member, one, other))
    }

    fn internal(&self) -> Option<String> {
        let [expected, actual] = self.members("internal");
        union(&expected, &actual).into_iter().find_map(|topic| {
            let (one, other) = (expected.get(topic).copied(), actual.get(topic).copied());
            (one != other).then(|| two(&format!("records of internal topic {topic}"), one, other))
        })
    }
}

fn union<'a>(one: &BTreeMap<&'a str, &Json>, other: &BTreeMap<&'a str, &Json>) -> BTreeSet<&'a str> {
    one.keys().chain(other.keys()).copied().collect()
}

fn entries(list: Option<&Json>) -> &[Json] {
    list.and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// A store with its entries in a fixed order.
fn sorted(store: &Json) -> Json {
    let mut store = store.clone();
    if let Some(Json::Array(entries)) = store.get_mut("entries") {
        entries.sort_by_cached_key(Json::to_string);
    }
    store
}

/// Equality of JSON in which 1 and 1.0 differ, and so do the two zeros.
fn is_same(one: &Json, other: &Json) -> bool {
    let same_members = |one: &Map<String, Json>, other: &Map<String, Json>| {
        one.len() == other.len()
            && one.iter().all(|(name, value)| other.get(name).is_some_and(|found| is_same(value, found)))
    };
    match (one, other) {
        (Json::Number(one), Json::Number(other)) if one.is_f64() && other.is_f64() => {
            one.as_f64().map(f64::to_bits) == other.as_f64().map(f64::to_bits)
        }
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Json::Object(one), Json::Object(other)) => same_members(one, other),
        _ => one == other,
    }
}

/// Where two lists begin to differ.
fn lists_differ(what: &str, expected: &[Json], actual: &[Json]) -> Option<String> {
    let same = expected.iter().zip(actual).take_while(|(one, other)| is_same(one, other)).count();
    if same == expected.len() && same == actual.len() {
        return None;
    }
    let what = format!("{what}, entry {same} of {} ({} found)", expected.len(), actual.len());
    let mut text = two(&what, expected.get(same), actual.get(same));
    let texts = |list: &[Json]| list.iter().map(Json::to_string).collect::<BTreeSet<_>>();
    if expected.len() == actual.len() && texts(expected) == texts(actual) {
        text.push_str("\n    (the same entries in another order)");
    }
    Some(text)
}

fn two(what: &str, expected: Option<&Json>, actual: Option<&Json>) -> String {
    let text = |value: Option<&Json>| value.map_or("(nothing)".to_owned(), Json::to_string);
    format!("{what}\n    - {}\n    + {}", text(expected), text(actual))
}
