//! Serving queries: between steps, and between the tasks of one.

use std::sync::Arc;

use millstream_state::StateStore;
use millstream_state::query::Position;
use millstream_types::{Now, Result};

use super::StreamThread;
use super::local_stores::changelog_partition;
use crate::query::{ChangelogPosition, Found, LocalThread, Positions, Role};

impl StreamThread {
    /// Does what others have asked for.
    pub(super) fn serve_queries(&mut self) {
        if self.control.mailbox().has_mail() {
            self.open_mail();
        }
    }

    #[cold]
    fn open_mail(&mut self) {
        let control = Arc::clone(&self.control);
        for job in control.mailbox().take() {
            job(self);
        }
    }

    /// Calls `each` for the stores of that name that the thread has open: of tasks that run, that are restored,
    /// and of copies; until it says that it has had enough.
    pub(crate) fn each_store(&mut self, name: &str, each: &mut dyn FnMut(Found<'_>) -> bool) {
        for task in &mut self.tasks {
            let Some(at) = place(task.stores(), name) else { continue };
            let id = task.id();
            let positions = Positions {
                latest: task.position().into_iter().collect(),
                committed: task.committed_position().into_iter().collect(),
            };
            let Some(store) = task.stores_mut().get_mut(at) else { continue };
            if each(Found { task: id, role: Role::Active, store: &mut **store, positions }) {
                return;
            }
        }
        let restoring =
            self.takeover.iter_mut().flat_map(super::Takeover::open_flows).map(|flow| (Role::Restoring, flow));
        let copies = self.copies.iter_mut().flat_map(super::Copies::open_flows).map(|flow| (Role::Standby, flow));
        for (role, flow) in restoring.chain(copies) {
            let task = flow.task();
            let Some(at) = place(flow.stores(), name) else { continue };
            let Some(store) = flow.stores_mut().get_mut(at).map(|store| &mut **store) else { continue };
            // What a changelog has brought says nothing of the inputs beyond the last own commit.
            let known = marked(store).unwrap_or_default();
            let positions = Positions { latest: known.clone(), committed: known };
            if each(Found { task, role, store, positions }) {
                return;
            }
        }
    }
}

impl StreamThread {
    /// How far the stores that have a changelog are.
    pub(crate) fn changelog_positions(&self) -> Vec<ChangelogPosition> {
        let mut positions = Vec::new();
        for task in &self.tasks {
            for (at, store) in task.stores().iter().enumerate() {
                let Some(changelog) = task.changelog(at) else { continue };
                let partition = changelog_partition(changelog, task.id());
                positions.push(ChangelogPosition { store: Arc::clone(&store.facts().name), partition, next: None });
            }
        }
        positions.extend(self.takeover.iter().flat_map(super::Takeover::positions));
        positions.extend(self.copies.iter().flat_map(super::Copies::positions));
        positions
    }

    /// What the thread and its tasks are doing.
    pub(crate) fn local(&self, now: Now) -> LocalThread {
        LocalThread {
            thread: self.metadata(),
            active_tasks: self.tasks.iter().map(|task| task.describe(now)).collect(),
            standby_tasks: self.copies.iter().flat_map(super::Copies::describe).collect(),
        }
    }
}

impl Drop for StreamThread {
    fn drop(&mut self) {
        // Nobody is to wait for a thread that is over.
        self.control.mailbox().close();
    }
}

fn place(stores: &[Box<dyn StateStore>], name: &str) -> Option<usize> {
    stores.iter().position(|store| *store.facts().name == *name)
}

/// The inputs' position that a store's mark knows.
pub(crate) fn marked(store: &dyn StateStore) -> Result<Position> {
    Ok(store.mark()?.map(|mark| mark.position.into_iter().collect()).unwrap_or_default())
}
