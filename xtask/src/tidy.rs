//! What no compiler checks: sizes, leftovers, stray files, arrows, links, licences, examples.

mod arrows;
mod examples;
mod files;
mod links;
mod modules;
mod paperwork;
mod scan;
mod source;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};

/// One place that is not as it should be.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// Path from the root.
    pub(crate) path: String,
    /// Counted from 1; 0 is the whole file.
    pub(crate) line: usize,
    /// What is wrong, and what to do where that is not plain.
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

/// The root of the workspace this was built from.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// All problems below this root, in the order of their paths.
///
/// # Errors
/// A file or directory cannot be read.
pub(crate) fn check(root: &Path) -> Result<Vec<Problem>, String> {
    let tree = files::Tree::read(root)?;
    let mut problems = Vec::new();
    source::check(&tree, &mut problems);
    modules::check(&tree, &mut problems);
    arrows::check(&tree, &mut problems);
    links::check(&tree, &mut problems);
    paperwork::check(&tree, &mut problems);
    examples::check(&tree, &mut problems);
    problems.sort();
    Ok(problems)
}
