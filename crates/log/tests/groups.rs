//! Groups through the seam: who runs what, and who may commit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use millstream_log::{Departure, FailureKind};
use support::*;

#[test]
fn the_first_member_gets_everything_at_once() {
    for log in logs() {
        let mut a = member(&log, "a");
        assert_eq!(poll(&mut a, at(0)), "");
        a.join(topology(3));
        assert_eq!(poll(&mut a, at(0)), "+0_0 0_1 0_2");
        assert_eq!(poll(&mut a, at(1)), "");
    }
}

#[test]
fn a_task_moves_only_after_its_owner_has_let_go() {
    for log in logs() {
        let (mut a, mut b) = (member(&log, "a"), member(&log, "b"));
        a.join(topology(4));
        assert_eq!(poll(&mut a, at(0)), "+0_0 0_1 0_2 0_3");
        b.join(topology(4));
        assert_eq!(poll(&mut b, at(1)), "+");
        assert_eq!(poll(&mut a, at(2)), "-0_2 0_3");
        assert_eq!(poll(&mut a, at(3)), "");
        assert_eq!(poll(&mut b, at(4)), "");
        // Its last commit still counts.
        ok(a.commit(vec![(tp("in", 2), offset(5))]));
        a.revoked();
        assert_eq!(poll(&mut a, at(5)), "+0_0 0_1");
        assert_eq!(poll(&mut b, at(6)), "+0_2 0_3");
        assert_eq!(committed_offset(&log, "app", &tp("in", 2)), Some(5));
    }
}

#[test]
fn a_leaver_frees_its_tasks_at_once() {
    for log in logs() {
        let mut members = [member(&log, "a"), member(&log, "b"), member(&log, "c")];
        for member in &mut members {
            member.join(topology(3));
        }
        let all: Vec<String> = members.iter_mut().map(|member| poll(member, at(1))).collect();
        assert_eq!(all, ["+0_0", "+0_2", "+0_1"]);
        let [mut a, mut b, mut c] = members;
        ok(b.leave(Departure::Leave));
        assert_eq!(poll(&mut b, at(2)), "");
        assert_eq!(poll(&mut a, at(2)), "+0_0 0_2");
        assert_eq!(poll(&mut c, at(2)), "");
        assert_eq!(kind(b.commit(vec![(tp("in", 1), offset(5))])), FailureKind::Fenced);
    }
}

#[test]
fn a_silent_member_is_expelled_and_its_commits_are_fenced() {
    for log in logs() {
        let (mut zombie, mut b) = (member(&log, "a"), member(&log, "b"));
        zombie.join(topology(2));
        assert_eq!(poll(&mut zombie, at(0)), "+0_0 0_1");
        b.join(topology(2));
        poll(&mut zombie, at(0));
        zombie.revoked();
        assert_eq!(poll(&mut zombie, at(0)), "+0_0");
        assert_eq!(poll(&mut b, at(500)), "+0_1");
        assert_eq!(poll(&mut b, at(1000)), "");
        assert_eq!(poll(&mut b, at(1001)), "+0_0 0_1");

        let proof = zombie.metadata();
        assert_eq!(kind(zombie.commit(vec![(tp("in", 0), offset(1))])), FailureKind::Fenced);
        let mut out = writer(&log, Some("a"));
        put(&mut out, &tp("out", 0), "zombie");
        assert_eq!(kind(out.commit(vec![(tp("in", 0), offset(1))], &proof)), FailureKind::Fenced);
        ok(out.abort());
        assert!(committed(&log, &tp("out", 0)).is_empty());
        assert_eq!(committed_offset(&log, "app", &tp("in", 0)), None);

        assert_eq!(poll(&mut zombie, at(1002)), "!");
        assert_eq!(poll(&mut zombie, at(1003)), "");
        zombie.join(topology(2));
        assert_eq!(poll(&mut b, at(1004)), "-0_1");
        b.revoked();
        assert_eq!(poll(&mut zombie, at(1005)), "+0_1");
        assert_eq!(poll(&mut b, at(1005)), "+0_0");
        // The old proof stays worthless.
        ok(out.init());
        assert_eq!(kind(out.commit(vec![(tp("in", 0), offset(1))], &proof)), FailureKind::Fenced);
        ok(out.init());
        ok(out.commit(vec![(tp("in", 1), offset(8))], &zombie.metadata()));
        assert_eq!(committed_offset(&log, "app", &tp("in", 1)), Some(8));
    }
}

#[test]
fn a_proof_from_before_a_revocation_is_stale_and_one_from_before_a_mere_change_is_not() {
    for log in logs() {
        let (mut a, mut b) = (member(&log, "a"), member(&log, "b"));
        a.join(topology(2));
        poll(&mut a, at(0));
        let first = a.metadata();
        b.join(topology(2));
        poll(&mut a, at(0));
        let mut out = writer(&log, Some("t"));
        ok(out.commit(vec![(tp("in", 0), offset(1))], &first));
        a.revoked();
        assert_eq!(kind(out.commit(vec![(tp("in", 0), offset(2))], &first)), FailureKind::Fenced);
        ok(out.init());
        let second = a.metadata();
        poll(&mut b, at(0));
        ok(b.leave(Departure::Leave));
        // It gained a task, so what it committed under the proof before is its own still.
        assert_eq!(poll(&mut a, at(0)), "+0_0 0_1");
        ok(out.commit(vec![(tp("in", 0), offset(3))], &second));
        assert_eq!(committed_offset(&log, "app", &tp("in", 0)), Some(3));
    }
}

#[test]
fn a_restarted_member_replaces_the_one_with_its_id() {
    for log in logs() {
        let mut old = member(&log, "a");
        old.join(topology(2));
        assert_eq!(poll(&mut old, at(0)), "+0_0 0_1");
        let mut new = member(&log, "a");
        new.join(topology(2));
        assert_eq!(poll(&mut new, at(0)), "+0_0 0_1");
        assert_eq!(poll(&mut old, at(0)), "!");
        ok(old.leave(Departure::Leave));
        assert_eq!(poll(&mut new, at(0)), "");
    }
}

#[test]
fn the_newest_topology_counts() {
    for log in logs() {
        let (mut a, mut b) = (member(&log, "a"), member(&log, "b"));
        a.join(topology(1));
        assert_eq!(poll(&mut a, at(0)), "+0_0");
        b.join(topology(4));
        assert_eq!(poll(&mut a, at(0)), "+0_0 0_2");
        assert_eq!(poll(&mut b, at(0)), "+0_1 0_3");
        b.join(topology(1));
        assert_eq!(poll(&mut a, at(0)), "-0_2");
        a.revoked();
        assert_eq!(poll(&mut a, at(0)), "+0_0");
        assert_eq!(poll(&mut b, at(0)), "+");
    }
}

#[test]
fn a_member_with_another_clock_is_not_expelled() {
    for log in logs() {
        let (mut early, mut late) = (member(&log, "a"), member(&log, "b"));
        early.join(topology(2));
        poll(&mut early, at(1_000_000));
        late.join(topology(2));
        for ms in (0..5000).step_by(500) {
            assert!(!poll(&mut early, at(1_000_000 + ms)).contains('!'));
            early.revoked();
            assert!(!poll(&mut late, at(ms)).contains('!'));
        }
        assert_eq!(kind(member(&log, "c").commit(vec![])), FailureKind::Fatal);
    }
}

/// Random joins, leaves, silences and polls: no task is ever run by two members that both count as
/// members, and in the end every task runs.
#[test]
fn no_task_ever_has_two_owners() {
    let mut seed = 7u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for _ in 0..50 {
        let [log, ..] = logs();
        let mut members: Vec<_> =
            (0..4).map(|id| (member(&log, &format!("m{id}")), Vec::<String>::new(), None)).collect();
        let mut now = 0;
        for step in 0..400 {
            now += random(20) as u64;
            let index = random(4);
            let (member, owned, revoking) = &mut members[index];
            match random(30) {
                0 => {
                    ok(member.leave(Departure::Leave));
                    (*owned, *revoking) = (vec![], None);
                }
                1 | 2 if step < 300 => {
                    member.join(topology(7));
                    (*owned, *revoking) = (vec![], None);
                }
                3..10 if revoking.is_some() => {
                    let gone: Vec<String> = revoking.take().unwrap();
                    owned.retain(|task| !gone.contains(task));
                    member.revoked();
                }
                _ => {
                    let said = poll(member, at(now));
                    let tasks = || said[1..].split_whitespace().map(String::from).collect::<Vec<_>>();
                    match said.as_bytes().first() {
                        Some(b'+') => *owned = tasks(),
                        Some(b'-') => *revoking = Some(tasks()),
                        Some(b'!') => (*owned, *revoking) = (vec![], None),
                        _ => {}
                    }
                }
            }
            // Who would be told "lost" at the next poll owns nothing any more.
            let mut all: Vec<&String> = members
                .iter_mut()
                .filter(|(member, ..)| {
                    let proof = member.metadata();
                    let mut probe = writer(&log, Some("probe"));
                    let mut call = probe.commit(vec![], &proof);
                    matches!(call.poll(at(0)), millstream_log::Outcome::Done(()))
                })
                .flat_map(|(_, owned, _)| owned.iter())
                .collect();
            let count = all.len();
            all.sort();
            all.dedup();
            assert_eq!(all.len(), count, "step {step}");
        }
    }
}
