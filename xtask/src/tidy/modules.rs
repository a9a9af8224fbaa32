//! Sources that no `mod` reaches: they look alive and are never compiled.

use std::collections::BTreeSet;

use super::Problem;
use super::files::Tree;
use super::scan;

pub(crate) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    let mut reached = BTreeSet::new();
    for (directory, manifest) in tree.packages() {
        for root in roots(tree, directory, manifest) {
            reach(tree, &root, true, &mut reached, problems);
        }
    }
    for (path, _) in tree.ending(".rs") {
        if !reached.contains(path) {
            problems.push(Problem::new(path, 0, "no `mod` reaches this file"));
        }
    }
}

/// Files that cargo compiles by itself.
fn roots(tree: &Tree, directory: &str, manifest: &str) -> Vec<String> {
    let below = |path: &str| if directory.is_empty() { path.to_owned() } else { format!("{directory}/{path}") };
    let mut roots: Vec<String> = ["src/lib.rs", "src/main.rs", "build.rs"].map(below).into();
    for folder in ["src/bin", "tests", "benches", "examples"] {
        let prefix = below(&format!("{folder}/"));
        for (path, _) in tree.ending(".rs") {
            let Some(rest) = path.strip_prefix(&prefix) else { continue };
            if !rest.contains('/') || rest.split_once('/').is_some_and(|(_, file)| file == "main.rs") {
                roots.push(path.to_owned());
            }
        }
    }
    for line in manifest.lines() {
        if let Some((key, value)) = line.split_once('=')
            && key.trim() == "path"
            && let Some(path) = value.trim().trim_matches('"').strip_suffix(".rs")
        {
            roots.push(below(&format!("{path}.rs")));
        }
    }
    roots.retain(|root| tree.text(root).is_some());
    roots
}

/// Marks a file and what its `mod` lines name.
fn reach(tree: &Tree, path: &str, is_root: bool, reached: &mut BTreeSet<String>, problems: &mut Vec<Problem>) {
    let Some(text) = tree.text(path) else { return };
    if !reached.insert(path.to_owned()) {
        return;
    }
    let (directory, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = file.trim_end_matches(".rs");
    let home = if is_root || stem == "mod" { directory.to_owned() } else { format!("{directory}/{stem}") };
    let code = scan::code(text);
    for (at, name) in scan::names_after(&code, "mod") {
        let after = code.get(at + name.len()..).unwrap_or_default().trim_start();
        if !after.starts_with(';') {
            continue;
        }
        let places = match text.get(..at).and_then(given_path) {
            Some(given) => vec![joined(directory, given)],
            None => vec![format!("{home}/{name}.rs"), format!("{home}/{name}/mod.rs")],
        };
        match places.iter().find(|place| tree.text(place).is_some()) {
            Some(place) => reach(tree, place, false, reached, problems),
            None => problems.push(Problem::new(path, scan::line_of(&code, at), format!("`mod {name}` has no file"))),
        }
    }
}

/// The path that an attribute gives the module whose name comes next.
fn given_path(before: &str) -> Option<&str> {
    let attribute = before.trim_end().strip_suffix("mod")?.trim_end().strip_suffix("\"]")?;
    attribute.rsplit_once("#[path = \"").map(|(_, path)| path)
}

fn joined(directory: &str, path: &str) -> String {
    let (mut directory, mut path) = (directory, path);
    while let Some(rest) = path.strip_prefix("../") {
        directory = directory.rsplit_once('/').map_or("", |(parent, _)| parent);
        path = rest;
    }
    format!("{directory}/{path}")
}
