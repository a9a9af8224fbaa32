//! What lies between the instances and the log: rates of faults, requests under way, and the time.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Random;
use crate::simulation::Trace;

/// How often each fault strikes, in a thousand operations, and how long it lasts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultRates {
    /// The reply comes late.
    pub late_reply: u32,
    /// The request arrives late; it may arrive after its instance was killed.
    pub late_request: u32,
    /// The effect takes place, the reply is lost: the outcome is unknown.
    pub lost_reply: u32,
    /// The request is lost: no effect, but the outcome is unknown just the same.
    pub lost_request: u32,
    /// The outcome is given up as unknown, and then the request arrives.
    pub straggler: u32,
    /// Refused without effect, to be repeated.
    pub retriable: u32,
    /// The request arrives twice.
    pub duplicate: u32,
    /// An append fails and ends the writer.
    pub append_failure: u32,
    /// A fetch finds nothing for a while, though there is something.
    pub stalled_reader: u32,
    /// A fetch gives only a little.
    pub short_read: u32,
    /// Heartbeats are withheld for longer than the session timeout, while the instance runs on.
    pub deaf_member: u32,
    /// Longest delay, in ms.
    pub delay_ms_max: u64,
    /// How long a deaf member is deaf, in ms.
    pub deaf_ms: u64,
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing goes wrong.
    Pass,
    /// Answered this many ns late.
    LateReply(u64),
    /// Arrives this many ns late.
    LateRequest(u64),
    /// Takes effect; after this many ns the outcome is given up as unknown.
    LostReply(u64),
    /// Has no effect; after this many ns the outcome is given up as unknown.
    LostRequest(u64),
    /// The outcome is given up as unknown after this many ns; twice as long and it takes effect.
    Straggler(u64),
    /// Has no effect and may be repeated.
    Retriable(u64),
    /// Takes effect twice.
    Duplicate,
}

/// The network of a simulation. Clones share it.
#[derive(Clone)]
pub struct Network(Arc<Mutex<Inner>>);

struct Inner {
    random: Random,
    rates: FaultRates,
    now_ns: u64,
    trace: Trace,
    connections: Vec<Arc<dyn Deliver>>,
    transactional_ids: BTreeSet<String>,
    violations: Vec<String>,
    faults: u64,
    before_delete: Option<Arc<dyn Fn() + Send + Sync>>,
}

/// A connection with requests under way.
pub(super) trait Deliver: Send + Sync {
    /// Carries out the requests that have arrived by now.
    fn deliver(&self, now_ns: u64);
}

impl Network {
    /// A network with these faults, drawn from `random`.
    pub fn new(random: Random, rates: FaultRates, trace: Trace) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            random,
            rates,
            now_ns: 0,
            trace,
            connections: Vec::new(),
            transactional_ids: BTreeSet::new(),
            violations: Vec::new(),
            faults: 0,
            before_delete: None,
        })))
    }

    /// Moves the time and delivers what has arrived.
    pub fn advance(&self, now_ns: u64) {
        let connections = {
            let mut inner = self.lock();
            inner.now_ns = now_ns;
            inner.connections.clone()
        };
        for connection in connections {
            connection.deliver(now_ns);
        }
    }

    /// Changes how often faults strike.
    pub fn set_rates(&self, rates: FaultRates) {
        self.lock().rates = rates;
    }

    /// Ends all faults: from now on everything arrives.
    pub fn heal(&self) {
        self.set_rates(FaultRates::default());
    }

    /// Calls this whenever records are about to be deleted, for those who want to see them before.
    pub fn before_delete(&self, look: impl Fn() + Send + Sync + 'static) {
        self.lock().before_delete = Some(Arc::new(look));
    }

    /// Faults that have struck.
    pub fn faults(&self) -> u64 {
        self.lock().faults
    }

    /// The transactional ids seen so far, sorted.
    pub fn transactional_ids(&self) -> Vec<String> {
        self.lock().transactional_ids.iter().cloned().collect()
    }

    /// Rules of the seam that a client broke, such as appending with a writer whose outcome is
    /// unknown.
    pub fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    pub(super) fn link(&self, instance: &str) -> Link {
        Link { network: self.clone(), instance: instance.into(), is_cut: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One instance's end of the network.
#[derive(Clone)]
pub(super) struct Link {
    network: Network,
    instance: Arc<str>,
    is_cut: Arc<std::sync::atomic::AtomicBool>,
}

impl Link {
    pub(super) fn cut(&self) {
        self.is_cut.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    pub(super) fn is_cut(&self) -> bool {
        self.is_cut.load(std::sync::atomic::Ordering::Relaxed)
    }

    pub(super) fn now_ns(&self) -> u64 {
        self.network.lock().now_ns
    }

    pub(super) fn trace(&self, event: std::fmt::Arguments<'_>) {
        let (trace, now_ns) = {
            let inner = self.network.lock();
            (inner.trace.clone(), inner.now_ns)
        };
        trace.add(format_args!("{} {} {event}", now_ns / 1_000_000, self.instance));
    }

    pub(super) fn violation(&self, text: String) {
        self.trace(format_args!("VIOLATION {text}"));
        let text = format!("{}: {text}", self.instance);
        self.network.lock().violations.push(text);
    }

    pub(super) fn saw_transactional_id(&self, id: &str) {
        self.network.lock().transactional_ids.insert(id.to_owned());
    }

    /// Says that records are about to be deleted.
    pub(super) fn is_deleting(&self) {
        let look = self.network.lock().before_delete.clone();
        if let Some(look) = look {
            look();
        }
    }

    /// Keeps the connection open on the log's side, whatever becomes of the instance.
    pub(super) fn keep(&self, connection: Arc<dyn Deliver>) {
        self.network.lock().connections.push(connection);
    }

    /// Draws what becomes of a request.
    pub(super) fn fate(&self, may_duplicate: bool) -> Fate {
        let mut inner = self.network.lock();
        let inner = &mut *inner;
        let delay = inner.random.between(1, inner.rates.delay_ms_max.max(1)) * 1_000_000;
        let draw = inner.random.below(1000);
        let rates = &inner.rates;
        let table = [
            (rates.late_reply, Fate::LateReply(delay)),
            (rates.late_request, Fate::LateRequest(delay)),
            (rates.lost_reply, Fate::LostReply(delay)),
            (rates.lost_request, Fate::LostRequest(delay)),
            (rates.straggler, Fate::Straggler(delay)),
            (rates.retriable, Fate::Retriable(delay / 4)),
            (if may_duplicate { rates.duplicate } else { 0 }, Fate::Duplicate),
        ];
        let mut end = 0;
        for (rate, fate) in table {
            end += u64::from(rate);
            if draw < end {
                inner.faults += 1;
                return fate;
            }
        }
        Fate::Pass
    }

    /// Whether a fault of that rate strikes now; then for how many ns.
    pub(super) fn strikes(&self, rate: impl Fn(&FaultRates) -> (u32, u64)) -> Option<u64> {
        let mut inner = self.network.lock();
        let (often, ms_max) = rate(&inner.rates);
        if !inner.random.per_mille(often) {
            return None;
        }
        inner.faults += 1;
        Some(inner.random.between(ms_max.div_ceil(2).max(1), ms_max.max(1)) * 1_000_000)
    }

    /// Whether anything may still go wrong: what lasts ends with the healing.
    pub(super) fn is_faulty(&self) -> bool {
        self.network.lock().rates != FaultRates::default()
    }

    /// An even chance.
    pub(super) fn coin(&self) -> bool {
        self.network.lock().random.coin()
    }
}
