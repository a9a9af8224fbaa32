//! The graph behind a topology: facts of nodes and stores, apart from the code that runs.
//!
//! `describe()`, names, plans and the group protocol read facts only. The DSL and the
//! hand-written [`Topology`] both write here.

mod describe;
mod diff;
mod edges;
mod facts;
mod global_store;
mod groups;
mod instance;
mod java_order;
mod pattern;
#[cfg(test)]
pub(crate) mod testdata;
mod topology;
mod validate;
mod wrap;

pub use describe::{
    GlobalStoreDescription, NodeDescription, NodeDescriptionKind, SubtopologyDescription, TopologyDescription,
};
pub use diff::{ChangeEffect, ChangedResource, Keep, Operator, TopologyChange, TopologyDiff};
pub use facts::{NodeFacts, NodeKind, RepartitionTopic, SinkTopic, SourceFacts, TopologyFacts};
pub use global_store::GlobalStore;
pub use pattern::TopicPattern;
pub(crate) use topology::NodeCode;
pub use topology::Topology;
pub use validate::{DEPTH_MAX, NAME_LENGTH_MAX, Problem, is_legal_name, topology_error};

pub(crate) use groups::node_groups;
pub(crate) use java_order::{copied_order_by_hash, hash_code, set_order};
