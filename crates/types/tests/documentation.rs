//! The tables of docs/configuration.md are made from the list of keys.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::fmt::Write;
use std::path::Path;

use millstream_types::config::{Key, KeyReader, Origin, keys};

const START: &str = "<!-- tables -->\n";
const END: &str = "<!-- end of tables -->\n";

/// One table with its heading.
fn table(heading: &str, wanted: impl Fn(&Key) -> bool) -> String {
    let mut text =
        format!("\n## {heading}\n\n| key | default | allowed | importance | meaning |\n|---|---|---|---|---|\n");
    for key in keys().filter(|key| wanted(key)) {
        let (name, allowed) = (key.name, key.allowed_text());
        let unread =
            if let KeyReader::Nobody(why) = key.reader { format!("; no effect: {why}") } else { String::new() };
        let (default, importance, meaning) = (key.default, key.importance, key.meaning);
        writeln!(text, "| `{name}` | {default} | {allowed} | {importance} | {meaning}{unread} |").unwrap();
    }
    text
}

fn tables() -> String {
    let of = |origin: Origin, reader: KeyReader| move |key: &Key| key.origin == origin && key.reader == reader;
    [
        table("Keys of Kafka Streams", of(Origin::KafkaStreams, KeyReader::Engine)),
        table("Keys of Millstream", of(Origin::Millstream, KeyReader::Engine)),
        table("Keys of Kafka's clients that the engine reads itself", of(Origin::KafkaClient, KeyReader::Engine)),
        table("Keys that only a connection to Kafka reads", of(Origin::KafkaStreams, KeyReader::Brokers)),
        table("Keys that nothing acts on", |key| matches!(key.reader, KeyReader::Nobody(_))),
        table("Keys without meaning outside the JVM", of(Origin::KafkaStreams, KeyReader::Jvm)),
    ]
    .concat()
}

#[test]
fn the_documented_keys_are_those_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(START).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    let expected = format!("{}\n", tables());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{START}{expected}{END}{after}")).unwrap();
    } else {
        assert_eq!(written, expected, "docs/configuration.md is old: set UPDATE_DOCS=1 and run this test");
    }
}

#[test]
fn every_key_stands_in_one_table() {
    let tables = tables();
    for key in keys() {
        assert_eq!(tables.matches(&format!("| `{}` |", key.name)).count(), 1, "{}", key.name);
    }
}
