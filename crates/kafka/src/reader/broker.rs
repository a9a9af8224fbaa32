//! What goes on at one broker: two fetches, on a connection each, since a broker answers in order and may wait before
//! it does. One waits for news of partitions that are read to their ends; one takes what is there of the others, and
//! is never held up by a partition where nothing happens.

use std::collections::BTreeMap;

use millstream_types::TopicPartition;

use super::session::{Key, Position, Session};
use crate::client::{Client, Lane, Node, Ticket};
use crate::failure::RequestError;
use crate::protocol::ErrorCode;
use crate::protocol::messages::fetch::{FetchRequest, FetchResponse};

/// How long a fetch may wait at the broker that stands in for the one that waits, in ms: others may have something
/// to take meanwhile.
const SHORT_WAIT_MS: i32 = 10;

/// How many fetches that were due may follow a late one at once.
const AT_ONCE: i64 = 2;

/// What is to be fetched, by its name at the broker.
pub(super) type Wants = BTreeMap<Key, Want>;

/// What is to be fetched of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Want {
    pub(super) partition: TopicPartition,
    pub(super) position: Position,
    /// Whether there was no more when the broker answered last.
    pub(super) is_at_end: bool,
}

/// The fetches at one broker.
pub(super) struct Broker {
    /// Waits for news: mostly of the same partitions at the same places, which a session remembers.
    waiting: Channel,
    /// Takes what is there. Each fetch names other offsets than the one before, so a session would be of no use.
    taking: Channel,
    /// No fetch before this time, in ms.
    pub(super) pause_until: i64,
    /// How far apart fetches of nothing but news are due, in ms, and when the last fetch was.
    apart_ms: i64,
    due_ms: i64,
}

/// A connection for one fetch after the other.
struct Channel {
    lane: Lane,
    session: Session,
    under_way: Option<(Ticket<FetchRequest>, Wants)>,
}

/// A fetch that is over: what was fetched, and the answer.
pub(super) type Fetch = (Wants, Result<FetchResponse, RequestError>);

impl Broker {
    /// Nothing goes on yet. A reader has two lanes: one for fetches that wait, one for the others.
    pub(super) fn new([waiting, taking]: [Lane; 2], apart_ms: i64) -> Self {
        let channel = |lane, session| Channel { lane, session, under_way: None };
        Self {
            waiting: channel(waiting, Session::default()),
            taking: channel(taking, Session::none()),
            pause_until: i64::MIN,
            apart_ms,
            due_ms: i64::MIN,
        }
    }

    /// When the next fetch may start, in ms: where there is nothing but news to fetch, so long after the last one.
    pub(super) fn start_ms(&self, wants: &Wants) -> i64 {
        let is_at_end = wants.values().all(|want| want.is_at_end);
        let paced_ms = if is_at_end { self.due_ms.saturating_add(self.apart_ms) } else { i64::MIN };
        self.pause_until.max(paced_ms)
    }

    /// Starts what is not under way. `request` is what all fetches have in common.
    pub(super) fn start(&mut self, id: i32, client: &mut Client, wants: Wants, request: &FetchRequest, bytes_max: i32) {
        let [waiting, taking] = self.share(wants);
        if !waiting.is_empty() || !taking.is_empty() {
            // What a broker held up comes in several fetches: a few that follow a late one are not apart.
            let now_ms = client.now().mono_ms();
            let earliest_ms = now_ms.saturating_sub(self.apart_ms.saturating_mul(AT_ONCE));
            self.due_ms = self.due_ms.saturating_add(self.apart_ms).max(earliest_ms).min(now_ms);
        }
        if !waiting.is_empty() {
            self.waiting.start(id, client, waiting, request.clone(), bytes_max);
        }
        if !taking.is_empty() {
            let wait_ms = if taking.values().all(|want| want.is_at_end) { SHORT_WAIT_MS } else { 0 };
            let request = FetchRequest { max_wait_ms: wait_ms.min(request.max_wait_ms), ..request.clone() };
            self.taking.start(id, client, taking, request, bytes_max);
        }
    }

    /// What each of the two fetches is to fetch; nothing of one that is under way, or not to be started now.
    fn share(&self, wants: Wants) -> [Wants; 2] {
        let is_waited_for = |key: &Key| self.waiting.wants().is_some_and(|wants| wants.contains_key(key));
        // A partition that comes to its end while the fetch that waits is under way without it gets short waits of
        // its own meanwhile; then that fetch takes it along.
        let is_standing_in = self.taking.wants().is_some_and(|wants| wants.values().any(|want| want.is_at_end));
        let may_wait = self.waiting.wants().is_none() && !is_standing_in;
        let (waiting, mut taking): (Wants, Wants) = wants.into_iter().partition(|(_, want)| may_wait && want.is_at_end);
        if self.taking.wants().is_some() {
            taking.clear();
        }
        taking.retain(|key, want| !(want.is_at_end && is_waited_for(key)));
        [waiting, taking]
    }

    /// Takes the fetches that are over.
    pub(super) fn take(&mut self, over: &mut Vec<Fetch>) {
        over.extend([&mut self.waiting, &mut self.taking].into_iter().filter_map(Channel::take));
    }
}

impl Channel {
    fn wants(&self) -> Option<&Wants> {
        self.under_way.as_ref().map(|(_, wants)| wants)
    }

    fn start(&mut self, id: i32, client: &mut Client, wants: Wants, mut request: FetchRequest, bytes_max: i32) {
        let positions = wants.iter().map(|(key, want)| (*key, want.position)).collect();
        self.session.fill(&positions, bytes_max, &mut request);
        let timeout = client.options().request_timeout_ms + i64::from(request.max_wait_ms);
        let ticket = client.send_with_timeout(Node::Broker(id, self.lane), request, timeout);
        self.under_way = Some((ticket, wants));
    }

    fn take(&mut self) -> Option<Fetch> {
        let (ticket, _) = self.under_way.as_ref()?;
        let answer = ticket.take()?;
        let (_, wants) = self.under_way.take()?;
        match &answer {
            Ok(response) => match ErrorCode(response.error_code) {
                ErrorCode::NONE => self.session.answered(response.session_id),
                ErrorCode::FETCH_SESSION_ID_NOT_FOUND => self.session.forget(),
                // The broker keeps a session that is of no use any more: it ends with the next fetch.
                _ => self.session.reset(),
            },
            Err(_) => self.session.forget(),
        }
        Some((wants, answer))
    }
}
