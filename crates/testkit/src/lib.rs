//! What tests of an application need: a driver for topologies without any broker, and the
//! deterministic simulation that the runtime itself is tested with.

mod random;
pub mod simulation;

pub use random::Random;
