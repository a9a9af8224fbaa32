//! Licences and the form of the changelog.

use super::Problem;
use super::files::Tree;

pub(crate) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        if !tree.has(licence) {
            problems.push(Problem::new(licence, 0, "the licence's text is missing"));
        }
    }
    for (directory, manifest) in tree.packages() {
        let is_licensed = manifest.lines().any(|line| line.starts_with("license"));
        if !is_licensed {
            let path = format!("{directory}/Cargo.toml");
            problems.push(Problem::new(&path, 0, "names no licence: `license.workspace = true`"));
        }
    }
    match tree.text("CHANGELOG.md") {
        Some(text) => check_changelog(text, problems),
        None => problems.push(Problem::new("CHANGELOG.md", 0, "is missing")),
    }
}

/// Headings as in Keep a Changelog: versions, newest first with what is not released on top, and
/// known kinds of change below them.
fn check_changelog(text: &str, problems: &mut Vec<Problem>) {
    const KINDS: [&str; 6] = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"];
    let mut versions = 0;
    for (index, line) in text.lines().enumerate() {
        if let Some(version) = line.strip_prefix("## ") {
            versions += 1;
            if (versions == 1) != version.starts_with("[Unreleased]") {
                problems.push(Problem::new("CHANGELOG.md", index + 1, "[Unreleased] stands first, and once"));
            }
        } else if let Some(kind) = line.strip_prefix("### ")
            && !KINDS.contains(&kind.trim())
        {
            let message = format!("a change is one of {}, not {kind}", KINDS.join(", "));
            problems.push(Problem::new("CHANGELOG.md", index + 1, message));
        }
    }
    if versions == 0 {
        problems.push(Problem::new("CHANGELOG.md", 0, "has no [Unreleased] section"));
    }
}
