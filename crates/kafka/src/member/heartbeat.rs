//! Heartbeats: what a member tells its group, and what it hears of its tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use millstream_log::{Departure, Failure, FailureKind, GroupTopology, MemberConfig, MemberEvent};
use millstream_types::TaskId;

use super::adoption::Adoption;
use super::endpoints;
use super::others::{Leftovers, Others};
use super::remedy::explained;
use super::request::{Goodbye, JOIN, client_suffix};
use super::statuses::{PATIENCE_MS, Seen};
use super::tasks::{Tasks, heard};
use super::{Order, Shared, lock};
use crate::call::Slot;
use crate::client::{Client, CoordinatorKind, Ticket};
use crate::driver::{Actor, Turn};
use crate::failure::{RequestError, unanswered};
use crate::group::LEAVE;
use crate::protocol::ErrorCode;
use crate::protocol::messages::streams_group_heartbeat::{StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse};
use crate::renewal::{Renewal, RenewalRight, Renewals};

/// While the broker waits for more members before it assigns anything, or makes internal topics, in ms.
const DELAYED_INTERVAL_MS: i64 = 200;
/// How long a new member that is told no tasks takes it that the broker has not assigned any yet, in ms: it assigns once in
/// a while (`group.streams.assignment.interval.ms`, 1 s), and does not say that it is about to.
const FIRST_TASKS_MS: i64 = 2_000;
/// Unless the broker says otherwise, in ms.
const INTERVAL_MS: i64 = 3_000;
/// So many halves of the interval after a heartbeat that was answered, a member that hears no more of its group may be
/// expelled: sessions last three intervals or more.
const HALF_INTERVALS_TRUSTED: i64 = 5;
/// A member that leaves waits for the broker at most this long, in ms.
const LEAVE_TIMEOUT_MS: i64 = 5_000;

/// The member on the network thread.
pub(super) struct Heartbeats {
    shared: Arc<Mutex<Shared>>,
    pub(super) config: MemberConfig,
    /// `client.rack`.
    pub(super) rack: Option<String>,
    pub(super) state: State,
    pub(super) topology: GroupTopology,
    pub(super) epoch: i32,
    interval_ms: i64,
    pub(super) next_ms: i64,
    under_way: Option<Ticket<StreamsGroupHeartbeatRequest>>,
    /// When it was sent, and until when the last one that was answered speaks for the membership, in ms.
    sent_ms: i64,
    until_ms: i64,
    /// Whether the broker must be told what we run.
    pub(super) must_tell: bool,
    /// What the broker wants us to run.
    target: Option<Tasks>,
    /// What the stream thread runs.
    pub(super) owned: Tasks,
    /// What the stream thread was told to give up and has not answered for yet.
    revoking: BTreeSet<TaskId>,
    /// Whether it was told its tasks since it joined or gave some up.
    is_settled: bool,
    /// Until when having no tasks may mean that none are assigned yet, in ms.
    first_tasks_until: i64,
    /// Statuses that the last answer told.
    pub(super) statuses: BTreeMap<i8, Seen>,
    leaving: Option<(Slot<()>, i64)>,
    /// Whether there is anybody to leave to, while that is asked.
    others: Option<Others>,
    /// How it says goodbye, while it does.
    pub(super) goodbye: Goodbye,
    /// What an earlier run has left, while it is released.
    strays: Option<Leftovers>,
    /// Closed members of others, until they are back or released.
    closed: Option<Leftovers>,
    pub(super) renewals: Renewals,
    /// Renewals that had ended when the member asked to join.
    pub(super) renewals_known: u64,
    /// The group is made anew, by us.
    pub(super) renewal: Option<(Renewal, RenewalRight)>,
    /// What the group was made with, while that is asked; and whether the member joins with it.
    pub(super) adoption: Option<Adoption>,
    pub(super) has_adopted: bool,
    /// Whether the member has not joined yet.
    is_first: bool,
    /// Of what we were told last of who has what.
    pub(super) endpoint_epoch: i32,
    /// Since when the broker fails at each heartbeat.
    fails_since_ms: Option<i64>,
    /// Its thread, as the group shows it behind the client's id.
    client_suffix: Arc<str>,
    /// Whether the group is to be told that the application ends.
    pub(super) ends_application: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not a member.
    Outside,
    /// Asks to become one.
    Joining,
    Member,
    Leaving,
}

impl Heartbeats {
    pub(super) fn new(
        shared: Arc<Mutex<Shared>>,
        config: MemberConfig,
        rack: Option<String>,
        renewals: Renewals,
    ) -> Self {
        Self {
            shared,
            client_suffix: client_suffix(&config.member_id),
            config,
            rack,
            state: State::Outside,
            topology: GroupTopology::default(),
            epoch: LEAVE,
            interval_ms: INTERVAL_MS,
            next_ms: i64::MIN,
            under_way: None,
            sent_ms: i64::MIN,
            until_ms: i64::MIN,
            must_tell: false,
            target: None,
            owned: Tasks::default(),
            revoking: BTreeSet::new(),
            is_settled: false,
            first_tasks_until: i64::MIN,
            statuses: BTreeMap::new(),
            leaving: None,
            others: None,
            goodbye: Goodbye::Leave,
            strays: None,
            closed: None,
            renewals,
            renewals_known: 0,
            renewal: None,
            adoption: None,
            has_adopted: false,
            is_first: true,
            endpoint_epoch: -1,
            fails_since_ms: None,
            ends_application: false,
        }
    }

    fn take_orders(&mut self, now_ms: i64) {
        let shared = Arc::clone(&self.shared);
        let mut shared = lock(&shared);
        while let Some(order) = shared.orders.pop_front() {
            match order {
                // First it leaves: the group is to take it for another member.
                Order::Join(_) if self.leaving.is_some() => {
                    shared.orders.push_front(order);
                    break;
                }
                Order::Join(topology) => {
                    self.topology = topology;
                    self.has_adopted = false;
                    self.outside();
                    self.state = State::Joining;
                    self.next_ms = now_ms;
                    // Once: later members of the process may come and go.
                    let is_first = std::mem::take(&mut self.is_first);
                    self.strays = (is_first && !self.config.process_members.is_empty()).then(Leftovers::of_earlier_run);
                }
                Order::Revoked => {
                    // These and no others, whatever the broker wants by now: the rest still runs.
                    let revoked = std::mem::take(&mut self.revoking);
                    self.owned.active.retain(|task| !revoked.contains(task));
                    self.is_settled = false;
                    self.must_tell = true;
                    self.next_ms = now_ms;
                }
                Order::Shutdown => {
                    self.ends_application = true;
                    self.must_tell = true;
                    self.next_ms = now_ms;
                }
                Order::Leave(departure, slot) => self.depart(departure, slot, now_ms),
            }
        }
        shared.epoch = if self.state == State::Outside { LEAVE } else { self.epoch };
    }

    fn depart(&mut self, departure: Departure, slot: Slot<()>, now_ms: i64) {
        let is_static = self.config.instance_id.is_some();
        if self.state == State::Outside || departure == Departure::Remain && !is_static {
            self.outside();
            slot.end(Ok(()));
            return;
        }
        self.state = State::Leaving;
        self.leaving = Some((slot, now_ms + LEAVE_TIMEOUT_MS));
        self.goodbye = if is_static && departure != Departure::Leave { Goodbye::Return } else { Goodbye::Leave };
        self.others = (departure == Departure::LeaveToOthers && !is_static).then(Others::default);
        self.closed = None;
        // Whatever is answered now is no answer to this.
        self.under_way = None;
        self.next_ms = now_ms;
    }

    /// Not a member any more.
    fn outside(&mut self) {
        self.state = State::Outside;
        self.epoch = JOIN;
        self.under_way = None;
        self.others = None;
        self.renewal = None;
        self.adoption = None;
        self.endpoint_epoch = -1;
        self.target = None;
        self.owned = Tasks::default();
        self.revoking.clear();
        self.is_settled = false;
        self.must_tell = true;
        self.statuses.clear();
    }

    pub(super) fn event(&self, event: MemberEvent) {
        let mut shared = lock(&self.shared);
        // Who has begun anew is told nothing of the membership before.
        if !shared.orders.iter().any(|order| matches!(order, Order::Join(_))) {
            shared.events.push_back(event);
        }
    }

    fn take_answer(&mut self, client: &mut Client) {
        let Some(answer) = self.under_way.as_ref().and_then(Ticket::take) else { return };
        self.under_way = None;
        let now_ms = client.now().mono_ms();
        self.next_ms = now_ms + client.options().retry_backoff_ms;
        if self.state == State::Leaving {
            let may_retry = match &answer {
                Ok(response) => ErrorCode(response.error_code).is_retriable(),
                Err(error) => error.is_retriable(),
            };
            if may_retry && self.leaving.is_some() {
                client.forget_coordinator(CoordinatorKind::Group, &self.config.group);
            } else {
                // Whatever the answer: a member that is not known has left.
                self.left();
            }
            return;
        }
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
                ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_MEMBER_EPOCH => self.expelled(),
                // With its group, the membership is gone. Who joins is told so of a group of another protocol.
                ErrorCode::GROUP_ID_NOT_FOUND if self.state == State::Member => self.expelled(),
                code if code.is_retriable() || self.may_pass(code, now_ms) => {
                    client.forget_coordinator(CoordinatorKind::Group, &self.config.group);
                    self.must_tell = true;
                }
                code if self.may_adopt(code, response.error_message.as_deref()) => {
                    self.adoption = Some(Adoption::new(code, response.error_message));
                }
                code => self.refused(code, response.error_message.as_deref(), None),
            },
        }
    }

    fn expelled(&mut self) {
        self.outside();
        self.event(MemberEvent::Lost);
    }

    /// Whether this is a failure of the broker itself that has not lasted: one that could not assign, say.
    fn may_pass(&mut self, code: ErrorCode, now_ms: i64) -> bool {
        code == ErrorCode::UNKNOWN_SERVER_ERROR && now_ms - *self.fails_since_ms.get_or_insert(now_ms) < PATIENCE_MS
    }

    fn answered(&mut self, client: &mut Client, response: StreamsGroupHeartbeatResponse) {
        let now_ms = client.now().mono_ms();
        let has_joined = self.state == State::Joining;
        self.state = State::Member;
        self.fails_since_ms = None;
        self.epoch = response.member_epoch;
        client.set_member_epoch(&self.config.member_id, self.epoch, has_joined);
        lock(&self.shared).epoch = self.epoch;
        if response.heartbeat_interval_ms > 0 {
            self.interval_ms = i64::from(response.heartbeat_interval_ms);
        }
        self.until_ms = self.sent_ms + self.interval_ms * HALF_INTERVALS_TRUSTED / 2;
        self.take_statuses(response.status.unwrap_or_default(), now_ms);
        self.next_ms =
            now_ms + if self.is_delayed() { DELAYED_INTERVAL_MS.min(self.interval_ms) } else { self.interval_ms };
        let kinds = [response.active_tasks, response.standby_tasks, response.warmup_tasks];
        if kinds.iter().any(Option::is_some) {
            let target = self.target.get_or_insert_default();
            for (known, told) in [&mut target.active, &mut target.standby, &mut target.warm_up].into_iter().zip(kinds) {
                if let Some(told) = told {
                    *known = heard(&told);
                }
            }
        }
        if has_joined {
            // Tasks of closed members are free when these have been released.
            let free_ms = self.closed.as_ref().map_or(now_ms, |closed| closed.not_before_ms);
            self.first_tasks_until = free_ms + FIRST_TASKS_MS;
        }
        if self.target.as_ref().is_some_and(|target| *target != Tasks::default()) {
            self.first_tasks_until = i64::MIN;
        }
        if now_ms < self.first_tasks_until {
            self.next_ms = now_ms + DELAYED_INTERVAL_MS.min(self.interval_ms);
        }
        self.endpoint_epoch = response.endpoint_information_epoch;
        if let Some(told) = response.partitions_by_user_endpoint {
            self.event(MemberEvent::Endpoints(endpoints::heard(told)));
        }
        self.reconcile(now_ms);
        if self.must_tell {
            self.next_ms = now_ms;
        }
    }

    /// Moves what the stream thread runs towards what it is to run: first it gives up, then it gets.
    fn reconcile(&mut self, now_ms: i64) {
        let Some(target) = self.target.clone().filter(|_| self.revoking.is_empty()) else { return };
        let revoked: Vec<TaskId> = self.owned.active.difference(&target.active).copied().collect();
        if !revoked.is_empty() {
            self.revoking.extend(&revoked);
            self.event(MemberEvent::Revoke { tasks: revoked });
            return;
        }
        if self.is_settled && self.owned == target {
            return;
        }
        // A group that assigns nothing yet has not told what there is to run.
        let may_wait = !self.statuses.is_empty() || now_ms < self.first_tasks_until;
        if !self.is_settled && may_wait && target == Tasks::default() {
            return;
        }
        self.is_settled = true;
        if self.owned != target {
            self.must_tell = true;
            self.next_ms = now_ms;
            self.owned.clone_from(&target);
        }
        let standby = target.copies();
        self.event(MemberEvent::Assigned { active: target.active.into_iter().collect(), standby });
    }

    pub(super) fn fail(&mut self, failure: Failure) {
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
        let limit = self.config.max_poll_interval_ms;
        if self.state == State::Member && polled_ms.is_some_and(|polled| now_ms - polled > limit) {
            tracing::warn!(
                member = %self.config.member_id,
                "the stream thread has not polled for {limit} ms: the member leaves its group, as max.poll.interval.ms asks"
            );
            self.state = State::Leaving;
            self.goodbye = if self.config.instance_id.is_some() { Goodbye::Return } else { Goodbye::Leave };
            self.leaving = None;
            self.under_way = None;
            self.next_ms = now_ms;
            self.event(MemberEvent::Lost);
        }
    }
}

impl Actor for Heartbeats {
    fn turn(&mut self, client: &mut Client) -> Turn {
        let turn = self.beat(client);
        let is_member = self.state == State::Member;
        client.set_member_until(&self.config.member_id, if is_member { self.until_ms } else { i64::MIN });
        turn
    }
}

impl Heartbeats {
    fn beat(&mut self, client: &mut Client) -> Turn {
        client.name_process(&self.config.group, &self.config.process_id);
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
        if let Some(others) = &mut self.others {
            match others.turn(client, &self.config) {
                None => return Turn::Until(others.due_ms().min(now_ms + self.interval_ms)),
                Some(true) => self.others = None,
                Some(false) => {
                    tracing::debug!(member = %self.config.member_id, "nobody is there to leave to: the membership stays");
                    self.others = None;
                    self.goodbye = Goodbye::Stay;
                    if self.epoch <= JOIN {
                        self.left();
                        return Turn::Until(i64::MAX);
                    }
                }
            }
        }
        if let Some(strays) = self.strays.as_mut().filter(|_| self.state == State::Joining) {
            if !strays.turn(client, &self.config) {
                return Turn::Until(strays.due_ms().min(now_ms + self.interval_ms));
            }
            self.closed = strays.has_closed.then(|| Leftovers::closed(now_ms));
            self.strays = None;
        }
        if let Some(closed) = self.closed.as_mut().filter(|_| self.state == State::Member)
            && closed.turn(client, &self.config)
        {
            self.closed = None;
            // Their tasks are ours, perhaps.
            self.next_ms = now_ms;
        }
        if let Some(due_ms) = self.adopt(client).or_else(|| self.renew(client)) {
            return Turn::Until(due_ms.min(now_ms + self.interval_ms));
        }
        let mut pause_until = i64::MIN;
        if self.under_way.is_none() && now_ms >= self.next_ms {
            if self.state == State::Joining {
                self.renewals_known = self.renewals.ended(&self.config.group);
            }
            if let Some(node) = client.coordinator(CoordinatorKind::Group, &self.config.group) {
                self.under_way = Some(client.send_as(node, self.request(), &self.client_suffix));
                // What changes from now on is told with the next one, whatever is answered to this one.
                (self.sent_ms, self.must_tell) = (now_ms, false);
            } else {
                // It stays due: why there is no coordinator is known only until it is asked for again.
                pause_until = now_ms + client.options().retry_backoff_ms;
                if let Some(failure) = client.coordinator_failure(CoordinatorKind::Group, &self.config.group) {
                    self.fail(failure);
                }
            }
        }
        let leave_until = self.leaving.as_ref().map_or(i64::MAX, |(_, until)| *until);
        let next = if self.under_way.is_some() { i64::MAX } else { self.next_ms.max(pause_until) };
        let closed = self.closed.as_ref().filter(|_| self.state == State::Member);
        let next = next.min(closed.map_or(i64::MAX, Leftovers::due_ms));
        Turn::Until(next.min(leave_until).min(now_ms + self.interval_ms))
    }
}
