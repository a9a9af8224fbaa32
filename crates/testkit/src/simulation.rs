//! Deterministic simulation: several instances of the real runtime, one seed, faults on purpose.
//!
//! A [`Plan`](plan::Plan) is made from a seed. Everything that could differ between two runs (time,
//! randomness, the log, the disk) comes from it, so the same seed gives the same [`Trace`].

mod disk;
pub mod log;
mod trace;

pub use disk::Disk;
pub use log::{FaultRates, FaultyLog, Network};
pub use trace::Trace;
