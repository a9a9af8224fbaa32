//! Streams groups: who runs what, and who may commit.

use std::collections::BTreeSet;

use millstream_kafka::KafkaLog;
use millstream_log::{
    Departure, FailureKind, GroupTopology, InternalTopicFacts, Log, Member, MemberConfig, MemberEvent, SubtopologyFacts,
};
use millstream_types::TaskId;

use crate::support::*;

/// A member that does what it is told.
pub(crate) struct Worker {
    member: Box<dyn Member>,
    running: BTreeSet<TaskId>,
    is_lost: bool,
}

impl Worker {
    pub(crate) fn join(log: &KafkaLog, group: &str, id: &str) -> Self {
        Self { member: join(log, group, id), running: BTreeSet::new(), is_lost: false }
    }

    pub(crate) fn member(&mut self) -> &mut Box<dyn Member> {
        &mut self.member
    }

    /// Does what the group wants.
    pub(crate) fn turn(&mut self) {
        let mut events = Vec::new();
        self.member.poll(now(), &mut events);
        for event in events {
            match event {
                MemberEvent::Assigned { active, standby } => {
                    assert!(standby.is_empty());
                    self.running = active.into_iter().collect();
                }
                MemberEvent::Revoke { tasks } => {
                    for task in tasks {
                        assert!(self.running.remove(&task), "{task} is not running");
                    }
                    self.member.revoked();
                }
                MemberEvent::Lost => {
                    self.running.clear();
                    self.is_lost = true;
                }
                MemberEvent::Status { .. } | MemberEvent::Endpoints(_) => {}
                MemberEvent::Failed(failure) => panic!("{failure:?}"),
            }
        }
    }
}

/// A member that has started to join.
pub(crate) fn join(log: &KafkaLog, group: &str, id: &str) -> Box<dyn Member> {
    let mut member = log.member(MemberConfig {
        group: group.into(),
        member_id: id.into(),
        process_id: format!("process of {id}").into(),
        max_poll_interval_ms: 60_000,
        ..MemberConfig::default()
    });
    member.join(topology(group));
    member
}

/// Reads topic `GROUP-in` and has a store with a changelog.
fn topology(group: &str) -> GroupTopology {
    let facts = SubtopologyFacts {
        id: 0,
        tasks: 4,
        stateful: true,
        source_topics: vec![format!("{group}-in").into()],
        changelogs: vec![InternalTopicFacts {
            name: format!("{group}-counts-changelog").into(),
            replication_factor: -1,
            ..InternalTopicFacts::default()
        }],
        ..SubtopologyFacts::default()
    };
    GroupTopology { subtopologies: vec![facts] }
}

/// Lets members work until these many tasks run at each; no task may run twice meanwhile.
#[track_caller]
pub(crate) fn settle(log: &KafkaLog, workers: &mut [&mut Worker], counts: &[usize]) {
    until(log, || {
        for at in 0..workers.len() {
            workers[at].turn();
            let all: usize = workers.iter().map(|worker| worker.running.len()).sum();
            let distinct: BTreeSet<&TaskId> = workers.iter().flat_map(|worker| &worker.running).collect();
            assert_eq!(distinct.len(), all, "a task runs twice");
        }
        let running: Vec<usize> = workers.iter().map(|worker| worker.running.len()).collect();
        (running == counts).then_some(())
    });
}

#[test]
fn tasks_move_to_who_joins_and_back_from_who_leaves() {
    let log = connect();
    create(&log, "moves-in", 4);
    let mut first = Worker::join(&log, "moves", "a");
    settle(&log, &mut [&mut first], &[4]);
    // The broker has made the changelog.
    let made = ok(&log, log.admin().topics(&["moves-counts-changelog".into()])).remove(0).unwrap();
    assert_eq!(made.partitions, 4);

    let other = connect();
    let mut second = Worker::join(&other, "moves", "b");
    settle(&log, &mut [&mut first, &mut second], &[2, 2]);
    ok(&other, second.member.leave(Departure::Leave));
    second.running.clear();
    settle(&log, &mut [&mut first, &mut second], &[4, 0]);
    ok(&log, first.member.leave(Departure::Leave));
}

#[test]
fn offsets_are_committed_by_a_member_with_and_without_transaction() {
    let log = connect();
    let partition = create(&log, "commits-in", 4);
    let mut worker = Worker::join(&log, "commits", "a");
    settle(&log, &mut [&mut worker], &[4]);
    ok(&log, worker.member.commit(vec![(partition.clone(), offset(3))]));
    assert_eq!(committed_offset(&log, "commits", &partition), Some(offset(3)));
    let mut writer = writer(&log, Some("commits"));
    put(&mut writer, &partition, "x");
    ok(&log, writer.commit(vec![(partition.clone(), offset(5))], &worker.member.metadata()));
    assert_eq!(committed_offset(&log, "commits", &partition), Some(offset(5)));
    ok(&log, worker.member.leave(Departure::Leave));
}

#[test]
fn a_silent_member_is_expelled_and_what_it_commits_later_is_fenced() {
    let log = connect();
    let partition = create(&log, "silent-in", 4);
    let silent_log = connect();
    let mut silent = Worker::join(&silent_log, "silent", "a");
    settle(&silent_log, &mut [&mut silent], &[4]);
    let proof = silent.member.metadata();
    let mut zombie = writer(&log, Some("silent"));
    put(&mut zombie, &partition, "zombie");
    // Gone without a word.
    drop(silent);
    drop(silent_log);

    let mut heir = Worker::join(&log, "silent", "b");
    settle(&log, &mut [&mut heir], &[4]);
    assert_eq!(failure(&log, zombie.commit(vec![(partition.clone(), offset(9))], &proof)).kind, FailureKind::Fenced);
    ok(&log, zombie.init());
    assert!(committed(&log, &partition).is_empty());
    assert_eq!(committed_offset(&log, "silent", &partition), None);
    ok(&log, heir.member.leave(Departure::Leave));
}

#[test]
fn a_static_member_is_refused_with_what_to_do() {
    let log = connect();
    create(&log, "static-in", 4);
    let mut member = log.member(MemberConfig {
        group: "static".into(),
        member_id: "a".into(),
        instance_id: Some("instance-1".into()),
        process_id: "process of a".into(),
        max_poll_interval_ms: 60_000,
        ..MemberConfig::default()
    });
    member.join(topology("static"));
    let MemberEvent::Failed(refused) = event(&log, &mut member) else { panic!("brokers have static members now") };
    assert!(refused.error.to_string().contains("leave group.instance.id out"), "{}", refused.error);
}

#[test]
fn a_member_that_stays_is_not_lost() {
    let log = connect();
    create(&log, "stays-in", 4);
    let mut worker = Worker::join(&log, "stays", "a");
    settle(&log, &mut [&mut worker], &[4]);
    let joined = now().mono_ms();
    until(&log, || {
        worker.turn();
        assert!(!worker.is_lost && worker.running.len() == 4);
        (now().mono_ms() > joined + SESSION_MS * 3 / 2).then_some(())
    });
    ok(&log, worker.member.leave(Departure::Leave));
}

/// A member whose topology has one more source topic than those of the others.
fn join_changed(log: &KafkaLog, group: &str, id: &str, may_renew_group: bool) -> Box<dyn Member> {
    let mut member = log.member(MemberConfig {
        group: group.into(),
        member_id: id.into(),
        process_id: format!("process of {id}").into(),
        max_poll_interval_ms: 60_000,
        may_renew_group,
        ..MemberConfig::default()
    });
    let mut topology = topology(group);
    topology.subtopologies[0].source_topics.push(format!("{group}-more").into());
    member.join(topology);
    member
}

#[track_caller]
fn event(log: &KafkaLog, member: &mut Box<dyn Member>) -> MemberEvent {
    let mut events = Vec::new();
    until(log, || {
        member.poll(now(), &mut events);
        events.pop()
    })
}

#[test]
fn a_group_takes_another_topology_only_when_it_is_made_anew() {
    let log = connect();
    let partition = create(&log, "changes-in", 4);
    create(&log, "changes-more", 4);
    let mut old = Worker::join(&log, "changes", "a");
    settle(&log, &mut [&mut old], &[4]);
    ok(&log, old.member.commit(vec![(partition.clone(), offset(3))]));
    assert_eq!(failure(&log, log.admin().renew_group("changes")).kind, FailureKind::Fatal, "it has a member");
    ok(&log, old.member.leave(Departure::Leave));

    let mut new = join_changed(&log, "changes", "a", false);
    let MemberEvent::Failed(refused) = event(&log, &mut new) else { panic!("the group has changed its topology") };
    assert!(refused.error.to_string().contains("millstream upgrade-group"), "{}", refused.error);
    assert_eq!(ok(&log, log.admin().renew_group("changes")), 1);
    assert_eq!(committed_offset(&log, "changes", &partition), Some(offset(3)));
    new.join(topology("changes"));
    ok(&log, new.leave(Departure::Leave));
}

#[test]
fn offsets_that_a_renewal_has_kept_are_found_and_written_back() {
    let log = connect();
    let partition = create(&log, "aside-renewal-in", 4);
    let mut worker = Worker::join(&log, "aside-renewal", "a");
    settle(&log, &mut [&mut worker], &[4]);
    ok(&log, worker.member.commit(vec![(partition.clone(), offset(3))]));
    ok(&log, worker.member.leave(Departure::Leave));
    let set_aside = || ok(&log, log.admin().set_aside("aside", std::slice::from_ref(&partition))).remove(0);
    assert_eq!(set_aside(), Some(offset(3)));
    assert_eq!(ok(&log, log.admin().renew_group("aside")), 1);
    assert_eq!((committed_offset(&log, "aside", &partition), set_aside()), (Some(offset(3)), None));
}

#[test]
fn a_process_that_may_makes_its_group_anew_when_it_joins() {
    let log = connect();
    let partition = create(&log, "renews-in", 4);
    create(&log, "renews-more", 4);
    let mut old = Worker::join(&log, "renews", "a");
    settle(&log, &mut [&mut old], &[4]);
    ok(&log, old.member.commit(vec![(partition.clone(), offset(3))]));
    // The old version was killed, say: its membership stands in the way, but it is of the same process.
    ok(&log, old.member.leave(Departure::Remain));
    let mut new = Worker { member: join_changed(&log, "renews", "a", true), running: BTreeSet::new(), is_lost: false };
    settle(&log, &mut [&mut new], &[4]);
    assert_eq!(committed_offset(&log, "renews", &partition), Some(offset(3)));
    assert_eq!(committed_offset(&log, "renews-renewal", &partition), None);
    ok(&log, new.member.leave(Departure::Leave));
}

#[test]
fn a_member_that_remains_is_taken_over_by_who_joins_with_its_id() {
    let log = connect();
    create(&log, "remains-in", 4);
    let mut first = Worker::join(&log, "remains", "a");
    settle(&log, &mut [&mut first], &[4]);
    ok(&log, first.member.leave(Departure::LeaveToOthers));
    let again = connect();
    let mut first = Worker::join(&again, "remains", "a");
    // With other members it leaves: the one that stayed would keep half of the tasks until its session ends.
    let mut second = Worker::join(&log, "remains", "b");
    settle(&log, &mut [&mut first, &mut second], &[2, 2]);
    ok(&log, first.member.leave(Departure::LeaveToOthers));
    first.running.clear();
    settle(&log, &mut [&mut second], &[4]);
    ok(&log, second.member.leave(Departure::Leave));
}
