//! Settings from environment variables.

use std::collections::BTreeMap;

use super::keys;

/// The process's variables; those that are not Unicode cannot be meant for us.
pub(super) fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The keys that variables of this prefix stand for.
pub(super) fn parse(prefix: &str, variables: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    variables
        .filter_map(|(name, value)| {
            let name = name.strip_prefix(prefix).filter(|name| !name.is_empty())?;
            Some((key(name), value))
        })
        .collect()
}

fn key(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    // A few of Kafka's keys have an underscore themselves.
    let flat = |key: &str| key.replace('.', "_");
    match keys().find(|key| flat(key.name) == name) {
        Some(key) => key.name.to_owned(),
        None => name.split("__").map(|part| part.replace('_', ".")).collect::<Vec<_>>().join("_"),
    }
}
