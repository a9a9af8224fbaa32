//! What a heartbeat tells: the whole at first, later only what has changed.

use std::sync::Arc;

use super::endpoints;
use super::heartbeat::{Heartbeats, State};
use super::tasks::told;
use super::topology::topology;
use crate::group::{LEAVE, closed_tag};
use crate::protocol::messages::streams_group_heartbeat::{KeyValue, StreamsGroupHeartbeatRequest};

/// What Kafka Streams' clients have behind `client.id`, by which the group's tools show a member.
pub(super) fn client_suffix(member_id: &str) -> Arc<str> {
    let thread = member_id.rfind("-StreamThread-").and_then(|at| member_id.get(at..));
    thread.map_or_else(|| "".into(), |thread| format!("{thread}-consumer").into())
}

/// Epoch of a member that joins.
pub(super) const JOIN: i32 = 0;
/// Epoch of a static member that leaves and comes back.
const RETURN: i32 = -2;

/// What a member that leaves tells its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goodbye {
    /// That it is gone for good.
    Leave,
    /// That it comes back: a static member.
    Return,
    /// That it was closed, and stays a member.
    Stay,
}

impl Heartbeats {
    pub(super) fn request(&self) -> StreamsGroupHeartbeatRequest {
        let joins = self.state == State::Joining;
        let mut request = StreamsGroupHeartbeatRequest {
            group_id: self.config.group.to_string(),
            member_id: self.config.member_id.to_string(),
            member_epoch: match (self.state, self.goodbye) {
                (State::Joining, _) => JOIN,
                (State::Leaving, Goodbye::Leave) => LEAVE,
                (State::Leaving, Goodbye::Return) => RETURN,
                (State::Leaving, Goodbye::Stay) | (State::Member | State::Outside, _) => self.epoch,
            },
            instance_id: self.config.instance_id.as_deref().map(str::to_owned),
            shutdown_application: self.ends_application,
            endpoint_information_epoch: self.endpoint_epoch,
            ..StreamsGroupHeartbeatRequest::default()
        };
        if joins {
            request.rebalance_timeout_ms = i32::try_from(self.config.max_poll_interval_ms).unwrap_or(i32::MAX);
            request.topology = Some(topology(&self.topology));
            request.rack_id.clone_from(&self.rack);
            request.process_id = Some(self.config.process_id.to_string());
            request.client_tags = Some(self.client_tags().collect());
            request.user_endpoint = self.config.endpoint.as_ref().map(endpoints::told);
        }
        if self.state == State::Leaving && self.goodbye == Goodbye::Stay {
            request.client_tags = Some(self.client_tags().chain([closed_tag()]).collect());
        }
        if joins || self.state == State::Member && self.must_tell {
            request.active_tasks = Some(told(&self.owned.active));
            request.standby_tasks = Some(told(&self.owned.standby));
            request.warmup_tasks = Some(told(&self.owned.warm_up));
        }
        request
    }

    fn client_tags(&self) -> impl Iterator<Item = KeyValue> {
        let tag = |(key, value): &(String, String)| KeyValue { key: key.clone(), value: value.clone() };
        self.config.client_tags.iter().map(tag)
    }
}
