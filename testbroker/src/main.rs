//! Kafka brokers for people: `cargo xtask kafka start|stop|status`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]

use std::path::PathBuf;
use std::process::ExitCode;

use millstream_testbroker::{Builder, Cluster, start_detached, status, stop_detached};

const HELP: &str = "\
usage: cargo xtask kafka start|stop|status [options]

  start    starts brokers that run until they are stopped, and prints their addresses
  stop     stops them
  status   prints the addresses of those that run

  --version V   Kafka's version (4.3.0; 3.9.1 is tested too)
  --brokers N   how many (1)
  --port P      port of the first; the others have the next ones (free ports)
  --heap SIZE   most memory of each, as Java takes it (300m)
  --dir D       keep the data in this folder, and go on with what is there
  --set K=V     a setting of the brokers, may be given again
";

/// What was asked for.
struct Arguments {
    task: String,
    builder: Builder,
    folder: Option<PathBuf>,
}

fn main() -> ExitCode {
    let result = parse(std::env::args().skip(1)).and_then(|arguments| run(&arguments));
    match result {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{}", message.trim_end());
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<String, String> {
    let folder = arguments.folder.as_deref();
    match arguments.task.as_str() {
        "start" => {
            let bootstrap = start_detached(&arguments.builder, folder)?;
            let again = folder.map(|folder| format!(" --dir {}", folder.display())).unwrap_or_default();
            Ok(format!("{bootstrap}\nstop with: cargo xtask kafka stop{again}\n"))
        }
        "stop" => Ok(format!("{} brokers stopped\n", stop_detached(folder))),
        "status" => status(folder).map(|bootstrap| format!("{bootstrap}\n")).ok_or_else(|| "no broker runs".to_owned()),
        _ => Ok(HELP.to_owned()),
    }
}

fn parse(mut given: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let task = given.next().unwrap_or_default();
    if !["start", "stop", "status", "--help", "-h", "help"].contains(&task.as_str()) {
        return Err(HELP.to_owned());
    }
    let mut arguments = Arguments { task, builder: Cluster::builder(), folder: None };
    while let Some(option) = given.next() {
        if option == "--help" || option == "-h" {
            arguments.task = option;
            break;
        }
        let value = given.next().ok_or_else(|| format!("{option} wants a value\n\n{HELP}"))?;
        let bad = || format!("{option}: {value} does not fit\n\n{HELP}");
        let builder = arguments.builder;
        arguments.builder = match option.as_str() {
            "--version" => builder.version(&value),
            "--brokers" => builder.brokers(value.parse().map_err(|_| bad())?),
            "--port" => builder.port(value.parse().map_err(|_| bad())?),
            "--heap" => builder.heap(&value),
            "--set" => {
                let (key, value) = value.split_once('=').ok_or_else(bad)?;
                builder.setting(key, value)
            }
            "--dir" => {
                arguments.folder = Some(PathBuf::from(&value));
                builder
            }
            _ => return Err(format!("{option} is not known\n\n{HELP}")),
        };
    }
    Ok(arguments)
}
