//! The loop that runs targets for long: `cargo xtask fuzz`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints what it finds")]
#![allow(clippy::disallowed_methods, reason = "time and files are what this program is about")]

use std::fmt::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use millstream_fuzz::{Random, Target, all, check, mutate, shrink};

const HELP: &str = "\
usage: cargo xtask fuzz [--minutes N] [--seed N] [target…]

  Runs decoders with wrong bytes for so long (1 minute), all of them in turn or those that are named.
  The same seed makes the same inputs. What fails is made short and printed.
";

/// Inputs of one target before the next has its turn.
const TURN: usize = 500;

struct Options {
    minutes: f64,
    seed: u64,
    names: Vec<String>,
}

fn options() -> Result<Options, String> {
    let mut options = Options { minutes: 1.0, seed: 1, names: Vec::new() };
    let mut given = std::env::args().skip(1);
    while let Some(argument) = given.next() {
        let mut number = || given.next().ok_or_else(|| HELP.to_owned());
        match argument.as_str() {
            "--minutes" => options.minutes = number()?.parse().map_err(|_| HELP.to_owned())?,
            "--seed" => options.seed = number()?.parse().map_err(|_| HELP.to_owned())?,
            "--help" | "-h" => return Err(HELP.to_owned()),
            _ => options.names.push(argument),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let is_named = |target: &Target| options.names.is_empty() || options.names.iter().any(|name| name == target.name);
    let targets: Vec<Target> = all().into_iter().filter(is_named).collect();
    if targets.is_empty() {
        let names: Vec<&str> = all().iter().map(|target| target.name).collect();
        return Err(format!("there is no such target; there are: {}", names.join(", ")));
    }
    // A panic is told below, once, with its input.
    std::panic::set_hook(Box::new(|_| {}));
    let end = Instant::now() + Duration::from_secs_f64(options.minutes * 60.0);
    let mut counts = vec![0_u64; targets.len()];
    let mut failures = Vec::new();
    let mut turn = 0_u64;
    while Instant::now() < end && failures.is_empty() {
        for (at, target) in targets.iter().enumerate() {
            let mut random = Random::new(options.seed.wrapping_mul(1_000_003).wrapping_add(turn));
            turn += 1;
            for _ in 0..TURN {
                let input = mutate(&target.right, &mut random);
                if let Err(failure) = check(target, &input) {
                    let short = shrink(target, &input);
                    failures.push(format!("{}: {failure:?}\n  input {}", target.name, hex(&short)));
                    break;
                }
            }
            if let Some(count) = counts.get_mut(at) {
                *count += TURN as u64;
            }
        }
    }
    for (target, count) in targets.iter().zip(counts) {
        println!("{count:>12} inputs: {}", target.name);
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
