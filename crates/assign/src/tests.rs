use super::*;

fn task(subtopology: i32, partition: i32) -> Task {
    Task { id: TaskId { subtopology, partition }, is_stateful: true }
}

fn tasks(counts: &[i32]) -> Vec<Task> {
    counts
        .iter()
        .enumerate()
        .flat_map(|(subtopology, count)| (0..*count).map(move |partition| task(subtopology as i32, partition)))
        .collect()
}

fn members(names: &[(&str, &str)]) -> Vec<Member> {
    names.iter().map(|(process, id)| Member::new(*id, *process)).collect()
}

fn counts(given: &[Vec<TaskId>]) -> Vec<usize> {
    given.iter().map(Vec::len).collect()
}

/// Assigns, checks that each task has one owner, and lets the members own what they got.
#[track_caller]
fn settle(tasks: &[Task], members: &mut [Member]) -> Vec<Vec<TaskId>> {
    let given = assign(tasks, members);
    let mut all: Vec<TaskId> = given.iter().flatten().copied().collect();
    all.sort_unstable();
    assert_eq!(all, tasks.iter().map(|task| task.id).collect::<Vec<_>>());
    for (member, given) in members.iter_mut().zip(&given) {
        member.current.clone_from(given);
    }
    given
}

#[test]
fn tasks_spread_over_processes_before_threads() {
    let mut all = members(&[("p", "p1"), ("p", "p2"), ("q", "q1"), ("q", "q2")]);
    assert_eq!(counts(&settle(&tasks(&[2]), &mut all)), [1, 0, 1, 0]);
    let mut all = members(&[("p", "p1"), ("p", "p2"), ("p", "p3"), ("q", "q1")]);
    assert_eq!(counts(&settle(&tasks(&[8]), &mut all)), [2, 2, 2, 2]);
}

#[test]
fn each_subtopology_spreads() {
    let mut all = members(&[("p", "p1"), ("p", "p2")]);
    let given = settle(&tasks(&[4, 4]), &mut all);
    for share in given {
        assert_eq!(share.iter().filter(|id| id.subtopology == 0).count(), 2);
    }
}

#[test]
fn a_settled_group_stays_as_it_is() {
    let mut all = members(&[("p", "p1"), ("p", "p2"), ("q", "q1")]);
    let first = settle(&tasks(&[5, 3]), &mut all);
    assert_eq!(assign(&tasks(&[5, 3]), &all), first);
}

#[test]
fn a_new_member_takes_its_share_and_nothing_else_moves() {
    let mut all = members(&[("p", "p1"), ("q", "q1")]);
    let before = settle(&tasks(&[6]), &mut all);
    all.push(members(&[("r", "r1")]).remove(0));
    let after = settle(&tasks(&[6]), &mut all);
    assert_eq!(counts(&after), [2, 2, 2]);
    for (before, after) in before.iter().zip(&after) {
        assert!(after.iter().all(|id| before.contains(id)));
    }
}

#[test]
fn the_tasks_of_a_leaver_go_to_the_others_which_keep_theirs() {
    let mut all = members(&[("p", "p1"), ("q", "q1"), ("r", "r1")]);
    let before = settle(&tasks(&[6]), &mut all);
    all.remove(1);
    let after = settle(&tasks(&[6]), &mut all);
    assert_eq!(counts(&after), [3, 3]);
    assert!(before[0].iter().all(|id| after[0].contains(id)));
    assert!(before[2].iter().all(|id| after[1].contains(id)));
}

#[test]
fn stateless_tasks_move_first() {
    let mut list = tasks(&[4]);
    list[1].is_stateful = false;
    list[2].is_stateful = false;
    let mut all = members(&[("p", "p1")]);
    settle(&list, &mut all);
    all.push(members(&[("q", "q1")]).remove(0));
    let after = settle(&list, &mut all);
    assert_eq!(after[1], [list[1].id, list[2].id]);
}

#[test]
fn no_members_no_assignment_and_no_tasks_empty_lists() {
    assert!(assign(&tasks(&[3]), &[]).is_empty());
    assert_eq!(counts(&assign(&[], &members(&[("p", "p1"), ("q", "q1")]))), [0, 0]);
}

#[test]
fn of_two_claims_the_first_counts_and_unknown_tasks_are_ignored() {
    let list = tasks(&[2]);
    let mut all = members(&[("p", "p1"), ("q", "q1")]);
    all[0].current = vec![list[1].id, TaskId { subtopology: 9, partition: 9 }];
    all[1].current = vec![list[1].id];
    assert_eq!(assign(&list, &all), [vec![list[1].id], vec![list[0].id]]);
}

/// Whatever joins and leaves: shares differ by at most one per thread, and no process is above its
/// share rounded up.
#[test]
fn any_history_ends_balanced() {
    let mut seed = 42u64;
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut all: Vec<Member> = Vec::new();
    for round in 0..500 {
        if all.len() > 1 && random(2) == 0 {
            all.remove(random(all.len() as u64) as usize);
        } else {
            let process = format!("p{}", random(4));
            all.push(Member::new(format!("m{round}"), process));
        }
        let list = tasks(&[random(9) as i32 + 1, random(9) as i32 + 1, random(5) as i32]);
        let given = settle(&list, &mut all);
        let (threads, mut by_process) = (all.len(), BTreeMap::<_, (usize, usize)>::new());
        for (member, given) in all.iter().zip(&given) {
            assert!(given.len() <= list.len().div_ceil(threads));
            assert!(given.is_sorted());
            let process = by_process.entry(member.process.clone()).or_default();
            *process = (process.0 + 1, process.1 + given.len());
        }
        for (size, given) in by_process.values() {
            assert!(*given >= list.len() * size / threads && *given <= (list.len() * size).div_ceil(threads));
        }
    }
}

#[test]
fn copies_are_kept_elsewhere_and_a_task_goes_where_its_copy_is() {
    let list = tasks(&[4]);
    let mut all = members(&[("p", "a"), ("q", "b"), ("r", "c")]);
    let given = settle(&list, &mut all);
    let copies = assign_standbys(&list, &all, &given, 1);
    assert_eq!(copies.iter().map(Vec::len).sum::<usize>(), 4);
    for (active, standby) in given.iter().zip(&copies) {
        assert!(active.iter().all(|task| !standby.contains(task)), "{given:?} {copies:?}");
    }
    for (member, standby) in all.iter_mut().zip(&copies) {
        member.standby.clone_from(standby);
    }
    assert_eq!(assign_standbys(&list, &all, &given, 1), copies, "copies stay");

    let gone = all.remove(0);
    let taken = assign(&list, &all);
    for task in &gone.current {
        let heir = all.iter().zip(&taken).find(|(_, active)| active.contains(task)).unwrap().0;
        assert!(heir.standby.contains(task), "{task} was taken over by {}, which has no copy", heir.id);
    }
}

#[test]
fn there_are_no_more_copies_than_other_processes_and_none_of_tasks_without_state() {
    let mut list = tasks(&[2]);
    let all = members(&[("p", "a"), ("p", "b"), ("q", "c")]);
    let given = assign(&list, &all);
    assert_eq!(assign_standbys(&list, &all, &given, 5).iter().map(Vec::len).sum::<usize>(), 2);
    for task in &mut list {
        task.is_stateful = false;
    }
    assert_eq!(assign_standbys(&list, &all, &given, 5).concat(), []);
}
