//! `cargo xtask fuzz`: decoders under wrong bytes, led by the code that they reach.
//!
//! What is built is instrumented by flags of the stable compiler, as `cargo fuzz --sanitizer none` does, and
//! lies with inputs and findings in `target/fuzz`. Inputs that reached new code stay there: the next run goes
//! on from them.

#![expect(clippy::disallowed_methods, reason = "a tool at the desk, which makes directories")]

use std::path::Path;
use std::process::Command;

use crate::command;

/// What `cargo fuzz` builds with, but for the sanitizer: there is no `unsafe` code that it could watch.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
                     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
                     -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Runs the targets that are named, or all, one after the other; fails if one of them finds anything.
///
/// # Errors
/// It cannot be built, or something was found.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<(), String> {
    let (minutes, named) = match arguments {
        ["--minutes", minutes, named @ ..] => (minutes.parse().map_err(|_| format!("--minutes: {minutes}"))?, named),
        named => (1.0, named),
    };
    let home = root.join("target/fuzz");
    let host = host()?;
    let (flags, target_dir) = (FLAGS, home.join("build"));
    let build = ["build", "--profile", "fuzz", "-p", "millstream-fuzz", "--bin", "fuzz_target", "--target", &host];
    // With a target named, build scripts stay without the flags.
    let target_dir_text = target_dir.to_string_lossy();
    command::cargo_with("fuzz", &build, &[("RUSTFLAGS", flags), ("CARGO_TARGET_DIR", &target_dir_text)])?;
    let program = target_dir.join(&host).join("fuzz/fuzz_target");
    let all = output(Command::new(&program).arg("--targets"))?;
    let targets: Vec<&str> = if named.is_empty() { all.split_whitespace().collect() } else { named.to_vec() };
    let mut failed = Vec::new();
    for target in targets {
        println!("== fuzz: {target}");
        if !fuzzed(&program, &home, target, minutes)? {
            failed.push(target);
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("fuzz: see {} for inputs of {failed:?}", home.display())) }
}

/// Whether a target held out for so many minutes.
fn fuzzed(program: &Path, home: &Path, target: &str, minutes: f64) -> Result<bool, String> {
    let corpus = home.join("corpus").join(target);
    std::fs::create_dir_all(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
    let seconds = (minutes * 60.0).ceil();
    let status = Command::new(program)
        .arg(format!("--target={target}"))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/{target}-", home.display()))
        .args(["-max_len=65536", "-print_final_stats=1", "-verbosity=0"])
        .arg(&corpus)
        .status();
    Ok(status.map_err(|error| format!("{}: {error}", program.display()))?.success())
}

/// The machine that the compiler runs on, by its name for it.
fn host() -> Result<String, String> {
    let told = output(Command::new("rustc").arg("-vV"))?;
    let line = told.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).ok_or_else(|| "rustc does not tell its host".to_owned())
}

fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
