//! Which member runs which task: a pure function of tasks, members and what each member has now.
//!
//! The embedded log's groups and classic Kafka groups ask here. The answer depends on nothing but
//! the input and is the same on every machine. Rules, in this order: tasks spread evenly over
//! processes by their number of threads; evenly over the threads of a process; a task stays where
//! it is, or goes where a copy of its state is; the tasks of one sub-topology spread out. Copies are kept by other
//! processes than the one that runs the task.

mod copies;
mod member;
mod spread;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use millstream_types::TaskId;

pub use copies::assign_standbys;
pub use member::{Member, Task};

/// Gives each task to one member. The answer has a sorted list for each member, in the order of
/// `members`. Tasks that occur twice count once; of two members that claim one task, the first has
/// it. Without members nothing is assigned.
///
/// ```
/// use millstream_assign::{Member, Task, assign};
/// use millstream_types::TaskId;
///
/// let task = |partition| Task { id: TaskId { subtopology: 0, partition }, is_stateful: true };
/// let members = [
///     Member { current: vec![task(0).id, task(1).id, task(2).id], ..Member::new("a", "one") },
///     Member::new("b", "two"),
/// ];
/// let given = assign(&[task(0), task(1), task(2)], &members);
///
/// assert_eq!(given[0], [task(0).id, task(1).id]);
/// assert_eq!(given[1], [task(2).id]);
/// ```
pub fn assign(tasks: &[Task], members: &[Member]) -> Vec<Vec<TaskId>> {
    let tasks: BTreeMap<TaskId, Task> = tasks.iter().map(|task| (task.id, *task)).collect();
    let mut owned: Vec<Vec<TaskId>> = members.iter().map(|_| Vec::new()).collect();
    let mut free = tasks.clone();
    for (member, owned) in members.iter().zip(&mut owned) {
        owned.extend(member.current.iter().filter(|task| free.remove(task).is_some()));
    }

    let processes = member::processes(members);
    let bins: Vec<spread::Bin> = processes
        .iter()
        .map(|process| spread::Bin {
            weight: process.len(),
            owned: process.iter().filter_map(|member| owned.get(*member)).flatten().copied().collect(),
            copies: process
                .iter()
                .filter_map(|at| members.get(*at))
                .flat_map(|member| &member.standby)
                .copied()
                .collect(),
        })
        .collect();
    let by_process = spread::spread(&tasks, bins);

    let mut given: Vec<Vec<TaskId>> = members.iter().map(|_| Vec::new()).collect();
    for (process, share) in processes.iter().zip(by_process) {
        let share: BTreeMap<TaskId, Task> =
            share.iter().filter_map(|id| tasks.get(id).map(|task| (*id, *task))).collect();
        let bins = process
            .iter()
            .map(|member| spread::Bin {
                weight: 1,
                owned: owned.get(*member).into_iter().flatten().filter(|id| share.contains_key(id)).copied().collect(),
                copies: members.get(*member).into_iter().flat_map(|member| &member.standby).copied().collect(),
            })
            .collect();
        for (member, share) in process.iter().zip(spread::spread(&share, bins)) {
            if let Some(given) = given.get_mut(*member) {
                *given = share;
            }
        }
    }
    given
}
