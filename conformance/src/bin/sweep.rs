//! Runs generated cases through Kafka Streams and Millstream, and tells where they differ.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]

use std::process::ExitCode;

use millstream_conformance::silence;
use millstream_conformance::sweep::{Options, sweep};

fn main() -> ExitCode {
    silence();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let report = Options::parse(&arguments).and_then(|options| sweep(&options));
    match report {
        Ok(report) => {
            print!("{report}");
            if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(message) => {
            eprintln!("{}", message.trim_end());
            ExitCode::FAILURE
        }
    }
}
