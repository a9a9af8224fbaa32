//! The group member, with faults.

use millstream_log::{Call, CommittedOffset, Departure, GroupMetadata, GroupTopology, Member, MemberEvent};
use millstream_types::{Now, TopicPartition};

use super::connection::{Connection, Effects};

pub(super) struct FaultyMember {
    connection: Connection<dyn Member>,
    /// Heartbeats are withheld until then: the group expels the member, which runs on unaware.
    deaf_until_ns: u64,
}

impl FaultyMember {
    pub(super) fn new(connection: Connection<dyn Member>) -> Self {
        Self { connection, deaf_until_ns: 0 }
    }
}

impl Member for FaultyMember {
    fn join(&mut self, topology: GroupTopology) {
        self.connection.link.trace(format_args!("join"));
        self.connection.now(|member| member.join(topology));
    }

    fn poll(&mut self, now: Now, events: &mut Vec<MemberEvent>) {
        if now.mono_ns < self.deaf_until_ns && self.connection.link.is_faulty() {
            return;
        }
        let link = &self.connection.link;
        if let Some(ns) = link.strikes(|rates| (rates.deaf_member, rates.deaf_ms)) {
            link.trace(format_args!("member is deaf for {} ms", ns / 1_000_000));
            self.deaf_until_ns = now.mono_ns + ns;
            return;
        }
        let before = events.len();
        self.connection.now(|member| member.poll(now, events));
        for event in events.iter().skip(before) {
            self.connection.link.trace(format_args!("{event:?}"));
        }
    }

    fn revoked(&mut self) {
        self.connection.link.trace(format_args!("revoked"));
        self.connection.now(Member::revoked);
    }

    fn commit(&mut self, offsets: Vec<(TopicPartition, CommittedOffset)>) -> Call<()> {
        for (partition, offset) in &offsets {
            self.connection.link.trace(format_args!("offset commit {partition} {}", offset.offset));
        }
        self.connection.request("offset_commit", Effects::Once, move |member| member.commit(offsets.clone()))
    }

    fn metadata(&self) -> GroupMetadata {
        self.connection.peek(Member::metadata)
    }

    fn request_shutdown(&mut self) {
        self.connection.now(Member::request_shutdown);
    }

    fn leave(&mut self, departure: Departure) -> Call<()> {
        self.connection.request("leave", Effects::Once, move |member| member.leave(departure))
    }
}
