//! Transactions through the seam: atomicity, isolation and fencing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use millstream_log::{FailureKind, Isolation, Log, OffsetSpec, Options};
use millstream_types::{ErrorKind, Headers, Offset, Timestamp};
use support::*;

#[test]
fn a_transaction_is_seen_when_it_has_committed_and_not_before() {
    for log in logs() {
        let out = tp("out", 0);
        let mut writer = writer(&log, Some("t"));
        put(&mut writer, &out, "a");
        ok(writer.flush());
        assert_eq!(uncommitted(&log, &out), ["0:a"]);
        assert!(committed(&log, &out).is_empty());
        let input = tp("in", 0);
        ok(writer.commit(vec![(input.clone(), offset(7))], &nobody()));
        assert_eq!(committed(&log, &out), ["0:a"]);
        assert_eq!(committed_offset(&log, "app", &input), Some(7));
        // The marker takes an offset.
        put(&mut writer, &out, "b");
        ok(writer.commit(vec![], &nobody()));
        assert_eq!(committed(&log, &out), ["0:a", "2:b"]);
    }
}

#[test]
fn an_aborted_transaction_is_left_out_for_committed_readers_only() {
    for log in logs() {
        let out = tp("out", 0);
        let mut writer = writer(&log, Some("t"));
        for (value, commits) in [("a", true), ("b", false), ("c", true)] {
            put(&mut writer, &out, value);
            ok(writer.flush());
            ok(if commits { writer.commit(vec![], &nobody()) } else { writer.abort() });
        }
        put(&mut writer, &out, "never sent");
        ok(writer.abort());
        assert_eq!(committed(&log, &out), ["0:a", "4:c"]);
        assert_eq!(uncommitted(&log, &out), ["0:a", "2:b", "4:c"]);
    }
}

#[test]
fn interleaved_transactions_are_told_apart() {
    for log in logs() {
        let out = tp("out", 0);
        let mut one = writer(&log, Some("one"));
        let mut two = writer(&log, Some("two"));
        let mut plain = writer(&log, None);
        for round in 0..3 {
            put(&mut one, &out, &format!("one{round}"));
            ok(one.flush());
            put(&mut two, &out, &format!("two{round}"));
            ok(two.flush());
            put(&mut plain, &out, &format!("plain{round}"));
            ok(plain.flush());
        }
        ok(two.commit(vec![], &nobody()));
        // The last stable offset is the first of the open transaction.
        let end = |spec| ok(log.admin().offsets(&[tp("out", 0)], spec))[0];
        assert_eq!((end(OffsetSpec::EndCommitted), end(OffsetSpec::EndUncommitted)), (Offset(0), Offset(10)));
        assert!(committed(&log, &out).is_empty());
        ok(one.abort());
        assert_eq!(committed(&log, &out), ["1:two0", "2:plain0", "4:two1", "5:plain1", "7:two2", "8:plain2"]);
        assert_eq!(end(OffsetSpec::EndCommitted), Offset(11));
    }
}

#[test]
fn offsets_alone_are_committed() {
    for log in logs() {
        let mut writer = writer(&log, Some("t"));
        ok(writer.commit(vec![(tp("in", 0), offset(3)), (tp("in", 1), offset(4))], &nobody()));
        assert_eq!(committed_offset(&log, "app", &tp("in", 1)), Some(4));
        assert_eq!(committed_offset(&log, "other", &tp("in", 1)), None);
        let found = ok(log.admin().committed("app", &[tp("in", 0), tp("in", 9)]));
        assert_eq!(found, [Some(offset(3)), None]);
    }
}

#[test]
fn a_newer_writer_fences_the_older_one_and_aborts_what_it_left() {
    for log in logs() {
        let out = tp("out", 0);
        let mut zombie = writer(&log, Some("t"));
        put(&mut zombie, &out, "zombie");
        ok(zombie.flush());
        put(&mut zombie, &out, "zombie later");

        let mut heir = writer(&log, Some("t"));
        assert_eq!(kind(zombie.flush()), FailureKind::Fenced);
        assert_eq!(kind(zombie.commit(vec![(tp("in", 0), offset(9))], &nobody())), FailureKind::Fenced);
        assert_eq!(kind(zombie.abort()), FailureKind::Fenced);
        let handle = zombie.partition(&out);
        let refused = zombie.append(handle, Timestamp(1), None, None, &Headers::new()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Fenced);
        assert_eq!(committed_offset(&log, "app", &tp("in", 0)), None);

        put(&mut heir, &out, "heir");
        ok(heir.commit(vec![], &nobody()));
        assert_eq!(committed(&log, &out), ["2:heir"]);
        // Initialised again, the older one takes over in turn.
        ok(zombie.init());
        put(&mut zombie, &out, "back");
        ok(zombie.commit(vec![], &nobody()));
        assert_eq!(committed(&log, &out), ["2:heir", "4:back"]);
        put(&mut heir, &out, "late");
        assert_eq!(kind(heir.commit(vec![], &nobody())), FailureKind::Fenced);
    }
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_its_writer_fenced() {
    let log = millstream_log::EmbeddedLog::memory(Options {
        seed: Some(1),
        transaction_timeout_ms: 500,
        ..Options::default()
    });
    let out = tp("out", 0);
    let mut writer = writer(&log, Some("t"));
    let mut other = member(&log, "somebody");
    other.join(topology(1));
    poll(&mut other, at(1000));
    put(&mut writer, &out, "slow");
    ok(writer.flush());
    poll(&mut other, at(1500));
    assert!(committed(&log, &out).is_empty());
    let end = || ok(log.admin().offsets(&[tp("out", 0)], OffsetSpec::EndCommitted))[0];
    assert_eq!(end(), Offset(0));
    poll(&mut other, at(1501));
    assert_eq!(end(), Offset(2));
    assert_eq!(kind(writer.commit(vec![], &nobody())), FailureKind::Fenced);
    ok(writer.init());
    put(&mut writer, &out, "again");
    ok(writer.commit(vec![], &nobody()));
    assert_eq!(committed(&log, &out), ["2:again"]);
}

#[test]
fn plain_writers_have_no_transactions() {
    for log in logs() {
        let mut writer = writer(&log, None);
        assert_eq!(kind(writer.commit(vec![], &nobody())), FailureKind::Fatal);
        put(&mut writer, &tp("out", 0), "a");
        ok(writer.abort());
        assert!(ok(writer.flush()).is_empty());
        put(&mut writer, &tp("out", 0), "b");
        assert_eq!(ok(writer.flush()), [(tp("out", 0), Some(Offset(0)))]);
        assert!(ok(writer.flush()).is_empty());
        let mut fresh = log.writer(None);
        put(&mut fresh, &tp("out", 0), "c");
        assert_eq!(failure(fresh.flush()).error.kind(), ErrorKind::State);
    }
}

#[test]
fn aborted_records_below_a_position_do_not_hide_what_follows() {
    for log in logs() {
        let out = tp("out", 0);
        let mut writer = writer(&log, Some("t"));
        for round in 0..50 {
            put(&mut writer, &out, &format!("v{round}"));
            ok(writer.flush());
            ok(if round % 3 == 0 { writer.commit(vec![], &nobody()) } else { writer.abort() });
        }
        let expected: Vec<String> = (0..50).step_by(3).map(|round| format!("{}:v{round}", round * 2)).collect();
        for from in 0..100 {
            let seen = values(&log, &out, Isolation::ReadCommitted, from);
            let rest: Vec<_> = expected
                .iter()
                .filter(|text| text.split(':').next().unwrap().parse::<i64>().unwrap() >= from)
                .collect();
            assert_eq!(seen.iter().collect::<Vec<_>>(), rest);
        }
    }
}
