//! The command line: `--name value`, or `--name` alone.

use std::collections::BTreeMap;
use std::str::FromStr;

/// Options as they were given.
#[derive(Default)]
pub(crate) struct Options {
    values: BTreeMap<String, String>,
    /// `--config key=value`, which may be given again.
    pub(crate) configs: Vec<(String, String)>,
}

impl Options {
    /// Reads options with these names; others are refused.
    pub(crate) fn parse(given: &[String], known: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut given = given.iter().peekable();
        while let Some(option) = given.next() {
            let name = option.strip_prefix("--").filter(|name| known.contains(name));
            let name = name.ok_or_else(|| format!("{option} is not known; there are --{}", known.join(", --")))?;
            let value = given.next_if(|next| !next.starts_with("--")).map_or("true", String::as_str);
            if name == "config" {
                let (key, value) = value.split_once('=').ok_or_else(|| format!("--config {value}: not key=value"))?;
                options.configs.push((key.to_owned(), value.to_owned()));
            } else {
                options.values.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(options)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// An option without which there is nothing to do.
    pub(crate) fn needed(&self, name: &str) -> Result<&str, String> {
        self.text(name).ok_or_else(|| format!("--{name} is missing"))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub(crate) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        let Some(text) = self.text(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| format!("--{name} {text}: not a number that fits"))
    }

    /// The items of a list with commas between, or of `default`.
    pub(crate) fn list<T>(&self, name: &str, default: &str) -> Result<Vec<T>, String>
    where
        T: FromStr<Err = String>,
    {
        self.text(name).unwrap_or(default).split(',').map(str::parse).collect()
    }
}
