//! A scripted broker for tests: bytes in, bytes out, on a clock of its own, without sockets.

mod obliging;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use bytes::Bytes;
use millstream_log::{Call, Failure, Outcome};
use millstream_types::Now;

use crate::client::{Client, ClientOptions};
use crate::driver::{Actor, Driver, Engine};
use crate::net::{Address, ConnectionId, Transport, TransportEvent};
use crate::protocol::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey,
};
use crate::protocol::messages::each;
use crate::protocol::messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use crate::protocol::messages::metadata::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use crate::protocol::{ErrorCode, Reader, Request, RequestHeader, Visitor, encode_response, split_request};

pub(crate) use obliging::{Counts, FETCHED, Fate, Obliging, Place, transaction_state};

/// Id of the topic that [`metadata`] tells of.
pub(crate) const TOPIC_ID: u128 = 77;

/// What the script does with a request.
pub(crate) enum Reply {
    /// Answers.
    Answer(Vec<u8>),
    /// Never answers.
    Silence,
    /// Closes the connection.
    HangUp,
}

impl Reply {
    /// An answer to this request.
    pub(crate) fn to<R: Request>(header: &RequestHeader, response: &R::Response) -> Self {
        let mut out = Vec::new();
        encode_response::<R>(response, header.version, header.correlation_id, &mut out);
        Self::Answer(out)
    }
}

/// Metadata of two brokers, 0 and 1, and of one topic whose partitions they lead in turn.
pub(crate) fn metadata(topic: &str, partitions: i32) -> MetadataResponse {
    let broker = |node_id: i32| MetadataResponseBroker {
        node_id,
        host: format!("broker-{node_id}"),
        port: 9092,
        ..Default::default()
    };
    let partition = |partition_index: i32| MetadataResponsePartition {
        partition_index,
        leader_id: partition_index % 2,
        leader_epoch: 4,
        ..Default::default()
    };
    let topic = MetadataResponseTopic {
        name: Some(topic.to_owned()),
        topic_id: TOPIC_ID,
        partitions: (0..partitions).map(partition).collect(),
        ..Default::default()
    };
    MetadataResponse {
        brokers: vec![broker(0), broker(1)],
        controller_id: 1,
        topics: vec![topic],
        ..MetadataResponse::default()
    }
}

/// Says that broker 1 coordinates everything.
pub(crate) fn coordinator(header: &RequestHeader) -> Reply {
    coordinator_at(header, 1)
}

/// Says that this broker does.
fn coordinator_at(header: &RequestHeader, node_id: i32) -> Reply {
    let found = Coordinator { node_id, host: format!("broker-{node_id}"), port: 9092, ..Coordinator::default() };
    let response = FindCoordinatorResponse { coordinators: vec![found], ..Default::default() };
    Reply::to::<FindCoordinatorRequest>(header, &response)
}

/// Reads a request that the script knows by its key.
pub(crate) fn read<R: Request>(header: &RequestHeader, mut body: Reader) -> R {
    assert_eq!(header.key, R::KEY, "{}", R::NAME);
    R::decode(header.version, &mut body).expect("a request")
}

type Script = Box<dyn FnMut(&Address, &RequestHeader, Reader) -> Reply + Send>;

/// Brokers that follow a script.
pub(crate) struct FakeTransport {
    script: Script,
    open: BTreeMap<ConnectionId, Address>,
    /// Connections that wait for an answer for ever: a broker answers in order.
    mute: BTreeSet<ConnectionId>,
    next: u64,
    events: VecDeque<TransportEvent>,
    /// Versions told for each API; those spoken here unless changed.
    pub(crate) versions: Vec<(i16, i16, i16)>,
    /// `transaction.version` of the cluster.
    pub(crate) transaction_version: i16,
    /// What all brokers answer when they are asked for versions.
    pub(crate) versions_error: ErrorCode,
    /// How often somebody tried to connect.
    pub(crate) tried: usize,
    /// Brokers that refuse connections.
    pub(crate) refusing: Vec<Address>,
    /// Whether answers are on their way and do not arrive.
    pub(crate) is_held: bool,
    /// Connections over which this was asked say nothing more until it is `None`.
    pub(crate) late_key: Option<i16>,
    late: BTreeSet<ConnectionId>,
    /// Whether brokers neither take nor refuse connections.
    pub(crate) is_stalled: bool,
    /// Keys of all requests but `ApiVersions`, in order.
    pub(crate) seen: Vec<i16>,
}

impl FakeTransport {
    pub(crate) fn new(script: impl FnMut(&Address, &RequestHeader, Reader) -> Reply + Send + 'static) -> Self {
        Self {
            script: Box::new(script),
            open: BTreeMap::new(),
            mute: BTreeSet::new(),
            next: 1,
            events: VecDeque::new(),
            versions: (0..100).map(|key| (key, 0, i16::MAX)).collect(),
            transaction_version: 2,
            versions_error: ErrorCode::NONE,
            tried: 0,
            refusing: Vec::new(),
            is_held: false,
            late_key: None,
            late: BTreeSet::new(),
            is_stalled: false,
            seen: Vec::new(),
        }
    }

    /// Brokers as old as any that are spoken with: of each request the first version, and the transactions of then.
    pub(crate) fn of_oldest(mut self) -> Self {
        struct First(Vec<(i16, i16, i16)>);
        impl Visitor for First {
            fn visit<R: Request>(&mut self) {
                self.0.push((R::KEY, 0, *R::VERSIONS.start()));
            }
        }
        let mut first = First(Vec::new());
        each(&mut first);
        (self.versions, self.transaction_version) = (first.0, 0);
        self
    }

    /// Whether there is a connection to this host.
    pub(crate) fn is_open(&self, host: &str) -> bool {
        self.open.values().any(|address| address.host == host)
    }

    /// How many connections there are.
    pub(crate) fn open_count(&self) -> usize {
        self.open.len()
    }

    /// Says something on all connections to a host that nobody asked for.
    pub(crate) fn whisper(&mut self, host: &str, frame: &[u8]) {
        let connections = self.open.iter().filter(|(_, address)| address.host == host);
        let said = connections.map(|(id, _)| TransportEvent::Frame(*id, Bytes::copy_from_slice(frame)));
        self.events.extend(said);
    }

    /// Ends all connections.
    pub(crate) fn hang_up(&mut self) {
        for (connection, _) in std::mem::take(&mut self.open) {
            self.events.push_back(TransportEvent::Closed(connection, "the script hung up".to_owned()));
        }
    }
}

impl Transport for FakeTransport {
    fn connect(&mut self, address: &Address) -> ConnectionId {
        let connection = ConnectionId(self.next);
        self.next += 1;
        self.tried += 1;
        if self.is_stalled {
            return connection;
        }
        if self.refusing.contains(address) {
            self.events.push_back(TransportEvent::Closed(connection, "connection refused".to_owned()));
        } else {
            self.open.insert(connection, address.clone());
            self.events.push_back(TransportEvent::Connected(connection));
        }
        connection
    }

    fn send(&mut self, connection: ConnectionId, bytes: Vec<u8>) {
        let mut rest = Bytes::from(bytes);
        while !rest.is_empty() {
            let Some(address) = self.open.get(&connection).cloned() else { return };
            let length = u32::from_be_bytes(*rest.first_chunk::<4>().expect("a length")) as usize;
            let _ = rest.split_to(4);
            let (header, body) = split_request(rest.split_to(length)).expect("a request");
            if self.late_key == Some(header.key) {
                self.late.insert(connection);
            }
            let reply = if header.key == ApiVersionsRequest::KEY {
                let api = |(api_key, min_version, max_version): &(i16, i16, i16)| ApiVersion {
                    api_key: *api_key,
                    min_version: *min_version,
                    max_version: *max_version,
                };
                let api_keys = self.versions.iter().map(api).collect();
                let feature = FinalizedFeatureKey {
                    name: "transaction.version".to_owned(),
                    max_version_level: self.transaction_version,
                    min_version_level: self.transaction_version,
                };
                let finalized_features = vec![feature];
                Reply::to::<ApiVersionsRequest>(
                    &header,
                    &ApiVersionsResponse {
                        error_code: self.versions_error.0,
                        api_keys,
                        finalized_features,
                        ..Default::default()
                    },
                )
            } else {
                self.seen.push(header.key);
                (self.script)(&address, &header, body)
            };
            match reply {
                _ if self.mute.contains(&connection) => {}
                Reply::Answer(frame) => {
                    let frame = Bytes::from(frame).split_off(4);
                    self.events.push_back(TransportEvent::Frame(connection, frame));
                }
                Reply::Silence => {
                    self.mute.insert(connection);
                }
                Reply::HangUp => {
                    self.open.remove(&connection);
                    self.events.push_back(TransportEvent::Closed(connection, "the script hung up".to_owned()));
                }
            }
        }
    }

    fn close(&mut self, connection: ConnectionId) {
        self.open.remove(&connection);
    }

    fn poll(&mut self, _: Duration, events: &mut Vec<TransportEvent>) {
        if self.is_held {
            return;
        }
        if self.late_key.is_none() {
            self.late.clear();
        }
        let late = |event: &TransportEvent| matches!(event, TransportEvent::Frame(id, _) if self.late.contains(id));
        let (held, free) = self.events.drain(..).partition(late);
        self.events = held;
        events.extend::<VecDeque<TransportEvent>>(free);
    }
}

/// An engine over scripted brokers, with a clock that the test moves.
pub(crate) struct Fake {
    pub(crate) engine: Engine<FakeTransport>,
    pub(crate) now_ms: i64,
    /// For readers, writers and members under test.
    pub(crate) driver: Driver,
    added: Receiver<Box<dyn Actor>>,
}

impl Fake {
    pub(crate) fn new(transport: FakeTransport) -> Self {
        Self::with_options(transport, |_| {})
    }

    pub(crate) fn with_options(transport: FakeTransport, change: impl FnOnce(&mut ClientOptions)) -> Self {
        let bootstrap = Address { host: "bootstrap".to_owned(), port: 9092 };
        let mut options = ClientOptions::new(vec![bootstrap], 7);
        change(&mut options);
        let (driver, added) = Driver::detached();
        Self { engine: Engine::new(Client::new(options), transport), now_ms: 1, driver, added }
    }

    pub(crate) fn add(&mut self, actor: impl Actor + 'static) {
        self.engine.add(Box::new(actor));
    }

    /// Takes turns until nothing moves without the clock.
    pub(crate) fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..100 {
            let mut is_quiet = true;
            while let Ok(actor) = self.added.try_recv() {
                self.engine.add(actor);
                is_quiet = false;
            }
            let due = self.engine.turn(self.now());
            is_quiet &= due > self.now_ms && self.engine.transport.events.is_empty();
            self.engine.wait(Duration::ZERO);
            // What one actor did may let another go on in the turn after.
            quiet = if is_quiet { quiet + 1 } else { 0 };
            if quiet == 3 {
                return;
            }
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now { mono_ns: self.now_ms.unsigned_abs() * 1_000_000, wall_ms: self.now_ms }
    }

    /// Settles until a call is over, moving the clock where nothing moves without it.
    #[track_caller]
    pub(crate) fn wait<T>(&mut self, mut call: Call<T>) -> Result<T, Failure> {
        for _ in 0..200 {
            self.advance(50);
            match call.poll(self.now()) {
                Outcome::Pending => {}
                Outcome::Done(answer) => return Ok(answer),
                Outcome::Failed(failure) => return Err(failure),
            }
        }
        panic!("the call never ends; requests seen: {:?}", self.engine.transport.seen);
    }

    /// Moves the clock, then settles.
    pub(crate) fn advance(&mut self, ms: i64) {
        self.now_ms += ms;
        self.settle();
    }
}
