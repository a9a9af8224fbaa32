//! Where topologies, state and the log meet: tasks, stream threads, commit and restore.

mod guard;
pub mod task;

pub use task::{FlowControl, StoreChangelog, Task, TaskInput, TaskOptions, TaskOutput};
