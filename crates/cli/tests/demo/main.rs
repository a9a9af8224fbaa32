//! The whole demo as its user runs it: the binary, all the data, crashes in the middle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a test of a command looks at files")]

mod expected;
mod kafka;
mod tables;

use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use expected::Expected;
use tables::Tables;

/// All flights there are.
static EXPECTED: LazyLock<Expected> = LazyLock::new(|| Expected::compute(usize::MAX));

/// The tables of the demo in the default directory.
fn tables(dir: &Path) -> Tables<'_> {
    Tables { dir, place: &[], expected: &EXPECTED }
}

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
    tables(home.path()).check();
    // Nothing is left to do, and nothing changes.
    let again = finish(home.path(), &["--keep"]);
    assert_eq!(again, report);
    tables(home.path()).check_departures();
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
    tables(home.path()).check();
}

#[test]
fn without_a_crash_at_least_once_counts_the_same() {
    let home = tempfile::tempdir().unwrap();
    check_report(&finish(home.path(), &["--guarantee", "at_least_once", "--threads", "2"]));
    tables(home.path()).check();
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
