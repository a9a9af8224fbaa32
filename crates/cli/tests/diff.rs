//! `millstream diff` as a deploy script calls it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test of a command writes files")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use millstream::StreamsBuilder;
use serde_json::Value;

/// Writes the description of a count, with or without a filter before it.
fn describe(dir: &Path, name: &str, is_filtered: bool) {
    let builder = StreamsBuilder::new();
    let words = builder.stream::<String, String>("words");
    let words = if is_filtered { words.filter(|_, word| !word.is_empty()) } else { words };
    words.group_by_key().count().to_stream().to("counts");
    fs::write(dir.join(name), builder.build().unwrap().describe().to_string()).unwrap();
}

fn diff(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millstream"));
    command.current_dir(dir).arg("diff").args(arguments).output().unwrap()
}

#[test]
fn a_loss_is_told_with_the_name_that_keeps_it_and_ends_with_3() {
    let dir = tempfile::tempdir().unwrap();
    describe(dir.path(), "before", false);
    describe(dir.path(), "after", true);

    let output = diff(dir.path(), &["before", "after"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("Materialized::named \"KSTREAM-AGGREGATE-STATE-STORE-0000000001\""), "{text}");
    assert!(text.contains("new, which moves the numbers of those written later: KSTREAM-FILTER-0000000001"), "{text}");

    let output = diff(dir.path(), &["before", "after", "--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["losses"], true);
    assert_eq!(json["changes"][0]["keep"]["name"], "KSTREAM-AGGREGATE-STATE-STORE-0000000001");
}

#[test]
fn equal_topologies_end_with_0() {
    let dir = tempfile::tempdir().unwrap();
    describe(dir.path(), "before", false);
    let output = diff(dir.path(), &["before", "before"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8(output.stdout).unwrap().starts_with("nothing is lost"));
}

#[test]
fn a_file_that_is_no_description_is_named_with_the_line() {
    let dir = tempfile::tempdir().unwrap();
    describe(dir.path(), "before", false);
    fs::write(dir.path().join("after"), "Topologies:\nSub-topology: one\n").unwrap();
    for (file, expected) in [("after", "line 2"), ("nowhere", "cannot be read")] {
        let output = diff(dir.path(), &["before", file]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(file) && text.contains(expected), "{text}");
    }
}
