//! Cases that are one idea smaller than a given one.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

/// Options of an operator that may be left out.
const OPTIONS: [&str; 14] = [
    "name",
    "mat",
    "ts",
    "partitioner",
    "emit",
    "reset",
    "caching",
    "logging",
    "storeName",
    "store",
    "buffer",
    "partitions",
    "memory",
    "grace",
];

/// All candidates, the boldest first. Some are no smaller, some make no sense: both sides refuse those.
pub(super) fn of(case: &Json) -> Vec<Json> {
    let case = Case(case);
    let mut found = Vec::new();
    case.fewer_steps(&mut found);
    case.fewer_operators(&mut found);
    case.fewer_settings(&mut found);
    case.fewer_options(&mut found);
    case.simpler_steps(&mut found);
    found
}

#[derive(Clone, Copy)]
struct Case<'a>(&'a Json);

impl<'a> Case<'a> {
    fn list(self, member: &str) -> &'a [Json] {
        self.0.get(member).and_then(Json::as_array).map_or(&[], Vec::as_slice)
    }

    fn with(self, member: &str, value: Json) -> Json {
        let mut case = self.0.clone();
        if let Some(members) = case.as_object_mut() {
            members.insert(member.to_owned(), value);
        }
        case
    }

    /// The case with one entry of a list changed.
    fn with_entry(self, member: &str, at: usize, change: impl FnOnce(&mut Map<String, Json>)) -> Option<Json> {
        let mut case = self.0.clone();
        change(case.get_mut(member)?.get_mut(at)?.as_object_mut()?);
        Some(case)
    }

    /// Half of the steps dropped, a quarter, … one; and those that pipe to topics nobody reads.
    fn fewer_steps(self, found: &mut Vec<Json>) {
        let steps = self.list("steps");
        let mut size = steps.len().div_ceil(2);
        while size > 0 {
            for start in (0..steps.len()).step_by(size) {
                let kept = steps.iter().enumerate().filter(|(at, _)| *at < start || *at >= start + size);
                found.push(self.with("steps", kept.map(|(_, step)| step.clone()).collect()));
            }
            size /= 2;
        }
        if let Some(read) = self.topics_read() {
            let is_read = |step: &&Json| step.get("pipe").is_none_or(|topic| read.contains(text(topic)));
            let mut case = self.with("steps", steps.iter().filter(is_read).cloned().collect());
            if let Some(topics) = case.get_mut("topics").and_then(Json::as_object_mut) {
                topics.retain(|topic, _| read.contains(topic.as_str()));
            }
            found.push(case);
        }
    }

    /// Topics that the topology reads; `None` where a pattern decides.
    fn topics_read(self) -> Option<BTreeSet<&'a str>> {
        let mut read = BTreeSet::new();
        for op in self.list("topology") {
            if op.get("pattern").is_some() {
                return None;
            }
            read.extend(op.get("topics").and_then(Json::as_array).into_iter().flatten().map(text));
            if op.get("op").map(text) != Some("to") {
                read.extend(op.get("topic").map(text));
            }
        }
        Some(read)
    }

    fn fewer_operators(self, found: &mut Vec<Json>) {
        let ops = self.list("topology");
        for at in (0..ops.len()).rev() {
            found.extend(self.without(at));
        }
        for (at, op) in ops.iter().enumerate().rev() {
            for input in inputs(op) {
                found.extend(self.bypassing(at, input));
            }
        }
    }

    /// Without an operator and everything that hangs on it.
    fn without(self, dropped: usize) -> Option<Json> {
        let (mut gone, mut stores) = (BTreeSet::new(), BTreeSet::new());
        let mut kept = Vec::new();
        for (at, op) in self.list("topology").iter().enumerate() {
            let needs = inputs(op).any(|input| gone.contains(node_of(input)));
            let uses =
                op.get("stores").and_then(Json::as_array).into_iter().flatten().any(|it| stores.contains(text(it)));
            if at != dropped && !needs && !uses {
                kept.push(op.clone());
                continue;
            }
            gone.extend(op.get("id").map(text));
            if op.get("op").map(text) == Some("store") {
                stores.extend(op.get("name").map(text));
            }
        }
        (!kept.is_empty()).then(|| self.with("topology", Json::Array(kept)))
    }

    /// Without an operator, whose consumers are joined to one of its inputs.
    fn bypassing(self, dropped: usize, input: &str) -> Option<Json> {
        let ops = self.list("topology");
        let op = ops.get(dropped).filter(|op| op.get("op").map(text) != Some("to"))?;
        let id = op.get("id").map(text)?;
        let joined = |reference: &mut Json| {
            if node_of(text(reference)) == id {
                *reference = json!(input);
            }
        };
        let rest = ops.iter().enumerate().filter(|(at, _)| *at != dropped).map(|(_, op)| {
            let mut op = op.clone();
            match op.get_mut("in") {
                Some(Json::Array(inputs)) => inputs.iter_mut().for_each(joined),
                Some(input) => joined(input),
                None => {}
            }
            op
        });
        Some(self.with("topology", rest.collect()))
    }

    fn fewer_settings(self, found: &mut Vec<Json>) {
        for name in self.0.get("config").and_then(Json::as_object).into_iter().flat_map(Map::keys) {
            let mut case = self.0.clone();
            if let Some(config) = case.get_mut("config").and_then(Json::as_object_mut) {
                config.remove(name);
            }
            found.push(case);
        }
    }

    fn fewer_options(self, found: &mut Vec<Json>) {
        for (at, op) in self.list("topology").iter().enumerate() {
            let kind = op.get("op").map(text).unwrap_or_default();
            for option in OPTIONS {
                // A store's name is what it is.
                if op.get(option).is_some() && !(kind.ends_with("tore") && option == "name") {
                    found.extend(self.with_entry("topology", at, |op| drop(op.remove(option))));
                }
            }
            for group in ["mat", "window"] {
                for option in op.get(group).and_then(Json::as_object).into_iter().flat_map(Map::keys) {
                    found.extend(self.with_entry("topology", at, |op| {
                        if let Some(group) = op.get_mut(group).and_then(Json::as_object_mut) {
                            group.remove(option);
                        }
                    }));
                }
            }
            if op.get("branches").and_then(Json::as_array).is_some_and(|branches| branches.len() > 1) {
                found.extend(self.with_entry("topology", at, |op| {
                    if let Some(branches) = op.get_mut("branches").and_then(Json::as_array_mut) {
                        branches.pop();
                    }
                }));
            }
        }
    }

    fn simpler_steps(self, found: &mut Vec<Json>) {
        let piped = self.list("steps").iter().enumerate().filter(|(_, step)| step.get("pipe").is_some());
        for (at, step) in piped {
            if step.get("h").is_some() {
                found.extend(self.with_entry("steps", at, |step| drop(step.remove("h"))));
            }
            for (member, kind) in [("k", "key"), ("v", "value")] {
                let declared = step.get("pipe").and_then(|topic| self.0.get("topics")?.get(text(topic))?.get(kind));
                let simple = match (declared.map(text), kind) {
                    (Some("string"), "key") => json!("a"),
                    (Some("string"), _) => json!("x"),
                    (Some("i64"), _) => json!(1),
                    _ => continue,
                };
                if step.get(member).is_some_and(|value| *value != simple) {
                    found.extend(self.with_entry("steps", at, |step| drop(step.insert(member.to_owned(), simple))));
                }
            }
            let Some(time) = step.get("t").and_then(Json::as_i64).filter(|time| *time > 0) else { continue };
            for smaller in [0, time / 2, time / 10 * 10, time / 5 * 5] {
                if smaller < time {
                    found
                        .extend(self.with_entry("steps", at, |step| drop(step.insert("t".to_owned(), json!(smaller)))));
                }
            }
        }
    }
}

fn text(json: &Json) -> &str {
    json.as_str().unwrap_or_default()
}

/// The node a reference means: a branch belongs to its split.
fn node_of(reference: &str) -> &str {
    reference.split('.').next().unwrap_or_default()
}

fn inputs(op: &Json) -> impl Iterator<Item = &str> {
    let (one, many) = match op.get("in") {
        Some(Json::Array(inputs)) => (None, inputs.as_slice()),
        Some(input) => (Some(input), &[][..]),
        None => (None, &[][..]),
    };
    one.into_iter().chain(many).map(text)
}
