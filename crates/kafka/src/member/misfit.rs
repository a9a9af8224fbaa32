//! A member whose topology is not the group's: it joins with the group's, makes the group anew, or ends with what to do.

use std::sync::Arc;

use millstream_log::FailureKind;

use super::heartbeat::{Heartbeats, State};
use super::remedy::{explained, is_other_topology};
use crate::client::Client;
use crate::protocol::ErrorCode;
use crate::renewal::Renewal;

impl Heartbeats {
    /// Whether the group may have been made before some topic was there that a pattern matches.
    pub(super) fn may_adopt(&self, code: ErrorCode, detail: Option<&str>) -> bool {
        let has_matched = self.topology.subtopologies.iter().any(|known| !known.matched_topics.is_empty());
        has_matched && !self.has_adopted && self.state == State::Joining && is_other_topology(code, detail)
    }

    /// Goes on finding out what the group was made with; when to go on if it is not over.
    pub(super) fn adopt(&mut self, client: &mut Client) -> Option<i64> {
        let adoption = self.adoption.as_mut()?;
        let Some(found) = adoption.turn(client, &self.config, &self.topology) else { return Some(adoption.due_ms()) };
        let (code, detail) = (adoption.code, adoption.detail.take());
        self.adoption = None;
        match found {
            Ok(topology) => {
                tracing::info!(group = %self.config.group, "topics that patterns match have come since the group was made; its tasks read them");
                self.topology = topology;
                self.has_adopted = true;
                self.next_ms = client.now().mono_ms();
            }
            Err(why) => self.refused(code, detail.as_deref(), Some(&why)),
        }
        None
    }

    pub(super) fn refused(&mut self, code: ErrorCode, detail: Option<&str>, why: Option<&str>) {
        if self.may_renew(code, detail) {
            self.begin_renewal();
        } else {
            let detail = [detail, why].into_iter().flatten().collect::<Vec<_>>().join("; ");
            self.fail(explained(&self.config, code, Some(detail.as_str()).filter(|detail| !detail.is_empty())));
        }
    }

    fn may_renew(&self, code: ErrorCode, detail: Option<&str>) -> bool {
        self.config.may_renew_group && self.state == State::Joining && is_other_topology(code, detail)
    }

    /// Makes the group anew, unless another member of this process does, or has just done so: then it joins again.
    fn begin_renewal(&mut self) {
        let group = &self.config.group;
        if let Some(right) = self.renewals.begin(group, self.renewals_known) {
            tracing::info!(%group, "the group has another topology: it is made anew, with its offsets");
            self.renewal = Some((Renewal::new(Arc::clone(group), Some(Arc::clone(&self.config.process_id))), right));
        }
    }

    /// Goes on making the group anew; when to go on if it is not over.
    pub(super) fn renew(&mut self, client: &mut Client) -> Option<i64> {
        let (renewal, _) = self.renewal.as_mut()?;
        let Some(result) = renewal.turn(client) else { return Some(renewal.due_ms()) };
        self.renewal = None;
        match result {
            Ok(offsets) => {
                tracing::info!(group = %self.config.group, offsets, "the group was made anew");
                self.next_ms = client.now().mono_ms();
            }
            // It is begun again by whoever is refused next.
            Err(failure) if failure.kind != FailureKind::Fatal => {
                tracing::warn!(group = %self.config.group, %failure, "the group could not be made anew; trying again");
            }
            Err(failure) => self.fail(failure),
        }
        None
    }
}
