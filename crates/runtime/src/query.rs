//! Interactive queries: reading the state of a running application.
//!
//! A point read goes to the thread that owns the store, through its [mailbox](mailbox), and is answered
//! between two records; what a scan finds is a snapshot that is read on the caller's thread. Nothing
//! is locked on the way of a record. Global stores are read at once, on the caller's thread.

mod error;
mod gather;
mod local;
mod mailbox;
mod reader;
mod request;
mod result;
mod run;
mod store;

pub use error::InvalidStateStore;
pub use gather::QueryFuture;
pub(crate) use local::ChangelogPosition;
pub use local::{LagInfo, LocalThread, TaskMetadata};
pub(crate) use mailbox::Mailbox;
pub use reader::{ReadOnlyKeyValueStore, ReadOnlySessionStore, ReadOnlyWindowStore};
pub use request::{InStore, StateQueryRequest};
pub use result::{QueryResult, StateQueryResult};
pub use store::{QueryableStoreType, QueryableStoreTypes, StoreQueryParameters};

use millstream_state::StateStore;
use millstream_state::query::Position;
use millstream_types::TaskId;

/// What a thread does with the store of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Its task runs.
    Active,
    /// It is restored, for a task that will run.
    Restoring,
    /// It is a copy of what others write.
    Standby,
}

/// A store as its thread shows it to a query.
pub(crate) struct Found<'a> {
    pub(crate) task: TaskId,
    pub(crate) role: Role,
    pub(crate) store: &'a mut dyn StateStore,
    /// How far the task has come, and how far its last commit has.
    pub(crate) positions: Positions,
}

/// How far a store has come in the inputs of its task.
pub(crate) struct Positions {
    pub(crate) latest: Position,
    pub(crate) committed: Position,
}
