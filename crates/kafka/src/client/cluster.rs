//! Brokers, topics and leaders, as the last metadata has them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::ClientOptions;
use crate::net::Address;
use crate::protocol::ErrorCode;
use crate::protocol::messages::metadata::MetadataResponse;

/// Doublings of the pause between questions for what stays missing: 100 ms become 6.4 s.
const UNSETTLED_DOUBLINGS_MAX: u32 = 6;

/// What is known of the cluster.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    brokers: BTreeMap<i32, Address>,
    pub(crate) controller: Option<i32>,
    /// The cluster's own id.
    pub(crate) id: Option<String>,
    topics: BTreeMap<Arc<str>, TopicState>,
    wanted: BTreeSet<Arc<str>>,
    /// Of these, those that the broker may create when they are missing.
    creatable: BTreeSet<Arc<str>>,
    /// Whether a topic became wanted since the last request.
    has_new: bool,
    /// Whether that request was of some topics only.
    was_partial: bool,
    pub(crate) is_stale: bool,
    /// Answers in a row after which a topic or leader was still missing.
    unsettled: u32,
    updated_ms: Option<i64>,
    asked_ms: Option<i64>,
    /// When the first request after the last answer was made.
    trying_since_ms: Option<i64>,
    /// Why the last request failed, for messages.
    pub(crate) failure: Option<String>,
}

/// A wanted topic as of the last metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TopicState {
    /// It exists.
    Known {
        /// Its id; changes when it is deleted and created again.
        id: u128,
        /// Partitions by number.
        partitions: Vec<Leader>,
    },
    /// The broker says why not.
    Missing(ErrorCode),
}

/// A partition's leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Leader {
    /// Broker; `None` during an election.
    pub(crate) broker: Option<i32>,
    /// Its epoch.
    pub(crate) epoch: i32,
}

impl Cluster {
    pub(crate) fn brokers(&self) -> &BTreeMap<i32, Address> {
        &self.brokers
    }

    /// A wanted topic; `None` until metadata came.
    pub(crate) fn topic(&self, name: &str) -> Option<&TopicState> {
        self.topics.get(name)
    }

    /// Leader of a partition; `None` while it is not known.
    pub(crate) fn leader(&self, topic: &str, partition: i32) -> Option<Leader> {
        let TopicState::Known { partitions, .. } = self.topics.get(topic)? else { return None };
        partitions.get(usize::try_from(partition).ok()?).copied().filter(|leader| leader.broker.is_some())
    }

    /// A broker said who leads now (KIP-951); older news is left out.
    pub(crate) fn set_leader(&mut self, topic: &str, partition: i32, leader: Leader) {
        let Some(TopicState::Known { partitions, .. }) = self.topics.get_mut(topic) else { return };
        let slot = usize::try_from(partition).ok().and_then(|at| partitions.get_mut(at));
        if let Some(slot) = slot.filter(|slot| slot.epoch < leader.epoch) {
            *slot = leader;
        }
    }

    pub(super) fn want(&mut self, name: &Arc<str>) {
        if self.wanted.insert(Arc::clone(name)) {
            self.has_new = true;
        }
    }

    pub(super) fn wanted(&self) -> impl Iterator<Item = &Arc<str>> {
        self.wanted.iter()
    }

    /// A wanted topic may be created should it be missing.
    pub(super) fn may_create(&mut self, name: &Arc<str>) {
        self.creatable.insert(Arc::clone(name));
    }

    /// Missing topics that the broker may create, each until it is named again. None while it is to be asked for
    /// others.
    pub(super) fn take_creatable(&mut self) -> Vec<Arc<str>> {
        if self.has_new {
            return Vec::new();
        }
        let missing = Some(&TopicState::Missing(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
        let is_missing = |name: &&Arc<str>| self.topics.get(*name) == missing;
        let named: Vec<Arc<str>> = self.creatable.iter().filter(is_missing).cloned().collect();
        self.creatable.retain(|name| !named.contains(name));
        named
    }

    /// Whether metadata is to be asked for now.
    pub(super) fn wants_refresh(&self, now_ms: i64, options: &ClientOptions) -> bool {
        let is_due = |since: i64| now_ms >= since.saturating_add(options.metadata_max_age_ms);
        !self.is_pausing(now_ms, options)
            && (self.has_new || self.was_partial || self.is_stale || self.updated_ms.is_none_or(is_due))
    }

    /// When it is to be asked for next.
    pub(super) fn due_ms(&self, now_ms: i64, options: &ClientOptions) -> i64 {
        if self.has_new {
            return now_ms;
        }
        let pause = self.asked_ms.map_or(now_ms, |asked| asked.saturating_add(self.pause_ms(options)));
        match self.updated_ms {
            Some(updated) if !self.is_stale && !self.was_partial => updated.saturating_add(options.metadata_max_age_ms),
            _ => pause,
        }
    }

    /// A topic that stays missing is asked for ever more seldom, down to every few seconds.
    fn pause_ms(&self, options: &ClientOptions) -> i64 {
        let doublings = if self.was_partial { 0 } else { self.unsettled.min(UNSETTLED_DOUBLINGS_MAX) };
        options.retry_backoff_ms.saturating_mul(1 << doublings)
    }

    /// What nobody has asked for yet does not wait: only repetitions are spread.
    fn is_pausing(&self, now_ms: i64, options: &ClientOptions) -> bool {
        !self.has_new && self.asked_ms.is_some_and(|asked| now_ms < asked.saturating_add(self.pause_ms(options)))
    }

    /// Metadata is under way, of all wanted topics or of some.
    pub(super) fn asked(&mut self, now_ms: i64, is_all: bool) {
        self.asked_ms = Some(now_ms);
        self.trying_since_ms.get_or_insert(now_ms);
        self.has_new = false;
        self.was_partial = !is_all;
    }

    /// A broker said that metadata is wrong: the next question must not wait.
    pub(super) fn refresh(&mut self) {
        self.is_stale = true;
        self.unsettled = 0;
    }

    /// Whether metadata came after this time.
    pub(crate) fn is_newer_than(&self, ms: i64) -> bool {
        self.updated_ms.is_some_and(|updated| updated > ms)
    }

    /// Whether metadata was asked for so long without an answer.
    pub(super) fn has_tried_for(&self, ms: i64, now_ms: i64) -> bool {
        self.trying_since_ms.is_some_and(|since| now_ms >= since.saturating_add(ms))
    }

    /// Forgets the brokers: those of `bootstrap.servers` are asked who is there (KIP-899, KIP-1102).
    pub(super) fn rebootstrap(&mut self) {
        self.brokers.clear();
        self.trying_since_ms = None;
        self.is_stale = true;
    }

    pub(super) fn failed(&mut self, reason: String) {
        self.failure = Some(reason);
        self.is_stale = true;
    }

    pub(super) fn update(&mut self, response: &MetadataResponse, now_ms: i64) {
        self.failure = None;
        self.is_stale = false;
        self.updated_ms = Some(now_ms);
        self.trying_since_ms = None;
        self.id.clone_from(&response.cluster_id);
        self.controller = Some(response.controller_id).filter(|id| *id >= 0);
        self.brokers = response
            .brokers
            .iter()
            .map(|broker| {
                let port = u16::try_from(broker.port).unwrap_or(0);
                (broker.node_id, Address { host: broker.host.clone(), port })
            })
            .collect();
        for topic in &response.topics {
            // What was not asked for is not kept: a broker could tell of ever more.
            let Some(name) = topic.name.as_ref().filter(|name| self.wanted.contains(name.as_str())) else { continue };
            let state = match ErrorCode(topic.error_code) {
                ErrorCode::NONE => {
                    let known = match self.topics.get(name.as_str()) {
                        Some(TopicState::Known { id, partitions }) if *id == topic.topic_id => partitions.as_slice(),
                        _ => &[],
                    };
                    let mut partitions = Vec::new();
                    for partition in &topic.partitions {
                        let at = usize::try_from(partition.partition_index).unwrap_or(0);
                        if partitions.len() <= at && at < topic.partitions.len() {
                            partitions.resize(at + 1, Leader { broker: None, epoch: -1 });
                        }
                        let broker = Some(partition.leader_id).filter(|id| *id >= 0);
                        let told = Leader { broker, epoch: partition.leader_epoch };
                        // A broker that hears late of an election must not take back what another one told.
                        let newer = known.get(at).filter(|known| (0..known.epoch).contains(&told.epoch));
                        let leader = *newer.unwrap_or(&told);
                        self.is_stale |= leader.broker.is_none();
                        if let Some(slot) = partitions.get_mut(at) {
                            *slot = leader;
                        }
                    }
                    TopicState::Known { id: topic.topic_id, partitions }
                }
                code => {
                    // Being created, or between leaders.
                    self.is_stale |= code.is_retriable();
                    TopicState::Missing(code)
                }
            };
            self.topics.insert(name.as_str().into(), state);
        }
        let is_missing = |topic: &TopicState| matches!(topic, TopicState::Missing(code) if code.is_retriable());
        self.unsettled = if self.topics.values().any(is_missing) { self.unsettled.saturating_add(1) } else { 0 };
    }
}
