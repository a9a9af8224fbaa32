//! Heartbeats: what a member tells its group, and what it hears of its tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use millstream_log::{Failure, FailureKind, GroupTopology, MemberConfig, MemberEvent, SubtopologyFacts};
use millstream_types::{Error, ErrorKind, TaskId};

use super::{Order, Shared, lock};
use crate::call::{Slot, refused, unanswered};
use crate::client::{Client, CoordinatorKind, RequestError, Ticket};
use crate::driver::{Actor, Turn};
use crate::protocol::ErrorCode;
use crate::protocol::messages::streams_group_heartbeat::{
    RequestTaskIds, ResponseTaskIds, Status, StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse, Subtopology,
    TopicInfo, Topology,
};

/// Epochs with a meaning of their own.
const JOIN: i32 = 0;
const LEAVE: i32 = -1;
/// `StreamsGroupHeartbeatResponse.Status`.
const MISSING_SOURCE_TOPICS: i8 = 1;
const INCORRECTLY_PARTITIONED: i8 = 2;
const MISSING_INTERNAL_TOPICS: i8 = 3;
const SHUTDOWN_APPLICATION: i8 = 4;
const ASSIGNMENT_DELAYED: i8 = 5;
/// While the broker waits for more members before it assigns anything, in ms.
const DELAYED_INTERVAL_MS: i64 = 200;
/// Answers in a row that tell of missing topics before it counts.
const PATIENCE: u32 = 5;
/// Unless the broker says otherwise, in ms.
const INTERVAL_MS: i64 = 3_000;
/// A member that leaves waits for the broker at most this long, in ms.
const LEAVE_TIMEOUT_MS: i64 = 5_000;

/// The member on the network thread.
pub(super) struct Heartbeats {
    shared: Arc<Mutex<Shared>>,
    config: MemberConfig,
    state: State,
    topology: GroupTopology,
    epoch: i32,
    interval_ms: i64,
    next_ms: i64,
    under_way: Option<Ticket<StreamsGroupHeartbeatRequest>>,
    /// Whether the broker must be told what we run.
    must_tell: bool,
    /// What the broker wants us to run.
    target: Option<BTreeSet<TaskId>>,
    /// What the stream thread runs.
    owned: BTreeSet<TaskId>,
    /// Whether the stream thread was told to give tasks up and has not answered yet.
    is_revoking: bool,
    /// Whether it was told its tasks since it joined or gave some up.
    is_settled: bool,
    /// Statuses of the group, and in how many answers in a row.
    statuses: BTreeMap<i8, u32>,
    leaving: Option<(Slot<()>, i64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not a member.
    Outside,
    /// Asks to become one.
    Joining,
    Member,
    Leaving,
}

impl Heartbeats {
    pub(super) fn new(shared: Arc<Mutex<Shared>>, config: MemberConfig) -> Self {
        Self {
            shared,
            config,
            state: State::Outside,
            topology: GroupTopology::default(),
            epoch: LEAVE,
            interval_ms: INTERVAL_MS,
            next_ms: i64::MIN,
            under_way: None,
            must_tell: false,
            target: None,
            owned: BTreeSet::new(),
            is_revoking: false,
            is_settled: false,
            statuses: BTreeMap::new(),
            leaving: None,
        }
    }

    fn take_orders(&mut self, now_ms: i64) {
        let shared = Arc::clone(&self.shared);
        let mut shared = lock(&shared);
        while let Some(order) = shared.orders.pop_front() {
            match order {
                Order::Join(topology) => {
                    self.topology = topology;
                    self.outside();
                    self.state = State::Joining;
                    self.next_ms = now_ms;
                }
                Order::Revoked => {
                    self.is_revoking = false;
                    self.is_settled = false;
                    let target = self.target.as_ref();
                    self.owned.retain(|task| target.is_some_and(|target| target.contains(task)));
                    self.must_tell = true;
                    self.next_ms = now_ms;
                }
                Order::Leave(slot) if matches!(self.state, State::Outside) => slot.end(Ok(())),
                Order::Leave(slot) => {
                    self.state = State::Leaving;
                    self.leaving = Some((slot, now_ms + LEAVE_TIMEOUT_MS));
                    // What is under way would put us back.
                    self.next_ms = now_ms;
                }
            }
        }
        shared.epoch = if self.state == State::Outside { LEAVE } else { self.epoch };
    }

    /// Not a member any more.
    fn outside(&mut self) {
        self.state = State::Outside;
        self.epoch = JOIN;
        self.under_way = None;
        self.target = None;
        self.owned.clear();
        self.is_revoking = false;
        self.is_settled = false;
        self.must_tell = true;
        self.statuses.clear();
    }

    fn event(&self, event: MemberEvent) {
        lock(&self.shared).events.push_back(event);
    }

    fn request(&self) -> StreamsGroupHeartbeatRequest {
        let joins = self.state == State::Joining;
        let mut request = StreamsGroupHeartbeatRequest {
            group_id: self.config.group.to_string(),
            member_id: self.config.member_id.to_string(),
            member_epoch: match self.state {
                State::Joining => JOIN,
                State::Leaving => LEAVE,
                State::Member | State::Outside => self.epoch,
            },
            ..StreamsGroupHeartbeatRequest::default()
        };
        if joins {
            request.rebalance_timeout_ms = i32::try_from(self.config.session_timeout_ms).unwrap_or(i32::MAX);
            request.topology = Some(topology(&self.topology));
            request.process_id = Some(self.config.process_id.to_string());
            request.client_tags = Some(Vec::new());
        }
        if joins || self.state == State::Member && self.must_tell {
            request.active_tasks = Some(told(&self.owned));
            request.standby_tasks = Some(Vec::new());
            request.warmup_tasks = Some(Vec::new());
        }
        request
    }

    fn take_answer(&mut self, client: &mut Client) {
        let Some(answer) = self.under_way.as_ref().and_then(|ticket| client.take(ticket)) else { return };
        self.under_way = None;
        let now_ms = client.now().mono_ms();
        if self.state == State::Leaving {
            // Whatever the answer: a member that is not known has left.
            self.left();
            return;
        }
        self.next_ms = now_ms + client.options().retry_backoff_ms;
        match answer {
            Err(RequestError::Unsupported { .. }) => {
                self.fail(explained(&self.config, ErrorCode::UNSUPPORTED_VERSION, None));
            }
            Err(error) => {
                client.forget_coordinator(CoordinatorKind::Group, &self.config.group);
                self.must_tell = true;
                let failure = unanswered("a heartbeat to the group", error, false);
                if failure.kind == FailureKind::Fatal {
                    self.fail(failure);
                }
            }
            Ok(response) => match ErrorCode(response.error_code) {
                ErrorCode::NONE => self.answered(client, response),
                ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_MEMBER_EPOCH => {
                    self.outside();
                    self.event(MemberEvent::Lost);
                }
                code if code.is_retriable() => {
                    client.forget_coordinator(CoordinatorKind::Group, &self.config.group);
                    self.must_tell = true;
                }
                code => self.fail(explained(&self.config, code, response.error_message.as_deref())),
            },
        }
    }

    fn answered(&mut self, client: &mut Client, response: StreamsGroupHeartbeatResponse) {
        let now_ms = client.now().mono_ms();
        let has_joined = self.state == State::Joining;
        self.state = State::Member;
        self.epoch = response.member_epoch;
        client.set_member_epoch(&self.config.member_id, self.epoch, has_joined);
        lock(&self.shared).epoch = self.epoch;
        self.must_tell = false;
        if response.heartbeat_interval_ms > 0 {
            self.interval_ms = i64::from(response.heartbeat_interval_ms);
        }
        self.take_statuses(response.status.unwrap_or_default());
        let is_delayed = self.statuses.contains_key(&ASSIGNMENT_DELAYED);
        self.next_ms = now_ms + if is_delayed { DELAYED_INTERVAL_MS.min(self.interval_ms) } else { self.interval_ms };
        if let Some(active) = response.active_tasks {
            self.target = Some(tasks(&active));
        }
        self.reconcile(now_ms);
    }

    /// Passes on what keeps the group from running. Topics that were just created may be missing for a
    /// moment, and an assignment may be delayed: that is no news.
    fn take_statuses(&mut self, statuses: Vec<Status>) {
        self.statuses.retain(|code, _| statuses.iter().any(|status| status.status_code == *code));
        for Status { status_code: code, status_detail: detail } in statuses {
            let seen = self.statuses.entry(code).or_insert(0);
            *seen += 1;
            let is_news = match code {
                INCORRECTLY_PARTITIONED | SHUTDOWN_APPLICATION => *seen == 1,
                MISSING_SOURCE_TOPICS | MISSING_INTERNAL_TOPICS => *seen == PATIENCE,
                _ => false,
            };
            tracing::debug!(group = %self.config.group, code, detail, "the group's status");
            if is_news {
                self.event(MemberEvent::Status { code, detail });
            }
        }
    }

    /// Moves what the stream thread runs towards what it is to run: first it gives up, then it gets.
    fn reconcile(&mut self, now_ms: i64) {
        let Some(target) = self.target.clone().filter(|_| !self.is_revoking) else { return };
        let revoked: Vec<TaskId> = self.owned.difference(&target).copied().collect();
        if !revoked.is_empty() {
            self.is_revoking = true;
            self.event(MemberEvent::Revoke { tasks: revoked });
            return;
        }
        if self.is_settled && self.owned == target {
            return;
        }
        self.is_settled = true;
        if self.owned != target {
            self.must_tell = true;
            self.next_ms = now_ms;
            self.owned.clone_from(&target);
        }
        self.event(MemberEvent::Assigned { active: target.into_iter().collect(), standby: Vec::new() });
    }

    fn fail(&mut self, failure: Failure) {
        self.outside();
        self.event(MemberEvent::Failed(failure));
    }

    fn left(&mut self) {
        self.outside();
        if let Some((slot, _)) = self.leaving.take() {
            slot.end(Ok(()));
        }
    }

    /// A stream thread that does not poll must not keep its tasks for ever.
    fn watch(&mut self, now_ms: i64) {
        let polled_ms = lock(&self.shared).polled_ms;
        let limit = self.config.session_timeout_ms;
        if self.state == State::Member && polled_ms.is_some_and(|polled| now_ms - polled > limit) {
            tracing::warn!(
                member = %self.config.member_id,
                "the stream thread has not polled for {limit} ms: the member leaves its group, as max.poll.interval.ms asks"
            );
            self.state = State::Leaving;
            self.leaving = None;
            self.event(MemberEvent::Lost);
        }
    }
}

impl Actor for Heartbeats {
    fn turn(&mut self, client: &mut Client) -> Turn {
        let now_ms = client.now().mono_ms();
        self.take_answer(client);
        self.take_orders(now_ms);
        if lock(&self.shared).is_closed && self.state != State::Leaving {
            return Turn::Finished;
        }
        self.watch(now_ms);
        if self.state == State::Member {
            self.reconcile(now_ms);
        }
        if let Some((_, until)) = &self.leaving
            && now_ms >= *until
        {
            self.left();
        }
        if self.state == State::Outside {
            return Turn::Until(i64::MAX);
        }
        if self.under_way.is_none() && now_ms >= self.next_ms {
            match client.coordinator(CoordinatorKind::Group, &self.config.group) {
                Some(node) => self.under_way = Some(client.send(node, self.request())),
                None => self.next_ms = now_ms + client.options().retry_backoff_ms,
            }
        }
        let leave_until = self.leaving.as_ref().map_or(i64::MAX, |(_, until)| *until);
        let next = if self.under_way.is_some() { i64::MAX } else { self.next_ms };
        Turn::Until(next.min(leave_until).min(now_ms + self.interval_ms))
    }
}

/// What a refusal for good means, and what to do.
fn explained(config: &MemberConfig, code: ErrorCode, detail: Option<&str>) -> Failure {
    let group = &config.group;
    let remedy = match code {
        ErrorCode::INVALID_REQUEST | ErrorCode::STREAMS_INVALID_TOPOLOGY_EPOCH | ErrorCode::STREAMS_TOPOLOGY_FENCED => {
            Some(
                "brokers up to 4.3 do not let a group change its topology: stop all instances, and delete the group after \
             saving its offsets, or use another application.id",
            )
        }
        ErrorCode::GROUP_ID_NOT_FOUND | ErrorCode::INCONSISTENT_GROUP_PROTOCOL => Some(
            "a group of another protocol has the application.id: stop its members first, or use another application.id",
        ),
        ErrorCode::GROUP_AUTHORIZATION_FAILED | ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            Some("the principal lacks rights: READ on the group, DESCRIBE and CREATE on its topics")
        }
        ErrorCode::UNSUPPORTED_VERSION => Some("the broker does not know streams groups: Kafka 4.2 or newer is needed"),
        _ => None,
    };
    let failure = refused(&format!("joining group {group}"), code, detail);
    match remedy {
        None => failure,
        Some(remedy) => {
            let error = Error::new(ErrorKind::Configuration, format!("{}; {remedy}", failure.error));
            Failure { kind: FailureKind::Fatal, error }
        }
    }
}

fn topology(topology: &GroupTopology) -> Topology {
    Topology { epoch: 0, subtopologies: topology.subtopologies.iter().map(subtopology).collect() }
}

fn subtopology(facts: &SubtopologyFacts) -> Subtopology {
    let sorted = |names: &[Arc<str>]| {
        let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
        names.sort();
        names
    };
    let topic = |(name, partitions): (&Arc<str>, i32)| TopicInfo {
        name: name.to_string(),
        partitions,
        replication_factor: 0,
        topic_configs: Vec::new(),
    };
    let mut repartitions: Vec<TopicInfo> =
        facts.repartition_sources.iter().map(|(name, partitions)| topic((name, *partitions))).collect();
    // The number of a changelog's partitions is the broker's to derive.
    let mut changelogs: Vec<TopicInfo> = facts.changelogs.iter().map(|name| topic((name, 0))).collect();
    repartitions.sort_by(|left, right| left.name.cmp(&right.name));
    changelogs.sort_by(|left, right| left.name.cmp(&right.name));
    Subtopology {
        subtopology_id: facts.id.to_string(),
        source_topics: sorted(&facts.source_topics),
        source_topic_regex: Vec::new(),
        state_changelog_topics: changelogs,
        repartition_sink_topics: sorted(&facts.repartition_sinks),
        repartition_source_topics: repartitions,
        copartition_groups: Vec::new(),
    }
}

fn told(tasks: &BTreeSet<TaskId>) -> Vec<RequestTaskIds> {
    let mut told: Vec<RequestTaskIds> = Vec::new();
    for task in tasks {
        let id = task.subtopology.to_string();
        match told.last_mut().filter(|last| last.subtopology_id == id) {
            Some(last) => last.partitions.push(task.partition),
            None => told.push(RequestTaskIds { subtopology_id: id, partitions: vec![task.partition] }),
        }
    }
    told
}

fn tasks(told: &[ResponseTaskIds]) -> BTreeSet<TaskId> {
    let of = |ids: &ResponseTaskIds| {
        let subtopology = ids.subtopology_id.parse().unwrap_or(-1);
        ids.partitions.iter().map(move |partition| TaskId { subtopology, partition: *partition }).collect::<Vec<_>>()
    };
    told.iter().flat_map(of).collect()
}
