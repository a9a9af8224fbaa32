//! State stores: what stands between an operator's typed reads and writes and the bytes on disk.
//!
//! Layers, each written once for all store kinds: typed facade ([`KeyValueStore`], [`WindowStore`],
//! their timestamped twins, [`SessionStore`]), record cache (where caching is on), changelog, overlay
//! (uncommitted writes), engine. [`Stores`] describes stores; a topology builds them per task.

mod buffer;
mod bytes;
mod cache_budget;
#[cfg_attr(not(feature = "fjall"), expect(dead_code, reason = "only engines on disk need all of it"))]
mod directory;
mod dsl_suppliers;
mod engine;
mod facts;
#[cfg(feature = "fjall")]
pub mod fuzzing;
mod headed;
mod index;
mod iterator;
mod key_hash;
mod key_value;
mod memory_budget;
mod outer_join;
pub mod query;
mod record_cache;
mod session;
mod small_bytes;
mod store;
mod stores;
mod supplier;
mod typed;
mod versioned;
mod window;
mod with_headers;

pub use buffer::{ChangeBuffer, Due, Released, StreamBuffer};
pub use cache_budget::CacheBudget;
pub use dsl_suppliers::{DslKeyValueParams, DslSessionParams, DslStoreSuppliers, DslWindowParams, StoreType};
#[cfg(feature = "fjall")]
pub use engine::FjallEngines;
pub use engine::{CommitMark, Engine, EngineProvider, EngineSupplier, MemoryEngine, MemoryEngines, Scan};
pub use facts::{StoreFacts, StoreKind};
pub use iterator::StoreIterator;
pub use key_value::{KeyValueStore, TimestampedKeyValueStore, ValueAndTimestamp};
pub use memory_budget::MemoryBudget;
pub use outer_join::{JoinProgress, JoinSide, LeftOrRight, OuterJoinRow, OuterJoinStore};
pub use session::SessionStore;
pub use store::{ChangelogRecord, Origin, RestoreRecord, StateStore, StoreEnv, StoreFactory};
pub use stores::{StoreBuilder, Stores};
pub use supplier::{
    KeyValueStoreSupplier, SessionStoreSupplier, StoreFormat, StoreSupplier, VersionedKeyValueStoreSupplier,
    WindowStoreSupplier,
};
pub use typed::{FlushedEntry, Put};
pub use versioned::{PutReturn, VersionedKeyValueStore, VersionedRecord};
pub use window::{TimestampedWindowStore, WindowStore};
pub use with_headers::{
    AggregationWithHeaders, SessionStoreWithHeaders, TimestampedKeyValueStoreWithHeaders,
    TimestampedWindowStoreWithHeaders, ValueTimestampHeaders,
};
