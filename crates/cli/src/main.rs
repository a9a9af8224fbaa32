//! The `millstream` command.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a command prints and reads files")]

mod args;
mod demo;
mod diff;
mod upgrade_group;
mod warnings;

use std::error::Error as StdError;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command, DemoCommand};
use demo::Ending;

/// Exit code of a run that SIGINT or SIGTERM ended.
const INTERRUPTED: u8 = 130;

/// Exit code of a comparison that found what would be lost.
const LOSSES: u8 = 3;

/// Exit codes: 0 success, 1 failure, 2 (by clap) wrong usage, 3 losses found, 130 interrupted.
fn main() -> ExitCode {
    let command = Arguments::parse().into_command();
    warnings::show();
    let code = |ending| match ending {
        Ending::Finished => ExitCode::SUCCESS,
        Ending::Interrupted => INTERRUPTED.into(),
    };
    let answer = match command {
        Command::Demo(demo) => match demo.into_command() {
            DemoCommand::Run(args) => demo::run(&args).map(code),
            DemoCommand::Load(args) => demo::load(&args).map(|()| ExitCode::SUCCESS),
            DemoCommand::Dump(args) => demo::dump(&args).map(|()| ExitCode::SUCCESS),
        },
        Command::UpgradeGroup(args) => upgrade_group::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Diff(args) => {
            diff::run(&args).map(|has_losses| if has_losses { LOSSES.into() } else { ExitCode::SUCCESS })
        }
    };
    match answer {
        Ok(code) => code,
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
