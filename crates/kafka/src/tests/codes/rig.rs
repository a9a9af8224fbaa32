//! What the requests are made by: writers, readers, members and calls, over brokers that oblige.

use std::sync::PoisonError;

use millstream_log::{
    Admin, Call, CommittedOffset, Departure, FailureKind, GroupMetadata, GroupTopology, Isolation, Member,
    MemberConfig, MemberEvent, NewTopic, OffsetSpec, Reader, ReaderEvent, Writer,
};
use millstream_types::{Headers, Offset, Timestamp, TopicPartition};

use crate::admin::KafkaAdmin;
use crate::fake::{Counts, FETCHED, Fake, Fate, Obliging};
use crate::member::KafkaMember;
use crate::reader::{FetchOptions, KafkaReader};
use crate::renewal::Renewals;
use crate::writer::{KafkaWriter, ProduceOptions};

/// The brokers and who asks them.
pub(super) struct Rig {
    fake: Fake,
    counts: Counts,
}

impl Rig {
    pub(super) fn new(fates: &[Fate], transaction_version: i16) -> Self {
        let (mut transport, counts) = Obliging::transport(fates);
        transport.transaction_version = transaction_version;
        Self { fake: Fake::new(transport), counts }
    }

    /// The same with the oldest brokers.
    pub(super) fn of_oldest(fates: &[Fate]) -> Self {
        let (transport, counts) = Obliging::transport(fates);
        Self { fake: Fake::new(transport.of_oldest()), counts }
    }

    pub(super) fn count(&self, key: i16) -> usize {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&key).map_or(0, |(count, _)| *count)
    }

    fn wait<T>(&mut self, call: Call<T>) -> Result<T, FailureKind> {
        self.fake.wait(call).map_err(|failure| failure.kind)
    }

    fn admin(&self) -> KafkaAdmin {
        KafkaAdmin::new(self.fake.driver.clone())
    }

    /// A writer with a transaction under way where it has an id, up to its end.
    pub(super) fn write(&mut self, transactional_id: Option<&str>, is_commit: bool) -> Result<(), FailureKind> {
        let options = ProduceOptions { transactional_id: transactional_id.map(Into::into), ..Default::default() };
        let mut writer = KafkaWriter::new(self.fake.driver.clone(), options);
        let init = writer.init();
        self.wait(init)?;
        let handle = writer.partition(&words());
        writer.append(handle, Timestamp(1), None, Some(b"x"), &Headers::new()).unwrap();
        let flush = writer.flush();
        self.wait(flush)?;
        if transactional_id.is_none() {
            return Ok(());
        }
        let group = GroupMetadata { group: "g".into(), member_id: "m".into(), epoch: 3 };
        let end = if is_commit { writer.commit(vec![committed()], &group) } else { writer.abort() };
        self.wait(end)
    }

    pub(super) fn commit(&mut self) -> Result<(), FailureKind> {
        let mut member = self.join(false)?;
        let call = member.commit(vec![committed()]);
        self.wait(call)
    }

    pub(super) fn committed(&mut self) -> Result<(), FailureKind> {
        let call = self.admin().committed("g", &[words()]);
        let found = self.wait(call)?;
        assert_eq!(found[0].as_ref().map(|found| found.offset), Some(Offset(3)));
        Ok(())
    }

    /// Why the committed offset is not told.
    pub(super) fn refused_offset(&mut self) -> String {
        let call = self.admin().committed("g", &[words()]);
        // default.api.timeout.ms
        for _ in 0..600 {
            self.fake.advance(100);
        }
        self.fake.wait(call).unwrap_err().error.to_string()
    }

    /// What a renewal that was cut short has left.
    pub(super) fn set_aside(&mut self) -> Result<(), FailureKind> {
        let call = self.admin().set_aside("g", &[words()]);
        self.wait(call).map(drop)
    }

    pub(super) fn start(&mut self) -> Result<(), FailureKind> {
        let call = self.admin().offsets(&[words()], OffsetSpec::Start);
        assert_eq!(self.wait(call)?, [Offset(40)]);
        Ok(())
    }

    pub(super) fn delete_records(&mut self) -> Result<(), FailureKind> {
        let call = self.admin().delete_records(&[(words(), Offset(3))]);
        self.wait(call)
    }

    pub(super) fn create(&mut self) -> Result<(), FailureKind> {
        let topic = NewTopic { name: "words".into(), partitions: 2, replication_factor: -1, configs: Vec::new() };
        let call = self.admin().create_topics(&[topic]);
        self.wait(call)
    }

    pub(super) fn delete(&mut self) -> Result<(), FailureKind> {
        let call = self.admin().delete_topics(&["words".into()]);
        self.wait(call)
    }

    pub(super) fn describe(&mut self) -> Result<(), FailureKind> {
        let call = self.admin().topics(&["words".into()]);
        self.wait(call).map(|_| ())
    }

    pub(super) fn list(&mut self) -> Result<(), FailureKind> {
        let call = self.admin().list_topics();
        let found = self.wait(call)?;
        assert_eq!(found.iter().map(|topic| &*topic.name).collect::<Vec<_>>(), ["words"]);
        Ok(())
    }

    pub(super) fn open_transactions(&mut self) -> Result<(), FailureKind> {
        let call = self.admin().open_transactions(&[words()]);
        self.wait(call).map(drop)
    }

    /// Gives a group a setting that it does not have.
    pub(super) fn configure(&mut self) -> Result<(), FailureKind> {
        let settings = [("streams.num.standby.replicas".to_owned(), "1".to_owned())];
        let call = self.admin().configure_group("g", &settings);
        self.wait(call)
    }

    pub(super) fn renew(&mut self) -> Result<(), FailureKind> {
        let call = self.admin().renew_group("g");
        self.wait(call).map(drop)
    }

    /// Joins a group, and again when the membership is lost, until there are tasks.
    pub(super) fn join(&mut self, may_renew_group: bool) -> Result<KafkaMember, FailureKind> {
        let mut member = self.member(may_renew_group);
        member.join(GroupTopology::default());
        for _ in 0..200 {
            self.fake.advance(50);
            let mut events = Vec::new();
            member.poll(self.fake.now(), &mut events);
            for event in events {
                match event {
                    MemberEvent::Assigned { .. } => return Ok(member),
                    MemberEvent::Failed(failure) => return Err(failure.kind),
                    MemberEvent::Lost => member.join(GroupTopology::default()),
                    event => panic!("{event:?}"),
                }
            }
        }
        panic!("nothing was assigned")
    }

    /// Joins a group and stays in it for some heartbeats; joins again when the membership is lost.
    pub(super) fn stay(&mut self) -> Result<(), FailureKind> {
        let mut member = self.join(false)?;
        for _ in 0..110 {
            self.fake.advance(50);
            let mut events = Vec::new();
            member.poll(self.fake.now(), &mut events);
            for event in events {
                match event {
                    MemberEvent::Assigned { .. } => {}
                    MemberEvent::Failed(failure) => return Err(failure.kind),
                    MemberEvent::Lost => member.join(GroupTopology::default()),
                    event => panic!("{event:?}"),
                }
            }
        }
        assert!(member.metadata().epoch > 0, "it is a member");
        Ok(())
    }

    /// Joins a group and leaves it.
    pub(super) fn leave(&mut self) -> Result<(), FailureKind> {
        let mut member = self.join(false)?;
        let call = member.leave(Departure::Leave);
        self.wait(call)
    }

    fn member(&self, may_renew_group: bool) -> KafkaMember {
        let config = MemberConfig {
            group: "g".into(),
            member_id: "m".into(),
            process_id: "p".into(),
            session_timeout_ms: 60_000,
            max_poll_interval_ms: 60_000,
            may_renew_group,
            ..MemberConfig::default()
        };
        KafkaMember::new(self.fake.driver.clone(), config, None, Renewals::default())
    }

    /// Reads the one record there is.
    pub(super) fn read(&mut self) -> Result<(), FailureKind> {
        let mut reader =
            KafkaReader::new(self.fake.driver.clone(), Isolation::ReadUncommitted, FetchOptions::default());
        reader.assign(&[(words(), Offset(FETCHED).into())]);
        for _ in 0..100 {
            self.fake.advance(50);
            let mut events = Vec::new();
            reader.poll(self.fake.now(), 1 << 20, &mut events);
            match events.into_iter().next() {
                None => {}
                Some(ReaderEvent::Fetched(fetched)) if fetched.batches.len() == 1 => return Ok(()),
                // Its own kind of end, and no failure.
                Some(ReaderEvent::OutOfRange { position, .. }) if position == Offset(FETCHED) => return Ok(()),
                Some(ReaderEvent::Failed(failure)) => return Err(failure.kind),
                Some(event) => panic!("{event:?}"),
            }
        }
        panic!("nothing came");
    }
}

fn words() -> TopicPartition {
    TopicPartition::new("words", 0)
}

fn committed() -> (TopicPartition, CommittedOffset) {
    (words(), CommittedOffset { offset: Offset(5), leader_epoch: -1, metadata: String::new() })
}
