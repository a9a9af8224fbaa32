//! What is known of one configuration key, and how its text is read.

use std::fmt;

use super::OffsetReset;

/// One configuration key; all of them are listed by [`keys`](super::keys).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Key {
    /// Name, as in a properties file.
    pub name: &'static str,
    /// How its text is read.
    pub kind: KeyKind,
    /// Value unless the user gives one.
    pub default: KeyDefault,
    /// What is accepted.
    pub allowed: Allowed,
    /// Kafka's rating of how likely one needs it.
    pub importance: Importance,
    /// Where the key comes from.
    pub origin: Origin,
    /// Who reads it.
    pub reader: KeyReader,
    /// What it does, in a line.
    pub meaning: &'static str,
}

/// How the text of a value is read. White space around it never counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Text.
    Text,
    /// A 32-bit number.
    Int,
    /// A 64-bit number.
    Long,
    /// `true` or `false`, in any case.
    Boolean,
    /// Items between commas.
    List,
    /// A class in Kafka; a short name here.
    Class,
}

/// The value a key has unless the user gives one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyDefault {
    /// There is none: the user has to give it.
    Required,
    /// Nothing.
    Null,
    /// This text.
    Is(&'static str),
}

/// Which values are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Whatever the kind can read.
    Any,
    /// Numbers from here on.
    AtLeast(i64),
    /// One of these. Each row is one meaning: the name it is kept under, then its other names,
    /// among them Kafka's classes, which may come with their package.
    OneOf(&'static [&'static [&'static str]]),
    /// The same, in upper or lower case.
    OneOfAnyCase(&'static [&'static [&'static str]]),
    /// An [`OffsetReset`].
    OffsetResetPolicy,
    /// A list of at most so many items.
    AtMostItems(usize),
    /// Checked by a rule of its own, described here.
    Rule(&'static str),
}

/// Kafka's rating of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// Most applications set it.
    High,
    /// Some do.
    Medium,
    /// Few do.
    Low,
}

/// Where a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Kafka Streams.
    KafkaStreams,
    /// A setting of Kafka's consumer or producer that Kafka Streams passes on.
    KafkaClient,
    /// Millstream's own.
    Millstream,
}

/// Who reads a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyReader {
    /// The engine, whatever log it runs on.
    Engine,
    /// Only a connection to Kafka brokers.
    Brokers,
    /// Nobody: it names Java classes or has no meaning outside the JVM. Reported as a warning.
    Jvm,
    /// Nobody, for this reason. Reported as a warning.
    Nobody(&'static str),
}

/// A value that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Text(String),
    Number(i64),
    Boolean(bool),
    List(Vec<String>),
}

impl Key {
    /// Reads a text; the error says what is allowed.
    pub(super) fn read(&self, text: &str) -> Result<Value, String> {
        self.read_kind(text.trim()).ok_or_else(|| self.allowed_text())
    }

    /// The value unless the user gives one; nothing where there is none.
    pub(super) fn default_value(&self) -> Value {
        match self.default {
            KeyDefault::Is(text) => self.read(text).unwrap_or(Value::Null),
            KeyDefault::Required | KeyDefault::Null => Value::Null,
        }
    }

    fn read_kind(&self, text: &str) -> Option<Value> {
        match self.kind {
            KeyKind::Int => self.number(text.parse::<i32>().ok()?.into()),
            KeyKind::Long => self.number(text.parse().ok()?),
            KeyKind::Boolean if text.eq_ignore_ascii_case("true") => Some(Value::Boolean(true)),
            KeyKind::Boolean if text.eq_ignore_ascii_case("false") => Some(Value::Boolean(false)),
            KeyKind::Boolean => None,
            KeyKind::List => self.list(text),
            KeyKind::Text | KeyKind::Class => self.text(text),
        }
    }

    fn number(&self, number: i64) -> Option<Value> {
        match self.allowed {
            Allowed::AtLeast(least) if number < least => None,
            _ => Some(Value::Number(number)),
        }
    }

    fn list(&self, text: &str) -> Option<Value> {
        let items: Vec<String> =
            if text.is_empty() { Vec::new() } else { text.split(',').map(|item| item.trim().to_owned()).collect() };
        match self.allowed {
            Allowed::AtMostItems(most) if items.len() > most => None,
            _ => Some(Value::List(items)),
        }
    }

    fn text(&self, text: &str) -> Option<Value> {
        // Kafka's classes are known by their last name: `pkg.Outer$Inner` is `Inner`.
        let name = if self.kind == KeyKind::Class { text.rsplit(['.', '$']).next()? } else { text };
        let kept = match self.allowed {
            Allowed::OneOf(rows) => choose(rows, |known| known == name)?,
            Allowed::OneOfAnyCase(rows) => choose(rows, |known| known.eq_ignore_ascii_case(name))?,
            Allowed::OffsetResetPolicy => return Some(Value::Text(text.parse::<OffsetReset>().ok()?.to_string())),
            _ => text,
        };
        Some(Value::Text(kept.to_owned()))
    }

    /// What is accepted, as the end of a sentence: "must be …".
    pub fn allowed_text(&self) -> String {
        let kind = match self.kind {
            KeyKind::Int => "a whole number of 32 bits",
            KeyKind::Long => "a whole number of 64 bits",
            KeyKind::Boolean => "true or false",
            KeyKind::List => "a list with commas",
            KeyKind::Text => "text",
            KeyKind::Class => "a class name",
        };
        match self.allowed {
            Allowed::Any => kind.to_owned(),
            Allowed::AtLeast(least) => format!("{kind}, {least} or more"),
            Allowed::AtMostItems(most) => format!("{kind}, at most {most} items"),
            Allowed::OneOf(rows) => format!("one of {}", first_names(rows)),
            Allowed::OneOfAnyCase(rows) => format!("one of {}, in any case", first_names(rows)),
            Allowed::OffsetResetPolicy => OffsetReset::RULE.to_owned(),
            Allowed::Rule(rule) => rule.to_owned(),
        }
    }
}

/// The name a matching row is kept under.
fn choose(rows: &'static [&'static [&'static str]], matches: impl Fn(&str) -> bool) -> Option<&'static str> {
    rows.iter().find(|row| row.iter().any(|name| matches(name)))?.first().copied()
}

fn first_names(rows: &[&[&str]]) -> String {
    let names: Vec<&str> = rows.iter().filter_map(|row| row.first().copied()).collect();
    names.join(", ")
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
            Self::Boolean(value) => value.fmt(f),
            Self::List(items) => f.write_str(&items.join(",")),
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "string",
            Self::Int => "int",
            Self::Long => "long",
            Self::Boolean => "boolean",
            Self::List => "list",
            Self::Class => "class",
        })
    }
}

impl fmt::Display for KeyDefault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required => f.write_str("required"),
            Self::Null => f.write_str("null"),
            Self::Is("") => f.write_str("empty"),
            Self::Is(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Importance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        })
    }
}
