//! A writer that is initialised anew with work standing.

use super::*;

#[test]
fn answers_to_what_was_written_before_mean_nothing() {
    for code in [ErrorCode::NONE, ErrorCode::INVALID_PRODUCER_EPOCH] {
        let mut rig = Rig::new(None, 2, &[(WRITE, 0, Fate::Code(code))]);
        rig.fake.engine.transport.late_key = Some(WRITE);
        rig.append(1);
        assert_eq!(rig.writer.send_lingering(rig.fake.now()), None);
        rig.fake.advance(50);
        let init = rig.writer.init();
        rig.fake.wait(init).unwrap();
        rig.append(3);
        let mut flush = rig.writer.flush();
        rig.fake.advance(50);
        assert!(matches!(flush.poll(rig.fake.now()), Outcome::Pending), "{code}");
        rig.fake.engine.transport.late_key = None;
        // Where the first write was taken, the second is behind it.
        let last = Offset(if code == ErrorCode::NONE { 103 } else { 102 });
        assert_eq!(rig.fake.wait(flush).unwrap(), [(words(), Some(last))], "{code}");
    }
}

#[test]
fn what_was_to_be_flushed_and_committed_is_not() {
    let mut rig = Rig::new(Some("tx"), 2, &[]);
    rig.append(2);
    let (flush, commit, init) = (rig.writer.flush(), rig.start_commit(), rig.writer.init());
    rig.fake.wait(init).unwrap();
    assert_eq!(rig.fake.wait(flush).map_err(|failure| failure.kind), Err(FailureKind::Retriable));
    assert_eq!(rig.fake.wait(commit).map_err(|failure| failure.kind), Err(FailureKind::Retriable));
    rig.check_seen(&["init", "init"]);
    rig.append(1);
    rig.commit().unwrap();
}

/// A partition that nobody leads.
fn leaderless(rig: &mut Rig) {
    rig.handle = rig.writer.partition(&TopicPartition::new("words", 7));
    rig.append(1);
}

#[test]
fn what_has_no_leader_for_too_long_is_not_waited_for() {
    let mut rig = Rig::with(ProduceOptions { delivery_timeout_ms: 1_000, ..ProduceOptions::default() }, 2, &[]);
    leaderless(&mut rig);
    let mut flush = rig.writer.flush();
    rig.fake.advance(900);
    assert!(matches!(flush.poll(rig.fake.now()), Outcome::Pending));
    assert_eq!(rig.fake.wait(flush).map_err(|failure| failure.kind), Err(FailureKind::Unknown));
}

#[test]
fn a_flush_or_commit_that_waits_for_a_leader_ends() {
    for transactional_id in [None, Some("tx")] {
        let mut rig = Rig::new(transactional_id, 2, &[]);
        leaderless(&mut rig);
        let flush = rig.writer.flush();
        let commit = transactional_id.map(|_| rig.start_commit());
        rig.fake.advance(200);
        let init = rig.writer.init();
        rig.fake.wait(init).unwrap();
        assert_eq!(rig.fake.wait(flush).map_err(|failure| failure.kind), Err(FailureKind::Retriable));
        if let Some(commit) = commit {
            assert_eq!(rig.fake.wait(commit).map_err(|failure| failure.kind), Err(FailureKind::Retriable));
        }
        rig.check_seen(&["init", "init"]);
    }
}

#[test]
fn who_is_no_member_commits_nothing() {
    let mut rig = Rig::new(Some("tx"), 2, &[]);
    rig.append(1);
    let group = GroupMetadata { group: "g".into(), member_id: "m".into(), epoch: -1 };
    let call = rig.writer.commit(vec![], &group);
    assert_eq!(rig.fake.wait(call).map_err(|failure| failure.kind), Err(FailureKind::Fenced));
    rig.check_seen(&["init"]);
}
