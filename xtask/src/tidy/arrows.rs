//! Which crate may know which. All arrows point downwards; ARCHITECTURE.md draws them.

use super::Problem;
use super::files::Tree;

/// Crate, and what it may depend on. Tests may use more (`dev-dependencies`).
const ARROWS: [(&str, &[&str]); 10] = [
    ("types", &[]),
    ("assign", &["types"]),
    ("log", &["types", "assign"]),
    ("kafka", &["types", "assign", "log"]),
    ("state", &["types"]),
    ("topology", &["types", "state"]),
    ("runtime", &["types", "assign", "log", "kafka", "state", "topology"]),
    ("millstream", &["types", "assign", "log", "kafka", "state", "topology", "runtime"]),
    ("testkit", &["types", "assign", "log", "state", "topology", "runtime", "millstream"]),
    ("cli", &["millstream"]),
];

pub(crate) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    for (directory, manifest) in tree.packages() {
        let Some(name) = directory.strip_prefix("crates/") else { continue };
        let path = format!("{directory}/Cargo.toml");
        let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) else {
            problems.push(Problem::new(
                &path,
                0,
                "a crate without arrows: say in xtask/src/tidy/arrows.rs what it knows",
            ));
            continue;
        };
        for (line, dependency) in dependencies(manifest) {
            if !allowed.contains(&dependency) {
                let message = format!("{name} must not depend on {dependency}");
                problems.push(Problem::new(&path, line, message));
            }
        }
    }
}

/// Our own crates among the dependencies, with the line that names them.
fn dependencies(manifest: &str) -> Vec<(usize, &str)> {
    let mut section = "";
    let mut found = Vec::new();
    for (index, line) in manifest.lines().enumerate() {
        let line = line.trim();
        let mut entry = line;
        if let Some(header) = line.strip_prefix('[').and_then(|header| header.strip_suffix(']')) {
            section = header.trim();
            // `[dependencies.name]` is an entry by itself.
            let Some((table, name)) = section.rsplit_once('.').filter(|(table, _)| table.ends_with("dependencies"))
            else {
                continue;
            };
            (section, entry) = (table, name);
        }
        if !section.ends_with("dependencies") || section.ends_with("dev-dependencies") {
            continue;
        }
        let name = entry.split(['.', '=', ' ']).next().unwrap_or_default().trim_matches('"');
        if name == "millstream" {
            found.push((index + 1, name));
        } else if let Some(short) = name.strip_prefix("millstream-") {
            found.push((index + 1, short));
        }
    }
    found
}
