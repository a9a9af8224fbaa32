//! Committing offsets outside a transaction (at-least-once).

use millstream_log::GroupMetadata;

use crate::call::Slot;
use crate::client::Client;
use crate::driver::{Actor, Turn};
use crate::group::{self, Offsets};
use crate::protocol::messages::offset_commit::OffsetCommitRequest;
use crate::tries::Tries;

/// One commit.
pub(super) struct OffsetCommit {
    group: GroupMetadata,
    offsets: Offsets,
    slot: Slot<()>,
    tries: Tries<OffsetCommitRequest>,
}

impl OffsetCommit {
    pub(super) fn new(group: GroupMetadata, offsets: Offsets, slot: Slot<()>) -> Self {
        Self { group, offsets, slot, tries: Tries::default() }
    }
}

impl Actor for OffsetCommit {
    fn turn(&mut self, client: &mut Client) -> Turn {
        let epoch = client.member_epoch(&self.group.member_id, self.group.epoch);
        let by = GroupMetadata { epoch, ..self.group.clone() };
        match group::commit(&mut self.tries, client, "committing offsets", &by, &self.offsets) {
            None => Turn::Until(self.tries.due_ms()),
            Some(result) => {
                self.slot.end(result);
                Turn::Finished
            }
        }
    }
}
