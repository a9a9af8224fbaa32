//! The whole application on one stream thread and the embedded log in memory: CPU seconds a
//! million records, from the start of the application until all of its input is processed and
//! committed and it is closed.
//!
//! The limiting resource is the CPU: input lies in memory before the clock starts, and output goes
//! there. Each run is a process of its own, so that its peak memory is its own; the input is part
//! of that. Every run checks its output before it prints a figure.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints its figures")]

mod args;
mod generator;
mod input;
mod output;
mod run;
mod usage;

use std::process::{Command, ExitCode};

use args::{Args, Guarantee, Workload};

fn main() -> ExitCode {
    match Args::parse(std::env::args().skip(1)).and_then(|args| start(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// One run where workload and guarantee are given; else one process for each.
fn start(args: &Args) -> Result<(), String> {
    if let (Some(workload), Some(guarantee)) = (args.workload, args.guarantee) {
        println!("{}", run::run(workload, guarantee, args)?);
        return Ok(());
    }
    let program = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    for workload in args.workload.map_or_else(|| Workload::ALL.to_vec(), |workload| vec![workload]) {
        for guarantee in args.guarantee.map_or_else(|| Guarantee::ALL.to_vec(), |guarantee| vec![guarantee]) {
            let status = Command::new(&program)
                .args(args.of_run(workload, guarantee))
                .status()
                .map_err(|error| format!("cannot start a run: {error}"))?;
            if !status.success() {
                return Err(format!("a run ended with {status}"));
            }
        }
    }
    Ok(())
}
