//! A member that cannot join: its group's protocol is not spoken.

use millstream_log::{
    Call, CommittedOffset, Departure, Failure, FailureKind, GroupMetadata, GroupTopology, Member, MemberConfig,
    MemberEvent,
};
use millstream_types::{Error, Now, TopicPartition};

/// Answers every attempt to join with why it cannot be.
pub(crate) struct RefusedMember {
    config: MemberConfig,
    error: Error,
    is_asked: bool,
}

impl RefusedMember {
    pub(crate) fn new(config: MemberConfig, error: Error) -> Self {
        Self { config, error, is_asked: false }
    }
}

impl Member for RefusedMember {
    fn join(&mut self, _: GroupTopology) {
        self.is_asked = true;
    }

    fn poll(&mut self, _: Now, events: &mut Vec<MemberEvent>) {
        if std::mem::take(&mut self.is_asked) {
            events.push(MemberEvent::Failed(Failure { kind: FailureKind::Fatal, error: self.error.clone() }));
        }
    }

    fn revoked(&mut self) {}

    fn commit(&mut self, _: Vec<(TopicPartition, CommittedOffset)>) -> Call<()> {
        Call::failed(FailureKind::Fatal, self.error.clone())
    }

    fn metadata(&self) -> GroupMetadata {
        GroupMetadata { group: self.config.group.clone(), member_id: self.config.member_id.clone(), epoch: -1 }
    }

    fn request_shutdown(&mut self) {}

    fn leave(&mut self, _: Departure) -> Call<()> {
        Call::done(())
    }
}

#[cfg(test)]
mod tests {
    use millstream_types::ErrorKind;

    use super::*;

    #[test]
    fn joining_is_answered_with_the_reason_once() {
        let config = MemberConfig { group: "g".into(), member_id: "m".into(), ..MemberConfig::default() };
        let mut member = RefusedMember::new(config, Error::new(ErrorKind::Configuration, "not spoken"));
        let mut events = Vec::new();
        member.poll(Now::default(), &mut events);
        assert!(events.is_empty());
        member.join(GroupTopology::default());
        member.poll(Now::default(), &mut events);
        member.poll(Now::default(), &mut events);
        assert!(matches!(events.as_slice(), [MemberEvent::Failed(Failure { kind: FailureKind::Fatal, .. })]));
    }
}
