//! Making a group anew: its committed offsets stay, the topology its members agreed on is forgotten.
//!
//! ```text
//! describe GROUP       members of other processes: refused; those of our own process leave, and those that were closed
//! fetch    GROUP
//! fetch    GROUP-renewal   what an attempt that was cut short has left, and the group lacks, is kept with the others
//! commit   GROUP-renewal   where the group has offsets
//! delete   GROUP
//! commit   GROUP
//! delete   GROUP-renewal
//! ```
//!
//! At every moment one of the two groups has the offsets, so that it may be begun again whenever it was cut
//! short, by whomever. A member that is told no offset of an input asks the second group, too
//! ([`Admin::set_aside`](millstream_log::Admin::set_aside)): one that joins a group which was just deleted, or whose
//! renewal nobody has begun again, goes on where the last members stopped.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use millstream_log::{CommittedOffset, Failure, FailureKind, GroupMetadata};
use millstream_types::{Error, ErrorKind, Offset, TopicPartition};

use crate::client::{Client, CoordinatorKind};
use crate::failure::retriable;
use crate::group::{Offsets, commit, describe, is_closed, release};
use crate::protocol::messages::delete_groups::DeleteGroupsRequest;
use crate::protocol::messages::offset_commit::OffsetCommitRequest;
use crate::protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponse};
use crate::protocol::messages::streams_group_describe::{DescribedGroup, Member, StreamsGroupDescribeRequest};
use crate::protocol::messages::streams_group_heartbeat::StreamsGroupHeartbeatRequest;
use crate::protocol::{ErrorCode, Request};
use crate::tries::{At, Tries, Verdict};

/// One renewal.
pub(crate) struct Renewal {
    group: Arc<str>,
    /// Keeps the offsets while the group is gone.
    saved: Arc<str>,
    /// Members of this process are dead: it starts.
    process_id: Option<Arc<str>>,
    step: Step,
    offsets: Offsets,
    /// Whether nothing was found once: somebody else may have written back between the two questions.
    was_empty: bool,
    /// Whether the brokers know no such group.
    is_missing: bool,
}

type Asked<R> = Box<Tries<R>>;

enum Step {
    Describe(Asked<StreamsGroupDescribeRequest>),
    /// Dead members, and the one that leaves.
    Release(Vec<String>, Asked<StreamsGroupHeartbeatRequest>),
    Fetch(Asked<OffsetFetchRequest>),
    FetchSaved(Asked<OffsetFetchRequest>),
    Save(Asked<OffsetCommitRequest>),
    Delete(Asked<DeleteGroupsRequest>),
    WriteBack(Asked<OffsetCommitRequest>),
    Forget(Asked<DeleteGroupsRequest>),
}

/// The renewals that members of one process make: one after the other, and none for a member that only has not
/// heard of the last one. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Renewals(Arc<Mutex<BTreeMap<Arc<str>, Known>>>);

#[derive(Clone, Copy, Default)]
struct Known {
    is_under_way: bool,
    ended: u64,
}

/// The right to make a group anew; given back when dropped.
pub(crate) struct RenewalRight {
    renewals: Renewals,
    group: Arc<str>,
}

impl Renewals {
    /// How many have ended.
    pub(crate) fn ended(&self, group: &str) -> u64 {
        self.lock().get(group).copied().unwrap_or_default().ended
    }

    /// The right to make one; `None` when one is under way, or has ended since this many had.
    pub(crate) fn begin(&self, group: &Arc<str>, ended: u64) -> Option<RenewalRight> {
        let mut all = self.lock();
        let known = all.entry(Arc::clone(group)).or_default();
        if known.ended != ended || std::mem::replace(&mut known.is_under_way, true) {
            return None;
        }
        Some(RenewalRight { renewals: self.clone(), group: Arc::clone(group) })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RenewalRight {
    fn drop(&mut self) {
        if let Some(known) = self.renewals.lock().get_mut(&self.group) {
            *known = Known { is_under_way: false, ended: known.ended + 1 };
        }
    }
}

/// What a step came to.
enum Next {
    Wait,
    Go(Step),
    End(Result<usize, Failure>),
}

impl Renewal {
    /// `process_id`: of a process that starts, whose members in the group are left from an earlier run.
    pub(crate) fn new(group: Arc<str>, process_id: Option<Arc<str>>) -> Self {
        let saved = saved_group(&group);
        Self {
            group,
            saved,
            process_id,
            step: Step::Describe(Asked::default()),
            offsets: Vec::new(),
            was_empty: false,
            is_missing: false,
        }
    }

    /// Goes on. Gives the number of partitions whose offsets were kept.
    pub(crate) fn turn(&mut self, client: &mut Client) -> Option<Result<usize, Failure>> {
        loop {
            match self.advance(client) {
                Next::Wait => return None,
                Next::Go(step) => self.step = step,
                Next::End(result) => return Some(result),
            }
        }
    }

    /// Begins again; what was done stays done.
    pub(crate) fn restart(&mut self) {
        self.step = Step::Describe(Asked::default());
        self.offsets.clear();
        self.was_empty = false;
    }

    /// When the next try is due, in ms.
    pub(crate) fn due_ms(&self) -> i64 {
        match &self.step {
            Step::Describe(tries) => tries.due_ms(),
            Step::Release(_, tries) => tries.due_ms(),
            Step::Fetch(tries) | Step::FetchSaved(tries) => tries.due_ms(),
            Step::Save(tries) | Step::WriteBack(tries) => tries.due_ms(),
            Step::Delete(tries) | Step::Forget(tries) => tries.due_ms(),
        }
    }

    fn advance(&mut self, client: &mut Client) -> Next {
        let (group, saved) = (Arc::clone(&self.group), Arc::clone(&self.saved));
        match &mut self.step {
            Step::Describe(tries) => then(describe(tries, client, &group, present), |groups| {
                self.is_missing =
                    groups.iter().all(|group| ErrorCode(group.error_code) == ErrorCode::GROUP_ID_NOT_FOUND);
                self.described(&groups)
            }),
            Step::Release(members, tries) => {
                let Some(member) = members.last() else { return Next::Go(Step::Describe(Asked::default())) };
                // Whatever the answer: the group is described again.
                if !release(tries, client, &group, member) {
                    return Next::Wait;
                }
                members.pop();
                Next::Go(Step::Release(std::mem::take(members), Asked::default()))
            }
            Step::Fetch(tries) => {
                let answer = fetch(tries, client, "asking for the group's offsets", &group);
                then(answer, |offsets| {
                    self.offsets = offsets;
                    Next::Go(Step::FetchSaved(Asked::default()))
                })
            }
            Step::FetchSaved(tries) => {
                let answer = fetch(tries, client, "asking for saved offsets", &saved);
                then(answer, |kept| {
                    if !self.offsets.is_empty() {
                        return match with_kept(&group, &saved, &mut self.offsets, kept) {
                            Ok(()) => Next::Go(Step::Save(Asked::default())),
                            Err(failure) => Next::End(Err(failure)),
                        };
                    }
                    if !kept.is_empty() {
                        self.offsets = kept;
                        return Next::Go(Step::Delete(Asked::default()));
                    }
                    if !std::mem::replace(&mut self.was_empty, true) {
                        return Next::Go(Step::Fetch(Asked::default()));
                    }
                    // A member that was refused knows that there was one; another may have deleted it meanwhile.
                    if self.is_missing && self.process_id.is_none() {
                        return Next::End(Err(unknown(&group)));
                    }
                    Next::Go(Step::Delete(Asked::default()))
                })
            }
            Step::Save(tries) => {
                let answer = write(tries, client, "saving the group's offsets", &saved, &self.offsets);
                then(answer, |()| Next::Go(Step::Delete(Asked::default())))
            }
            Step::Delete(tries) => {
                let answer = delete(tries, client, "deleting the group", &group);
                then(answer, |()| Next::Go(Step::WriteBack(Asked::default())))
            }
            Step::WriteBack(_) if self.offsets.is_empty() => Next::End(Ok(0)),
            Step::WriteBack(tries) => {
                let what = "writing the group's offsets back";
                let answer = write(tries, client, what, &group, &self.offsets)
                    // A group with members takes offsets of nobody else.
                    .map(|answer| answer.map_err(|failure| unless_joined(failure, what, &group)));
                then(answer, |()| Next::Go(Step::Forget(Asked::default())))
            }
            Step::Forget(tries) => {
                let answer = delete(tries, client, "deleting the saved offsets", &saved);
                then(answer, |()| Next::End(Ok(self.offsets.len())))
            }
        }
    }

    fn described(&self, groups: &[DescribedGroup]) -> Next {
        let is_own = |member: &&Member| {
            is_closed(member) || self.process_id.as_ref().is_some_and(|id| **id == *member.process_id)
        };
        let members = groups.iter().flat_map(|group| &group.members);
        let (own, others): (Vec<&Member>, Vec<&Member>) = members.partition(is_own);
        if !others.is_empty() {
            return Next::End(Err(occupied(&self.group, &others)));
        }
        if own.is_empty() {
            return Next::Go(Step::Fetch(Asked::default()));
        }
        let ids = own.into_iter().map(|member| member.member_id.clone()).collect();
        Next::Go(Step::Release(ids, Asked::default()))
    }
}

/// The group that keeps the offsets of another one while that is made anew.
pub(crate) fn saved_group(group: &str) -> Arc<str> {
    format!("{group}-renewal").into()
}

/// Adds what an earlier renewal has left and the group lacks.
///
/// # Errors
/// Where the group is behind what was left: somebody has begun again who did not know of it, and nobody but people
/// can tell which of the two counts.
fn with_kept(group: &str, saved: &str, offsets: &mut Offsets, kept: Offsets) -> Result<(), Failure> {
    let known: BTreeMap<&TopicPartition, Offset> = offsets.iter().map(|(at, known)| (at, known.offset)).collect();
    let behind = kept.iter().find_map(|(at, kept)| {
        known.get(at).filter(|known| **known < kept.offset).map(|known| (at, known, kept.offset))
    });
    if let Some((partition, known, kept)) = behind {
        return Err(behind_kept(group, saved, partition, *known, kept));
    }
    let missing: Offsets = kept.into_iter().filter(|(at, _)| !known.contains_key(at)).collect();
    offsets.extend(missing);
    Ok(())
}

fn behind_kept(group: &str, saved: &str, partition: &TopicPartition, known: Offset, kept: Offset) -> Failure {
    let message = format!(
        "group {group} has offset {known} of {partition}, and a renewal of it that was cut short has kept {kept} in group {saved}: \
         the application has begun again without the offsets that were kept. To go on where the group is, delete the \
         other one (kafka-consumer-groups.sh --delete --group {saved}); to go on at what was kept, delete group {group} \
         with kafka-streams-groups.sh; then renew it again"
    );
    Failure {
        kind: FailureKind::Fatal,
        error: Error::new(ErrorKind::Fatal, message).with_context(|context| {
            context.topic = Some(Arc::clone(&partition.topic));
            context.partition = Some(partition.partition);
        }),
    }
}

/// Somebody has joined meanwhile: perhaps another instance that made the group anew.
fn joined(what: &str, group: &str) -> Failure {
    retriable(format!("{what}: an instance of {group} has joined meanwhile"))
}

/// What a refusal means that comes to who is no member.
fn unless_joined(failure: Failure, what: &str, group: &str) -> Failure {
    if failure.kind == FailureKind::Fenced { joined(what, group) } else { failure }
}

fn then<T>(answer: Option<Result<T, Failure>>, next: impl FnOnce(T) -> Next) -> Next {
    match answer {
        None => Next::Wait,
        Some(Err(failure)) => Next::End(Err(failure)),
        Some(Ok(answer)) => next(answer),
    }
}

/// A group that does not exist is as good as one that is empty.
fn present(code: i16) -> i16 {
    if ErrorCode(code) == ErrorCode::GROUP_ID_NOT_FOUND { 0 } else { code }
}

fn ask<R: Request + Send + 'static, V: Into<Verdict>>(
    tries: &mut Tries<R>,
    client: &mut Client,
    what: &str,
    group: &Arc<str>,
    request: R,
    verdict: impl FnOnce(&R::Response) -> V,
) -> Option<Result<R::Response, Failure>>
where
    R::Response: Send,
{
    tries.turn(client, what, At::Coordinator(CoordinatorKind::Group, group), i16::MAX, || request, verdict)
}

/// All offsets of a group.
fn fetch(
    tries: &mut Tries<OffsetFetchRequest>,
    client: &mut Client,
    what: &str,
    group: &Arc<str>,
) -> Option<Result<Offsets, Failure>> {
    let all = OffsetFetchRequestGroup { group_id: group.to_string(), topics: None, ..Default::default() };
    // Waits for transactions that may still change them (KIP-447).
    let request = OffsetFetchRequest { groups: vec![all], require_stable: true };
    let answer = ask(tries, client, what, group, request, |answer| {
        let topics = answer.groups.iter().flat_map(|group| &group.topics);
        let partitions = topics.flat_map(|topic| &topic.partitions).map(|partition| partition.error_code);
        Verdict::of_group(answer.groups.iter().map(|group| present(group.error_code)), partitions)
    })?;
    Some(answer.map(offsets))
}

fn offsets(answer: OffsetFetchResponse) -> Offsets {
    let topics = answer.groups.into_iter().flat_map(|group| group.topics);
    let of_topic = topics.flat_map(|topic| {
        let name: Arc<str> = topic.name.into();
        let committed = topic.partitions.into_iter().filter(|partition| partition.committed_offset >= 0);
        committed.map(move |partition| {
            let at = TopicPartition::new(Arc::clone(&name), partition.partition_index);
            let committed = CommittedOffset {
                offset: Offset(partition.committed_offset),
                leader_epoch: partition.committed_leader_epoch,
                metadata: partition.metadata.unwrap_or_default(),
            };
            (at, committed)
        })
    });
    of_topic.collect()
}

fn write(
    tries: &mut Tries<OffsetCommitRequest>,
    client: &mut Client,
    what: &str,
    group: &Arc<str>,
    offsets: &Offsets,
) -> Option<Result<(), Failure>> {
    // Nobody is a member.
    let by = GroupMetadata { group: Arc::clone(group), member_id: "".into(), epoch: -1 };
    commit(tries, client, what, &by, offsets)
}

fn delete(
    tries: &mut Tries<DeleteGroupsRequest>,
    client: &mut Client,
    what: &str,
    group: &Arc<str>,
) -> Option<Result<(), Failure>> {
    let request = DeleteGroupsRequest { groups_names: vec![group.to_string()] };
    let mut is_occupied = false;
    let answer = ask(tries, client, what, group, request, |answer| {
        let verdict = Verdict::of_group(answer.results.iter().map(|result| present(result.error_code)), []);
        is_occupied = matches!(verdict, Verdict::Refused(ErrorCode::NON_EMPTY_GROUP, _));
        verdict
    })?;
    Some(answer.map(drop).map_err(|failure| if is_occupied { joined(what, group) } else { failure }))
}

/// Nothing to renew, and nothing that a renewal cut short has left.
fn unknown(group: &str) -> Failure {
    let message = format!(
        "there is no group {group} on these brokers, and nothing was saved of one: is this the application.id that the \
         application runs with?"
    );
    Failure { kind: FailureKind::Fatal, error: Error::new(ErrorKind::Configuration, message) }
}

/// Members of other processes may be alive.
fn occupied(group: &str, members: &[&Member]) -> Failure {
    let told: Vec<String> =
        members.iter().map(|member| format!("{} ({})", member.member_id, member.client_host)).collect();
    let message = format!(
        "group {group} has members: {}; stop all instances first; one that was killed lately stays a member \
         until its session ends (group.streams.session.timeout.ms of the brokers, 45 s)",
        told.join(", ")
    );
    Failure { kind: FailureKind::Fatal, error: Error::new(ErrorKind::State, message) }
}
