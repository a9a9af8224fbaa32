//! The coordinator moves, and nothing else: whoever asks the old one is told so, and finds the new one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use millstream_log::{Admin, CommittedOffset, GroupMetadata, GroupTopology, Member, MemberConfig, MemberEvent, Writer};
use millstream_types::{Headers, Offset, Timestamp, TopicPartition};

use crate::admin::KafkaAdmin;
use crate::fake::{Counts, Fake, FakeTransport, Obliging};
use crate::member::KafkaMember;
use crate::net::Address;
use crate::protocol::Request;
use crate::protocol::messages::end_txn::EndTxnRequest;
use crate::protocol::messages::offset_commit::OffsetCommitRequest;
use crate::protocol::messages::offset_fetch::OffsetFetchRequest;
use crate::protocol::messages::streams_group_heartbeat::StreamsGroupHeartbeatRequest;
use crate::protocol::messages::txn_offset_commit::TxnOffsetCommitRequest;
use crate::renewal::Renewals;
use crate::writer::{KafkaWriter, ProduceOptions};

/// The host that answered a request last.
fn last(counts: &Counts, key: i16) -> String {
    counts.lock().unwrap().get(&key).map(|(_, host)| host.clone()).unwrap_or_default()
}

#[test]
fn writers_members_and_calls_follow_a_coordinator_that_moves() {
    let (mut brokers, counts) = Obliging::new(&[]);
    let coordinator = Arc::clone(&brokers.coordinator);
    let script = move |address: &Address, header: &_, body| brokers.answer(address, header, body);
    let mut fake = Fake::new(FakeTransport::new(script));
    let words = TopicPartition::new("words", 0);

    let options = ProduceOptions { transactional_id: Some("tx".into()), ..ProduceOptions::default() };
    let mut writer = KafkaWriter::new(fake.driver.clone(), options);
    let init = writer.init();
    fake.wait(init).unwrap();
    let config = MemberConfig {
        group: "g".into(),
        member_id: "m".into(),
        process_id: "p".into(),
        session_timeout_ms: 60_000,
        max_poll_interval_ms: 600_000,
        ..MemberConfig::default()
    };
    let mut member = KafkaMember::new(fake.driver.clone(), config, None, Renewals::default());
    member.join(GroupTopology::default());
    let group = GroupMetadata { group: "g".into(), member_id: "m".into(), epoch: 1 };
    let committed = || {
        let offset = CommittedOffset { offset: Offset(5), leader_epoch: -1, metadata: String::new() };
        vec![(TopicPartition::new("words", 0), offset)]
    };
    let mut events = Vec::new();
    for at in [1, 0, 1] {
        // In the middle of a transaction.
        let handle = writer.partition(&words);
        writer.append(handle, Timestamp(1), None, Some(b"x"), &Headers::new()).unwrap();
        let flush = writer.flush();
        fake.wait(flush).unwrap();
        coordinator.store(at, Ordering::SeqCst);

        let commit = writer.commit(committed(), &group);
        fake.wait(commit).unwrap();
        let commit = member.commit(committed());
        fake.wait(commit).unwrap();
        let found = KafkaAdmin::new(fake.driver.clone()).committed("g", std::slice::from_ref(&words));
        assert_eq!(fake.wait(found).unwrap()[0].as_ref().map(|found| found.offset), Some(Offset(3)));
        for _ in 0..100 {
            fake.advance(50);
            member.poll(fake.now(), &mut events);
        }
        let keys = [
            EndTxnRequest::KEY,
            TxnOffsetCommitRequest::KEY,
            OffsetCommitRequest::KEY,
            OffsetFetchRequest::KEY,
            StreamsGroupHeartbeatRequest::KEY,
        ];
        for key in keys {
            assert_eq!(last(&counts, key), format!("broker-{at}"), "request {key}");
        }
    }
    assert!(matches!(events.as_slice(), [MemberEvent::Assigned { .. }]), "no membership was lost: {events:?}");
}
