//! A process that writes transactions is killed for real; what it was told is committed is there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::print_stdout)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use millstream_log::{EmbeddedLog, Flush, Options};
use support::*;

/// Set in the process that is to be killed: the log's directory.
const VICTIM: &str = "MILLSTREAM_TEST_VICTIM_DIR";

fn open(dir: &Path) -> EmbeddedLog {
    let flush = if dir.ends_with("flushed") { Flush::Commit } else { Flush::Os };
    EmbeddedLog::open(dir, Options { flush, segment_bytes: 20_000, ..Options::default() }).unwrap()
}

/// Commits one transaction after the other and says which, until it is killed.
fn victim(dir: &Path) {
    let log = open(dir);
    let first = committed_offset(&log, "app", &tp("in", 0)).unwrap_or(0) + 1;
    let mut writer = writer(&log, Some("t"));
    for round in first.. {
        for partition in 0..3 {
            put(&mut writer, &tp(&format!("out{partition}"), 0), &round.to_string());
            if round % 2 == 0 {
                ok(writer.flush());
            }
        }
        if round % 7 == 0 {
            ok(writer.abort());
            for partition in 0..3 {
                put(&mut writer, &tp(&format!("out{partition}"), 0), &round.to_string());
            }
        }
        ok(writer.commit(vec![(tp("in", 0), offset(round))], &nobody()));
        println!("committed {round}");
        std::io::stdout().flush().unwrap();
    }
}

#[test]
fn a_killed_process_loses_nothing_that_was_committed() {
    if let Some(dir) = std::env::var_os(VICTIM) {
        return victim(Path::new(&dir));
    }
    let base = dir();
    for name in ["plain", "flushed"] {
        let dir = base.join(name);
        for kill in 1..=5 {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "a_killed_process_loses_nothing_that_was_committed", "--nocapture"])
                .env(VICTIM, &dir)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut acknowledged = 0;
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            for line in lines.by_ref().map_while(Result::ok).filter(|line| line.contains("committed ")).take(kill * 9) {
                acknowledged = line.rsplit(' ').next().unwrap().parse::<i64>().unwrap();
            }
            child.kill().unwrap();
            child.wait().unwrap();
            // What it still said before it died counts as well.
            for line in lines.map_while(Result::ok) {
                acknowledged = line.rsplit(' ').next().unwrap().parse().unwrap_or(acknowledged);
            }
            let log = open(&dir);
            let last = committed_offset(&log, "app", &tp("in", 0)).unwrap();
            assert!(last == acknowledged || last == acknowledged + 1, "{name} {kill}: {last} of {acknowledged}");
            let expected: Vec<i64> = (1..=last).collect();
            for partition in 0..3 {
                let seen = committed(&log, &tp(&format!("out{partition}"), 0));
                let seen: Vec<i64> = seen.iter().map(|text| text.split(':').nth(1).unwrap().parse().unwrap()).collect();
                assert_eq!(seen, expected, "{name} {kill}");
            }
        }
    }
}
