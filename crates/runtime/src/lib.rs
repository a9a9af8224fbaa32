//! Where topologies, state and the log meet: tasks, stream threads, commit and restore.
//!
//! [`Streams`] is an application on threads. Below it, [`Instance`] gives the same threads as
//! steps, which tests and simulations call by hand; a [`Task`] is one partition of a sub-topology
//! without any log around it.

mod cleaner;
mod client;
pub mod fuzzing;
pub mod globals;
mod guard;
mod handlers;
mod instance;
mod layout;
mod listeners;
mod metrics;
mod pace;
mod predecessors;
mod query;
mod shared;
mod streams;
mod summary;
pub mod task;
mod task_lock;
pub mod thread;

pub use client::{ConsumedRecord, Consumer, Producer, answer};
pub use globals::GlobalThread;
pub use handlers::Handlers;
pub use instance::{Components, Instance};
pub use listeners::{StandbyUpdateListener, StateRestoreListener, SuspendReason};
pub use metrics::Metrics;
pub use query::{
    InStore, InvalidStateStore, LagInfo, LocalThread, QueryFuture, QueryResult, QueryableStoreType,
    QueryableStoreTypes, ReadOnlyKeyValueStore, ReadOnlySessionStore, ReadOnlyWindowStore, StateQueryRequest,
    StateQueryResult, StoreQueryParameters, TaskMetadata,
};
#[cfg(feature = "signals")]
pub use streams::shutdown_flag;
pub use streams::{
    CloseOptions, GroupMembershipOperation, KeyQueryMetadata, State, StateListener, StreamThreadExceptionResponse,
    Streams, StreamsMetadata, UncaughtExceptionHandler, log_options, open_log,
};
pub use task::{Applied, FlowControl, StoreChangelog, Task, TaskInput, TaskOptions, TaskOutput};
pub use thread::{Step, StreamThread, ThreadMetadata, ThreadState};
