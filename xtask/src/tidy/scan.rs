//! Rust text with its comments and the insides of its literals taken out, so that braces and words
//! that are left are code. Lines keep their numbers.

/// The code of a source text. Comments become spaces, characters of literals become `_`.
pub(crate) fn code(text: &str) -> String {
    let mut scanner = Scanner { rest: text, out: String::with_capacity(text.len()) };
    while !scanner.rest.is_empty() {
        scanner.step();
    }
    scanner.out
}

struct Scanner<'a> {
    rest: &'a str,
    out: String,
}

impl Scanner<'_> {
    fn step(&mut self) {
        if self.rest.starts_with("//") {
            let len = self.rest.find('\n').unwrap_or(self.rest.len());
            self.blank(len, ' ');
        } else if self.rest.starts_with("/*") {
            self.blank(block_comment_len(self.rest), ' ');
        } else if let Some(len) = raw_string_len(self.rest).filter(|_| !self.is_inside_word()) {
            self.blank(len, '_');
        } else if self.rest.starts_with('"') {
            self.blank(1 + quoted_len(self.rest.get(1..).unwrap_or_default(), '"'), '_');
        } else if let Some(len) = character_len(self.rest) {
            self.blank(len, '_');
        } else {
            self.keep();
        }
    }

    /// Whether the last character kept belongs to a word, as the `r` of `for"`.
    fn is_inside_word(&self) -> bool {
        self.out.ends_with(|c: char| c.is_alphanumeric() || c == '_')
    }

    fn keep(&mut self) {
        let mut chars = self.rest.chars();
        self.out.extend(chars.next());
        self.rest = chars.as_str();
    }

    fn blank(&mut self, len: usize, with: char) {
        let (gone, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.out.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { with }));
        self.rest = rest;
    }
}

/// Block comments nest.
fn block_comment_len(text: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// Length of `r"…"`, `r#"…"#`, `br"…"` and so on.
fn raw_string_len(text: &str) -> Option<usize> {
    let marked = text.strip_prefix(['b', 'c']).unwrap_or(text).strip_prefix('r')?;
    let hashes = marked.len() - marked.trim_start_matches('#').len();
    let inside = marked.get(hashes..)?.strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - inside.len();
    Some(start + inside.find(&end).map_or(inside.len(), |at| at + end.len()))
}

/// Length up to the closing quote and with it; a backslash takes the next character along.
fn quoted_len(inside: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        if !escaped && c == quote {
            return at + c.len_utf8();
        }
        escaped = !escaped && c == '\\';
    }
    inside.len()
}

/// Length of a character literal; lifetimes are none.
fn character_len(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('\'')?;
    let first = inside.chars().next()?;
    let is_literal = first == '\\' || inside.get(first.len_utf8()..)?.starts_with('\'');
    is_literal.then(|| 1 + quoted_len(inside, '\''))
}

/// The words after each `word` in code, with the byte where they start.
pub(crate) fn names_after<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = (usize, &'a str)> {
    code.match_indices(word).filter_map(move |(at, _)| {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let rest = code.get(at + word.len()..)?;
        let name = rest.trim_start();
        if code.get(..at)?.ends_with(is_part) || name.len() == rest.len() {
            return None;
        }
        let len = name.find(|c| !is_part(c)).unwrap_or(name.len());
        let start = code.len() - name.len();
        Some((start, name.get(..len)?)).filter(|(_, name)| !name.is_empty())
    })
}

/// Length of the block that the next brace opens, from that brace to its closing one; with the
/// place of the brace. `None` if a semicolon comes first: a declaration without a body.
pub(crate) fn block(code: &str, from: usize) -> Option<(usize, usize)> {
    let (mut depth, mut brackets, mut start) = (0usize, 0usize, None);
    for (at, c) in code.get(from..)?.char_indices() {
        match c {
            // A semicolon inside brackets is an array's.
            '(' | '[' if start.is_none() => brackets += 1,
            ')' | ']' if start.is_none() => brackets = brackets.saturating_sub(1),
            ';' if start.is_none() && brackets == 0 => return None,
            '{' if brackets == 0 || start.is_some() => {
                start.get_or_insert(from + at);
                depth += 1;
            }
            '}' if start.is_some() => {
                depth -= 1;
                if depth == 0 {
                    return start.map(|start| (start, from + at - start));
                }
            }
            _ => {}
        }
    }
    None
}

/// Number of the line that holds this byte, counted from 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
