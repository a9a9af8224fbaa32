//! State stores: what stands between an operator's typed reads and writes and the bytes on disk.
//!
//! Layers, each written once for all store kinds: typed facade, record cache (where caching is on),
//! changelog, overlay (uncommitted writes), engine.

mod engine;
mod facts;
mod store;

pub use engine::{CommitMark, Engine, EngineProvider};
pub use facts::{StoreFacts, StoreKind};
pub use store::{ChangelogRecord, Origin, RestoreRecord, StateStore, StoreEnv, StoreFactory};

mod cache_budget;
pub use cache_budget::CacheBudget;
pub use engine::Scan;
