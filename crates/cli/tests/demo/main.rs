//! The whole demo as its user runs it: the binary, all the data, crashes in the middle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test of a command looks at files")]

mod expected;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::Value;

use expected::Expected;

static EXPECTED: LazyLock<Expected> = LazyLock::new(Expected::compute);

fn millstream(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millstream"));
    command.current_dir(dir).stdin(Stdio::null());
    command
}

fn run(dir: &Path, arguments: &[&str]) -> Output {
    millstream(dir).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn finish(dir: &Path, arguments: &[&str]) -> String {
    let output = run(dir, arguments);
    assert!(output.status.success(), "{}\n{}", output.status, stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn crash(dir: &Path, arguments: &[&str]) {
    let output = run(dir, arguments);
    assert_eq!(output.status.code(), None, "no crash: {}", stderr(&output));
    assert!(output.stdout.is_empty(), "a report after a crash");
}

/// Shows each line of a dump.
fn dump(dir: &Path, topic: &str, mut visit: impl FnMut(&str)) {
    let mut command = millstream(dir);
    let mut child = command.args(["demo", "dump", topic, "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        visit(&line.unwrap());
    }
    assert!(child.wait().unwrap().success());
}

/// The last value of each key.
fn latest<K: Ord, V>(
    dir: &Path,
    topic: &str,
    key: impl Fn(&Value) -> K,
    value: impl Fn(&Value) -> V,
) -> BTreeMap<K, V> {
    let mut latest = BTreeMap::new();
    dump(dir, topic, |line| {
        let record: Value = serde_json::from_str(line).unwrap();
        latest.insert(key(&record["key"]), value(&record["value"]));
    });
    latest
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap()
}

/// A value with exactly these fields.
#[track_caller]
fn fields<const N: usize>(value: &Value, names: [&str; N]) -> [Value; N] {
    let object = value.as_object().unwrap();
    assert_eq!(object.len(), N, "{value}");
    names.map(|name| object[name].clone())
}

fn windowed(size_ms: i64) -> impl Fn(&Value) -> (String, i64) {
    move |key| {
        let [key, start, end] = fields(key, ["key", "start", "end"]);
        assert_eq!(number(&end), number(&start) + size_ms);
        (text(&key), number(&start))
    }
}

#[track_caller]
fn check_tables(dir: &Path) {
    check_departures(dir);
    let delays = latest(dir, "delays-by-carrier-day", windowed(86_400_000), |value| {
        let [flights, minutes, mean] = fields(value, ["flights", "delay_minutes", "mean_delay"]);
        let (flights, minutes) = (number(&flights), number(&minutes));
        let difference = mean.as_f64().unwrap() - minutes as f64 / flights as f64;
        assert!(difference.abs() < 1e-9, "{value}");
        (flights, minutes)
    });
    assert!(delays == EXPECTED.delays, "delays-by-carrier-day differs");
    let traffic = latest(dir, "traffic", windowed(3_600_000), |value| {
        let [flights] = fields(value, ["flights"]);
        number(&flights)
    });
    assert!(traffic == EXPECTED.traffic, "traffic differs");
    let legs = latest(dir, "legs-by-plane", text, |value| {
        let [legs, miles, model, seats] = fields(value, ["legs", "distance_miles", "model", "seats"]);
        (number(&legs), number(&miles), model.as_str().map(str::to_owned), seats.as_i64())
    });
    assert!(legs == EXPECTED.legs, "legs-by-plane differs");
    let worst = latest(dir, "worst-delays", text, |value| {
        let [minutes, carrier, flight] = fields(value, ["delay_minutes", "carrier", "flight"]);
        (number(&minutes), text(&carrier), number(&flight))
    });
    assert_eq!(worst, EXPECTED.worst);
}

/// Record for record: nothing is missing, nothing is there twice.
#[track_caller]
fn check_departures(dir: &Path) {
    let mut counts = [0; 4];
    dump(dir, "departures", |line| {
        let (head, rest) = line.split_once(r#","timestamp""#).unwrap();
        let partition: usize = head.strip_prefix(r#"{"partition":"#).unwrap()[..1].parse().unwrap();
        let expected = EXPECTED.departures[partition].get(counts[partition]).map_or("nothing", String::as_str);
        assert_eq!(expected.strip_prefix(r#""timestamp""#), Some(rest), "departure {}", counts[partition]);
        counts[partition] += 1;
    });
    assert_eq!(counts, std::array::from_fn(|partition| EXPECTED.departures[partition].len()));
}

#[track_caller]
fn check_report(report: &str) {
    for fact in ["2013-12-02, 1,018 departures", "Frontier Airlines Inc.", "20.2 minutes", "N725MQ", "546 legs"] {
        assert!(report.contains(fact), "{fact} is not in the report:\n{report}");
    }
}

#[test]
fn the_year_is_counted_exactly() {
    let home = tempfile::tempdir().unwrap();
    let report = finish(home.path(), &[]);
    check_report(&report);
    check_tables(home.path());
    // Nothing is left to do, and nothing changes.
    let again = finish(home.path(), &["--keep"]);
    assert_eq!(again, report);
    check_departures(home.path());
}

#[test]
fn crashes_leave_no_trace() {
    let home = tempfile::tempdir().unwrap();
    crash(home.path(), &["demo", "run", "--threads", "4", "--crash-after", "30000"]);
    for after in ["1", "70000", "120000"] {
        crash(home.path(), &["demo", "run", "--threads", "4", "--keep", "--crash-after", after]);
    }
    let report = finish(home.path(), &["demo", "run", "--threads", "4", "--keep"]);
    check_report(&report);
    check_tables(home.path());
}

#[test]
fn without_a_crash_at_least_once_counts_the_same() {
    let home = tempfile::tempdir().unwrap();
    check_report(&finish(home.path(), &["--guarantee", "at_least_once", "--threads", "2"]));
    check_tables(home.path());
}

#[test]
fn a_reader_that_stops_early_ends_a_dump_quietly() {
    let home = tempfile::tempdir().unwrap();
    crash(home.path(), &["--crash-after", "1"]);
    let mut command = millstream(home.path());
    command.args(["demo", "dump", "flights", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = [0; 100];
    child.stdout.take().unwrap().read_exact(&mut line).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(stderr(&output), "");
}

#[test]
fn a_directory_of_somebody_else_is_refused() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("mine")).unwrap();
    std::fs::write(home.path().join("mine/letter.txt"), "dear").unwrap();
    for arguments in
        [&["--dir", "mine"][..], &["--keep", "--dir", "mine"], &["demo", "dump", "flights", "--dir", "mine"]]
    {
        let output = run(home.path(), arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("not a directory of the demo"), "{}", stderr(&output));
    }
    assert_eq!(std::fs::read_dir(home.path().join("mine")).unwrap().count(), 1);
}

#[test]
fn wrong_usage_and_unknown_topics_are_told_apart() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(run(home.path(), &["--threads", "none"]).status.code(), Some(2));
    crash(home.path(), &["--crash-after", "1"]);
    let output = run(home.path(), &["demo", "dump", "trains", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "millstream: there is no topic trains\n");
}
