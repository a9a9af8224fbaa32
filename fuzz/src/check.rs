//! One run of a target.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Target;

/// What is wrong with a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It panicked.
    Panic(String),
    /// It held more memory at once than it may, in bytes.
    Memory {
        /// What it held.
        held: u64,
        /// What it may hold.
        allowed: u64,
    },
}

/// Runs a target with an input; whether it could be read.
///
/// # Errors
/// What went wrong.
pub fn check(target: &Target, input: &[u8]) -> Result<bool, Failure> {
    let mut result = Ok(false);
    let measured = allocation_counter::measure(|| {
        result = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    });
    let is_read = result.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        Failure::Panic(text.to_owned())
    })?;
    let allowed = target.memory_max;
    if measured.bytes_max > allowed {
        return Err(Failure::Memory { held: measured.bytes_max, allowed });
    }
    Ok(is_read)
}

/// A shorter input that fails, too.
pub fn shrink(target: &Target, input: &[u8]) -> Vec<u8> {
    let mut input = input.to_vec();
    let mut len = input.len();
    while len > 0 {
        let mut at = 0;
        while at + len <= input.len() {
            let mut shorter = input.clone();
            shorter.drain(at..at + len);
            if check(target, &shorter).is_err() {
                input = shorter;
            } else {
                at += len;
            }
        }
        len /= 2;
    }
    input
}
