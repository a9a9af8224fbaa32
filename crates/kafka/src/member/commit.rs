//! Committing offsets outside a transaction (at-least-once).

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_log::{CommittedOffset, GroupMetadata};
use millstream_types::TopicPartition;

use crate::call::Slot;
use crate::client::{Client, CoordinatorKind};
use crate::driver::{Actor, Turn};
use crate::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::tries::{At, Tries, Verdict};

/// One commit.
pub(super) struct OffsetCommit {
    group: GroupMetadata,
    offsets: Vec<(TopicPartition, CommittedOffset)>,
    slot: Slot<()>,
    tries: Tries<OffsetCommitRequest>,
}

impl OffsetCommit {
    pub(super) fn new(group: GroupMetadata, offsets: Vec<(TopicPartition, CommittedOffset)>, slot: Slot<()>) -> Self {
        Self { group, offsets, slot, tries: Tries::default() }
    }

    fn request(&self, epoch: i32) -> OffsetCommitRequest {
        let mut topics: BTreeMap<&Arc<str>, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for (partition, committed) in &self.offsets {
            topics.entry(&partition.topic).or_default().push(OffsetCommitRequestPartition {
                partition_index: partition.partition.0,
                committed_offset: committed.offset.0,
                committed_leader_epoch: committed.leader_epoch,
                committed_metadata: Some(committed.metadata.clone()),
            });
        }
        let topic = |(name, partitions): (&Arc<str>, Vec<OffsetCommitRequestPartition>)| OffsetCommitRequestTopic {
            name: name.to_string(),
            partitions,
        };
        OffsetCommitRequest {
            group_id: self.group.group.to_string(),
            generation_id_or_member_epoch: epoch,
            member_id: self.group.member_id.to_string(),
            topics: topics.into_iter().map(topic).collect(),
            ..OffsetCommitRequest::default()
        }
    }
}

impl Actor for OffsetCommit {
    fn turn(&mut self, client: &mut Client) -> Turn {
        let epoch = client.member_epoch(&self.group.member_id, self.group.epoch);
        let mut tries = std::mem::take(&mut self.tries);
        let group = Arc::clone(&self.group.group);
        let at = At::Coordinator(CoordinatorKind::Group, &group);
        let answer = tries.turn(
            client,
            "committing offsets",
            at,
            i16::MAX,
            || self.request(epoch),
            |answer| {
                let codes = answer.topics.iter().flat_map(|topic| {
                    topic.partitions.iter().map(|found| (topic.name.as_str(), found.partition_index, found.error_code))
                });
                Verdict::of(self.offsets.len(), codes)
            },
        );
        match answer {
            None => {
                let due = tries.due_ms();
                self.tries = tries;
                Turn::Until(due)
            }
            Some(result) => {
                self.slot.end(result.map(|_| ()));
                Turn::Finished
            }
        }
    }
}
