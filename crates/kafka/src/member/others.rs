//! Who else is in a group: asked by a member that is about to leave, and by the first that a process starts with.

use std::sync::Arc;

use millstream_log::MemberConfig;

use crate::client::{Client, CoordinatorKind};
use crate::protocol::messages::streams_group_describe::StreamsGroupDescribeRequest;
use crate::protocol::messages::streams_group_heartbeat::StreamsGroupHeartbeatRequest;
use crate::tries::{At, Tries};

/// Epoch of a member that leaves.
const LEAVE: i32 = -1;

/// The question.
#[derive(Default)]
pub(super) struct Others {
    tries: Tries<StreamsGroupDescribeRequest>,
}

impl Others {
    /// Whether there are others, once it is known. Who may not ask, or gets no answer, takes it that there are.
    pub(super) fn turn(&mut self, client: &mut Client, config: &MemberConfig) -> Option<bool> {
        let request = || StreamsGroupDescribeRequest {
            group_ids: vec![config.group.to_string()],
            ..StreamsGroupDescribeRequest::default()
        };
        let at = At::Coordinator(CoordinatorKind::Group, &config.group);
        let answer = self.tries.turn(client, "describing the group", at, i16::MAX, request, |answer| {
            answer.groups.iter().map(|group| group.error_code).find(|code| *code != 0).unwrap_or(0)
        })?;
        let Ok(answer) = answer else { return Some(true) };
        let mut members = answer.groups.iter().flat_map(|group| &group.members);
        Some(members.any(|member| *member.process_id != *config.process_id))
    }

    pub(super) fn due_ms(&self) -> i64 {
        self.tries.due_ms()
    }
}

/// Releases what an earlier run of this process has left in the group and this one does not take over: threads that
/// there are no more. Their tasks would wait for their sessions to end.
#[derive(Default)]
pub(super) struct Strays {
    describe: Tries<StreamsGroupDescribeRequest>,
    /// Those that are left, once they are known.
    found: Option<Vec<String>>,
    release: Tries<StreamsGroupHeartbeatRequest>,
}

impl Strays {
    /// Whether it is over. What cannot be asked or released ends by itself.
    pub(super) fn turn(&mut self, client: &mut Client, config: &MemberConfig) -> bool {
        let at = At::Coordinator(CoordinatorKind::Group, &config.group);
        let Some(found) = &mut self.found else {
            let request = || StreamsGroupDescribeRequest {
                group_ids: vec![config.group.to_string()],
                ..StreamsGroupDescribeRequest::default()
            };
            let answer = self.describe.turn(client, "describing the group", at, i16::MAX, request, |answer| {
                answer.groups.iter().map(|group| group.error_code).find(|code| *code != 0).unwrap_or(0)
            });
            let Some(answer) = answer else { return false };
            let Ok(answer) = answer else { return true };
            let members = answer.groups.into_iter().flat_map(|group| group.members);
            let is_known = |id: &str| config.process_members.iter().any(|known: &Arc<str>| **known == *id);
            let own = members.filter(|member| *member.process_id == *config.process_id);
            self.found = Some(own.map(|member| member.member_id).filter(|id| !is_known(id)).collect());
            return self.found.as_ref().is_some_and(Vec::is_empty);
        };
        let Some(member_id) = found.last().cloned() else { return true };
        let request = || StreamsGroupHeartbeatRequest {
            group_id: config.group.to_string(),
            member_id,
            member_epoch: LEAVE,
            ..StreamsGroupHeartbeatRequest::default()
        };
        let what = "releasing a member of an earlier run";
        if self.release.turn(client, what, at, i16::MAX, request, |answer| answer.error_code).is_some() {
            found.pop();
            self.release = Tries::default();
        }
        found.is_empty()
    }

    pub(super) fn due_ms(&self) -> i64 {
        self.describe.due_ms().min(self.release.due_ms())
    }
}
