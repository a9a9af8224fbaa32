//! A fault at every single operation: after a restart there is exactly what was committed.

use millstream_types::ErrorKind;

use super::*;
use crate::fs::faulty::{Fault, Restart};
use crate::seam::{FailureKind, NewTopic};

const ROUNDS: i64 = 8;

/// How far the work came.
#[derive(Debug, Default, Clone, Copy)]
struct Progress {
    /// Transactions acknowledged, and begun to be committed.
    committed: (i64, i64),
    /// Plain records acknowledged, and sent.
    plain: (i64, i64),
    /// Offsets committed outside transactions: acknowledged, and sent.
    offsets: (i64, i64),
    /// Offset before which plain records were to be deleted.
    deleted: i64,
}

/// Works until a fault: transactions over two partitions, some aborted; plain records, some of
/// them deleted; offsets outside transactions.
fn work(log: &EmbeddedLog, progress: &mut Progress) -> Result<(), Failure> {
    let topic = |name: &str, partitions| NewTopic {
        name: name.into(),
        partitions,
        replication_factor: 1,
        configs: vec![("a".into(), "b".into())],
    };
    outcome(log.admin().create_topics(&[topic("out", 2), topic("plain", 1), topic("old", 1)]))?;
    let mut plain = writer(log, None)?;
    for round in 1..=ROUNDS {
        let mut writer = writer(log, Some("t"))?;
        if round % 3 == 0 {
            put(&mut writer, &tp("out", 0), -round);
            put(&mut writer, &tp("out", 1), -round);
            outcome(writer.flush())?;
            outcome(writer.abort())?;
        }
        put(&mut writer, &tp("out", 0), round);
        put(&mut plain, &tp("plain", 0), round);
        progress.plain.1 = round;
        outcome(plain.flush())?;
        progress.plain.0 = round;
        put(&mut writer, &tp("out", 1), round);
        progress.committed.1 = round;
        outcome(writer.commit(vec![(tp("in", 0), offset(round))], &nobody()))?;
        progress.committed.0 = round;
        if round == 4 {
            outcome(log.admin().delete_topics(&["old".into()]))?;
        }
        if round == 5 {
            progress.deleted = 3;
            outcome(log.admin().delete_records(&[(tp("plain", 0), Offset(3))]))?;
        }
        // In the last round a transaction stays open.
        put(&mut writer, &tp("out", 0), -100 - round);
        outcome(writer.flush())?;
        progress.offsets.1 = round;
        let committed = log.0.request(|broker| broker.commit_offsets(&nobody(), vec![(tp("side", 0), offset(round))]));
        committed?;
        progress.offsets.0 = round;
    }
    Ok(())
}

#[track_caller]
fn check(log: &EmbeddedLog, progress: Progress, what: &str) {
    let within = |found: i64, (acknowledged, sent): (i64, i64)| (acknowledged..=sent).contains(&found);
    let transactions = committed(log, &tp("in", 0));
    assert!(within(transactions, progress.committed), "{what}: {transactions} of {progress:?}");
    assert!(within(committed(log, &tp("side", 0)), progress.offsets), "{what}: {progress:?}");
    let topics = outcome(log.admin().list_topics()).unwrap();
    let has = |name: &str| topics.iter().any(|topic| &*topic.name == name);
    for partition in 0..2 {
        if has("out") {
            let seen = values(log, &tp("out", partition)).unwrap();
            assert_eq!(seen, (1..=transactions).collect::<Vec<_>>(), "{what}: out-{partition} {progress:?}");
        } else {
            assert_eq!(progress.committed.1, 0, "{what}");
        }
    }
    if has("plain") {
        let seen = values(log, &tp("plain", 0)).unwrap();
        let last = seen.last().copied().unwrap_or(0);
        assert!(within(last, progress.plain), "{what}: {seen:?} {progress:?}");
        let first = seen.first().copied().unwrap_or(1);
        assert!(first == 1 || first == progress.deleted + 1, "{what}: {seen:?} {progress:?}");
        assert_eq!(seen, (first..=last).collect::<Vec<_>>(), "{what}");
    }
}

/// One fault, one restart; afterwards the log is as good as new.
fn round(flush: Flush, fault: Fault, operation: u64, restart: Restart) -> bool {
    let what = format!("{flush:?} {fault:?} at {operation}, {restart:?}");
    let options = options(flush);
    let fs = FaultyFs::default();
    fs.fail(fault, operation);
    let mut progress = Progress::default();
    let mut is_hit = true;
    match open_in(&fs, &options) {
        Ok(log) => {
            let worked = work(&log, &mut progress);
            is_hit = worked.is_err() || fs.operations() > operation;
            if let Err(failure) = worked {
                assert_eq!(failure.error.kind(), ErrorKind::Storage, "{what}: {failure:?}");
                assert_ne!(failure.kind, FailureKind::Retriable, "{what}");
                // Nothing follows a failed write.
                assert_eq!(
                    writer(&log, None)
                        .and_then(|mut w| {
                            put(&mut w, &tp("out", 0), -7);
                            outcome(w.flush())
                        })
                        .unwrap_err()
                        .error
                        .kind(),
                    ErrorKind::Storage,
                    "{what}"
                );
            }
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Storage, "{what}"),
    }
    let fs = fs.restart(restart);
    let log = open_in(&fs, &options).unwrap_or_else(|error| panic!("{what}: {error}"));
    check(&log, progress, &what);

    // Work goes on, and a second restart finds it again.
    if outcome(log.admin().list_topics()).unwrap().iter().any(|topic| &*topic.name == "out") {
        let before = committed(&log, &tp("in", 0));
        let mut writer = writer(&log, Some("t")).unwrap();
        put(&mut writer, &tp("out", 0), before + 1);
        put(&mut writer, &tp("out", 1), before + 1);
        outcome(writer.commit(vec![(tp("in", 0), offset(before + 1))], &nobody())).unwrap();
        progress.committed = (before + 1, before + 1);
        drop((log, writer));
        let log = open_in(&fs.restart(Restart::Process), &options).unwrap();
        check(&log, progress, &what);
    }
    is_hit
}

fn every_operation(flush: Flush, fault: Fault, restart: impl Fn(u64) -> Restart) {
    let mut operation = 0;
    while round(flush, fault, operation, restart(operation)) {
        operation += 1;
    }
    assert!(operation > 50, "{operation} operations only");
}

#[test]
fn a_killed_process_leaves_what_was_committed() {
    every_operation(Flush::Os, Fault::Kill, |_| Restart::Process);
    every_operation(Flush::Commit, Fault::Kill, |_| Restart::Process);
}

#[test]
fn a_power_failure_leaves_what_was_committed_where_commits_are_flushed() {
    for seed in 0..8 {
        every_operation(Flush::Commit, Fault::Kill, |operation| Restart::Machine(seed * 10_007 + operation));
    }
}

#[test]
fn a_full_disk_stops_the_log_and_loses_nothing() {
    every_operation(Flush::Os, Fault::Full, |_| Restart::Process);
    every_operation(Flush::Commit, Fault::Full, Restart::Machine);
}

#[test]
fn a_failed_operation_stops_the_log_and_loses_nothing() {
    every_operation(Flush::Os, Fault::Once, |_| Restart::Process);
    every_operation(Flush::Commit, Fault::Once, |_| Restart::Process);
    every_operation(Flush::Commit, Fault::Once, |operation| Restart::Machine(operation + 77));
}

/// Without flushing, a power failure may take anything. It is noticed or survived, never a panic.
#[test]
fn a_power_failure_without_flushing_opens_or_says_what_is_damaged() {
    let mut opened = 0;
    for seed in 0..200 {
        let fs = FaultyFs::default();
        let log = open_in(&fs, &options(Flush::Os)).unwrap();
        work(&log, &mut Progress::default()).unwrap();
        match open_in(&fs.restart(Restart::Machine(seed)), &options(Flush::Os)) {
            Ok(log) => {
                opened += 1;
                for topic in outcome(log.admin().list_topics()).unwrap() {
                    for partition in 0..topic.partitions {
                        let _ = values(&log, &tp(&topic.name, partition));
                    }
                }
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}"),
        }
    }
    assert!(opened < 200);
}

/// A crash in the middle of recovery, at any operation: the next one brings the log back as well.
#[test]
fn a_crash_while_recovering_changes_nothing() {
    for (flush, machine) in [(Flush::Os, false), (Flush::Commit, false), (Flush::Commit, true)] {
        let restart = |seed| if machine { Restart::Machine(seed) } else { Restart::Process };
        for crash in (0..200).step_by(7) {
            let fs = FaultyFs::default();
            fs.fail(Fault::Kill, crash);
            let mut progress = Progress::default();
            if let Ok(log) = open_in(&fs, &options(flush)) {
                let _ = work(&log, &mut progress);
            }
            for operation in 0.. {
                let what = format!("{flush:?}, killed at {crash} and again at {operation}");
                let again = fs.restart(restart(crash + 1000 * operation));
                again.fail(Fault::Kill, operation);
                let is_open = open_in(&again, &options(flush)).is_ok();
                let last = again.restart(restart(crash + 2000 * operation));
                let log = open_in(&last, &options(flush)).unwrap_or_else(|error| panic!("{what}: {error}"));
                check(&log, progress, &what);
                if is_open {
                    break;
                }
            }
        }
    }
}
