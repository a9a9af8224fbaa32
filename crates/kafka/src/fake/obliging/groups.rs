//! What the coordinator of a streams group answers.

use super::{Place, Reply};
use crate::fake::read;
use crate::protocol::messages::delete_groups::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse};
use crate::protocol::messages::streams_group_describe::{
    DescribedGroup, StreamsGroupDescribeRequest, StreamsGroupDescribeResponse,
};
use crate::protocol::messages::streams_group_heartbeat::{
    ResponseTaskIds, StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse,
};
use crate::protocol::{Reader, Request, RequestHeader};

/// Whether the request is one of these.
pub(super) fn is_of_group(key: i16) -> bool {
    [DeleteGroupsRequest::KEY, StreamsGroupDescribeRequest::KEY, StreamsGroupHeartbeatRequest::KEY].contains(&key)
}

/// A group without members, which takes whoever joins and gives it task `0_0`.
pub(super) fn answer(header: &RequestHeader, body: Reader, code: impl Fn(Place) -> i16) -> Reply {
    let error_code = code(Place::Item);
    match header.key {
        DeleteGroupsRequest::KEY => {
            let groups = read::<DeleteGroupsRequest>(header, body).groups_names.into_iter();
            let results = groups.map(|group_id| DeletableGroupResult { group_id, error_code });
            let response = DeleteGroupsResponse { results: results.collect(), ..Default::default() };
            Reply::to::<DeleteGroupsRequest>(header, &response)
        }
        StreamsGroupDescribeRequest::KEY => {
            let groups = read::<StreamsGroupDescribeRequest>(header, body).group_ids.into_iter();
            let groups = groups.map(|group_id| DescribedGroup { group_id, error_code, ..Default::default() });
            let response = StreamsGroupDescribeResponse { groups: groups.collect(), ..Default::default() };
            Reply::to::<StreamsGroupDescribeRequest>(header, &response)
        }
        _ => {
            let member_epoch = read::<StreamsGroupHeartbeatRequest>(header, body).member_epoch;
            let task = ResponseTaskIds { subtopology_id: "0".to_owned(), partitions: vec![0] };
            let response = StreamsGroupHeartbeatResponse {
                error_code: code(Place::Top),
                member_epoch: if member_epoch == 0 { 1 } else { member_epoch },
                heartbeat_interval_ms: 1_000,
                active_tasks: (member_epoch == 0).then(|| vec![task]),
                standby_tasks: None,
                warmup_tasks: None,
                ..Default::default()
            };
            Reply::to::<StreamsGroupHeartbeatRequest>(header, &response)
        }
    }
}
