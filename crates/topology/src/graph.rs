//! The graph behind a topology: facts of nodes and stores, apart from the code that runs.
//!
//! `describe()`, names, plans and the group protocol read facts only. The DSL and the
//! hand-written [`Topology`] both write here.

mod facts;
mod groups;
mod instance;
mod topology;
mod validate;

pub use facts::{NodeFacts, NodeKind, OffsetReset, RepartitionTopic, SinkTopic, SourceFacts, TopologyFacts};
pub(crate) use topology::NodeCode;
pub use topology::{GlobalStore, Topology};
pub use validate::Problem;
