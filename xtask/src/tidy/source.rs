//! Sizes of files and functions, and words that should not stay.

use super::Problem;
use super::files::Tree;
use super::scan;

/// Lines of product code in a file.
const FILE_LINES_MAX: usize = 500;
/// Generated code lies in one folder of its own, where sizes mean nothing.
const GENERATED: &str = "crates/kafka/src/protocol/messages/";
/// Lines in a function's body that are neither blank nor comment, as clippy's `too_many_lines`.
const FUNCTION_LINES_MAX: usize = 70;

/// Words that mark something unfinished. Put together here, so that this file has none of them.
const LEFTOVERS: [&str; 5] =
    [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X"), concat!("to", "do!("), concat!("db", "g!(")];

pub(crate) fn check(tree: &Tree, problems: &mut Vec<Problem>) {
    for (path, text) in tree.ending(".rs") {
        let code = scan::code(text);
        if !is_test(path) {
            check_file_size(path, text, &code, problems);
            check_functions(path, &code, problems);
        }
    }
    for ending in [".rs", ".md", ".toml"] {
        for (path, text) in tree.ending(ending) {
            check_leftovers(path, text, problems);
        }
    }
}

/// Tests may be as long as their tables.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').any(|part| part == "tests")
}

fn check_file_size(path: &str, text: &str, code: &str, problems: &mut Vec<Problem>) {
    let lines = text.lines().count() - test_lines(code);
    if lines > FILE_LINES_MAX && !path.starts_with(GENERATED) {
        let message = format!("{lines} lines of product code; {FILE_LINES_MAX} is the limit, split it by its nouns");
        problems.push(Problem::new(path, 0, message));
    }
}

/// Lines of modules under `#[cfg(test)]`.
fn test_lines(code: &str) -> usize {
    let modules = code.match_indices("#[cfg(test)]").filter_map(|(at, _)| {
        let (start, len) = scan::block(code, at)?;
        code.get(start..start + len)
    });
    modules.map(|module| module.lines().count()).sum()
}

fn check_functions(path: &str, code: &str, problems: &mut Vec<Problem>) {
    for (at, name) in scan::names_after(code, "fn") {
        let Some((start, len)) = scan::block(code, at) else { continue };
        let body = code.get(start..start + len).unwrap_or_default();
        let lines = body.lines().skip(1).filter(|line| !line.trim().is_empty()).count();
        if lines > FUNCTION_LINES_MAX {
            let message = format!("fn {name} has {lines} lines; {FUNCTION_LINES_MAX} is the limit");
            problems.push(Problem::new(path, scan::line_of(code, at), message));
        }
    }
}

fn check_leftovers(path: &str, text: &str, problems: &mut Vec<Problem>) {
    for (index, line) in text.lines().enumerate() {
        for word in LEFTOVERS.iter().filter(|word| has_word(line, word)) {
            problems.push(Problem::new(path, index + 1, format!("leftover `{word}`")));
        }
    }
}

/// Whether the line has this word by itself, not as part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).is_some_and(|before| before.ends_with(is_part));
        let after = line.get(at + word.len()..).is_some_and(|after| after.starts_with(is_part));
        !before && (!after || word.ends_with('('))
    })
}
