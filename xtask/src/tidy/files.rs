//! The files of the project, read once. The one place of this tool that touches the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// All files below the root, but for build output.
#[derive(Default)]
pub(crate) struct Tree {
    /// Paths from the root, with slashes; also those whose text is not needed.
    paths: BTreeSet<String>,
    directories: BTreeSet<String>,
    /// Text of sources, manifests and documents.
    texts: BTreeMap<String, String>,
}

/// Endings of the files whose text is read.
const READ: [&str; 3] = ["rs", "md", "toml"];

impl Tree {
    /// Reads what lies below `root`.
    pub(crate) fn read(root: &Path) -> Result<Self, String> {
        let mut tree = Self::default();
        tree.add_directory(root, "")?;
        Ok(tree)
    }

    #[expect(clippy::disallowed_methods, reason = "the home of this tool's file access")]
    fn add_directory(&mut self, root: &Path, directory: &str) -> Result<(), String> {
        let place = root.join(directory);
        let refuse = |error| format!("cannot read {}: {error}", place.display());
        for entry in std::fs::read_dir(&place).map_err(refuse)? {
            let entry = entry.map_err(refuse)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = if directory.is_empty() { name.clone() } else { format!("{directory}/{name}") };
            let kind = entry.file_type().map_err(refuse)?;
            if kind.is_dir() {
                // A cargo output directory says so by this file, whatever its name.
                let is_output = root.join(&path).join("CACHEDIR.TAG").exists() || name == "target";
                if name != ".git" && !is_output {
                    self.add_directory(root, &path)?;
                    self.directories.insert(path);
                }
            } else if kind.is_file() {
                if READ.iter().any(|ending| Path::new(&name).extension().is_some_and(|found| found == *ending)) {
                    let text = std::fs::read_to_string(root.join(&path))
                        .map_err(|error| format!("cannot read {path}: {error}"))?;
                    self.add(&path, text);
                } else {
                    self.paths.insert(path);
                }
            }
        }
        Ok(())
    }

    /// Adds a file.
    pub(crate) fn add(&mut self, path: &str, text: impl Into<String>) {
        let mut parent = Path::new(path).parent();
        while let Some(directory) = parent.and_then(Path::to_str).filter(|directory| !directory.is_empty()) {
            self.directories.insert(directory.to_owned());
            parent = Path::new(directory).parent();
        }
        self.paths.insert(path.to_owned());
        self.texts.insert(path.to_owned(), text.into());
    }

    /// Whether there is a file or directory of this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.paths.contains(path) || self.directories.contains(path)
    }

    /// The text of a source, manifest or document.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Files whose path ends so, with their text.
    pub(crate) fn ending<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.texts.iter().filter(move |(path, _)| path.ends_with(ending)).map(|(path, text)| (&**path, &**text))
    }

    /// Manifests of packages, with their directory (empty for the root).
    pub(crate) fn packages(&self) -> impl Iterator<Item = (&str, &str)> {
        self.ending("Cargo.toml")
            .filter(|(path, text)| path.rsplit('/').next() == Some("Cargo.toml") && text.contains("[package]"))
            .map(|(path, text)| (path.strip_suffix("/Cargo.toml").unwrap_or(""), text))
    }
}
