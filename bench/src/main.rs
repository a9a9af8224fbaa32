//! Measurements of whole applications: Millstream and Kafka Streams side by side on one broker
//! (`compare`), and Millstream alone on the embedded log (`embedded`). What is measured is one program
//! (`app`) with one topology for each workload.
//!
//! The limiting resource is the CPU: on a broker that shares the machine, the wall clock says as much
//! about the neighbours.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints its figures")]
#![allow(clippy::disallowed_methods, reason = "processes, files and clocks are what this program is about")]

mod answer;
mod app;
mod compare;
mod embedded;
mod generator;
mod job;
mod options;
mod usage;
mod workload;

use std::process::ExitCode;

const HELP: &str = "\
usage: cargo run --release -p millstream-bench -- <task> [options]

  compare   Millstream and Kafka Streams on one Kafka broker, in turn (needs Java 17 and Maven)
  embedded  Millstream alone, on the embedded log in memory
  app       one workload: the program that `compare` and `embedded` start

bench/README.md says what is measured, and how.";

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let result = match given.split_first() {
        Some((task, options)) if task == "compare" => compare::run(options),
        Some((task, options)) if task == "embedded" => embedded::run_all(options),
        Some((task, options)) if task == "app" => app::run(options),
        _ => Err(HELP.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
