//! The targets under libFuzzer, which keeps the inputs that reach new code and goes
//! on from them. `cargo xtask fuzz` builds and runs it.
//!
//! ```text
//! fuzz_target --targets
//! fuzz_target --target=NAME [libFuzzer's flags] [CORPUS…]
//! ```
//!
//! libFuzzer passes over what begins with two dashes. Inputs that are right are written into the first
//! corpus directory.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod guided;

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    use std::io::Write;
    let told = writeln!(std::io::stderr(), "built without coverage: run `cargo xtask fuzz`");
    drop(told);
    std::process::ExitCode::FAILURE
}
