//! The faulty log does what its faults say, and nothing else.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::sync::Arc;

use millstream_log::batch::Batch;
use millstream_log::{EmbeddedLog, FailureKind, GroupMetadata, Isolation, Log, Options, Outcome, ReaderEvent, Writer};
use millstream_testkit::Random;
use millstream_testkit::simulation::{FaultRates, FaultyLog, Network, Trace};
use millstream_types::{Headers, Now, Offset, Timestamp, TopicPartition};

struct Fixture {
    log: Arc<EmbeddedLog>,
    network: Network,
    faulty: FaultyLog,
    now: Now,
}

impl Fixture {
    fn new(rates: FaultRates) -> Self {
        let log = Arc::new(EmbeddedLog::memory(Options { seed: Some(1), ..Options::default() }));
        let network = Network::new(Random::new(1), rates, Trace::new(true));
        let faulty = FaultyLog::new(Arc::clone(&log) as Arc<dyn Log>, &network, "i0");
        Self { log, network, faulty, now: Now::default() }
    }

    fn advance_ms(&mut self, ms: u64) {
        self.now.mono_ns += ms * 1_000_000;
        self.network.advance(self.now.mono_ns);
    }

    /// A writer of a transaction that has begun without faults.
    fn begun(&mut self, id: &str) -> Box<dyn Writer> {
        let mut writer = self.faulty.writer(Some(id));
        let mut init = writer.init();
        while matches!(init.poll(self.now), Outcome::Pending) {
            self.advance_ms(1);
        }
        let words = writer.partition(&TopicPartition::new("words", 0));
        writer.append(words, Timestamp(1), Some(b"k"), Some(b"v"), &Headers::new()).unwrap();
        writer
    }

    fn committed_records(&self) -> usize {
        let mut reader = self.log.reader(Isolation::ReadCommitted);
        reader.assign(&[(TopicPartition::new("words", 0), Offset(0).into())]);
        let mut events = Vec::new();
        reader.poll(self.now, 1 << 20, &mut events);
        let fetched = events.iter().filter_map(|event| match event {
            ReaderEvent::Fetched(fetched) => Some(fetched.batches.iter().map(Batch::count).sum::<usize>()),
            _ => None,
        });
        fetched.sum()
    }
}

fn proof() -> GroupMetadata {
    GroupMetadata { group: "app".into(), member_id: "".into(), epoch: -1 }
}

/// Without faults for `init`, then with `rates`.
fn commit_under(set: impl Fn(&mut FaultRates)) -> (Fixture, Option<FailureKind>) {
    let mut rates = FaultRates { delay_ms_max: 10, ..FaultRates::default() };
    let mut fixture = Fixture::new(rates.clone());
    let mut writer = fixture.begun("tx");
    set(&mut rates);
    fixture.network.set_rates(rates);
    let mut commit = writer.commit(Vec::new(), &proof());
    for _ in 0..50 {
        match commit.poll(fixture.now) {
            Outcome::Pending => fixture.advance_ms(1),
            Outcome::Done(()) => return (fixture, None),
            Outcome::Failed(failure) => return (fixture, Some(failure.kind)),
        }
    }
    panic!("the commit never ended");
}

#[test]
fn a_late_reply_is_a_reply() {
    let (fixture, failure) = commit_under(|rates| rates.late_reply = 1000);
    assert_eq!((failure, fixture.committed_records()), (None, 1));
    assert!(fixture.now.mono_ns > 0);
}

#[test]
fn a_lost_reply_leaves_the_effect() {
    let (fixture, failure) = commit_under(|rates| rates.lost_reply = 1000);
    assert_eq!((failure, fixture.committed_records()), (Some(FailureKind::Unknown), 1));
}

#[test]
fn a_lost_request_has_no_effect_and_looks_the_same() {
    let (fixture, failure) = commit_under(|rates| rates.lost_request = 1000);
    assert_eq!((failure, fixture.committed_records()), (Some(FailureKind::Unknown), 0));
}

#[test]
fn a_refused_request_has_no_effect_and_says_so() {
    let (fixture, failure) = commit_under(|rates| rates.retriable = 1000);
    assert_eq!((failure, fixture.committed_records()), (Some(FailureKind::Retriable), 0));
}

#[test]
fn a_late_request_of_a_killed_instance_still_arrives() {
    let mut fixture = Fixture::new(FaultRates::default());
    let mut writer = fixture.begun("tx");
    fixture.network.set_rates(FaultRates { late_request: 1000, delay_ms_max: 10, ..FaultRates::default() });
    let mut commit = writer.commit(Vec::new(), &proof());
    fixture.faulty.cut();
    drop(writer);
    assert_eq!(fixture.committed_records(), 0);
    fixture.advance_ms(20);
    assert_eq!(fixture.committed_records(), 1);
    assert!(matches!(commit.poll(fixture.now), Outcome::Pending), "the dead hear nothing");
}

#[test]
fn a_late_commit_is_fenced_by_a_successor() {
    let mut fixture = Fixture::new(FaultRates::default());
    let mut writer = fixture.begun("tx");
    fixture.network.set_rates(FaultRates { late_request: 1000, delay_ms_max: 10, ..FaultRates::default() });
    let mut commit = writer.commit(Vec::new(), &proof());
    let mut successor = fixture.log.writer(Some("tx"));
    assert!(matches!(successor.init().poll(fixture.now), Outcome::Done(())));
    fixture.advance_ms(20);
    assert_eq!(fixture.committed_records(), 0);
    assert!(matches!(commit.poll(fixture.now), Outcome::Failed(failure) if failure.kind == FailureKind::Fenced));
}

#[test]
fn a_writer_used_after_an_unknown_outcome_is_noticed() {
    let mut fixture = Fixture::new(FaultRates::default());
    let mut writer = fixture.begun("tx");
    assert_eq!(fixture.network.violations(), Vec::<String>::new());
    fixture.network.set_rates(FaultRates { lost_reply: 1000, delay_ms_max: 1, ..FaultRates::default() });
    let mut commit = writer.commit(Vec::new(), &proof());
    fixture.advance_ms(2);
    assert!(matches!(commit.poll(fixture.now), Outcome::Failed(_)));
    let words = writer.partition(&TopicPartition::new("words", 0));
    let _ = writer.append(words, Timestamp(1), None, None, &Headers::new());
    assert_eq!(fixture.network.violations().len(), 1);
}
