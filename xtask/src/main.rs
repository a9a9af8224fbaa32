//! One entrance: `cargo xtask check`, `cargo xtask test`, `cargo xtask tidy`, `cargo xtask conformance`,
//! `cargo xtask fuzz`, `cargo xtask kafka`, `cargo xtask chaos`.
//!
//! What runs elsewhere runs at the desk by the same word.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]

mod command;
mod fuzz;
mod protocol;
mod tidy;

use std::process::ExitCode;

const HELP: &str = "\
usage: cargo xtask <task>

  check   everything: format, lints, tests, documentation, tidy
  test    the tests of the whole workspace, documentation examples among them
  tidy    sizes, leftovers, stray files, arrows between crates, links, licences
  conformance [--help]
          generated cases, run through Kafka Streams (needs Java) and Millstream, and compared
  fuzz [--minutes N] [target…]
          wrong bytes for everything that reads bytes from outside, led by the code that they reach; so
          long for each decoder, 1 minute unless said (needs a C++ compiler)
  kafka start|stop|status [--help]
          real Kafka brokers from Maven, to try things on (needs Java and Maven)
  chaos [kills=N] [seed=N] [brokers=kill]
          kills instances at random, 50 unless said, while three Kafka brokers are restarted, and compares
          what they counted (needs Java and Maven); MILLSTREAM_KEEP_BROKERS=FOLDER keeps the brokers' data and
          what the instances said
  protocol
          writes the messages of the Kafka client anew from Apache Kafka's schemas (needs Java and Maven)

`check` also asks cargo-deny about licences and advisories, where that is installed.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["help" | "--help" | "-h"] | ["chaos", "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        ["check"] => check(),
        ["test", more @ ..] => test(more),
        ["tidy"] => tidy(),
        ["conformance", more @ ..] => conformance(more),
        ["fuzz", more @ ..] => fuzz::run(&tidy::root(), more),
        ["kafka", more @ ..] => kafka(more),
        ["chaos", more @ ..] => chaos(more),
        ["protocol"] => protocol::generate(&tidy::root()),
        _ => Err(HELP.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{}", message.trim_end());
            ExitCode::FAILURE
        }
    }
}

/// All checks; the first that fails ends it. The quick ones come first.
fn check() -> Result<(), String> {
    tidy()?;
    command::cargo("format", &["fmt", "--all", "--check"])?;
    command::cargo("lints", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    test(&[])?;
    command::cargo_with("documentation", &["doc", "--workspace", "--no-deps"], &[("RUSTDOCFLAGS", "-D warnings")])?;
    if command::is_installed("deny") {
        command::cargo("licences and advisories", &["deny", "check"])?;
    } else {
        println!("== licences and advisories: skipped, cargo-deny is not installed");
    }
    println!("== all checks passed");
    Ok(())
}

/// The tests, with what else is given passed on to cargo.
fn test(more: &[&str]) -> Result<(), String> {
    let mut arguments = vec!["test", "--workspace"];
    arguments.extend_from_slice(more);
    command::cargo("tests", &arguments)
}

/// Millstream against Kafka Streams, on generated cases. Built with overflow checks: its side is
/// many times faster than the other all the same.
fn conformance(more: &[&str]) -> Result<(), String> {
    let mut arguments = vec!["run", "-q", "-p", "millstream-conformance", "--bin", "sweep", "--"];
    arguments.extend_from_slice(more);
    command::cargo("conformance", &arguments)
}

/// Kafka brokers that run on when the command is over.
fn kafka(more: &[&str]) -> Result<(), String> {
    let mut arguments = vec!["run", "-q", "-p", "millstream-testbroker", "--"];
    arguments.extend_from_slice(more);
    command::cargo("kafka", &arguments)
}

/// The tests of that name, made longer.
fn chaos(more: &[&str]) -> Result<(), String> {
    // Asked before minutes of building, and of killing without what was wanted.
    if let Some(unknown) = more.iter().find(|part| !is_part_of_plan(part)) {
        return Err(format!("chaos does not know {unknown}\n\n{HELP}"));
    }
    let plan = [&["kills=50"], more].concat().join(",");
    let arguments = ["test", "-p", "millstream", "--test", "chaos", "--", "--nocapture"];
    command::cargo_with("chaos", &arguments, &[("MILLSTREAM_CHAOS", &plan)])
}

/// Whether the chaos tests know such a setting.
fn is_part_of_plan(part: &str) -> bool {
    match part.split_once('=') {
        Some(("kills" | "seed", number)) => number.parse::<u32>().is_ok(),
        Some(("brokers", how)) => how == "kill",
        _ => false,
    }
}

fn tidy() -> Result<(), String> {
    let problems = tidy::check(&tidy::root())?;
    if problems.is_empty() {
        println!("== tidy");
        return Ok(());
    }
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Err(format!("{}\n{} untidy places", lines.join("\n"), lines.len()))
}

#[cfg(test)]
mod tests {
    use super::is_part_of_plan;

    #[test]
    fn chaos_is_asked_for_what_it_knows() {
        for part in ["kills=5", "seed=7", "brokers=kill"] {
            assert!(is_part_of_plan(part), "{part}");
        }
        for part in ["--kills=5", "kills", "kills=many", "seed=-1", "brokers=stop", "threads=2"] {
            assert!(!is_part_of_plan(part), "{part}");
        }
    }
}
