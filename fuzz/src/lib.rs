//! Wrong bytes for everything that reads bytes from outside.
//!
//! A [`Target`] is a decoder, with inputs that are right to begin with. [`mutate`] makes them wrong,
//! [`check`] runs one input: a panic is a failure, and so is taking more memory than the target allows.
//! The tests run every target for a moment; `cargo xtask fuzz --minutes N` runs them for long. All is
//! made from a seed.
#![allow(clippy::missing_panics_doc, reason = "a panic is how a target tells of a failure")]

mod check;
mod input;
mod mutation;
mod random;
mod targets;

pub use check::{Failure, check, shrink};
pub use mutation::mutate;
pub use random::Random;
pub use targets::{Target, all};
