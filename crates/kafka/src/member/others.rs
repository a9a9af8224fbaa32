//! Who else is in a group: asked by a member that is about to leave, and by the first that a process starts with.

use std::convert::identity;
use std::sync::Arc;

use millstream_log::MemberConfig;

use crate::client::Client;
use crate::group::{describe, release};
use crate::protocol::messages::streams_group_describe::StreamsGroupDescribeRequest;
use crate::protocol::messages::streams_group_heartbeat::StreamsGroupHeartbeatRequest;
use crate::tries::Tries;

/// The question.
#[derive(Default)]
pub(super) struct Others {
    tries: Tries<StreamsGroupDescribeRequest>,
}

impl Others {
    /// Whether there are others, once it is known. Who may not ask, or gets no answer, takes it that there are.
    pub(super) fn turn(&mut self, client: &mut Client, config: &MemberConfig) -> Option<bool> {
        let Ok(groups) = describe(&mut self.tries, client, &config.group, identity)? else { return Some(true) };
        let mut members = groups.iter().flat_map(|group| &group.members);
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
        let Some(found) = &mut self.found else {
            let Some(answer) = describe(&mut self.describe, client, &config.group, identity) else { return false };
            let Ok(groups) = answer else { return true };
            let members = groups.into_iter().flat_map(|group| group.members);
            let is_known = |id: &str| config.process_members.iter().any(|known: &Arc<str>| **known == *id);
            let own = members.filter(|member| *member.process_id == *config.process_id);
            self.found = Some(own.map(|member| member.member_id).filter(|id| !is_known(id)).collect());
            return self.found.as_ref().is_some_and(Vec::is_empty);
        };
        let Some(member) = found.last() else { return true };
        if release(&mut self.release, client, &config.group, member) {
            found.pop();
            self.release = Tries::default();
        }
        found.is_empty()
    }

    pub(super) fn due_ms(&self) -> i64 {
        self.describe.due_ms().min(self.release.due_ms())
    }
}
