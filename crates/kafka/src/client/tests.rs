mod brokers;
mod hostile;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::driver::{Actor, Turn};
use crate::fake::{Fake, FakeTransport, Reply, coordinator, metadata, read};
use crate::protocol::messages::end_txn::{EndTxnRequest, EndTxnResponse};
use crate::protocol::messages::find_coordinator::FindCoordinatorRequest;
use crate::protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use crate::protocol::{Reader, RequestHeader};

fn answer(header: &RequestHeader) -> Reply {
    match header.key {
        MetadataRequest::KEY => Reply::to::<MetadataRequest>(header, &metadata("words", 2)),
        FindCoordinatorRequest::KEY => coordinator(header),
        _ => Reply::to::<EndTxnRequest>(header, &EndTxnResponse::default()),
    }
}

type Outcome = Result<EndTxnResponse, RequestError>;

/// Ends a transaction at its coordinator, once, and keeps the answer.
struct Ender {
    ticket: Option<Ticket<EndTxnRequest>>,
    outcome: Arc<Mutex<Option<Outcome>>>,
}

impl Actor for Ender {
    fn turn(&mut self, client: &mut Client) -> Turn {
        client.want_topic(&"words".into());
        let Some(ticket) = &self.ticket else {
            if let Some(node) = client.coordinator(CoordinatorKind::Transaction, &"tx".into()) {
                self.ticket = Some(client.send(node, EndTxnRequest::default()));
            }
            return Turn::Until(i64::MAX);
        };
        let Some(answer) = ticket.take() else { return Turn::Until(i64::MAX) };
        *self.outcome.lock().unwrap() = Some(answer);
        Turn::Finished
    }
}

fn ender(fake: &mut Fake) -> Arc<Mutex<Option<Outcome>>> {
    let outcome = Arc::new(Mutex::new(None));
    fake.add(Ender { ticket: None, outcome: Arc::clone(&outcome) });
    fake.settle();
    outcome
}

/// Wants topics, one when it is known what is with the one before.
struct Curious(Vec<Arc<str>>);

impl Actor for Curious {
    fn turn(&mut self, client: &mut Client) -> Turn {
        if let Some(topic) = self.0.last() {
            client.want_topic(topic);
            if client.cluster().topic(topic).is_some() {
                self.0.pop();
                return Turn::Until(client.now().mono_ms());
            }
        }
        Turn::Until(i64::MAX)
    }
}

#[test]
fn topics_that_nobody_asked_for_before_are_asked_for_at_once() {
    let mut fake = Fake::new(FakeTransport::new(|_: &Address, header, body| {
        let asked = read::<MetadataRequest>(header, body).topics.unwrap_or_default();
        let topic = |name: String| metadata(&name, 1).topics.remove(0);
        let topics = asked.into_iter().filter_map(|asked| asked.name).map(topic).collect();
        Reply::to::<MetadataRequest>(header, &MetadataResponse { topics, ..metadata("", 0) })
    }));
    fake.add(Curious(vec!["third".into(), "second".into(), "first".into()]));
    // No time passes.
    fake.settle();
    assert!(fake.engine.client().cluster().topic("third").is_some());
}

#[test]
fn a_request_finds_its_coordinator_and_its_answer() {
    let mut hosts = Vec::new();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let mut fake = Fake::new(FakeTransport::new(move |address: &Address, header, _| {
        hosts.push(address.host.clone());
        seen.lock().unwrap().push((address.host.clone(), header.key));
        answer(header)
    }));
    let outcome = ender(&mut fake);
    fake.advance(100);
    assert_eq!(outcome.lock().unwrap().take(), Some(Ok(EndTxnResponse::default())));
    let asked = asked.lock().unwrap();
    assert_eq!(asked.first(), Some(&("bootstrap".to_owned(), MetadataRequest::KEY)));
    assert_eq!(asked.last().map(|(host, _)| host.as_str()), Some("broker-1"), "{asked:?}");
}

#[test]
fn a_broker_that_is_down_is_tried_again_and_a_lost_answer_is_told() {
    let mut transport = FakeTransport::new(|_: &Address, header: &RequestHeader, _: Reader| match header.key {
        EndTxnRequest::KEY => Reply::HangUp,
        _ => answer(header),
    });
    let bootstrap = Address { host: "bootstrap".to_owned(), port: 9092 };
    transport.refusing.push(bootstrap);
    let mut fake = Fake::new(transport);
    let outcome = ender(&mut fake);
    for _ in 0..20 {
        fake.advance(500);
    }
    assert!(outcome.lock().unwrap().is_none());
    fake.engine.transport.refusing.clear();
    for _ in 0..5 {
        fake.advance(2_000);
    }
    let outcome = outcome.lock().unwrap().take();
    assert!(matches!(&outcome, Some(Err(error)) if error.is_in_doubt()), "{outcome:?}");
}

#[test]
fn a_broker_that_is_silent_or_down_is_waited_for_without_turning_round() {
    for is_down in [false, true] {
        let mut transport = FakeTransport::new(|_: &Address, _: &RequestHeader, _| Reply::Silence);
        if is_down {
            transport.refusing.push(Address { host: "bootstrap".to_owned(), port: 9092 });
        }
        let mut fake = Fake::new(transport);
        ender(&mut fake);
        // Longer than a question for metadata pauses.
        fake.advance(20_000);
        let (now, due) = (fake.now(), fake.engine.turn(fake.now()));
        assert!(due > now.mono_ms(), "the next turn is due at {due}, and it is {}", now.mono_ms());
    }
}

#[test]
fn a_connection_that_is_not_made_is_waited_for_ever_longer() {
    let mut transport = FakeTransport::new(|_: &Address, header: &RequestHeader, _| answer(header));
    transport.is_stalled = true;
    let mut fake = Fake::with_options(transport, |options| {
        options.connection_setup_timeout_ms = 1_000;
        options.connection_setup_timeout_max_ms = 5_000;
    });
    ender(&mut fake);
    let mut tries = Vec::new();
    while tries.len() < 7 {
        if fake.engine.transport.tried > tries.len() {
            tries.push(fake.now_ms);
        }
        fake.advance(10);
    }
    let waits: Vec<i64> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // With the pause before the next try, 50 ms to 1 s, and a fifth more or less of both.
    let expected = [1_000..=1_070, 1_650..=2_530, 3_250..=5_050, 4_300..=5_500, 4_600..=6_000, 4_800..=6_220];
    for (wait, expected) in waits.iter().zip(expected) {
        assert!(expected.contains(wait), "{waits:?}");
    }
    fake.engine.transport.is_stalled = false;
    fake.advance(10_000);
    fake.advance(1_000);
    assert!(fake.engine.transport.is_open("broker-1"));
}

#[test]
fn silence_ends_the_connection_after_the_request_timeout() {
    let mut fake = Fake::new(FakeTransport::new(|_: &Address, header: &RequestHeader, _| match header.key {
        EndTxnRequest::KEY => Reply::Silence,
        _ => answer(header),
    }));
    let outcome = ender(&mut fake);
    fake.advance(200);
    fake.advance(29_000);
    assert_eq!(*outcome.lock().unwrap(), None);
    fake.advance(1_000);
    let outcome = outcome.lock().unwrap().take();
    assert!(matches!(outcome, Some(Err(RequestError::TimedOut(_)))), "{outcome:?}");
}

#[test]
fn a_broker_that_speaks_no_common_version_is_an_error_with_the_api() {
    let mut transport = FakeTransport::new(|_: &Address, header: &RequestHeader, _: Reader| answer(header));
    for versions in &mut transport.versions {
        if versions.0 == EndTxnRequest::KEY {
            versions.2 = 2;
        }
    }
    let mut fake = Fake::new(transport);
    let outcome = ender(&mut fake);
    fake.advance(200);
    let expected = RequestError::Unsupported { api: "EndTxn", first: 3, last: 5 };
    assert_eq!(outcome.lock().unwrap().take(), Some(Err(expected)));
}

#[test]
fn metadata_tells_leaders_and_newer_hints_win() {
    let mut cluster = Cluster::default();
    cluster.want(&"words".into());
    cluster.update(&metadata("words", 2), 5);
    assert_eq!(cluster.leader("words", 1), Some(Leader { broker: Some(1), epoch: 4 }));
    cluster.set_leader("words", 1, Leader { broker: Some(0), epoch: 3 });
    assert_eq!(cluster.leader("words", 1), Some(Leader { broker: Some(1), epoch: 4 }));
    cluster.set_leader("words", 1, Leader { broker: Some(0), epoch: 5 });
    assert_eq!(cluster.leader("words", 1), Some(Leader { broker: Some(0), epoch: 5 }));
    assert_eq!(cluster.leader("words", 2), None);
    assert!(matches!(cluster.topic("words"), Some(TopicState::Known { id: 77, .. })));
    cluster.update(&metadata("words", 2), 6);
    assert_eq!(cluster.leader("words", 1), Some(Leader { broker: Some(0), epoch: 5 }), "older metadata");
    let mut anew = metadata("words", 2);
    anew.topics[0].topic_id = 78;
    cluster.update(&anew, 6);
    assert_eq!(cluster.leader("words", 1), Some(Leader { broker: Some(1), epoch: 4 }), "another topic of that name");
    cluster.update(&metadata("words", 2), 6);
    cluster.update(&metadata("never-asked-for", 2), 6);
    assert_eq!(cluster.topic("never-asked-for"), None);
}

#[test]
fn requests_reach_the_script_as_they_were_sent() {
    let request = EndTxnRequest { transactional_id: "tx".to_owned(), ..EndTxnRequest::default() };
    let mut out = Vec::new();
    crate::protocol::encode_request(&request, 5, 1, "me", &mut out);
    let (header, body) = crate::protocol::split_request(bytes::Bytes::from(out).split_off(4)).unwrap();
    assert_eq!(read::<EndTxnRequest>(&header, body), request);
}

#[test]
fn a_connection_that_ends_is_made_anew_for_the_next_request() {
    let mut fake = Fake::new(FakeTransport::new(|_: &Address, header: &RequestHeader, _| answer(header)));
    let first = ender(&mut fake);
    fake.advance(200);
    assert!(matches!(first.lock().unwrap().take(), Some(Ok(_))));
    fake.engine.transport.hang_up();
    fake.settle();
    let second = ender(&mut fake);
    fake.advance(2_000);
    assert!(matches!(second.lock().unwrap().take(), Some(Ok(_))));
}

#[test]
fn a_topic_that_stays_missing_is_asked_for_ever_more_seldom() {
    let mut fake = Fake::new(FakeTransport::new(|_: &Address, header: &RequestHeader, _| {
        let mut missing = metadata("words", 0);
        missing.topics[0].error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0;
        Reply::to::<MetadataRequest>(header, &missing)
    }));
    fake.add(Ender { ticket: None, outcome: Arc::default() });
    let mut asked = Vec::new();
    for _ in 0..3 {
        let before = fake.engine.transport.seen.len();
        for _ in 0..200 {
            fake.advance(100);
        }
        let seen = fake.engine.transport.seen.iter().skip(before);
        asked.push(seen.filter(|key| **key == MetadataRequest::KEY).count());
    }
    assert!(asked[0] >= 5 && asked[2] <= 5, "{asked:?}");
}
