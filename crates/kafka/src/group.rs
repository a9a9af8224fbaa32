//! What more than one actor asks the coordinator of a group.

use std::sync::Arc;

use millstream_log::{CommittedOffset, Failure, GroupMetadata};
use millstream_types::TopicPartition;

use crate::by_topic::by_topic;
use crate::client::{Client, CoordinatorKind};
use crate::protocol::ErrorCode;
use crate::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::protocol::messages::streams_group_describe::{
    DescribedGroup, Member, StreamsGroupDescribeRequest, StreamsGroupDescribeResponse,
};
use crate::protocol::messages::streams_group_heartbeat::{KeyValue, StreamsGroupHeartbeatRequest};
use crate::tries::{At, Tries, Verdict, failure_of};

/// Epoch of a member that leaves.
pub(crate) const LEAVE: i32 = -1;

/// Committed offsets.
pub(crate) type Offsets = Vec<(TopicPartition, CommittedOffset)>;

/// Who is in a group. `code` gives what an error code of the group counts as.
pub(crate) fn describe(
    tries: &mut Tries<StreamsGroupDescribeRequest>,
    client: &mut Client,
    group: &Arc<str>,
    code: impl Fn(i16) -> i16,
) -> Option<Result<Vec<DescribedGroup>, Failure>> {
    let request = || StreamsGroupDescribeRequest { group_ids: vec![group.to_string()], ..Default::default() };
    let verdict = |answer: &StreamsGroupDescribeResponse| {
        Verdict::of_group(answer.groups.iter().map(|group| code(group.error_code)), [])
    };
    let at = At::Coordinator(CoordinatorKind::Group, group);
    let answer = tries.turn(client, "describing the group", at, i16::MAX, request, verdict)?;
    Some(answer.map(|answer| answer.groups))
}

/// Has a member leave that is gone. Whether it is over, whatever was answered.
pub(crate) fn release(
    tries: &mut Tries<StreamsGroupHeartbeatRequest>,
    client: &mut Client,
    group: &Arc<str>,
    member: &str,
) -> bool {
    let request = || StreamsGroupHeartbeatRequest {
        group_id: group.to_string(),
        member_id: member.to_owned(),
        member_epoch: LEAVE,
        ..StreamsGroupHeartbeatRequest::default()
    };
    let at = At::Coordinator(CoordinatorKind::Group, group);
    let what = "releasing a member that is gone";
    tries.turn(client, what, at, i16::MAX, request, |answer| answer.error_code).is_some()
}

/// What the code of a member's commit counts as: with the group, the membership is gone.
fn of_member(code: i16) -> i16 {
    if ErrorCode(code) == ErrorCode::GROUP_ID_NOT_FOUND { ErrorCode::UNKNOWN_MEMBER_ID.0 } else { code }
}

/// Whether a member may commit anything. One that was expelled may not, and brokers do not find out: while a group is
/// empty they take offsets of anybody without an epoch.
pub(crate) fn check_membership(what: &str, by: &GroupMetadata) -> Result<(), Failure> {
    if by.epoch < 0 && !by.member_id.is_empty() {
        return Err(failure_of(what, ErrorCode::UNKNOWN_MEMBER_ID, None));
    }
    Ok(())
}

/// Commits offsets outside a transaction.
pub(crate) fn commit(
    tries: &mut Tries<OffsetCommitRequest>,
    client: &mut Client,
    what: &str,
    by: &GroupMetadata,
    offsets: &Offsets,
) -> Option<Result<(), Failure>> {
    if let Err(failure) = check_membership(what, by) {
        return Some(Err(failure));
    }
    let partition = |(partition_index, committed): (i32, CommittedOffset)| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: committed.offset.0,
        committed_leader_epoch: committed.leader_epoch,
        committed_metadata: Some(committed.metadata),
    };
    let topic = |(name, partitions): (Arc<str>, Vec<_>)| OffsetCommitRequestTopic {
        name: name.to_string(),
        partitions: partitions.into_iter().map(partition).collect(),
    };
    let request = || OffsetCommitRequest {
        group_id: by.group.to_string(),
        generation_id_or_member_epoch: by.epoch,
        member_id: by.member_id.to_string(),
        topics: by_topic(offsets.clone()).into_iter().map(topic).collect(),
        ..OffsetCommitRequest::default()
    };
    let at = At::Coordinator(CoordinatorKind::Group, &by.group);
    let answer = tries.turn(client, what, at, i16::MAX, request, |answer| {
        let codes = answer.topics.iter().flat_map(|topic| {
            let told = |code| if by.member_id.is_empty() { code } else { of_member(code) };
            topic
                .partitions
                .iter()
                .map(move |found| (topic.name.as_str(), found.partition_index, told(found.error_code)))
        });
        Verdict::of(offsets.len(), codes)
    })?;
    Some(answer.map(drop))
}

/// Client tag of a member whose instance was closed in order and that stays all the same: nobody was there to leave to.
const CLOSED: &str = "millstream.closed";

/// The tag.
pub(crate) fn closed_tag() -> KeyValue {
    KeyValue { key: CLOSED.to_owned(), value: "true".to_owned() }
}

/// Whether a member's instance was closed.
pub(crate) fn is_closed(member: &Member) -> bool {
    member.client_tags.iter().any(|tag| tag.key == CLOSED)
}
