//! What keeps a group from running, as answers to heartbeats tell it.

use millstream_log::{MemberEvent, SHUTDOWN_APPLICATION};

use super::heartbeat::Heartbeats;
use crate::protocol::messages::streams_group_heartbeat::Status;

/// `StreamsGroupHeartbeatResponse.Status`.
const MISSING_SOURCE_TOPICS: i8 = 1;
const INCORRECTLY_PARTITIONED: i8 = 2;
const MISSING_INTERNAL_TOPICS: i8 = 3;
const ASSIGNMENT_DELAYED: i8 = 5;
/// How long answers in a row tell of missing topics, or of a failure of the broker, before it counts: topics that exist
/// may be news to a coordinator, and brokers that restart are missing for new ones. In ms.
pub(super) const PATIENCE_MS: i64 = 30_000;

/// A status, told by answer after answer.
pub(super) struct Seen {
    since_ms: i64,
    /// Whether the stream thread knows.
    is_told: bool,
}

impl Heartbeats {
    /// Whether the broker is about to tell more.
    pub(super) fn is_delayed(&self) -> bool {
        [ASSIGNMENT_DELAYED, MISSING_INTERNAL_TOPICS].iter().any(|code| self.statuses.contains_key(code))
    }

    /// Passes on what keeps the group from running. Topics that were just created may be missing for a
    /// moment, and an assignment may be delayed: that is no news.
    pub(super) fn take_statuses(&mut self, statuses: Vec<Status>, now_ms: i64) {
        self.statuses.retain(|code, _| statuses.iter().any(|status| status.status_code == *code));
        for Status { status_code: code, status_detail: detail } in statuses {
            let seen = self.statuses.entry(code).or_insert(Seen { since_ms: now_ms, is_told: false });
            let counts = match code {
                INCORRECTLY_PARTITIONED | SHUTDOWN_APPLICATION => true,
                MISSING_SOURCE_TOPICS | MISSING_INTERNAL_TOPICS => now_ms - seen.since_ms >= PATIENCE_MS,
                _ => false,
            };
            tracing::debug!(group = %self.config.group, code, detail, "the group's status");
            if counts && !std::mem::replace(&mut seen.is_told, true) {
                self.event(MemberEvent::Status { code, detail });
            }
        }
    }
}
