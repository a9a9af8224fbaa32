//! The client's core, without I/O of its own: which brokers there are, which connection a request
//! takes, what came back. The network thread feeds it events of a transport; actors (fetcher,
//! producer, member, admin calls) start requests here and look for their answers.

mod anyone;
mod cluster;
mod coordinators;
mod link;
mod members;
mod options;
mod request;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use millstream_types::Now;

pub(crate) use cluster::{Cluster, Leader, TopicState};
pub(crate) use coordinators::CoordinatorKind;
use coordinators::{Coordinators, Search};
pub(crate) use link::TRANSACTION_VERSION;
use link::{Link, LinkState};
use members::Standing;
use millstream_log::Failure;
pub(crate) use options::ClientOptions;
pub(crate) use request::Ticket;
use request::{Answer, Body, ticket};

use crate::failure::RequestError;
#[cfg(test)]
use crate::net::Address;
use crate::net::{ConnectionId, Transport, TransportEvent};
use crate::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use crate::protocol::{ErrorCode, Request};

/// Whom a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    /// One of the configured addresses; only until metadata says who is there.
    Bootstrap(usize),
    /// A broker by its id, over the lane's own connection.
    Broker(i32, Lane),
}

/// One of several connections to the same broker. A broker works on the requests of a connection one
/// after the other, so a fetch that waits for records holds up what stands behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lane(u32);

impl Lane {
    /// For requests that are answered at once: metadata, coordinators, commits, offsets.
    pub(crate) const CONTROL: Self = Self(0);
    /// For requests that a broker answers when others have done their part: making topics, deleting topics and records. No
    /// commit or heartbeat may wait behind them.
    pub(crate) const SLOW: Self = Self(1);
}

/// Connections, metadata and coordinators of one process.
pub(crate) struct Client {
    options: ClientOptions,
    links: BTreeMap<Node, Link>,
    by_connection: HashMap<ConnectionId, Node>,
    cluster: Cluster,
    metadata: Option<Ticket<MetadataRequest>>,
    /// Who was asked for metadata last.
    told_by: Option<Node>,
    /// Brokers whose answers led nowhere, until all are among them: one that is cut off from the controllers tells for
    /// ever what was.
    doubted: BTreeSet<i32>,
    coordinators: Coordinators,
    next_bootstrap: usize,
    next_lane: u32,
    /// Lanes that nobody uses any more, and that may still have connections.
    dropped: Vec<Lane>,
    /// Features as of the last connection that was made.
    features: BTreeMap<String, i16>,
    /// The members of this process.
    members: BTreeMap<Arc<str>, Standing>,
    /// Topics of which was said that their settings may not be read.
    unread: BTreeSet<Arc<str>>,
    random: u64,
    now: Now,
}

impl Client {
    pub(crate) fn new(options: ClientOptions) -> Self {
        let mut links = BTreeMap::new();
        for (at, address) in options.bootstrap.iter().enumerate() {
            links.insert(Node::Bootstrap(at), Link::new(address.clone()));
        }
        Self {
            cluster: Cluster::default(),
            links,
            by_connection: HashMap::new(),
            metadata: None,
            told_by: None,
            doubted: BTreeSet::new(),
            coordinators: Coordinators::default(),
            // Many clients with one list must not all begin with the same broker.
            next_bootstrap: usize::try_from(options.seed % 1024).unwrap_or(0),
            next_lane: Lane::SLOW.0 + 1,
            dropped: Vec::new(),
            features: BTreeMap::new(),
            members: BTreeMap::new(),
            unread: BTreeSet::new(),
            random: options.seed | 1,
            now: Now::default(),
            options,
        }
    }

    pub(crate) fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// Tells brokers this application and process from now on, unless the configuration says `client.id`.
    pub(crate) fn name_process(&mut self, application: &str, process: &str) {
        if !self.options.has_client_id {
            self.options.client_id = format!("{application}-{process}");
            self.options.has_client_id = true;
        }
    }

    /// What is known of the cluster.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The present, as of the last turn.
    pub(crate) fn now(&self) -> Now {
        self.now
    }

    /// A lane for a reader or writer of its own.
    pub(crate) fn new_lane(&mut self) -> Lane {
        self.next_lane += 1;
        Lane(self.next_lane - 1)
    }

    /// The reader or writer of a lane is gone: its connections are closed.
    pub(crate) fn drop_lane(&mut self, lane: Lane) {
        self.dropped.push(lane);
    }

    /// Starts a request to a broker. What cannot be sent at once waits for its connection.
    pub(crate) fn send<R: Request + Send + 'static>(&mut self, node: Node, request: R) -> Ticket<R>
    where
        R::Response: Send,
    {
        self.send_with_timeout(node, request, self.options.request_timeout_ms)
    }

    /// [`send`](Self::send) in a version up to this one: some versions claim what the cluster has not
    /// agreed on.
    pub(crate) fn send_up_to<R: Request + Send + 'static>(&mut self, node: Node, request: R, version: i16) -> Ticket<R>
    where
        R::Response: Send,
    {
        self.enqueue(node, Body::of(request).up_to(version), self.options.request_timeout_ms)
    }

    /// [`send`](Self::send) from who is told to the broker by the client's id and this behind it.
    pub(crate) fn send_as<R: Request + Send + 'static>(
        &mut self,
        node: Node,
        request: R,
        suffix: &Arc<str>,
    ) -> Ticket<R>
    where
        R::Response: Send,
    {
        self.enqueue(node, Body::of(request).of_client(suffix), self.options.request_timeout_ms)
    }

    /// [`send`](Self::send) that waits so long for the answer, in ms.
    pub(crate) fn send_with_timeout<R: Request + Send + 'static>(
        &mut self,
        node: Node,
        request: R,
        timeout_ms: i64,
    ) -> Ticket<R>
    where
        R::Response: Send,
    {
        self.enqueue(node, Body::of(request), timeout_ms)
    }

    fn enqueue<R>(&mut self, node: Node, body: Body, timeout_ms: i64) -> Ticket<R> {
        let (ticket, reply) = ticket();
        let deadline_ms = self.now.mono_ms().saturating_add(timeout_ms);
        match self.link(node) {
            Some(link) => link.enqueue(reply, deadline_ms, body),
            None => reply.give(Answer::failed(RequestError::NotSent("the broker is not known".to_owned()))),
        }
        ticket
    }

    /// The way to a node, made when it is first used.
    fn link(&mut self, node: Node) -> Option<&mut Link> {
        if let (Node::Broker(id, _), false) = (node, self.links.contains_key(&node)) {
            let address = self.cluster.brokers().get(&id)?.clone();
            self.links.insert(node, Link::new(address));
        }
        self.links.get_mut(&node)
    }

    /// The way to the cluster's controller, as far as brokers tell clients of one; any broker passes requests on.
    pub(crate) fn controller(&self) -> Node {
        match self.cluster.controller.filter(|id| self.cluster.brokers().contains_key(id)) {
            Some(id) => Node::Broker(id, Lane::SLOW),
            None => match self.any_node() {
                Node::Broker(id, _) => Node::Broker(id, Lane::SLOW),
                bootstrap @ Node::Bootstrap(_) => bootstrap,
            },
        }
    }

    /// Wants a topic's metadata; it is in [`cluster`](Self::cluster) once it came.
    pub(crate) fn want_topic(&mut self, name: &Arc<str>) {
        self.cluster.want(name);
    }

    /// Wants a topic's metadata, and has it created by brokers that create what somebody wants to write
    /// (`auto.create.topics.enable`).
    pub(crate) fn want_topic_created(&mut self, name: &Arc<str>) {
        self.cluster.want(name);
        self.cluster.may_create(name);
    }

    /// Says once of topics that the brokers refuse to tell their settings.
    pub(crate) fn warn_of_unread_settings(&mut self, mut topics: Vec<Arc<str>>) {
        topics.retain(|topic| self.unread.insert(Arc::clone(topic)));
        if !topics.is_empty() {
            tracing::warn!(
                topics = topics.join(", "),
                "settings of topics may not be read, so nothing checks that they keep what is needed; give the principal \
                 DESCRIBE_CONFIGS on them"
            );
        }
    }

    /// A broker answered that it is not what metadata says: asks again.
    pub(crate) fn refresh_metadata(&mut self) {
        // Who is being asked has told nothing yet.
        if self.metadata.is_none() {
            self.doubt(self.told_by);
        }
        self.cluster.refresh();
    }

    /// A broker said who leads a partition now (KIP-951).
    pub(crate) fn set_leader(&mut self, topic: &str, partition: i32, leader: Leader) {
        self.cluster.set_leader(topic, partition, leader);
    }

    /// The coordinator of a group or transactional id; asks for it when it is not known.
    pub(crate) fn coordinator(&mut self, kind: CoordinatorKind, key: &Arc<str>) -> Option<Node> {
        match self.coordinators.search(kind, key, self.now.mono_ms()) {
            Search::Known(id, _) if self.cluster.brokers().contains_key(&id) => Some(Node::Broker(id, Lane::CONTROL)),
            // Newer metadata does not know the broker: it is gone.
            Search::Known(_, since) if self.cluster.is_newer_than(since) => {
                self.forget_coordinator(kind, key);
                None
            }
            Search::Known(..) => {
                self.cluster.is_stale = true;
                None
            }
            Search::Wait => None,
            Search::Ask(request, last_asked) => {
                self.doubt(last_asked);
                let node = self.any_node();
                let ticket = self.send(node, request);
                self.coordinators.asked(kind, key, node, ticket);
                None
            }
        }
    }

    /// Why the brokers name no [`coordinator`](Self::coordinator), if asking again is of no use.
    pub(crate) fn coordinator_failure(&self, kind: CoordinatorKind, key: &Arc<str>) -> Option<Failure> {
        self.coordinators.failure(kind, key)
    }

    /// Whether it is that who asks has no right to.
    pub(crate) fn is_forbidden(&self, kind: CoordinatorKind, key: &Arc<str>) -> bool {
        self.coordinators.is_forbidden(kind, key)
    }

    /// The coordinator answered that it is none: the next one is asked for after a moment.
    pub(crate) fn forget_coordinator(&mut self, kind: CoordinatorKind, key: &Arc<str>) {
        let after = self.now.mono_ms().saturating_add(self.options.retry_backoff_ms);
        self.coordinators.forget(kind, key, after);
    }

    /// Level of a feature that the cluster has agreed on; 0 when it has not.
    pub(crate) fn feature(&self, name: &str) -> i16 {
        self.features.get(name).copied().unwrap_or(0)
    }

    /// Takes what the transport says.
    pub(crate) fn event(&mut self, transport: &mut dyn Transport, event: TransportEvent) {
        let connection = match &event {
            TransportEvent::Connected(id) | TransportEvent::Frame(id, _) | TransportEvent::Closed(id, _) => *id,
        };
        let Some(node) = self.by_connection.get(&connection).copied() else { return };
        let Some(link) = self.links.get_mut(&node) else { return };
        let result = match event {
            TransportEvent::Connected(_) => {
                link.connected(transport, &self.options);
                Ok(())
            }
            TransportEvent::Frame(_, frame) => link.frame(frame, self.now, &self.options, &mut self.features),
            TransportEvent::Closed(_, reason) => Err(reason),
        };
        if let Err(reason) = result {
            self.disconnect(transport, node, &reason);
        }
    }

    /// Does what is due: connects, sends, times out, refreshes. Gives the next time something is due,
    /// in ms of the monotonic clock.
    pub(crate) fn turn(&mut self, transport: &mut dyn Transport, now: Now) -> i64 {
        self.now = now;
        self.close_dropped(transport);
        self.take_metadata(transport);
        self.ask_for_metadata();
        let now_ms = now.mono_ms();
        self.coordinators.take_answers(now_ms, now_ms.saturating_add(self.options.retry_backoff_ms));
        let mut due = now_ms.saturating_add(self.options.metadata_max_age_ms);
        let nodes: Vec<Node> = self.links.keys().copied().collect();
        for node in nodes {
            let Some(link) = self.links.get_mut(&node) else { continue };
            match link.turn(transport, now, &self.options) {
                Ok(next) => due = due.min(next),
                Err(reason) => self.disconnect(transport, node, &reason),
            }
            if let Some(link) = self.links.get(&node)
                && let LinkState::Connecting(connection) | LinkState::Open(connection) = link.state
            {
                self.by_connection.insert(connection, node);
            }
        }
        // While metadata is under way its answer is waited for, however long ago it was due.
        let refresh = if self.metadata.is_some() { i64::MAX } else { self.cluster.due_ms(now_ms, &self.options) };
        // Whoever waits for a coordinator asks for it again then.
        due.min(self.coordinators.due_ms(now_ms)).min(refresh)
    }

    fn close_dropped(&mut self, transport: &mut dyn Transport) {
        let dropped = std::mem::take(&mut self.dropped);
        if dropped.is_empty() {
            return;
        }
        self.links.retain(|node, link| {
            let is_used = !matches!(node, Node::Broker(_, lane) if dropped.contains(lane));
            if let (false, LinkState::Connecting(connection) | LinkState::Open(connection)) = (is_used, link.state) {
                transport.close(connection);
                self.by_connection.remove(&connection);
            }
            is_used
        });
    }

    fn disconnect(&mut self, transport: &mut dyn Transport, node: Node, reason: &str) {
        let now_ms = self.now.mono_ms();
        let jitter = self.jitter();
        let Some(link) = self.links.get_mut(&node) else { return };
        if let LinkState::Connecting(connection) | LinkState::Open(connection) = link.state {
            transport.close(connection);
            self.by_connection.remove(&connection);
        }
        tracing::debug!(address = %link.address, reason, "a connection to a broker is over");
        link.disconnected(now_ms, &self.options, jitter, reason);
        // One line a broker, not one a lane, and ever fewer of them.
        let speaks_for_broker = matches!(node, Node::Bootstrap(_) | Node::Broker(_, Lane::CONTROL));
        if speaks_for_broker && link.failures.is_power_of_two() {
            tracing::warn!(address = %link.address, reason, failures = link.failures, "a broker cannot be reached");
        }
        if matches!(node, Node::Bootstrap(_)) {
            self.next_bootstrap = self.next_bootstrap.wrapping_add(1);
        }
        // The broker may have moved, or its partitions may have.
        self.cluster.is_stale = true;
    }

    /// A factor of 0.8 to 1.2 in thousandths, so that many clients do not come back at once.
    fn jitter(&mut self) -> i64 {
        // Xorshift: good enough to spread, and the same for the same seed.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        800 + i64::try_from(self.random % 401).unwrap_or(200)
    }

    fn ask_for_metadata(&mut self) {
        if self.metadata.is_some() || !self.cluster.wants_refresh(self.now.mono_ms(), &self.options) {
            return;
        }
        let topic = |name: &Arc<str>| MetadataRequestTopic { name: Some(name.to_string()), ..Default::default() };
        // Topics that are only read are never created, so those that may be are asked for by themselves.
        let created: Vec<MetadataRequestTopic> = self.cluster.take_creatable().iter().map(topic).collect();
        let is_all = created.is_empty();
        let topics = if is_all { self.cluster.wanted().map(topic).collect() } else { created };
        let request =
            MetadataRequest { topics: Some(topics), allow_auto_topic_creation: !is_all, ..Default::default() };
        let now_ms = self.now.mono_ms();
        self.cluster.asked(now_ms, is_all);
        if self.options.rebootstrap_trigger_ms.is_some_and(|trigger| self.cluster.has_tried_for(trigger, now_ms)) {
            tracing::warn!("no broker that is known has answered for long: asking bootstrap.servers again");
            self.cluster.rebootstrap();
        }
        let node = self.any_node();
        self.told_by = Some(node);
        self.metadata = Some(self.send(node, request));
    }

    fn take_metadata(&mut self, transport: &mut dyn Transport) {
        let Some(ticket) = self.metadata.take() else { return };
        let Some(answer) = ticket.take() else {
            self.metadata = Some(ticket);
            return;
        };
        let useless = match answer {
            Ok(response) if response.error_code != 0 => {
                let code = ErrorCode(response.error_code);
                if code == ErrorCode::REBOOTSTRAP_REQUIRED && self.options.rebootstrap_trigger_ms.is_some() {
                    self.cluster.rebootstrap();
                }
                code.to_string()
            }
            // A broker that is starting knows nobody yet.
            Ok(response) if response.brokers.is_empty() => "the broker knows of no brokers".to_owned(),
            Ok(response) => {
                self.cluster.update(&response, self.now.mono_ms());
                if self.cluster.is_stale {
                    self.doubt(self.told_by);
                }
                return self.follow_brokers(transport);
            }
            // Its connection is over: that alone moves on to the next address.
            Err(error) => return self.cluster.failed(error.full_text()),
        };
        self.cluster.failed(useless);
        self.next_bootstrap = self.next_bootstrap.wrapping_add(1);
    }

    /// Has no links to brokers that are gone or have moved.
    fn follow_brokers(&mut self, transport: &mut dyn Transport) {
        let is_gone = |node: &Node, link: &Link| match node {
            Node::Bootstrap(_) => false,
            Node::Broker(id, _) => self.cluster.brokers().get(id) != Some(&link.address),
        };
        let gone: Vec<Node> =
            self.links.iter().filter(|(node, link)| is_gone(node, link)).map(|(node, _)| *node).collect();
        for node in gone {
            self.disconnect(transport, node, "the broker is gone from the cluster or has moved");
            if let Some(link) = self.links.remove(&node) {
                link.give_up("the broker is gone from the cluster or has moved");
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
