//! Deterministic simulation: several instances of the real runtime, one seed, faults on purpose.
//!
//! A [`Plan`] is made from a seed. Everything that could differ between two runs (time, randomness,
//! the log, the disk) comes from it, so the same seed gives the same [`Trace`]. [`run`] carries a plan
//! out and checks what is committed, after every change, against a reference in code of its own.

mod disk;
pub mod log;
mod observer;
mod plan;
mod process;
mod scenario;
mod stores;
mod trace;
mod world;

pub use disk::Disk;
pub use log::{FaultRates, FaultyLog, Network};
pub use observer::{Observer, Seen, View};
pub use plan::{Plan, PlannedRecord, SESSION_TIMEOUT_MS, Strike, StrikeKind, TRANSACTION_TIMEOUT_MS};
pub use process::Wrap;
pub use scenario::{APPLICATION, ScenarioKind, changelog};
pub use trace::Trace;
pub use world::{Failure, Report, run};
