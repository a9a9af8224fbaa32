//! Who else is in a group: asked by a member that is about to leave, and by the first that a process starts with.

use std::convert::identity;

use millstream_log::MemberConfig;

use crate::client::Client;
use crate::group::{describe, is_closed, release};
use crate::protocol::messages::streams_group_describe::{Member, StreamsGroupDescribeRequest};
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

/// How long a closed member may come back before it is released: as long as a new group waits for more members
/// unless told otherwise (`group.streams.initial.rebalance.delay.ms`). Instances that are all started again come back
/// to their tasks. In ms.
const CLOSED_PATIENCE_MS: i64 = 3_000;

/// Whether a member of another process was closed.
fn is_closed_elsewhere(config: &MemberConfig, member: &Member) -> bool {
    *member.process_id != *config.process_id && is_closed(member)
}

/// Releases members that are gone, whose tasks would wait for their sessions to end.
pub(super) struct Leftovers {
    which: fn(&MemberConfig, &Member) -> bool,
    /// Nothing is asked before, in ms.
    pub(super) not_before_ms: i64,
    describe: Tries<StreamsGroupDescribeRequest>,
    /// Those that are left, once they are known.
    found: Option<Vec<String>>,
    release: Tries<StreamsGroupHeartbeatRequest>,
    /// Whether members of other processes were closed.
    pub(super) has_closed: bool,
}

impl Leftovers {
    fn new(which: fn(&MemberConfig, &Member) -> bool, not_before_ms: i64) -> Self {
        Self {
            which,
            not_before_ms,
            describe: Tries::default(),
            found: None,
            release: Tries::default(),
            has_closed: false,
        }
    }

    /// What an earlier run of this process has left and this one does not take over: threads that there are no more.
    pub(super) fn of_earlier_run() -> Self {
        Self::new(
            |config, member| {
                *member.process_id == *config.process_id
                    && !config.process_members.iter().any(|known| **known == *member.member_id)
            },
            i64::MIN,
        )
    }

    /// Members of other processes that were closed and do not come back.
    pub(super) fn closed(now_ms: i64) -> Self {
        Self::new(is_closed_elsewhere, now_ms + CLOSED_PATIENCE_MS)
    }

    /// Whether it is over. What cannot be asked or released ends by itself.
    pub(super) fn turn(&mut self, client: &mut Client, config: &MemberConfig) -> bool {
        if client.now().mono_ms() < self.not_before_ms {
            return false;
        }
        let Some(found) = &mut self.found else {
            let Some(answer) = describe(&mut self.describe, client, &config.group, identity) else { return false };
            let Ok(groups) = answer else { return true };
            let members: Vec<Member> = groups.into_iter().flat_map(|group| group.members).collect();
            self.has_closed = members.iter().any(|member| is_closed_elsewhere(config, member));
            let gone = members.into_iter().filter(|member| (self.which)(config, member));
            self.found = Some(gone.map(|member| member.member_id).collect());
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
        self.describe.due_ms().min(self.release.due_ms()).max(self.not_before_ms)
    }
}
