//! Who can run tasks, and which there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_types::TaskId;

/// A task to be run by exactly one member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Whether moving it costs a restore. Stateless tasks are moved first.
    pub is_stateful: bool,
}

/// A stream thread that can run tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Unique among the members.
    pub id: Arc<str>,
    /// Process it belongs to; its threads share state.
    pub process: Arc<str>,
    /// Tasks it runs now. Tasks that do not exist any more are ignored.
    pub current: Vec<TaskId>,
    /// Tasks it keeps a copy of now.
    pub standby: Vec<TaskId>,
}

impl Member {
    /// A member that has nothing yet.
    pub fn new(id: impl Into<Arc<str>>, process: impl Into<Arc<str>>) -> Self {
        Self { id: id.into(), process: process.into(), current: Vec::new(), standby: Vec::new() }
    }
}

/// Indexes of the members of each process, processes by name, members as given.
pub(crate) fn processes(members: &[Member]) -> Vec<Vec<usize>> {
    let mut processes: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, member) in members.iter().enumerate() {
        processes.entry(&member.process).or_default().push(index);
    }
    processes.into_values().collect()
}
