//! Tasks as heartbeats tell them.

use std::collections::BTreeSet;

use millstream_types::TaskId;

use crate::protocol::messages::streams_group_heartbeat::{RequestTaskIds, ResponseTaskIds};

/// What a member runs, or is to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tasks {
    pub(super) active: BTreeSet<TaskId>,
    pub(super) standby: BTreeSet<TaskId>,
    /// As standby tasks, until they have caught up.
    pub(super) warm_up: BTreeSet<TaskId>,
}

impl Tasks {
    /// Tasks of which a copy is kept.
    pub(super) fn copies(&self) -> Vec<TaskId> {
        self.standby.union(&self.warm_up).copied().collect()
    }
}

/// In a request.
pub(super) fn told(tasks: &BTreeSet<TaskId>) -> Vec<RequestTaskIds> {
    let mut told: Vec<RequestTaskIds> = Vec::new();
    for task in tasks {
        let id = task.subtopology.to_string();
        match told.last_mut().filter(|last| last.subtopology_id == id) {
            Some(last) => last.partitions.push(task.partition),
            None => told.push(RequestTaskIds { subtopology_id: id, partitions: vec![task.partition] }),
        }
    }
    told
}

/// In a response. One that says nothing of a kind leaves it as it was.
pub(super) fn heard(told: &[ResponseTaskIds]) -> BTreeSet<TaskId> {
    let of = |ids: &ResponseTaskIds| {
        let subtopology = ids.subtopology_id.parse().unwrap_or(-1);
        ids.partitions.iter().map(move |partition| TaskId { subtopology, partition: *partition }).collect::<Vec<_>>()
    };
    told.iter().flat_map(of).collect()
}
