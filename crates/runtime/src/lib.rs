//! Where topologies, state and the log meet: tasks, stream threads, commit and restore.

pub mod globals;
mod guard;
mod instance;
mod layout;
mod metrics;
mod shared;
pub mod task;
pub mod thread;

pub use globals::GlobalThread;
pub use instance::{Components, Handlers, Instance};
pub use metrics::Metrics;
pub use task::{FlowControl, StoreChangelog, Task, TaskInput, TaskOptions, TaskOutput};
pub use thread::{Step, StreamThread, ThreadMetadata, ThreadState};
