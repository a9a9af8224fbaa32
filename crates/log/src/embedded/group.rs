//! One group: its members, who runs what, and its committed offsets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millstream_assign::Task;
use millstream_types::{TaskId, TopicPartition};

use super::failure::{Answer, fenced};
use crate::seam::{CommittedOffset, GroupMetadata, GroupTopology, MemberConfig, MemberEvent, SHUTDOWN_APPLICATION};

/// A group. Knows no time but what it is told, in ms of the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Moves with every change of members or topology.
    epoch: i32,
    members: BTreeMap<Arc<str>, Membership>,
    topology: GroupTopology,
    /// The member that asked for the end of the application; forgotten once the group is empty.
    shutdown: Option<Arc<str>>,
    /// Copies to keep of each stateful task, as the newest member says.
    standby_replicas: usize,
    /// Owner of each task; a task to be moved stays with its owner until that one has let go.
    owners: BTreeMap<TaskId, Arc<str>>,
    /// Committed offsets.
    pub(super) offsets: BTreeMap<TopicPartition, CommittedOffset>,
}

#[derive(Debug)]
struct Membership {
    /// Tells a member from an earlier one with the same id.
    incarnation: u64,
    process_id: Arc<str>,
    session_timeout_ms: i64,
    seen_ms: i64,
    /// Group epoch of the last assignment.
    epoch: i32,
    /// Commits with an older epoch are fenced: tasks were given away since.
    fence: i32,
    /// Tasks it is to have.
    target: BTreeSet<TaskId>,
    /// Tasks it is to keep a copy of, and those it was told to.
    standby: BTreeSet<TaskId>,
    told_standby: BTreeSet<TaskId>,
    /// Tasks it was told it has; nothing yet before the first assignment.
    told: Option<BTreeSet<TaskId>>,
    /// Tasks it was told to give up.
    revoking: BTreeSet<TaskId>,
    /// Whether it was told that the application is to end.
    is_told_to_end: bool,
    /// After a revocation it is told what it has even if that is no news: the rebalance is over.
    is_settled: bool,
}

/// How a member stands after a poll.
pub(super) enum Standing {
    /// A member, with this epoch; and what is new.
    Member(i32, Option<MemberEvent>),
    /// Expelled, or another one has its id.
    Lost,
}

impl Group {
    /// Adds a member; the newest topology counts for all.
    pub(super) fn join(&mut self, config: &MemberConfig, incarnation: u64, topology: GroupTopology, now_ms: i64) {
        self.remove(&config.member_id);
        let membership = Membership {
            incarnation,
            process_id: config.process_id.clone(),
            // A member shows its life in each step, so a closure that runs long must not cost it its tasks before
            // `max.poll.interval.ms`, as in Kafka.
            session_timeout_ms: config.session_timeout_ms.max(config.max_poll_interval_ms),
            seen_ms: now_ms,
            epoch: 0,
            fence: i32::MAX,
            target: BTreeSet::new(),
            standby: BTreeSet::new(),
            told_standby: BTreeSet::new(),
            told: None,
            revoking: BTreeSet::new(),
            is_told_to_end: false,
            is_settled: false,
        };
        self.members.insert(config.member_id.clone(), membership);
        self.topology = topology;
        self.standby_replicas = config.standby_replicas;
        self.assign();
    }

    /// A heartbeat: gives the member's epoch and at most one thing it is to know.
    pub(super) fn heartbeat(&mut self, member_id: &Arc<str>, incarnation: u64, now_ms: i64) -> Standing {
        let Some(member) = self.members.get_mut(member_id).filter(|member| member.incarnation == incarnation) else {
            return Standing::Lost;
        };
        member.seen_ms = member.seen_ms.max(now_ms);
        if let Some(by) = self.shutdown.as_ref().filter(|_| !member.is_told_to_end) {
            member.is_told_to_end = true;
            let detail = format!("member {by} asked that the whole application ends");
            return Standing::Member(member.epoch, Some(MemberEvent::Status { code: SHUTDOWN_APPLICATION, detail }));
        }
        if !member.revoking.is_empty() {
            return Standing::Member(member.epoch, None);
        }
        let told = member.told.clone().unwrap_or_default();
        let tasks: Vec<TaskId> = told.difference(&member.target).copied().collect();
        if !tasks.is_empty() {
            member.revoking.extend(&tasks);
            return Standing::Member(member.epoch, Some(MemberEvent::Revoke { tasks }));
        }
        // What others still run comes when they have let go.
        let owners = &self.owners;
        let active: BTreeSet<TaskId> = member
            .target
            .iter()
            .filter(|task| owners.get(task).is_none_or(|owner| owner == member_id))
            .copied()
            .collect();
        member.epoch = self.epoch;
        if member.told.is_none() {
            member.fence = self.epoch;
        }
        if member.is_settled && member.told.as_ref() == Some(&active) && member.told_standby == member.standby {
            return Standing::Member(member.epoch, None);
        }
        for task in &active {
            self.owners.insert(*task, member_id.clone());
        }
        let event = MemberEvent::Assigned {
            active: active.iter().copied().collect(),
            standby: member.standby.iter().copied().collect(),
        };
        member.told_standby.clone_from(&member.standby);
        member.told = Some(active);
        member.is_settled = true;
        Standing::Member(self.epoch, Some(event))
    }

    /// The member has let go of what it was told to; gives its new epoch.
    pub(super) fn revoked(&mut self, member_id: &Arc<str>, incarnation: u64) -> Option<i32> {
        let member = self.members.get_mut(member_id).filter(|member| member.incarnation == incarnation)?;
        let revoking = std::mem::take(&mut member.revoking);
        if let Some(told) = &mut member.told {
            told.retain(|task| !revoking.contains(task));
        }
        for task in &revoking {
            self.owners.remove(task);
        }
        member.is_settled &= revoking.is_empty();
        member.epoch = self.epoch;
        member.fence = self.epoch;
        Some(member.epoch)
    }

    /// Has every member told that the application is to end.
    pub(super) fn request_shutdown(&mut self, member_id: &Arc<str>, incarnation: u64) {
        if self.members.get(member_id).is_some_and(|member| member.incarnation == incarnation) {
            self.shutdown.get_or_insert_with(|| Arc::clone(member_id));
        }
    }

    /// Removes a member; its tasks are free at once.
    pub(super) fn leave(&mut self, member_id: &Arc<str>, incarnation: u64) -> bool {
        let is_member = self.members.get(member_id).is_some_and(|member| member.incarnation == incarnation);
        if is_member {
            self.remove(member_id);
            self.assign();
        }
        is_member
    }

    /// Expels the members that were silent for too long; whether there were any.
    pub(super) fn expel(&mut self, now_ms: i64) -> bool {
        let silent: Vec<Arc<str>> = self
            .members
            .iter()
            .filter(|(_, member)| now_ms.saturating_sub(member.seen_ms) > member.session_timeout_ms)
            .map(|(id, _)| id.clone())
            .collect();
        for member in &silent {
            tracing::warn!(%member, "a group member was silent for longer than its session timeout and is expelled");
            self.remove(member);
        }
        if !silent.is_empty() {
            self.assign();
        }
        !silent.is_empty()
    }

    /// Whether nobody is a member.
    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether this proof of membership holds. Who never joined may commit only while the group has
    /// no members, as a consumer without a group in Kafka.
    pub(super) fn check(&self, proof: &GroupMetadata) -> Answer<()> {
        if proof.member_id.is_empty() && proof.epoch < 0 && self.is_empty() {
            return Ok(());
        }
        match self.members.get(&proof.member_id) {
            Some(member) if (member.fence..=member.epoch).contains(&proof.epoch) => Ok(()),
            Some(member) => Err(fenced(format!(
                "member {} of group {} committed with epoch {}, its epoch is {}",
                proof.member_id, proof.group, proof.epoch, member.epoch
            ))),
            None => Err(fenced(format!("member {} was expelled from group {}", proof.member_id, proof.group))),
        }
    }

    fn remove(&mut self, member_id: &Arc<str>) {
        self.members.remove(member_id);
        if self.members.is_empty() {
            self.shutdown = None;
        }
        self.owners.retain(|_, owner| owner != member_id);
    }

    /// Decides anew who is to have what.
    fn assign(&mut self) {
        self.epoch = self.epoch.saturating_add(1);
        let tasks: Vec<Task> = self
            .topology
            .subtopologies
            .iter()
            .flat_map(|facts| {
                let task =
                    |partition| Task { id: TaskId { subtopology: facts.id, partition }, is_stateful: facts.stateful };
                (0..facts.tasks).map(task)
            })
            .collect();
        // A task that nobody owns yet but somebody is promised counts as that one's.
        let members: Vec<millstream_assign::Member> = self
            .members
            .iter()
            .map(|(id, member)| {
                let promised = member.target.iter().filter(|task| !self.owners.contains_key(task));
                let owned = self.owners.iter().filter(|(_, owner)| *owner == id).map(|(task, _)| task);
                millstream_assign::Member {
                    id: id.clone(),
                    process: member.process_id.clone(),
                    current: owned.chain(promised).copied().collect(),
                    standby: member.told_standby.iter().copied().collect(),
                }
            })
            .collect();
        let active = millstream_assign::assign(&tasks, &members);
        let standby = millstream_assign::assign_standbys(&tasks, &members, &active, self.standby_replicas);
        for (member, (target, standby)) in self.members.values_mut().zip(active.into_iter().zip(standby)) {
            member.target = target.into_iter().collect();
            member.standby = standby.into_iter().collect();
        }
    }
}
