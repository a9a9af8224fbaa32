//! Whether a group has members of other processes: asked by one that is about to leave.

use millstream_log::MemberConfig;

use crate::client::{Client, CoordinatorKind};
use crate::protocol::messages::streams_group_describe::StreamsGroupDescribeRequest;
use crate::tries::{At, Tries};

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
