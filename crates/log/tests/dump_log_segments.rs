//! Apache Kafka's own `DumpLogSegments` reads what the embedded log wrote, and agrees with it.
//!
//! Needs Java and Maven; the jars are fetched once and kept under `target/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use bytes::Bytes;
use millstream_log::batch::Compression;
use millstream_log::{EmbeddedLog, Log, Options};
use millstream_types::{Headers, Offset, Timestamp, TopicPartition};
use support::*;

const KAFKA: &str = "4.3.0";

/// Runs a tool; a missing one is named.
fn run(command: &mut Command) -> String {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().unwrap_or_else(|error| {
        panic!("{name} cannot be run ({error}): this test needs Java 17 or later and Maven on the PATH")
    });
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} failed: {}\n{stdout}\n{stderr}", output.status);
    stdout
}

/// Where Kafka's jars lie, after fetching them if need be.
fn jars() -> &'static Path {
    static JARS: OnceLock<PathBuf> = OnceLock::new();
    JARS.get_or_init(fetch_jars)
}

fn fetch_jars() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let jars = target.join(format!("kafka-tools-{KAFKA}"));
    if !jars.is_dir() {
        let unfinished = target.join(format!("kafka-tools-{KAFKA}-{}", std::process::id()));
        let pom = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka-tools/pom.xml");
        let to = format!("-DoutputDirectory={}", unfinished.display());
        run(Command::new("mvn").args(["-q", "-B", "-f"]).arg(pom).args(["dependency:copy-dependencies", &to]));
        // Another run may have been faster.
        if std::fs::rename(&unfinished, &jars).is_err() {
            std::fs::remove_dir_all(&unfinished).unwrap();
        }
    }
    jars
}

/// What the tool says of a partition's files.
fn dump(dir: &Path, partition: &TopicPartition) -> String {
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir.join(partition.to_string()))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    files.sort();
    let files = files.iter().map(|path| path.to_str().unwrap()).collect::<Vec<_>>().join(",");
    let classes = jars().join("*");
    let mut java = Command::new("java");
    java.arg("-cp").arg(classes).args([
        "org.apache.kafka.tools.DumpLogSegments",
        "--deep-iteration",
        "--print-data-log",
    ]);
    run(java.args(["--files", &files]))
}

/// A line of the tool: names and what they say.
type Line = BTreeMap<String, String>;

/// Batches and records, as the tool prints them.
fn lines(dump: &str) -> (Vec<Line>, Vec<Line>) {
    let (mut batches, mut records) = (Vec::new(), Vec::new());
    for line in dump.lines() {
        let is_record = line.starts_with('|');
        if !is_record && !line.starts_with("baseOffset:") {
            continue;
        }
        // "headerKeys: [a,b]" has no spaces, so every name is a word that ends with a colon.
        let mut fields = Line::new();
        let mut name = String::new();
        for word in line.trim_start_matches("| ").split_whitespace() {
            if let Some(next) = word.strip_suffix(':') {
                next.clone_into(&mut name);
                fields.insert(name.clone(), String::new());
            } else if let Some(value) = fields.get_mut(&name) {
                if !value.is_empty() {
                    value.push(' ');
                }
                value.push_str(word);
            }
        }
        if is_record { records.push(fields) } else { batches.push(fields) }
    }
    (batches, records)
}

#[track_caller]
fn assert_sound(dump: &str, batches: &[Line]) {
    assert!(!batches.is_empty(), "{dump}");
    assert!(batches.iter().all(|batch| batch["isvalid"] == "true" && batch["magic"] == "2"), "{dump}");
    for bad in ["Found invalid messages", "Mismatches", "Non-consecutive", "error", "Exception"] {
        assert!(!dump.contains(bad), "{bad}: {dump}");
    }
}

fn write(dir: &Path, compression: Compression) {
    let options = Options { compression, segment_bytes: 1100, batch_bytes_max: 1000, ..Options::default() };
    let log = EmbeddedLog::open(dir, options).unwrap();
    let mut plain = writer(&log, None);
    let to = plain.partition(&tp("plain", 0));
    for index in 0..100 {
        let (key, value) = (format!("key{index}"), format!("value{index}"));
        let mut headers = Headers::new();
        for header in 0..index % 3 {
            headers.add(format!("h{header}"), Some(Bytes::from_static(b"x")));
        }
        let key = (index % 10 != 7).then_some(key.as_bytes());
        let value = (index % 10 != 9).then_some(value.as_bytes());
        let time = Timestamp(1_700_000_000_000 + [5, -5, 100_000][index % 3]);
        plain.append(to, time, key, value, &headers).unwrap();
    }
    ok(plain.flush());

    let out = tp("out", 0);
    let mut writer = writer(&log, Some("app-1"));
    for (round, commits) in [true, false, true].into_iter().enumerate() {
        put(&mut writer, &out, &format!("round{round}"));
        put(&mut writer, &out, "again");
        ok(writer.flush());
        ok(if commits { writer.commit(vec![], &nobody()) } else { writer.abort() });
    }
}

fn check(compression: Compression, codec: &str) {
    let dir = dir();
    write(&dir, compression);

    let text = dump(&dir, &tp("plain", 0));
    let (batches, records) = lines(&text);
    assert_sound(&text, &batches);
    assert!(text.matches("Log starting offset").count() > 1, "several segments: {text}");
    assert!(batches.iter().all(|batch| batch["compresscodec"] == codec && batch["isTransactional"] == "false"));
    let log = EmbeddedLog::open(&dir, Options::default()).unwrap();
    let mut reader = log.reader(millstream_log::Isolation::ReadUncommitted);
    reader.assign(&[(tp("plain", 0), Offset(0).into())]);
    let mut theirs = records.iter();
    let mut count = 0;
    loop {
        let fetched = fetch(&mut reader, 700);
        if fetched.is_empty() {
            break;
        }
        for batch in fetched.iter().flat_map(|fetched| &fetched.batches) {
            let mut ours = batch.cursor(fetched[0].from).unwrap();
            while let Some(record) = ours.next_record().unwrap() {
                let theirs = theirs.next().unwrap();
                let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
                assert_eq!(theirs["offset"], record.offset.to_string());
                assert_eq!(theirs["CreateTime"], record.timestamp.to_string());
                assert_eq!(theirs.get("key").cloned(), text(record.key), "{theirs:?}");
                assert_eq!(theirs.get("payload").cloned(), text(record.value), "{theirs:?}");
                let names: Vec<String> =
                    record.headers.to_headers().iter().map(|header| header.key.to_string()).collect();
                assert_eq!(theirs["headerKeys"], format!("[{}]", names.join(",")));
                count += 1;
            }
        }
    }
    assert!(theirs.next().is_none());
    assert_eq!(count, 100);
    drop((log, reader));

    let text = dump(&dir, &tp("out", 0));
    let (batches, records) = lines(&text);
    assert_sound(&text, &batches);
    let is = |batch: &Line, name: &str| batch[name] == "true";
    let kinds: Vec<_> = batches.iter().map(|batch| (is(batch, "isTransactional"), is(batch, "isControl"))).collect();
    assert_eq!(kinds, [(true, false), (true, true)].repeat(3));
    let ends: Vec<_> = records.iter().filter_map(|record| record.get("endTxnMarker").cloned()).collect();
    assert_eq!(ends, ["COMMIT", "ABORT", "COMMIT"], "{text}");
    let payloads: Vec<_> = records.iter().filter_map(|record| record.get("payload").cloned()).collect();
    assert_eq!(payloads, ["round0", "again", "round1", "again", "round2", "again"], "{text}");
    let producers: Vec<_> =
        batches.iter().map(|batch| (batch["producerId"].clone(), batch["baseSequence"].clone())).collect();
    assert!(producers.iter().all(|(id, _)| *id == producers[0].0 && id != "-1"), "{text}");
    let sequences: Vec<_> = producers.iter().map(|(_, sequence)| sequence.as_str()).collect();
    assert_eq!(sequences, ["0", "-1", "2", "-1", "4", "-1"], "{text}");
}

#[test]
fn kafkas_own_tool_reads_plain_files() {
    check(Compression::None, "none");
}

#[test]
fn kafkas_own_tool_reads_lz4_files() {
    check(Compression::Lz4, "lz4");
}

#[test]
fn kafkas_own_tool_reads_gzip_files() {
    check(Compression::Gzip, "gzip");
}

#[test]
fn kafkas_own_tool_reads_snappy_files() {
    check(Compression::Snappy, "snappy");
}

#[test]
fn kafkas_own_tool_reads_zstd_files() {
    check(Compression::Zstd, "zstd");
}
