//! Links between documents and to sources.

use super::Problem;
use super::files::Tree;

pub(crate) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    for (path, text) in tree.ending(".md") {
        for (line, target) in links(text) {
            let target = target.split_once('#').map_or(target, |(file, _)| file);
            if is_elsewhere(target) || target.is_empty() {
                continue;
            }
            match resolve(path, target) {
                Some(place) if place.is_empty() || tree.has(&place) => {}
                _ => problems.push(Problem::new(path, line, format!("the link to {target} leads nowhere"))),
            }
        }
    }
}

fn is_elsewhere(target: &str) -> bool {
    target.contains("://") || target.starts_with("mailto:")
}

/// Targets of `[text](target)`, with their lines; code is left out.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut is_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            // An odd number of back-ticks before it: inside code.
            let before = line.get(..at).unwrap_or_default();
            if before.matches('`').count() % 2 == 1 && !before.ends_with('`') {
                continue;
            }
            let rest = line.get(at + 2..).unwrap_or_default();
            if let Some(end) = rest.find(')') {
                let target = rest.get(..end).unwrap_or_default();
                // A title may follow the target.
                found.push((index + 1, target.split(' ').next().unwrap_or_default()));
            }
        }
    }
    found
}

/// The path from the root; `None` above it.
fn resolve(document: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    if let Some(absolute) = target.strip_prefix('/') {
        return Some(absolute.trim_end_matches('/').to_owned());
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}
