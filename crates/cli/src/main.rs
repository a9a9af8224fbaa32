//! The `millstream` command.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a command prints and reads files")]

mod args;
mod demo;
mod warnings;

use std::error::Error as StdError;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command, DemoCommand};
use demo::Ending;

/// Exit code of a run that SIGINT or SIGTERM ended.
const INTERRUPTED: u8 = 130;

/// Exit codes: 0 success, 1 failure, 2 (by clap) wrong usage, 130 interrupted.
fn main() -> ExitCode {
    let command = Arguments::parse().into_command();
    warnings::show();
    let answer = match command {
        Command::Demo(demo) => match demo.into_command() {
            DemoCommand::Run(args) => demo::run(&args),
            DemoCommand::Dump(args) => demo::dump(&args).map(|()| Ending::Finished),
        },
    };
    match answer {
        Ok(Ending::Finished) => ExitCode::SUCCESS,
        Ok(Ending::Interrupted) => INTERRUPTED.into(),
        Err(error) => {
            // Nobody is left to tell when this fails, too.
            let _ = writeln!(io::stderr(), "millstream: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error and what caused it, one line each.
fn chain(error: &dyn StdError) -> String {
    let mut lines = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        lines.push(error.to_string());
        cause = error.source();
    }
    lines.join("\n  because: ")
}
