//! What the documentation of the DSL says: every public function has an example that runs or points
//! to the one that has it, and every operator tells what it costs.

use std::collections::BTreeMap;

use super::Problem;
use super::files::Tree;

const DSL: &str = "crates/topology/src/dsl";

/// Types whose functions are operators.
const OPERATORS: [&str; 11] = [
    "BranchedKStream",
    "CogroupedKStream",
    "KGroupedStream",
    "KGroupedTable",
    "KStream",
    "KTable",
    "SessionWindowedCogroupedKStream",
    "SessionWindowedKStream",
    "StreamsBuilder",
    "TimeWindowedCogroupedKStream",
    "TimeWindowedKStream",
];

/// Functions of these types that write no node.
const NO_OPERATORS: [&str; 8] = [
    "build",
    "named",
    "new",
    "queryable_store_name",
    "register_serde",
    "set_dsl_store_format",
    "set_dsl_store_suppliers",
    "with_config",
];

/// A public function or, with an empty name, the type itself.
struct Item<'a> {
    path: &'a str,
    line: usize,
    doc: String,
}

/// By type and function.
type Items<'a> = BTreeMap<(&'a str, &'a str), Item<'a>>;

pub(crate) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    let mut items = Items::new();
    for (path, text) in tree.ending(".rs").filter(|(path, _)| path.starts_with(DSL)) {
        collect(path, text, &mut items);
    }
    for (&(owner, name), item) in items.iter().filter(|((owner, name), _)| {
        // Types that are not public have nobody to show an example to.
        !name.is_empty() && items.contains_key(&(*owner, ""))
    }) {
        if !is_shown(&items, owner, name, 0) {
            let message = format!("{owner}::{name} has no example, nor a link to a function that has one");
            problems.push(Problem::new(item.path, item.line, message));
        }
        let is_operator = OPERATORS.contains(&owner) && !NO_OPERATORS.contains(&name) && !item.doc.starts_with("[`");
        if is_operator && item.doc.split_once("State: ").is_none_or(|(_, rest)| !rest.contains("Topics: ")) {
            let message = format!("{owner}::{name} does not tell its cost: `State: …. Topics: …. Nulls: ….`");
            problems.push(Problem::new(item.path, item.line, message));
        }
    }
}

/// Adds the public types and their functions with their documentation.
fn collect<'a>(path: &'a str, text: &'a str, items: &mut Items<'a>) {
    let (mut owner, mut doc) = ("", String::new());
    for (line, text) in (1..).zip(text.lines()) {
        let code = text.trim_start();
        if let Some(words) = code.strip_prefix("///") {
            doc.push_str(words.strip_prefix(' ').unwrap_or(words));
            doc.push('\n');
            continue;
        }
        if code.starts_with("#[") {
            continue;
        }
        let doc = std::mem::take(&mut doc);
        let item = Item { path, line, doc };
        if let Some(header) = text.strip_prefix("impl") {
            owner = implemented(header);
        } else if let Some(name) = ["pub struct ", "pub enum "].iter().find_map(|start| text.strip_prefix(start)) {
            items.insert((word(name), ""), item);
        } else if let Some(name) = text.strip_prefix("    pub fn ").filter(|_| !owner.is_empty()) {
            items.insert((owner, word(name)), item);
        }
    }
}

/// The type of an inherent implementation; empty for one of a trait.
fn implemented(header: &str) -> &str {
    if header.contains(" for ") {
        return "";
    }
    let mut depth = 0;
    let end = header.find(|c: char| {
        depth += i32::from(c == '<') - i32::from(c == '>');
        depth == 0 && c == ' '
    });
    word(end.and_then(|end| header.get(end + 1..)).unwrap_or_default())
}

fn word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// Whether a function's own example shows it, its type's, or that of a function it points to.
fn is_shown(items: &Items<'_>, owner: &str, name: &str, steps: usize) -> bool {
    let Some(item) = items.get(&(owner, name)).filter(|_| steps < 4) else { return false };
    if item.doc.contains("```") {
        return true;
    }
    let is_in = |example: &str| example.contains(&format!(".{name}(")) || example.contains(&format!("::{name}("));
    let of_type = items.get(&(owner, "")).map_or("", |item| &item.doc);
    if of_type.split("```").skip(1).step_by(2).any(is_in) {
        return true;
    }
    item.doc.split("](").skip(1).filter_map(|link| link.split_once(')')).any(|(link, _)| {
        let Some((path, function)) = link.rsplit_once("::") else { return false };
        let other = path.rsplit("::").next().filter(|other| *other != "Self").unwrap_or(owner);
        is_shown(items, other, function, steps + 1)
    })
}
