//! Java's `.properties` syntax.
//!
//! ```text
//! # comment, also with !
//! key = value          also "key: value" and "key value"
//! long.value = one \
//!              two     a backslash at the end joins lines, without the next one's indent
//! with\ space = \u00e9\t\n\\
//! ```

use std::collections::BTreeMap;

use crate::{Error, ErrorKind};

/// Reads a whole file's text. A key that comes twice has its last value, as in Java.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, String>, Error> {
    let mut values = BTreeMap::new();
    for (number, line) in logical_lines(text) {
        let (key, value) = split(&line);
        let read = |part: &str| {
            unescape(part).ok_or_else(|| {
                let message =
                    format!("line {number} of the properties: \\u must be followed by four hexadecimal digits");
                Error::new(ErrorKind::Configuration, message)
            })
        };
        values.insert(read(key)?, read(value)?);
    }
    Ok(values)
}

/// Lines with their continuations joined and comments left out; each with the number of its first
/// line, counted from 1.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    // Java ends lines at \n, \r and \r\n; an empty line between the last two does no harm, except
    // inside a continuation, so the pair is made one first.
    let text = text.replace("\r\n", "\n");
    for (index, line) in text.split(['\n', '\r']).enumerate() {
        let line = line.trim_start_matches([' ', '\t', '\x0c']);
        if open.is_none() && (line.is_empty() || line.starts_with(['#', '!'])) {
            continue;
        }
        let (number, mut joined) = open.take().unwrap_or((index + 1, String::new()));
        let escaped = line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1;
        joined.push_str(if escaped { line.strip_suffix('\\').unwrap_or(line) } else { line });
        if !escaped {
            lines.push((number, joined));
        } else if !joined.is_empty() {
            // Java forgets a backslash with nothing before it: what follows may be a comment again.
            open = Some((number, joined));
        }
    }
    lines.extend(open);
    lines
}

/// Key and value, both still escaped. The key ends at the first free `=`, `:` or white space.
fn split(line: &str) -> (&str, &str) {
    const SPACE: [char; 3] = [' ', '\t', '\x0c'];
    let mut escaped = false;
    let end = line.find(|c: char| {
        let ends = !escaped && (c == '=' || c == ':' || SPACE.contains(&c));
        escaped = c == '\\' && !escaped;
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(SPACE);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(SPACE))
}

/// Nothing where a `\u` has no four digits.
fn unescape(text: &str) -> Option<String> {
    // Code units, since Java writes what lies beyond 16 bits as two escapes.
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let c = if c == '\\' {
            match chars.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\x0c',
                Some('u') => {
                    units.push(unit(&mut chars)?);
                    continue;
                }
                Some(other) => other,
                None => continue,
            }
        } else {
            c
        };
        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
    }
    Some(String::from_utf16_lossy(&units))
}

/// The four digits after `\u`.
fn unit(chars: &mut std::str::Chars<'_>) -> Option<u16> {
    (0..4).try_fold(0u16, |unit, _| Some(unit << 4 | chars.next()?.to_digit(16)? as u16))
}

/// One line that reads back as this key and value.
pub(super) fn line(key: &str, value: &str) -> String {
    format!("{} = {}\n", escape(key, true), escape(value, false))
}

fn escape(text: &str, is_key: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for (index, c) in text.char_indices() {
        match c {
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\x0c' => escaped.push_str("\\f"),
            '\\' => escaped.push_str("\\\\"),
            ' ' if is_key || index == 0 => escaped.push_str("\\ "),
            '=' | ':' | '#' | '!' if is_key => escaped.extend(['\\', c]),
            _ => escaped.push(c),
        }
    }
    escaped
}
