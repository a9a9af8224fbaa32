//! What the command accepts.

use std::path::PathBuf;

use crate::upgrade_group::UpgradeGroupArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Where the demo lives unless told.
const DEMO_DIR: &str = "millstream-demo";

/// Kafka Streams for Rust. Without a command, the demo runs.
#[derive(Debug, Parser)]
#[command(name = "millstream", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// A year of flights from New York through a topology, on the embedded log or on Kafka.
    Demo(Demo),
    /// What a deploy of a changed topology would lose: compares the texts of two `describe()`s, of
    /// Millstream or Kafka Streams. Ends with 3 when data would be lost or misread.
    Diff(DiffArgs),
    /// Lets the next version of an application have another topology: makes its group on the brokers anew with the
    /// offsets it has. All instances must have stopped.
    UpgradeGroup(UpgradeGroupArgs),
}

/// What to compare.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// File with the `describe()` of the version that runs now; `-` is standard input.
    pub(crate) before: PathBuf,
    /// File with the `describe()` of the version to be deployed.
    pub(crate) after: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// The demo; without a command of its own it runs.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Demo {
    #[command(subcommand)]
    command: Option<DemoCommand>,
    #[command(flatten)]
    run: RunArgs,
}

/// What to do with the demo.
#[derive(Debug, Subcommand)]
pub(crate) enum DemoCommand {
    /// Replays the year and prints a report; with `--bootstrap` on Kafka, as one of any number of instances.
    Run(RunArgs),
    /// Creates the demo's topics on Kafka and writes its inputs, once: what an interrupted load has not
    /// written the next one writes.
    Load(LoadArgs),
    /// Prints the committed records of a topic, one a line.
    Dump(DumpArgs),
}

/// Where to load the inputs.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Kafka brokers, with commas between.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) bootstrap: String,
    /// Load the first N flights of the year only; a later load writes the others.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) flights: Option<u64>,
}

/// How to run the demo.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Directory for topics and state; that of an earlier demo is replaced. On Kafka it holds state only,
    /// is kept, and each instance needs its own.
    #[arg(long, default_value = DEMO_DIR)]
    pub(crate) dir: PathBuf,
    /// Run on these Kafka brokers (4.2 or newer, with commas between) until all that `demo load` wrote is
    /// processed.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) bootstrap: Option<String>,
    /// Run on until stopped; with `--bootstrap` only.
    #[arg(long, requires = "bootstrap")]
    pub(crate) follow: bool,
    /// Only the first N flights of the year.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) flights: Option<u64>,
    /// Stream threads.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) threads: u16,
    /// What a crash may cost.
    #[arg(long, value_enum, default_value_t = Guarantee::ExactlyOnceV2)]
    pub(crate) guarantee: Guarantee,
    /// Continue where the last run stopped; on Kafka a run always does.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Abort without warning, as `kill -9` would, once this run has processed N flights.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) crash_after: Option<u64>,
}

/// `processing.guarantee`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Guarantee {
    /// Nothing is lost and nothing counts twice.
    #[value(name = "exactly_once_v2")]
    ExactlyOnceV2,
    /// Nothing is lost; after a crash records may count twice.
    #[value(name = "at_least_once")]
    AtLeastOnce,
}

/// What to print.
#[derive(Debug, Args)]
pub(crate) struct DumpArgs {
    /// Name of the topic.
    pub(crate) topic: String,
    /// One JSON object a line: partition, offset, timestamp, key, value.
    #[arg(long)]
    pub(crate) json: bool,
    /// Directory of the demo.
    #[arg(long, default_value = DEMO_DIR)]
    pub(crate) dir: PathBuf,
    /// A topic of these Kafka brokers instead.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "dir")]
    pub(crate) bootstrap: Option<String>,
}

impl Arguments {
    /// The command that was given or meant.
    pub(crate) fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Demo(Demo { command: None, run: self.run }))
    }
}

impl Demo {
    /// The command that was given or meant.
    pub(crate) fn into_command(self) -> DemoCommand {
        self.command.unwrap_or(DemoCommand::Run(self.run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn run_args(arguments: &[&str]) -> RunArgs {
        let Command::Demo(demo) = Arguments::try_parse_from(arguments).unwrap().into_command() else {
            panic!("{arguments:?}");
        };
        match demo.into_command() {
            DemoCommand::Run(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_demo_runs_by_default() {
        let prefixes: [&[&str]; 3] = [&["millstream"], &["millstream", "demo"], &["millstream", "demo", "run"]];
        for prefix in prefixes {
            assert_eq!(run_args(prefix).threads, 1);
            let args = run_args(&[prefix, &["--threads", "4", "--keep", "--guarantee", "at_least_once"]].concat());
            assert_eq!((args.threads, args.keep, args.guarantee), (4, true, Guarantee::AtLeastOnce));
            assert_eq!(args.dir, PathBuf::from(DEMO_DIR));
        }
    }

    #[test]
    fn wrong_usage_is_refused() {
        let cases: [&[&str]; 6] = [
            &["--threads", "0"],
            &["--crash-after", "0"],
            &["demo", "dump"],
            &["demo", "load"],
            &["demo", "run", "--follow"],
            &["demo", "dump", "flights", "--bootstrap", "b:1", "--dir", "d"],
        ];
        for case in cases {
            let error = Arguments::try_parse_from([&["millstream"], case].concat()).unwrap_err();
            assert_eq!(error.exit_code(), 2);
        }
    }
}
