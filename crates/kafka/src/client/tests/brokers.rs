//! Which brokers are asked, and when.

use super::*;
use crate::protocol::messages::find_coordinator::{Coordinator, FindCoordinatorResponse};
use crate::protocol::messages::metadata::MetadataResponse;

/// Hosts and keys of what was asked, in order.
type Asked = Arc<Mutex<Vec<(String, i16)>>>;

/// Brokers that answer like [`answer`], and three addresses to begin with.
fn three(mut script: impl FnMut(&str, &RequestHeader) -> Option<Reply> + Send + 'static) -> (FakeTransport, Asked) {
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    let transport = FakeTransport::new(move |address: &Address, header: &RequestHeader, _: Reader| {
        seen.lock().unwrap().push((address.host.clone(), header.key));
        script(&address.host, header).unwrap_or_else(|| answer(header))
    });
    (transport, asked)
}

fn bootstrap(number: i32) -> Address {
    Address { host: format!("bootstrap-{number}"), port: 9092 }
}

fn fake(transport: FakeTransport) -> Fake {
    Fake::with_options(transport, |options| options.bootstrap = (0..3).map(bootstrap).collect())
}

#[test]
fn addresses_are_tried_until_one_answers() {
    for up in 0..3 {
        let (mut transport, asked) = three(|_, _| None);
        transport.refusing = (0..3).filter(|number| *number != up).map(bootstrap).collect();
        let mut fake = fake(transport);
        let outcome = ender(&mut fake);
        for _ in 0..10 {
            fake.advance(100);
        }
        assert!(matches!(outcome.lock().unwrap().take(), Some(Ok(_))), "only {up} is up");
        let hosts: Vec<String> = asked.lock().unwrap().iter().map(|(host, _)| host.clone()).collect();
        assert_eq!(hosts.first(), Some(&bootstrap(up).host));
    }
}

/// Greets every broker, then ends a transaction at its coordinator, wherever that is.
struct Seeker {
    greetings: Option<Vec<Ticket<EndTxnRequest>>>,
    ticket: Option<Ticket<EndTxnRequest>>,
    has_ended: Arc<Mutex<bool>>,
}

impl Actor for Seeker {
    fn turn(&mut self, client: &mut Client) -> Turn {
        let key: Arc<str> = "tx".into();
        client.want_topic(&"words".into());
        if client.cluster().topic("words").is_none() {
            return Turn::Until(i64::MAX);
        }
        let greetings = self.greetings.get_or_insert_with(|| {
            let nodes = (0..2).map(|id| Node::Broker(id, Lane::CONTROL));
            nodes.map(|node| client.send(node, EndTxnRequest::default())).collect()
        });
        greetings.retain(|ticket| ticket.take().is_none());
        if !greetings.is_empty() {
            return Turn::Until(i64::MAX);
        }
        let Some(ticket) = &self.ticket else {
            self.ticket = client
                .coordinator(CoordinatorKind::Transaction, &key)
                .map(|node| client.send(node, EndTxnRequest::default()));
            return Turn::Until(client.now().mono_ms() + 50);
        };
        let Some(answer) = ticket.take() else { return Turn::Until(i64::MAX) };
        self.ticket = None;
        if answer.is_ok_and(|answer| answer.error_code == 0) {
            *self.has_ended.lock().unwrap() = true;
            return Turn::Finished;
        }
        client.forget_coordinator(CoordinatorKind::Transaction, &key);
        Turn::Until(client.now().mono_ms() + 50)
    }
}

#[test]
fn a_broker_that_tells_what_was_is_not_the_only_one_that_is_asked() {
    // Cut off from the controllers, it takes itself for the coordinator.
    let (transport, asked) = three(|host, header| match header.key {
        FindCoordinatorRequest::KEY if host == "broker-0" => {
            let itself = Coordinator { node_id: 0, ..Default::default() };
            let response = FindCoordinatorResponse { coordinators: vec![itself], ..Default::default() };
            Some(Reply::to::<FindCoordinatorRequest>(header, &response))
        }
        EndTxnRequest::KEY if host == "broker-0" => {
            let response = EndTxnResponse { error_code: ErrorCode::NOT_COORDINATOR.0, ..Default::default() };
            Some(Reply::to::<EndTxnRequest>(header, &response))
        }
        _ => None,
    });
    let mut fake = fake(transport);
    let has_ended = Arc::new(Mutex::new(false));
    fake.add(Seeker { greetings: None, ticket: None, has_ended: Arc::clone(&has_ended) });
    for _ in 0..20 {
        fake.advance(100);
    }
    assert!(*has_ended.lock().unwrap(), "{:?}", asked.lock().unwrap());
}

#[test]
fn leaders_that_one_broker_does_not_know_are_asked_of_another() {
    let (transport, asked) = three(|host, header| {
        let mut old = metadata("words", 2);
        old.topics[0].partitions[1].leader_id = -1;
        (host != "broker-1" && header.key == MetadataRequest::KEY).then(|| Reply::to::<MetadataRequest>(header, &old))
    });
    let mut fake = fake(transport);
    fake.add(Seeker { greetings: None, ticket: None, has_ended: Arc::default() });
    for _ in 0..20 {
        fake.advance(100);
    }
    let leader = fake.engine.client().cluster().leader("words", 1);
    assert_eq!(leader, Some(Leader { broker: Some(1), epoch: 4 }), "{:?}", asked.lock().unwrap());
}

#[test]
fn a_broker_that_throttles_is_left_alone_for_so_long() {
    let (transport, asked) = three(|_, header| {
        let throttled = EndTxnResponse { throttle_time_ms: 5_000, ..EndTxnResponse::default() };
        (header.key == EndTxnRequest::KEY).then(|| Reply::to::<EndTxnRequest>(header, &throttled))
    });
    let mut fake = fake(transport);
    let first = ender(&mut fake);
    fake.advance(200);
    assert!(matches!(first.lock().unwrap().take(), Some(Ok(_))));
    let second = ender(&mut fake);
    fake.advance(4_700);
    assert_eq!(*second.lock().unwrap(), None);
    fake.advance(400);
    assert!(matches!(second.lock().unwrap().take(), Some(Ok(_))));
    let ends = asked.lock().unwrap().iter().filter(|(_, key)| *key == EndTxnRequest::KEY).count();
    assert_eq!(ends, 2);
}

#[test]
fn a_client_that_is_told_to_begins_again_at_the_first_addresses() {
    for (strategy_ms, begins_again) in [(Some(300_000), true), (None, false)] {
        let (transport, asked) = three(|host, header| {
            let error_code = ErrorCode::REBOOTSTRAP_REQUIRED.0;
            let response = MetadataResponse { error_code, ..MetadataResponse::default() };
            (host.starts_with("broker") && header.key == MetadataRequest::KEY)
                .then(|| Reply::to::<MetadataRequest>(header, &response))
        });
        let mut fake = Fake::with_options(transport, |options| {
            options.bootstrap = (0..3).map(bootstrap).collect();
            options.rebootstrap_trigger_ms = strategy_ms;
        });
        ender(&mut fake);
        fake.advance(500);
        asked.lock().unwrap().clear();
        fake.advance(300_000);
        fake.advance(500);
        let asked = asked.lock().unwrap();
        let has_begun = asked.iter().any(|(host, _)| host.starts_with("bootstrap"));
        assert_eq!(has_begun, begins_again, "{asked:?}");
    }
}

#[test]
fn brokers_that_stay_silent_for_long_are_given_up_for_the_first_addresses() {
    let (transport, asked) = three(|host, header| {
        (host.starts_with("broker") && header.key == MetadataRequest::KEY).then_some(Reply::Silence)
    });
    let mut fake = fake(transport);
    ender(&mut fake);
    fake.advance(500);
    asked.lock().unwrap().clear();
    // Metadata grows old, then nobody answers for long.
    for _ in 0..70 {
        fake.advance(10_000);
    }
    let asked = asked.lock().unwrap();
    assert!(asked.iter().any(|(host, _)| host.starts_with("bootstrap")), "{asked:?}");
}

/// What brokers say of themselves that is of no use.
#[test]
fn metadata_without_brokers_is_asked_for_elsewhere() {
    let mut first = true;
    let (transport, asked) = three(move |_, header| {
        let is_first = std::mem::take(&mut first);
        is_first.then(|| Reply::to::<MetadataRequest>(header, &MetadataResponse::default()))
    });
    let mut fake = fake(transport);
    let outcome = ender(&mut fake);
    fake.advance(100);
    fake.advance(100);
    fake.advance(100);
    assert!(matches!(outcome.lock().unwrap().take(), Some(Ok(_))));
    let asked = asked.lock().unwrap();
    let metadata = asked.iter().filter(|(_, key)| *key == MetadataRequest::KEY);
    let hosts: Vec<&str> = metadata.map(|(host, _)| host.as_str()).take(2).collect();
    assert!(hosts.iter().all(|host| host.starts_with("bootstrap")) && hosts[0] != hosts[1], "{hosts:?}");
}

#[test]
fn a_connection_that_is_idle_ends_and_the_next_request_makes_a_new_one() {
    let (transport, _) = three(|_, _| None);
    let mut fake = Fake::with_options(transport, |options| options.connections_max_idle_ms = 1_000);
    let outcome = ender(&mut fake);
    fake.advance(200);
    assert!(matches!(outcome.lock().unwrap().take(), Some(Ok(_))));
    assert!(fake.engine.transport.is_open("broker-1"));
    fake.advance(1_100);
    assert!(!fake.engine.transport.is_open("broker-1"));
    let outcome = ender(&mut fake);
    fake.advance(200);
    assert!(matches!(outcome.lock().unwrap().take(), Some(Ok(_))));
}

#[test]
fn pauses_between_connections_grow_and_are_not_alike() {
    let (mut transport, _) = three(|_, _| None);
    transport.refusing = (0..3).map(bootstrap).collect();
    let mut fake = Fake::with_options(transport, |options| options.bootstrap = vec![bootstrap(0)]);
    ender(&mut fake);
    let mut tries = Vec::new();
    for _ in 0..20_000 {
        let before = fake.engine.transport.tried;
        fake.now_ms += 1;
        fake.engine.turn(fake.now());
        fake.engine.wait(Duration::ZERO);
        if fake.engine.transport.tried > before {
            tries.push(fake.now_ms);
        }
    }
    let pauses: Vec<i64> = tries.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses[0] < 300 && pauses.iter().all(|pause| *pause <= 1_500), "{pauses:?}");
    let late = &pauses[8..];
    assert!(late.len() > 5 && late.iter().all(|pause| *pause >= 800), "{pauses:?}");
    assert!(late.windows(2).any(|pair| pair[0] != pair[1]), "{pauses:?}");
}

#[test]
fn a_coordinator_that_metadata_does_not_know_is_looked_for_again() {
    let mut first = true;
    let (transport, _) = three(move |_, header| {
        let is_gone = header.key == FindCoordinatorRequest::KEY && std::mem::take(&mut first);
        is_gone.then(|| {
            let gone = Coordinator { node_id: 77, ..Default::default() };
            let response = FindCoordinatorResponse { coordinators: vec![gone], ..Default::default() };
            Reply::to::<FindCoordinatorRequest>(header, &response)
        })
    });
    let mut fake = fake(transport);
    let outcome = ender(&mut fake);
    for _ in 0..10 {
        fake.advance(100);
    }
    assert!(matches!(outcome.lock().unwrap().take(), Some(Ok(_))));
}
