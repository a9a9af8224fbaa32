//! What tests of an application need: a driver for topologies without any broker, and the
//! deterministic simulation that the runtime itself is tested with.

mod driver;
mod mock_processor_context;
mod random;
pub mod simulation;

pub use driver::{TestGlobalStore, TestInputTopic, TestOutputTopic, TestRecord, TestStore, TopologyTestDriver};
pub use mock_processor_context::MockProcessorContext;
pub use random::Random;

/// The code of the book, tried with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/windows.md")]
#[doc = include_str!("../../../docs/tables.md")]
#[doc = include_str!("../../../docs/stores.md")]
#[doc = include_str!("../../../docs/queries.md")]
#[doc = include_str!("../../../docs/running.md")]
#[doc = include_str!("../../../docs/testing.md")]
pub struct Book;
