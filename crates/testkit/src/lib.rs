//! What tests of an application need: a driver for topologies without any broker, and the
//! deterministic simulation that the runtime itself is tested with.

mod driver;
mod random;
pub mod simulation;

pub use driver::{TestGlobalStore, TestInputTopic, TestOutputTopic, TestRecord, TestStore, TopologyTestDriver};
pub use random::Random;
