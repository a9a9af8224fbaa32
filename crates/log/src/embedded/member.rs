//! Membership in a group of the embedded log.

use std::sync::Arc;

use millstream_types::{ErrorKind, Now, TopicPartition};

use super::Shared;
use super::failure::{call, fatal};
use super::group::Standing;
use crate::seam::{Call, CommittedOffset, Departure, GroupMetadata, GroupTopology, Member, MemberConfig, MemberEvent};

/// A member, or one that may become it.
pub(super) struct EmbeddedMember {
    shared: Arc<Shared>,
    config: MemberConfig,
    /// Of the present membership.
    incarnation: Option<u64>,
    epoch: i32,
}

impl EmbeddedMember {
    pub(super) fn new(shared: Arc<Shared>, config: MemberConfig) -> Self {
        Self { shared, config, incarnation: None, epoch: -1 }
    }
}

impl Member for EmbeddedMember {
    fn join(&mut self, topology: GroupTopology) {
        let config = &self.config;
        let incarnation = self.shared.request(|broker| {
            broker.version += 1;
            let (incarnation, now_ms) = (broker.version, broker.now.mono_ms());
            broker.groups.entry(config.group.clone()).or_default().join(config, incarnation, topology, now_ms);
            incarnation
        });
        self.incarnation = Some(incarnation);
        self.epoch = 0;
    }

    fn poll(&mut self, now: Now, events: &mut Vec<MemberEvent>) {
        let Some(incarnation) = self.incarnation else { return };
        let config = &self.config;
        let standing = self.shared.request(|broker| {
            broker.tick(now);
            let now_ms = broker.now.mono_ms();
            let group = broker.groups.get_mut(&config.group)?;
            let standing = group.heartbeat(&config.member_id, incarnation, now_ms);
            if let Standing::Member(_, Some(_)) = standing {
                broker.version += 1;
            }
            Some(standing)
        });
        match standing {
            Some(Standing::Member(epoch, event)) => {
                self.epoch = epoch;
                events.extend(event);
            }
            Some(Standing::Lost) | None => {
                self.incarnation = None;
                events.push(MemberEvent::Lost);
            }
        }
    }

    fn revoked(&mut self) {
        let Some(incarnation) = self.incarnation else { return };
        let config = &self.config;
        let epoch = self.shared.request(|broker| {
            broker.version += 1;
            broker.groups.get_mut(&config.group)?.revoked(&config.member_id, incarnation)
        });
        self.epoch = epoch.unwrap_or(self.epoch);
    }

    fn commit(&mut self, offsets: Vec<(TopicPartition, CommittedOffset)>) -> Call<()> {
        if self.incarnation.is_none() && self.epoch < 0 {
            return call(Err(fatal(ErrorKind::State, "only a member of the group can commit its offsets")));
        }
        let proof = self.metadata();
        call(self.shared.request(|broker| broker.commit_offsets(&proof, offsets)))
    }

    fn metadata(&self) -> GroupMetadata {
        GroupMetadata { group: self.config.group.clone(), member_id: self.config.member_id.clone(), epoch: self.epoch }
    }

    fn request_shutdown(&mut self) {
        let Some(incarnation) = self.incarnation else { return };
        let config = &self.config;
        self.shared.request(|broker| {
            broker.version += 1;
            if let Some(group) = broker.groups.get_mut(&config.group) {
                group.request_shutdown(&config.member_id, incarnation);
            }
        });
    }

    /// A group of the embedded log lives no longer than its process, and the next one starts at once: to stay
    /// would only keep tasks from others in this process.
    fn leave(&mut self, departure: Departure) -> Call<()> {
        let incarnation = self.incarnation.take();
        if let Some(incarnation) = incarnation.filter(|_| departure != Departure::Remain) {
            let config = &self.config;
            self.shared.request(|broker| {
                broker.version += 1;
                if let Some(group) = broker.groups.get_mut(&config.group) {
                    group.leave(&config.member_id, incarnation);
                }
            });
        }
        Call::done(())
    }
}
