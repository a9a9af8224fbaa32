//! Regular expressions that name topics.

use std::sync::Arc;

use millstream_types::{Error, ErrorKind, Result};
use regex::Regex;

/// A regular expression that must match a topic's whole name, as `java.util.regex.Pattern` does in
/// Kafka Streams.
///
/// The dialect is that of the `regex` crate, whose time is linear. What Java has beyond it (look
/// around, back references, possessive quantifiers, `\Q...\E`) is refused; what both have means the
/// same for the names of topics, which are ASCII.
///
/// ```
/// use millstream_topology::graph::TopicPattern;
///
/// let pattern = TopicPattern::parse("flights-[0-9]{4}")?;
/// assert!(pattern.matches("flights-2024"));
/// assert!(!pattern.matches("old-flights-2024"));
/// assert!(TopicPattern::parse("a*+").is_err());
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TopicPattern {
    text: Arc<str>,
    whole: Regex,
}

impl TopicPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// `Topology` with what is wrong and where.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |why: String| Err(Error::new(ErrorKind::Topology, format!("topic pattern {text:?}: {why}")));
        if let Some(quantifier) = doubled_quantifier(text) {
            return refuse(format!("the quantifier {quantifier} is not supported; put what it repeats in a group"));
        }
        // Alone first: parentheses that do not pair must not pair with ours.
        if let Err(error) = Regex::new(text) {
            return refuse(in_a_line(&error));
        }
        match Regex::new(&format!("^(?:{text})$")) {
            Ok(whole) => Ok(Self { text: text.into(), whole }),
            Err(error) => refuse(in_a_line(&error)),
        }
    }

    /// Whether the whole name matches.
    pub fn matches(&self, topic: &str) -> bool {
        self.whole.is_match(topic)
    }

    /// The pattern as it was given.
    pub fn as_str(&self) -> &Arc<str> {
        &self.text
    }
}

/// What is wrong, without the drawing of where.
fn in_a_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// A quantifier behind a quantifier: possessive in Java (`a*+`) or an error there (`a**`), a
/// repetition of a repetition in the `regex` crate. A question mark behind one makes it lazy in both.
fn doubled_quantifier(pattern: &str) -> Option<&str> {
    let mut is_in_class = false;
    let mut is_escaped = false;
    let mut quantifier: Option<usize> = None;
    for (at, letter) in pattern.char_indices() {
        if std::mem::take(&mut is_escaped) {
            continue;
        }
        let last = quantifier.take();
        match letter {
            '\\' => is_escaped = true,
            '[' => is_in_class = true,
            ']' => is_in_class = false,
            _ if is_in_class => {}
            '*' | '+' if last.is_some() => return pattern.get(last?..=at),
            '*' | '+' | '}' => quantifier = Some(at),
            '?' if last.is_none() => quantifier = Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let pattern = TopicPattern::parse(pattern).unwrap();
        for topic in matching {
            assert!(pattern.matches(topic), "{topic}");
        }
        for topic in others {
            assert!(!pattern.matches(topic), "{topic}");
        }
    }

    #[test]
    fn the_whole_name_must_match() {
        check("in", &["in"], &["in1", "xin", ""]);
        check("a|ab", &["a", "ab"], &["abc"]);
        check(".*", &["anything.at-all_"], &[]);
        check("in1|in1x.*", &["in1", "in1xyz"], &["in12"]);
        check(r"a\.b+?", &["a.bb"], &["axb"]);
        check("[a+*]{2}", &["a+"], &["a"]);
    }

    #[test]
    fn what_java_means_otherwise_is_refused() {
        for pattern in ["a*+", "a++", "a{2}+", "a?+", "a**", "(?=a)b", r"(a)\1", r"\Qa.b\E", "a)|(b", "["] {
            let error = TopicPattern::parse(pattern).expect_err(pattern);
            assert!(error.message().contains("topic pattern"), "{error}");
        }
    }
}
