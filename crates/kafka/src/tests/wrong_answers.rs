//! A whole client whose brokers answer with bytes that are wrong now and then: it may fail, but it does
//! not panic, and once the answers are right again it goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use millstream_log::{Admin, GroupMetadata, Isolation, OffsetSpec, Outcome, Reader, ReaderEvent, Writer};
use millstream_types::{Headers, Offset, Timestamp, TopicPartition};

use crate::admin::KafkaAdmin;
use crate::fake::{FETCHED, Fake, FakeTransport, Obliging, Reply};
use crate::net::Address;
use crate::protocol::{Reader as Body, RequestHeader};
use crate::reader::{FetchOptions, KafkaReader};
use crate::writer::{KafkaWriter, ProduceOptions};

/// Knuth's MMIX generator.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end.max(1)
    }
}

/// Changes a frame, behind its length, in one of many ways.
fn spoil(frame: &mut Vec<u8>, random: &mut Random) {
    let at = 4 + random.below(frame.len() - 4);
    match random.below(6) {
        0 => frame.truncate(at),
        1 => frame[at] = 0xff,
        2 => frame[at] ^= 1 << random.below(8),
        3 => drop(frame.splice(at..at, [0xff, 0xff, 0xff, 0xff, 0x0f])),
        4 => drop(frame.splice(at..at, [0x7f; 4])),
        _ => frame[at] = frame[at].wrapping_add(1),
    }
}

#[test]
fn wrong_answers_are_errors_and_right_ones_go_on() {
    for seed in 0..40 {
        let is_wrong = Arc::new(AtomicBool::new(true));
        let random = Arc::new(Mutex::new(Random(seed)));
        let (mut brokers, _) = Obliging::new(&[]);
        let (spoils, numbers) = (Arc::clone(&is_wrong), Arc::clone(&random));
        let script = move |address: &Address, header: &RequestHeader, body: Body| {
            let mut reply = brokers.answer(address, header, body);
            let random = &mut *numbers.lock().unwrap();
            if let Reply::Answer(frame) = &mut reply
                && spoils.load(Ordering::Relaxed)
                && random.below(3) == 0
            {
                spoil(frame, random);
            }
            reply
        };
        let mut fake = Fake::new(FakeTransport::new(script));
        drop(run(&mut fake, 20));
        is_wrong.store(false, Ordering::Relaxed);
        fake.advance(200_000);
        assert_eq!(run(&mut fake, 400), Ok(()), "seed {seed}");
    }
}

/// Writes, reads and asks, for so many moments; otherwise what did not go well.
fn run(fake: &mut Fake, moments: usize) -> Result<(), Vec<String>> {
    let words = TopicPartition::new("words", 0);
    let options = ProduceOptions { transactional_id: Some("tx".into()), ..ProduceOptions::default() };
    let mut writer = KafkaWriter::new(fake.driver.clone(), options);
    let mut reader = KafkaReader::new(fake.driver.clone(), Isolation::ReadCommitted, FetchOptions::default());
    reader.assign(&[(words.clone(), Offset(FETCHED).into())]);
    let mut admin = KafkaAdmin::new(fake.driver.clone());
    let mut offsets = admin.offsets(std::slice::from_ref(&words), OffsetSpec::EndCommitted);
    let mut committed = admin.committed("g", std::slice::from_ref(&words));
    let mut topics = admin.topics(&["words".into()]);
    let handle = writer.partition(&words);
    let mut init = writer.init();
    drop(writer.append(handle, Timestamp(1), None, Some(b"x"), &Headers::new()));
    let group = GroupMetadata { group: "g".into(), member_id: "m".into(), epoch: 3 };
    let mut commit = writer.commit(Vec::new(), &group);
    let mut open = vec!["offsets", "committed", "topics", "init", "commit"];
    let mut wrong = Vec::new();
    for _ in 0..moments {
        fake.advance(50);
        let now = fake.now();
        let mut events = Vec::new();
        reader.poll(now, 1 << 20, &mut events);
        let failed = events.iter().filter(|event| matches!(event, ReaderEvent::Failed(_)));
        wrong.extend(failed.map(|event| format!("{event:?}")));
        note("offsets", offsets.poll(now), &mut open, &mut wrong);
        note("committed", committed.poll(now), &mut open, &mut wrong);
        note("topics", topics.poll(now), &mut open, &mut wrong);
        note("init", init.poll(now), &mut open, &mut wrong);
        note("commit", commit.poll(now), &mut open, &mut wrong);
        if open.is_empty() {
            break;
        }
    }
    wrong.extend(open.iter().map(|call| format!("{call} never ends")));
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn note<T>(call: &'static str, outcome: Outcome<T>, open: &mut Vec<&'static str>, wrong: &mut Vec<String>) {
    if let Outcome::Failed(failure) = &outcome {
        wrong.push(format!("{call}: {failure}"));
    }
    if !matches!(outcome, Outcome::Pending) {
        open.retain(|other| *other != call);
    }
}
