//! Texts of `describe()`, compared by what they say: not by the order of lines, nor of the names
//! within a line.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// Lines of a node, its links sorted, by sub-topology and node.
type Nodes = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// What differs between two texts; a text that is not there differs from one that is.
pub(super) fn difference(expected: Option<&Json>, actual: Option<&Json>) -> Option<String> {
    let text = |describe: Option<&Json>| describe.and_then(Json::as_str).unwrap_or_default().to_owned();
    let (expected, actual) = (text(expected), text(actual));
    if parsed(&expected) == parsed(&actual) {
        return None;
    }
    Some(format!("describe\n{expected}\n  found:\n{actual}"))
}

fn parsed(describe: &str) -> Nodes {
    let mut parsed = Nodes::new();
    let (mut subtopology, mut node) = (String::new(), String::new());
    for line in describe.lines().map(str::trim) {
        if line.starts_with("Sub-topology: ") {
            line.clone_into(&mut subtopology);
            parsed.entry(subtopology.clone()).or_default();
        } else if let Some((arrow, names)) = line.split_once(' ').filter(|(word, _)| matches!(*word, "-->" | "<--")) {
            let links = parsed.entry(subtopology.clone()).or_default().entry(node.clone()).or_default();
            links.push(format!("{arrow} {}", in_order(names)));
        } else if !line.is_empty() {
            node = match line.split_once('[').and_then(|(before, rest)| Some((before, rest.split_once(']')?))) {
                Some((before, (names, after))) => format!("{before}[{}]{after}", in_order(names)),
                None => line.to_owned(),
            };
            parsed.entry(subtopology.clone()).or_default().entry(node.clone()).or_default();
        }
    }
    parsed
}

fn in_order(names: &str) -> String {
    let mut names: Vec<&str> = names.split(", ").collect();
    names.sort_unstable();
    names.join(", ")
}
