//! Running cargo.

use std::process::{Command, Stdio};

/// Runs cargo and says which step it is; fails as cargo does.
pub(crate) fn cargo(step: &str, arguments: &[&str]) -> Result<(), String> {
    cargo_with(step, arguments, &[])
}

/// The same with environment variables.
pub(crate) fn cargo_with(step: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Result<(), String> {
    println!("== {step}: cargo {}", arguments.join(" "));
    let status = Command::new(program())
        .args(arguments)
        .envs(variables.iter().copied())
        .status()
        .map_err(|error| format!("{step}: cargo does not start: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{step}: failed")) }
}

/// Whether cargo has this subcommand.
pub(crate) fn is_installed(subcommand: &str) -> bool {
    let mut command = Command::new(program());
    command.args([subcommand, "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The cargo that runs us.
fn program() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
