//! Reading a message schema: JSON with comments.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// A request or response in the versions that are spoken.
pub(crate) struct Schema {
    pub(crate) name: String,
    pub(crate) key: i64,
    pub(crate) first: i16,
    pub(crate) last: i16,
    pub(crate) fields: Vec<Field>,
    /// Structures that several fields share.
    pub(crate) common: Vec<(String, Vec<Field>)>,
}

/// A field that exists in at least one of the versions.
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) versions: Versions,
    pub(crate) nullable: Versions,
    pub(crate) tag: Option<u32>,
    pub(crate) default: Option<String>,
}

/// A type.
pub(crate) enum Kind {
    Primitive(String),
    Struct { name: String, fields: Option<Vec<Field>> },
    Array(Box<Kind>),
}

/// Versions from and to, both inclusive; none at all when `from > to`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) from: i16,
    pub(crate) to: i16,
}

impl Versions {
    const NONE: Self = Self { from: 1, to: 0 };

    fn parse(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse::<i16>().map_err(|error| format!("versions {text}: {error}"));
        match text.split_once('-') {
            _ if text == "none" => Ok(Self::NONE),
            Some((from, to)) => Ok(Self { from: number(from)?, to: number(to)? }),
            None => match text.strip_suffix('+') {
                Some(from) => Ok(Self { from: number(from)?, to: i16::MAX }),
                None => Ok(Self { from: number(text)?, to: number(text)? }),
            },
        }
    }

    /// Those that are also between `first` and `last`.
    fn within(self, first: i16, last: i16) -> Self {
        Self { from: self.from.max(first), to: self.to.min(last) }
    }

    pub(crate) fn is_none(self) -> bool {
        self.from > self.to
    }
}

impl Schema {
    pub(crate) fn read(path: &Path, first: i16, last: i16) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let json = parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let name = text_of(&json, "name").ok_or("a message without a name")?;
        let valid = Versions::parse(&text_of(&json, "validVersions").unwrap_or_default())?;
        let flexible = Versions::parse(&text_of(&json, "flexibleVersions").unwrap_or_default())?;
        if first < valid.from || last > valid.to || first < flexible.from {
            return Err(format!("{name} has no flexible versions {first} to {last}"));
        }
        let mut common = Vec::new();
        for item in array(&json, "commonStructs") {
            let name = text_of(item, "name").ok_or("a structure without a name")?;
            common.push((name, fields(item, first, last)?));
        }
        let key = json.get("apiKey").and_then(Value::as_i64).unwrap_or(-1);
        Ok(Self { name, key, first, last, fields: fields(&json, first, last)?, common })
    }
}

fn fields(json: &Value, first: i16, last: i16) -> Result<Vec<Field>, String> {
    let mut all = Vec::new();
    for item in array(json, "fields") {
        let name = text_of(item, "name").ok_or("a field without a name")?;
        let of = |key: &str| text_of(item, key).map_or(Ok(Versions::NONE), |text| Versions::parse(&text));
        let tagged = of("taggedVersions")?.within(first, last);
        // A tagged field may leave its versions out.
        let versions = match text_of(item, "versions") {
            Some(text) => Versions::parse(&text)?.within(first, last),
            None => tagged,
        };
        if versions.is_none() {
            continue;
        }
        let tag = item.get("tag").and_then(Value::as_u64).filter(|_| !tagged.is_none());
        let kind = kind(&text_of(item, "type").unwrap_or_default(), item, first, last)?;
        let default = item.get("default").map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        let tag = tag.map(|tag| u32::try_from(tag).unwrap_or(u32::MAX));
        all.push(Field { name, kind, versions, nullable: of("nullableVersions")?.within(first, last), tag, default });
    }
    Ok(all)
}

fn kind(text: &str, item: &Value, first: i16, last: i16) -> Result<Kind, String> {
    if let Some(element) = text.strip_prefix("[]") {
        return Ok(Kind::Array(Box::new(kind(element, item, first, last)?)));
    }
    if text.starts_with(|letter: char| letter.is_ascii_uppercase()) {
        let own = item.get("fields").map(|_| fields(item, first, last)).transpose()?;
        return Ok(Kind::Struct { name: text.to_owned(), fields: own });
    }
    Ok(Kind::Primitive(text.to_owned()))
}

fn array<'a>(json: &'a Value, key: &str) -> &'a [Value] {
    json.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text_of(json: &Value, key: &str) -> Option<String> {
    json.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// JSON after its comments are cut out: a line from `//` on, unless that stands in a string.
fn parse(text: &str) -> Result<Value, String> {
    let mut clean = String::with_capacity(text.len());
    for line in text.lines() {
        let mut quotes = false;
        let mut last = ' ';
        let mut end = line.len();
        for (at, letter) in line.char_indices() {
            match letter {
                '"' if last != '\\' => quotes = !quotes,
                '/' if last == '/' && !quotes => {
                    end = at - 1;
                    break;
                }
                _ => {}
            }
            last = letter;
        }
        clean.push_str(line.get(..end).unwrap_or(line));
        clean.push('\n');
    }
    serde_json::from_str(&clean).map_err(|error| error.to_string())
}
