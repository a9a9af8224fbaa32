//! One owner at a time for a task's stores, among the threads of one instance.
//!
//! A thread that was expelled without knowing it yet may still hold a task that the group has given
//! to another thread of the same process. Both would write into the same engines, and what the
//! first still has to apply would overwrite what the second has restored.

use std::collections::BTreeSet;
use std::sync::Arc;

use millstream_types::TaskId;
use parking_lot::Mutex;

/// The tasks whose stores are open in this instance. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskLocks(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    now: BTreeSet<TaskId>,
    /// Those that somebody has let go of since it was asked last.
    used: BTreeSet<TaskId>,
}

impl TaskLocks {
    /// Takes a task; `None` while another thread has it.
    pub(crate) fn try_lock(&self, task: TaskId) -> Option<TaskLock> {
        let is_free = self.0.lock().now.insert(task);
        is_free.then(|| TaskLock { locks: self.clone(), task })
    }

    /// Whether a thread has the task.
    pub(crate) fn is_taken(&self, task: TaskId) -> bool {
        self.0.lock().now.contains(&task)
    }

    /// Tasks that somebody has let go of since this was asked last.
    pub(crate) fn take_used(&self) -> BTreeSet<TaskId> {
        std::mem::take(&mut self.0.lock().used)
    }
}

/// A task taken; free again when this is dropped, which must be after its engines are.
#[derive(Debug)]
pub(crate) struct TaskLock {
    locks: TaskLocks,
    task: TaskId,
}

impl Drop for TaskLock {
    fn drop(&mut self) {
        let mut taken = self.locks.0.lock();
        taken.now.remove(&self.task);
        taken.used.insert(self.task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_has_one_owner_until_it_lets_go() {
        let locks = TaskLocks::default();
        let task = TaskId { subtopology: 0, partition: 1 };
        let lock = locks.try_lock(task);
        assert!(lock.is_some());
        assert!(locks.clone().try_lock(task).is_none());
        assert!(locks.try_lock(TaskId { subtopology: 0, partition: 2 }).is_some());
        drop(lock);
        assert!(locks.try_lock(task).is_some());
    }
}
