//! Topics count as created or deleted when all brokers tell so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use millstream_log::{Admin, NewTopic, OffsetSpec};
use millstream_types::{Offset, TopicPartition};

use crate::admin::KafkaAdmin;
use crate::fake::{Fake, FakeTransport, Fate, Obliging, Place, Reply, metadata};
use crate::net::Address;
use crate::protocol::messages::create_topics::CreateTopicsRequest;
use crate::protocol::messages::delete_records::DeleteRecordsRequest;
use crate::protocol::messages::delete_topics::DeleteTopicsRequest;
use crate::protocol::messages::list_offsets::ListOffsetsRequest;
use crate::protocol::messages::metadata::MetadataRequest;
use crate::protocol::{ErrorCode, Reader, Request, RequestHeader};

/// How often each request was made of each broker.
type Asked = Arc<Mutex<BTreeMap<(String, i16), usize>>>;

/// Brokers of which the second hears late of what was done: it tells the old `lag` times more.
fn late(lag: usize, old: ErrorCode) -> (Fake, Asked) {
    let asked = Asked::default();
    let (mut brokers, seen) = (Obliging::new(&[]).0, Arc::clone(&asked));
    let (mut is_done, mut told) = (false, 0);
    let script = move |address: &Address, header: &RequestHeader, body: Reader| {
        *seen.lock().unwrap().entry((address.host.clone(), header.key)).or_default() += 1;
        is_done |= [CreateTopicsRequest::KEY, DeleteTopicsRequest::KEY].contains(&header.key);
        if address.host == "broker-1" && header.key == MetadataRequest::KEY && is_done && told < lag {
            told += 1;
            let mut response = metadata("words", 2);
            response.topics[0].error_code = old.0;
            return Reply::to::<MetadataRequest>(header, &response);
        }
        brokers.answer(address, header, body)
    };
    (Fake::new(FakeTransport::new(script)), asked)
}

#[test]
fn a_broker_that_hears_late_of_a_new_topic_is_waited_for() {
    for lag in [0, 1, 3] {
        let (mut fake, asked) = late(lag, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let topic = NewTopic { name: "words".into(), partitions: 2, replication_factor: -1, configs: Vec::new() };
        let call = KafkaAdmin::new(fake.driver.clone()).create_topics(&[topic]);
        fake.wait(call).unwrap();
        let asked = asked.lock().unwrap();
        assert!(asked[&("broker-1".to_owned(), MetadataRequest::KEY)] > lag);
        let created = asked.iter().filter(|((_, key), _)| *key == CreateTopicsRequest::KEY);
        assert_eq!(created.map(|(_, count)| count).sum::<usize>(), 1, "created once");
    }
}

#[test]
fn leaders_that_make_a_new_partition_are_waited_for() {
    let fates = [0, 1, 2].map(|number| Fate {
        key: ListOffsetsRequest::KEY,
        number,
        place: Place::Partition,
        code: ErrorCode::NOT_LEADER_OR_FOLLOWER,
    });
    let (brokers, counts) = Obliging::transport(&fates);
    let mut fake = Fake::new(brokers);
    let topic = NewTopic { name: "words".into(), partitions: 2, replication_factor: -1, configs: Vec::new() };
    let call = KafkaAdmin::new(fake.driver.clone()).create_topics(&[topic]);
    fake.wait(call).unwrap();
    let asked = |key| counts.lock().unwrap().get(&key).map_or(0, |(count, _)| *count);
    assert!(asked(ListOffsetsRequest::KEY) > 3);
    assert_eq!(asked(CreateTopicsRequest::KEY), 1);
}

#[test]
fn a_broker_that_hears_late_of_a_deleted_topic_is_waited_for() {
    for lag in [0, 1, 3] {
        let (mut fake, asked) = late(lag, ErrorCode::NONE);
        let call = KafkaAdmin::new(fake.driver.clone()).delete_topics(&["words".into()]);
        fake.wait(call).unwrap();
        let asked = asked.lock().unwrap();
        assert!(asked[&("broker-1".to_owned(), MetadataRequest::KEY)] > lag);
        let deleted = asked.iter().filter(|((_, key), _)| *key == DeleteTopicsRequest::KEY);
        assert_eq!(deleted.map(|(_, count)| count).sum::<usize>(), 1, "deleted once: it may be made anew meanwhile");
    }
}

#[test]
fn a_broker_that_is_down_is_not_waited_for() {
    let (brokers, _) = Obliging::transport(&[]);
    let mut fake = Fake::new(brokers);
    fake.engine.transport.refusing.push(Address { host: "broker-0".to_owned(), port: 9092 });
    let call = KafkaAdmin::new(fake.driver.clone()).delete_topics(&["words".into()]);
    fake.wait(call).unwrap();
}

#[test]
fn nothing_waits_for_records_that_are_being_deleted() {
    let mut brokers = Obliging::new(&[]).0;
    let script = move |address: &Address, header: &RequestHeader, body: Reader| match header.key {
        DeleteRecordsRequest::KEY | CreateTopicsRequest::KEY | DeleteTopicsRequest::KEY => Reply::Silence,
        _ => brokers.answer(address, header, body),
    };
    let mut fake = Fake::new(FakeTransport::new(script));
    let mut admin = KafkaAdmin::new(fake.driver.clone());
    let partition = TopicPartition::new("words", 0);
    let topic = NewTopic { name: "new".into(), partitions: 2, replication_factor: -1, configs: Vec::new() };
    // Calls that nobody waits for are not made.
    let _slow = (
        admin.delete_records(&[(partition.clone(), Offset(5))]),
        admin.create_topics(&[topic]),
        admin.delete_topics(&["words".into()]),
    );
    fake.advance(1_000);
    for key in [DeleteRecordsRequest::KEY, CreateTopicsRequest::KEY, DeleteTopicsRequest::KEY] {
        assert!(fake.engine.transport.seen.contains(&key), "{key}");
    }
    for number in 0..2 {
        let partition = TopicPartition::new("words", number);
        let call = admin.offsets(&[partition], OffsetSpec::Start);
        fake.wait(call).unwrap();
    }
}
