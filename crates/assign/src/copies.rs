//! Who keeps copies of the state of tasks that others run.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use millstream_types::TaskId;

use crate::member::processes;
use crate::{Member, Task};

/// Gives copies of each stateful task to `replicas` processes other than the one that runs it, or to fewer where there
/// are not so many. `active` is what [`assign`](crate::assign) gave. A copy stays where it is; new ones go to the process
/// with the least to do. The answer has a sorted list for each member.
///
/// ```
/// use millstream_assign::{Member, Task, assign, assign_standbys};
/// use millstream_types::TaskId;
///
/// let task = |partition| Task { id: TaskId { subtopology: 0, partition }, is_stateful: true };
/// let (tasks, members) = ([task(0), task(1)], [Member::new("a", "one"), Member::new("b", "two")]);
/// let active = assign(&tasks, &members);
/// let standby = assign_standbys(&tasks, &members, &active, 1);
///
/// assert_eq!((&standby[0], &standby[1]), (&active[1], &active[0]));
/// ```
pub fn assign_standbys(
    tasks: &[Task],
    members: &[Member],
    active: &[Vec<TaskId>],
    replicas: usize,
) -> Vec<Vec<TaskId>> {
    let mut given: Vec<Vec<TaskId>> = members.iter().map(|_| Vec::new()).collect();
    let processes = processes(members);
    let stateful: BTreeSet<TaskId> = tasks.iter().filter(|task| task.is_stateful).map(|task| task.id).collect();
    for task in stateful {
        let has = |lists: &[Vec<TaskId>], at: usize| lists.get(at).is_some_and(|list| list.contains(&task));
        let has_now = |at: usize| members.get(at).is_some_and(|member| member.standby.contains(&task));
        let load =
            |given: &[Vec<TaskId>], at: usize| active.get(at).map_or(0, Vec::len) + given.get(at).map_or(0, Vec::len);
        let owner = active.iter().find(|list| list.contains(&task));
        for _ in 0..replicas {
            let is_free = |process: &&Vec<usize>| !process.iter().any(|at| has(active, *at) || has(&given, *at));
            let chosen = processes.iter().filter(is_free).min_by_key(|process| {
                let is_warm = process.iter().any(|at| has_now(*at));
                let load: usize = process.iter().map(|at| load(&given, *at)).sum();
                // Those who run the copied tasks should not have all their copies in one place.
                let kept = process.iter().filter_map(|at| given.get(*at)).flatten();
                let alike = kept.filter(|other| owner.is_some_and(|owner| owner.contains(other))).count();
                // Relative to its threads, in thousandths.
                (Reverse(is_warm), load * 1000 / process.len().max(1), alike)
            });
            let Some(process) = chosen else { break };
            let thread = process.iter().copied().min_by_key(|at| (Reverse(has_now(*at)), load(&given, *at)));
            if let Some(list) = thread.and_then(|at| given.get_mut(at)) {
                list.push(task);
            }
        }
    }
    given
}
