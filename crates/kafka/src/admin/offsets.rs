//! Calls about offsets. Those of partitions are asked of their leaders, those of a group of its
//! coordinator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use millstream_log::{CommittedOffset, Failure, OffsetSpec};
use millstream_types::{Offset, TopicPartition};

use super::operation::{Asked, Step};
use crate::by_topic::by_topic;
use crate::client::{Client, CoordinatorKind, Lane, Node, Ticket, TopicState};
use crate::failure::{refused, retriable, unanswered};
use crate::protocol::messages::delete_records::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use crate::protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use crate::protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
};
use crate::protocol::{ErrorCode, Request};

/// The first offset.
const EARLIEST: i64 = -2;
/// The end.
const LATEST: i64 = -1;
const TIMEOUT_MS: i32 = 30_000;

/// Partitions, by the broker that leads them; `None` while leaders are not known.
fn by_leader<T: Clone>(
    client: &mut Client,
    partitions: &[(TopicPartition, T)],
) -> Result<Option<BTreeMap<i32, Vec<(TopicPartition, T)>>>, Failure> {
    let mut groups: BTreeMap<i32, Vec<(TopicPartition, T)>> = BTreeMap::new();
    let mut is_complete = true;
    for (partition, what) in partitions {
        client.want_topic(&partition.topic);
        let leader = client.cluster().leader(&partition.topic, partition.partition.0);
        if let Some(broker) = leader.and_then(|leader| leader.broker) {
            groups.entry(broker).or_default().push((partition.clone(), what.clone()));
            continue;
        }
        let missing = match client.cluster().topic(&partition.topic) {
            Some(TopicState::Missing(code)) => Some(*code),
            _ => None,
        };
        client.refresh_metadata();
        if let Some(code) = missing {
            return Err(refused(&format!("asking for {partition}"), code, None));
        }
        is_complete = false;
    }
    Ok(is_complete.then_some(groups))
}

/// One request to each leader.
pub(super) struct Leaders<R> {
    lane: Lane,
    tickets: Option<Vec<Ticket<R>>>,
    /// Partitions that no answer has named yet.
    open: BTreeSet<TopicPartition>,
}

impl<R> Default for Leaders<R> {
    fn default() -> Self {
        Self::over(Lane::CONTROL)
    }
}

impl<R> Leaders<R> {
    /// Asks over these connections.
    fn over(lane: Lane) -> Self {
        Self { lane, tickets: None, open: BTreeSet::new() }
    }
}

impl<R: Request + Send + 'static> Leaders<R>
where
    R::Response: Send,
{
    /// Asks the leaders, then takes answers as they come. Done when none is missing. `read` gives the
    /// partitions that an answer names.
    pub(super) fn turn<T: Clone>(
        &mut self,
        client: &mut Client,
        what: &str,
        partitions: &[(TopicPartition, T)],
        request: impl Fn(Vec<(TopicPartition, T)>) -> R,
        mut read: impl FnMut(&mut Client, R::Response) -> Result<Vec<TopicPartition>, Failure>,
    ) -> Option<Result<(), Failure>> {
        let Some(tickets) = &mut self.tickets else {
            let groups = match by_leader(client, partitions) {
                Ok(groups) => groups?,
                Err(failure) => return Some(Err(failure)),
            };
            let lane = self.lane;
            let send = |(broker, partitions)| client.send(Node::Broker(broker, lane), request(partitions));
            self.tickets = Some(groups.into_iter().map(send).collect());
            self.open = partitions.iter().map(|(partition, _)| partition.clone()).collect();
            return None;
        };
        let mut failure = None;
        tickets.retain(|ticket| match ticket.take() {
            None => true,
            Some(answer) => {
                let result = answer.map_err(|error| unanswered(what, error, false));
                match result.and_then(|answer| read(client, answer)) {
                    Ok(named) => named.iter().for_each(|partition| _ = self.open.remove(partition)),
                    Err(found) => failure = Some(found),
                }
                false
            }
        });
        match (failure, self.open.first()) {
            (Some(failure), _) => Some(Err(failure)),
            (None, _) if !tickets.is_empty() => None,
            (None, Some(open)) => Some(Err(left_out(what, open))),
            (None, None) => Some(Ok(())),
        }
    }
}

/// An answer says nothing of what was asked.
fn left_out(what: &str, partition: &TopicPartition) -> Failure {
    retriable(format!("{what}: the broker's answer leaves out {partition}"))
}

/// An error of one partition; one that has moved is looked for anew.
pub(super) fn partition_error(
    client: &mut Client,
    what: &str,
    topic: &str,
    partition: i32,
    code: i16,
) -> Result<(), Failure> {
    let Err(code) = ErrorCode::check(code) else { return Ok(()) };
    if code.is_moved() {
        client.refresh_metadata();
    }
    Err(refused(&format!("{what} {topic}-{partition}"), code, None))
}

/// As [`partition_error`] of a question that changes nothing: a broker that does not know what went wrong is asked again.
fn offset_error(client: &mut Client, topic: &str, partition: i32, code: i16) -> Result<(), Failure> {
    let result = partition_error(client, "asking for offsets of", topic, partition, code);
    if ErrorCode(code) != ErrorCode::UNKNOWN_SERVER_ERROR {
        return result;
    }
    result.map_err(|failure| retriable(failure.error.message()))
}

/// Offsets of partitions.
pub(super) struct ListOffsets {
    partitions: Vec<TopicPartition>,
    spec: OffsetSpec,
    found: BTreeMap<TopicPartition, i64>,
    asked: Leaders<ListOffsetsRequest>,
    /// Whether the second round runs: the ends of partitions without a record so late.
    is_second: bool,
}

impl ListOffsets {
    pub(super) fn new(partitions: Vec<TopicPartition>, spec: OffsetSpec) -> Self {
        Self { partitions, spec, found: BTreeMap::new(), asked: Leaders::default(), is_second: false }
    }
}

impl Step<Vec<Offset>> for ListOffsets {
    fn turn(&mut self, client: &mut Client) -> Option<Result<Vec<Offset>, Failure>> {
        loop {
            let (timestamp, isolation_level) = match self.spec {
                OffsetSpec::Start => (EARLIEST, 0),
                OffsetSpec::EndUncommitted => (LATEST, 0),
                OffsetSpec::EndCommitted => (LATEST, 1),
                OffsetSpec::AtTime(_) if self.is_second => (LATEST, 0),
                OffsetSpec::AtTime(time) => (time, 0),
            };
            let missing: Vec<(TopicPartition, ())> = self
                .partitions
                .iter()
                .filter(|partition| self.found.get(*partition).is_none_or(|offset| *offset < 0))
                .map(|partition| (partition.clone(), ()))
                .collect();
            if missing.is_empty() {
                let offset = |partition| Offset(self.found.get(partition).copied().unwrap_or(0));
                return Some(Ok(self.partitions.iter().map(offset).collect()));
            }
            let request = |partitions| ListOffsetsRequest {
                replica_id: -1,
                isolation_level,
                topics: by_topic(partitions)
                    .into_iter()
                    .map(|(name, partitions)| ListOffsetsTopic {
                        name: name.to_string(),
                        partitions: partitions
                            .into_iter()
                            .map(|(partition_index, ())| ListOffsetsPartition {
                                partition_index,
                                timestamp,
                                ..ListOffsetsPartition::default()
                            })
                            .collect(),
                    })
                    .collect(),
                ..ListOffsetsRequest::default()
            };
            let found = &mut self.found;
            let answer = self.asked.turn(client, "asking for offsets", &missing, request, |client, answer| {
                let mut named = Vec::new();
                for topic in answer.topics {
                    for partition in topic.partitions {
                        let at = partition.partition_index;
                        offset_error(client, &topic.name, at, partition.error_code)?;
                        // Only of a time there may be no offset.
                        if partition.offset >= 0 || timestamp >= 0 {
                            let at = TopicPartition::new(topic.name.as_str(), at);
                            found.insert(at.clone(), partition.offset);
                            named.push(at);
                        }
                    }
                }
                Ok(named)
            })?;
            if let Err(failure) = answer {
                return Some(Err(failure));
            }
            // No record so late: the end is meant.
            self.asked = Leaders::default();
            self.is_second = true;
        }
    }

    fn restart(&mut self) {
        *self = Self::new(std::mem::take(&mut self.partitions), self.spec);
    }
}

/// Forgets records.
pub(super) struct DeleteRecords {
    before: Vec<(TopicPartition, Offset)>,
    asked: Leaders<DeleteRecordsRequest>,
}

impl DeleteRecords {
    pub(super) fn new(before: Vec<(TopicPartition, Offset)>) -> Self {
        Self { before, asked: Leaders::over(Lane::SLOW) }
    }
}

impl Step<()> for DeleteRecords {
    fn turn(&mut self, client: &mut Client) -> Option<Result<(), Failure>> {
        if self.before.is_empty() {
            return Some(Ok(()));
        }
        let request = |partitions| DeleteRecordsRequest {
            timeout_ms: TIMEOUT_MS,
            topics: by_topic(partitions)
                .into_iter()
                .map(|(name, partitions)| DeleteRecordsTopic {
                    name: name.to_string(),
                    partitions: partitions
                        .into_iter()
                        .map(|(partition_index, offset): (i32, Offset)| DeleteRecordsPartition {
                            partition_index,
                            offset: offset.0,
                        })
                        .collect(),
                })
                .collect(),
        };
        self.asked.turn(client, "deleting records", &self.before, request, |client, answer| {
            let mut named = Vec::new();
            for topic in answer.topics {
                for partition in topic.partitions {
                    let at = partition.partition_index;
                    partition_error(client, "deleting records of", &topic.name, at, partition.error_code)?;
                    named.push(TopicPartition::new(topic.name.as_str(), at));
                }
            }
            Ok(named)
        })
    }

    fn restart(&mut self) {
        self.asked = Leaders::over(Lane::SLOW);
    }
}

/// A group's committed offsets.
pub(super) struct Committed {
    group: Arc<str>,
    partitions: Vec<TopicPartition>,
    asked: Asked<OffsetFetchRequest>,
    /// Whether who may not ask is told that there are none.
    may_be_forbidden: bool,
}

impl Committed {
    pub(super) fn new(group: Arc<str>, partitions: Vec<TopicPartition>) -> Self {
        Self { group, partitions, asked: Asked::default(), may_be_forbidden: false }
    }

    /// Of the group in which a renewal keeps them. The application needs no rights on it.
    pub(super) fn set_aside(group: Arc<str>, partitions: Vec<TopicPartition>) -> Self {
        Self { may_be_forbidden: true, ..Self::new(group, partitions) }
    }

    /// What a refusal means.
    fn refused(&self, failure: Failure, is_forbidden: bool) -> Result<Vec<Option<CommittedOffset>>, Failure> {
        if !(is_forbidden && self.may_be_forbidden) {
            return Err(failure);
        }
        tracing::info!(group = %self.group, %failure, "whether a renewal of the group was cut short is not known");
        Ok(vec![None; self.partitions.len()])
    }
}

impl Step<Vec<Option<CommittedOffset>>> for Committed {
    fn turn(&mut self, client: &mut Client) -> Option<Result<Vec<Option<CommittedOffset>>, Failure>> {
        if self.partitions.is_empty() {
            return Some(Ok(Vec::new()));
        }
        let (group, partitions) = (&self.group, &self.partitions);
        let request = || {
            let all = partitions.iter().map(|partition| (partition.clone(), ())).collect();
            let topic = |(name, partitions): (Arc<str>, Vec<(i32, ())>)| OffsetFetchRequestTopics {
                name: name.to_string(),
                partition_indexes: partitions.into_iter().map(|(partition, ())| partition).collect(),
            };
            OffsetFetchRequest {
                groups: vec![OffsetFetchRequestGroup {
                    group_id: group.to_string(),
                    topics: Some(by_topic(all).into_iter().map(topic).collect()),
                    ..OffsetFetchRequestGroup::default()
                }],
                // Waits for transactions that may still change them (KIP-447).
                require_stable: true,
            }
        };
        let coordinator = |client: &mut Client| client.coordinator(CoordinatorKind::Group, group);
        let answer = match self.asked.answer(client, "asking for committed offsets", false, coordinator, request) {
            None => {
                let failure = client.coordinator_failure(CoordinatorKind::Group, group)?;
                return Some(self.refused(failure, client.is_forbidden(CoordinatorKind::Group, group)));
            }
            Some(Ok(answer)) => answer,
            Some(Err(failure)) => {
                client.forget_coordinator(CoordinatorKind::Group, group);
                return Some(Err(failure));
            }
        };
        let what = format!("asking for the committed offsets of group {group}");
        let found = match found(answer) {
            Ok(found) => found,
            Err((code, partition)) => {
                if code.is_moved() {
                    client.forget_coordinator(CoordinatorKind::Group, group);
                }
                let of = partition.map(|partition| format!(", {partition}")).unwrap_or_default();
                let failure = refused(&format!("{what}{of}"), code, None);
                return Some(self.refused(failure, code == ErrorCode::GROUP_AUTHORIZATION_FAILED));
            }
        };
        // What is left out is not the same as nothing committed: that would be read from the start again.
        let of = |partition| found.get(partition).cloned().ok_or_else(|| left_out(&what, partition));
        Some(partitions.iter().map(of).collect())
    }

    fn restart(&mut self) {
        self.asked = Asked::default();
    }
}

type Found = BTreeMap<TopicPartition, Option<CommittedOffset>>;

/// What is committed, or the first error with the partition that it is of.
fn found(answer: OffsetFetchResponse) -> Result<Found, (ErrorCode, Option<TopicPartition>)> {
    let mut found = Found::new();
    for group in answer.groups {
        ErrorCode::check(group.error_code).map_err(|code| (code, None))?;
        for topic in group.topics {
            for partition in topic.partitions {
                let at = TopicPartition::new(topic.name.as_str(), partition.partition_index);
                ErrorCode::check(partition.error_code).map_err(|code| (code, Some(at.clone())))?;
                let committed = (partition.committed_offset >= 0).then(|| CommittedOffset {
                    offset: Offset(partition.committed_offset),
                    leader_epoch: partition.committed_leader_epoch,
                    metadata: partition.metadata.unwrap_or_default(),
                });
                found.insert(at, committed);
            }
        }
    }
    Ok(found)
}
