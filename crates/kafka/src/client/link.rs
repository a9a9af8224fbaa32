//! The way to one broker: its connection, what waits for it, and what was asked.

use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;
use millstream_types::Now;

use super::ClientOptions;
use super::request::{Answer, Body, Reply};
use crate::failure::RequestError;
use crate::net::{Address, ConnectionId, Transport};
use crate::protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use crate::protocol::{ErrorCode, Request, decode_response, encode_request};

/// Requests on one connection that wait for their answers. A broker works on them one after the
/// other, in order.
const IN_FLIGHT_MAX: usize = 32;
const NAME: &str = "millstream";
/// Features that anybody here asks for; others are not kept.
const FEATURES: [&str; 1] = [TRANSACTION_VERSION];
/// The feature by which brokers say which transactions they know.
pub(crate) const TRANSACTION_VERSION: &str = "transaction.version";

/// The way to one broker.
pub(super) struct Link {
    pub(super) address: Address,
    pub(super) state: LinkState,
    /// Failures in a row to connect.
    pub(super) failures: u32,
    retry_at_ms: i64,
    /// How long the next connection may take; as configured unless the last one failed.
    setup_timeout_ms: Option<i64>,
    setup_deadline_ms: i64,
    idle_since_ms: i64,
    /// The broker wants to hear nothing before this time.
    throttled_until_ms: i64,
    correlation: i32,
    versions: Option<HashMap<i16, (i16, i16)>>,
    in_flight: VecDeque<Sent>,
    waiting: VecDeque<Sent>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkState {
    Closed,
    Connecting(ConnectionId),
    /// Connected; requests go out once the broker has told its versions.
    Open(ConnectionId),
}

/// A request that waits to be sent or for its answer.
struct Sent {
    reply: Reply,
    deadline_ms: i64,
    timeout_ms: i64,
    body: Body,
    correlation: i32,
    version: i16,
}

impl Sent {
    fn fail(self, error: RequestError) {
        self.reply.give(Answer::failed(error));
    }
}

impl Link {
    pub(super) fn new(address: Address) -> Self {
        Self {
            address,
            state: LinkState::Closed,
            failures: 0,
            retry_at_ms: i64::MIN,
            setup_timeout_ms: None,
            setup_deadline_ms: 0,
            idle_since_ms: 0,
            throttled_until_ms: i64::MIN,
            correlation: 0,
            versions: None,
            in_flight: VecDeque::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Whether requests go out now.
    pub(super) fn is_ready(&self, now_ms: i64) -> bool {
        self.versions.is_some() && now_ms >= self.throttled_until_ms
    }

    /// Whether a request would not have to wait for a pause to end.
    pub(super) fn is_willing(&self, now_ms: i64) -> bool {
        now_ms >= self.throttled_until_ms && (self.state != LinkState::Closed || now_ms >= self.retry_at_ms)
    }

    /// Answers what was not sent yet: it never will be.
    pub(super) fn give_up(self, why: &str) {
        not_sent(self.waiting, why);
    }

    pub(super) fn enqueue(&mut self, reply: Reply, deadline_ms: i64, body: Body) {
        self.waiting.push_back(Sent { reply, deadline_ms, timeout_ms: 0, body, correlation: 0, version: 0 });
    }

    /// The transport has connected: asks for versions first.
    pub(super) fn connected(&mut self, transport: &mut dyn Transport, options: &ClientOptions) {
        let LinkState::Connecting(connection) = self.state else { return };
        self.state = LinkState::Open(connection);
        let request = ApiVersionsRequest {
            client_software_name: NAME.to_owned(),
            client_software_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let mut out = Vec::new();
        // Version 3: every broker since 2.4 knows it.
        encode_request(&request, 3, 0, &options.client_id, &mut out);
        transport.send(connection, out);
    }

    /// A frame came: versions, or the answer to the oldest request. An error ends the connection.
    pub(super) fn frame(
        &mut self,
        frame: Bytes,
        now: Now,
        options: &ClientOptions,
        features: &mut BTreeMap<String, i16>,
    ) -> Result<(), String> {
        self.idle_since_ms = now.mono_ms();
        if self.versions.is_none() {
            let answer = decode_response::<ApiVersionsRequest>(frame, 3, 0);
            let versions = answer.map_err(|error| format!("this is no broker of Kafka 2.4 or newer: {error}"))?;
            self.versions = Some(table(&versions)?);
            self.throttle(now.mono_ms(), i64::from(versions.throttle_time_ms), options);
            let known = versions.finalized_features.into_iter().filter(|feature| FEATURES.contains(&&*feature.name));
            features.extend(known.map(|feature| (feature.name, feature.max_version_level)));
            if self.failures > 0 {
                tracing::info!(address = %self.address, failures = self.failures, "a broker can be reached again");
                self.failures = 0;
            }
            self.setup_timeout_ms = None;
            return Ok(());
        }
        let Some(sent) = self.in_flight.pop_front() else {
            return Err("the broker answered what was not asked".to_owned());
        };
        match sent.body.decode(frame, sent.version, sent.correlation) {
            Ok(decoded) => {
                self.throttle(now.mono_ms(), decoded.throttle_ms, options);
                sent.reply.give(decoded.answer());
                Ok(())
            }
            Err(error) => {
                // Whatever follows on this connection cannot be trusted either.
                let reason = error.full_text();
                sent.fail(error);
                Err(reason)
            }
        }
    }

    /// The broker has answered at once, but reads nothing more for so long (KIP-219). A time that is
    /// longer than any request waits is not believed.
    fn throttle(&mut self, now_ms: i64, throttle_ms: i64, options: &ClientOptions) {
        let until = now_ms.saturating_add(throttle_ms.min(options.request_timeout_ms));
        self.throttled_until_ms = self.throttled_until_ms.max(until);
    }

    /// Connects where something waits, sends what may be sent, times out the rest. Gives the next time
    /// something is due; an error ends the connection.
    pub(super) fn turn(
        &mut self,
        transport: &mut dyn Transport,
        now: Now,
        options: &ClientOptions,
    ) -> Result<i64, String> {
        let now_ms = now.mono_ms();
        let mut due = i64::MAX;
        self.time_out_waiting(now_ms);
        match self.state {
            LinkState::Closed if self.waiting.is_empty() => return Ok(due),
            LinkState::Closed if now_ms < self.retry_at_ms => due = due.min(self.retry_at_ms),
            LinkState::Closed => {
                self.state = LinkState::Connecting(transport.connect(&self.address));
                let first_ms = options.connection_setup_timeout_ms.min(options.connection_setup_timeout_max_ms);
                self.setup_deadline_ms = now_ms.saturating_add(*self.setup_timeout_ms.get_or_insert(first_ms));
                self.idle_since_ms = now_ms;
                due = due.min(self.setup_deadline_ms);
            }
            LinkState::Connecting(_) | LinkState::Open(_) if self.versions.is_none() => {
                if now_ms >= self.setup_deadline_ms {
                    return Err(format!("no connection within {} ms", self.setup_timeout_ms.unwrap_or_default()));
                }
                due = due.min(self.setup_deadline_ms);
            }
            LinkState::Connecting(_) => {}
            LinkState::Open(_) if now_ms < self.throttled_until_ms => due = due.min(self.throttled_until_ms),
            LinkState::Open(connection) => self.send_waiting(connection, transport, now_ms, options),
        }
        if let Some(oldest) = self.in_flight.iter().map(|sent| sent.deadline_ms).min() {
            if now_ms >= oldest {
                // Answers come in order: without this one there are no others on this connection.
                return Err("a request was not answered in time".to_owned());
            }
            due = due.min(oldest);
        } else if self.versions.is_some() && self.waiting.is_empty() {
            let idle_until = self.idle_since_ms.saturating_add(options.connections_max_idle_ms);
            if now_ms >= idle_until {
                return Err("the connection was idle".to_owned());
            }
            due = due.min(idle_until);
        }
        Ok(self.waiting.iter().map(|sent| sent.deadline_ms).fold(due, i64::min))
    }

    fn time_out_waiting(&mut self, now_ms: i64) {
        let is_over = |sent: &Sent| now_ms >= sent.deadline_ms;
        if !self.waiting.iter().any(is_over) {
            return;
        }
        let (over, waiting): (VecDeque<Sent>, VecDeque<Sent>) = self.waiting.drain(..).partition(is_over);
        self.waiting = waiting;
        not_sent(over, &format!("no connection to {} in time", self.address));
    }

    fn send_waiting(
        &mut self,
        connection: ConnectionId,
        transport: &mut dyn Transport,
        now_ms: i64,
        options: &ClientOptions,
    ) {
        let Some(versions) = &self.versions else { return };
        let mut out = Vec::new();
        while self.in_flight.len() < IN_FLIGHT_MAX
            && let Some(mut sent) = self.waiting.pop_front()
        {
            match sent.body.version(versions.get(&sent.body.key).copied()) {
                Ok(version) => sent.version = version,
                Err(error) => {
                    sent.fail(error);
                    continue;
                }
            }
            self.correlation = self.correlation.wrapping_add(1);
            sent.correlation = self.correlation;
            sent.timeout_ms = sent.deadline_ms - now_ms;
            sent.body.encode(sent.version, sent.correlation, &options.client_id, &mut out);
            self.in_flight.push_back(sent);
        }
        if !out.is_empty() {
            self.idle_since_ms = now_ms;
            transport.send(connection, out);
        }
    }

    /// The connection is over: what was asked has no answer. What was not sent yet waits for the next
    /// connection, but only if there was one: who asks may find another broker sooner. Connecting is
    /// tried again after a growing pause.
    pub(super) fn disconnected(&mut self, now_ms: i64, options: &ClientOptions, jitter: i64, reason: &str) {
        if self.versions.is_none() {
            self.failures = self.failures.saturating_add(1);
            not_sent(std::mem::take(&mut self.waiting), &format!("{} cannot be reached: {reason}", self.address));
        }
        let (first, max) = (options.reconnect_backoff_ms, options.reconnect_backoff_max_ms);
        let pause = grown(first, max, self.failures.saturating_sub(1));
        self.retry_at_ms = now_ms.saturating_add(pause.saturating_mul(jitter) / 1000);
        if self.versions.is_none() {
            // A broker that is slow to answer is waited for longer from time to time (KIP-601).
            let (first, max) = (options.connection_setup_timeout_ms, options.connection_setup_timeout_max_ms);
            let timeout = grown(first, max, self.failures);
            self.setup_timeout_ms =
                Some(if first < max { max.min(timeout.saturating_mul(jitter) / 1000) } else { timeout });
        }
        self.state = LinkState::Closed;
        self.versions = None;
        self.throttled_until_ms = i64::MIN;
        for sent in self.in_flight.drain(..) {
            let error = if now_ms >= sent.deadline_ms {
                RequestError::TimedOut(sent.timeout_ms)
            } else {
                RequestError::Lost(reason.to_owned())
            };
            sent.fail(error);
        }
    }
}

/// A time that doubles with each failure, up to a longest one; in ms.
fn grown(first: i64, max: i64, failures: u32) -> i64 {
    first.saturating_mul(1 << failures.min(20)).min(max)
}

fn not_sent(requests: VecDeque<Sent>, why: &str) {
    for sent in requests {
        sent.fail(RequestError::NotSent(why.to_owned()));
    }
}

fn table(response: &ApiVersionsResponse) -> Result<HashMap<i16, (i16, i16)>, String> {
    ErrorCode::check(response.error_code)
        .map_err(|code| format!("the broker refuses {} with {code}", ApiVersionsRequest::NAME))?;
    Ok(response.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version))).collect())
}
