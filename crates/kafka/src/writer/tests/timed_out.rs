//! Transactions that brokers have ended, since they were open for too long.

use super::*;

const TIMEOUT_MS: i32 = 10_000;

/// What is told when a producer is fenced so long after its transaction began.
fn told(version: i16, fate: (i16, usize, ErrorCode), open_ms: i64) -> String {
    let options = ProduceOptions {
        transactional_id: Some("tx".into()),
        transaction_timeout_ms: TIMEOUT_MS,
        commits_often: true,
        ..ProduceOptions::default()
    };
    let (key, number, code) = fate;
    let mut rig = Rig::with(options, version, &[(key, number, Fate::Code(code))]);
    // Another transaction's time does not count.
    rig.append(1);
    rig.commit().unwrap();
    rig.fake.advance(i64::from(TIMEOUT_MS));
    rig.append(1);
    rig.flush().unwrap();
    rig.fake.advance(open_ms);
    rig.append(1);
    let call = rig.start_commit();
    let failure = rig.fake.wait(call).unwrap_err();
    assert_eq!((failure.kind, failure.error.kind()), (FailureKind::Fenced, ErrorKind::Fenced));
    failure.error.to_string()
}

#[test]
fn a_producer_fenced_after_its_transactions_timeout_is_told_to_raise_it() {
    for version in [0, 2] {
        for code in [ErrorCode::PRODUCER_FENCED, ErrorCode::INVALID_PRODUCER_EPOCH] {
            // The last batch, and the end.
            for (key, number) in [(ProduceRequest::KEY, 2), (EndTxnRequest::KEY, 1)] {
                let error = told(version, (key, number, code), 15_000);
                let parts = ["the transaction was open for 15", "transaction.timeout.ms (10000 ms)", code.name()];
                for part in parts {
                    assert!(error.contains(part), "{part} is not in: {error}");
                }
                let error = told(version, (key, number, code), 5_000);
                assert!(error.contains("another instance took over"), "{error}");
            }
        }
    }
}

#[test]
fn a_member_that_lost_its_tasks_is_not_told_of_its_transactions_timeout() {
    let error = told(2, (TxnOffsetCommitRequest::KEY, 1, ErrorCode::UNKNOWN_MEMBER_ID), 15_000);
    assert!(error.contains("another instance took over"), "{error}");
}
