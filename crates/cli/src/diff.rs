//! `millstream diff`: what a deploy of a changed topology would lose, from the texts of two
//! `describe()`s.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use millstream::topology::graph::{ChangeEffect, ChangedResource, TopologyChange, TopologyDescription, TopologyDiff};
use millstream::{Error, ErrorKind, Result};
use serde_json::{Value, json};

use crate::args::DiffArgs;

/// Prints the differences; says whether something would be lost.
pub(crate) fn run(args: &DiffArgs) -> Result<bool> {
    let (before, after) = (read(&args.before)?, read(&args.after)?);
    let diff = TopologyDiff::between_descriptions(&before, &after);
    let text = if args.json { format!("{:#}\n", as_json(&diff)) } else { diff.to_string() };
    match io::stdout().write_all(text.as_bytes()) {
        // Who stopped reading knows enough.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::new(ErrorKind::Storage, "standard output cannot be written").with_source(error))
        }
        _ => Ok(diff.has_losses()),
    }
}

fn read(path: &Path) -> Result<TopologyDescription> {
    let problem = |what: &str| Error::new(ErrorKind::Storage, format!("{} {what}", path.display()));
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        fs::read_to_string(path).map(|read| text = read)
    };
    read.map_err(|error| problem("cannot be read").with_source(error))?;
    text.parse().map_err(|error| problem("does not hold the text of a topology's describe()").with_source(error))
}

fn as_json(diff: &TopologyDiff) -> Value {
    json!({
        "losses": diff.has_losses(),
        "changes": diff.changes().iter().map(change).collect::<Vec<_>>(),
        "inserted_operators": texts(diff.inserted_operators()),
        "deleted_operators": texts(diff.deleted_operators()),
    })
}

fn texts(names: &[Arc<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

fn change(change: &TopologyChange) -> Value {
    let (resource, name) = match &change.resource {
        ChangedResource::Store(name) => ("store", json!(**name)),
        ChangedResource::InternalTopic(name) => ("internal-topic", json!(**name)),
        ChangedResource::Subtopology(id) => ("sub-topology", json!(id)),
        ChangedResource::InputTopic(name) => ("input-topic", json!(**name)),
        _ => ("other", Value::Null),
    };
    let (effect, after) = match &change.effect {
        ChangeEffect::Renamed { after } => ("renamed", json!(**after)),
        ChangeEffect::TakenOver { after, .. } => ("taken-over", json!(after.as_deref())),
        ChangeEffect::Removed => ("removed", Value::Null),
        ChangeEffect::Added => ("added", Value::Null),
        ChangeEffect::Incompatible { .. } => ("incompatible", Value::Null),
        ChangeEffect::Reconfigured { .. } => ("reconfigured", Value::Null),
        ChangeEffect::Renumbered { after } => ("renumbered", json!(after)),
        _ => ("other", Value::Null),
    };
    json!({
        "resource": resource,
        "name": name,
        "effect": effect,
        "after": after,
        "loss": change.effect.is_loss(),
        "operator_before": change.operator_before.as_ref().map(|operator| &*operator.name),
        "operator_after": change.operator_after.as_ref().map(|operator| &*operator.name),
        "keep": change.keep.as_ref().map(|keep| json!({"option": keep.option, "name": keep.name})),
        "text": change.to_string(),
    })
}
