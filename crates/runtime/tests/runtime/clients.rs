//! Reading a topic by hand.

use std::sync::Arc;
use std::time::Duration;

use crate::changed_log::{Changes, changed};
use crate::support::*;
use millstream_log::ReaderEvent;
use millstream_log::batch::Batch;
use millstream_runtime::{ConsumedRecord, Consumer};
use millstream_types::{ErrorKind, Offset, Serdes};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_record_that_does_not_fit_is_told_in_its_place_and_costs_no_other() {
    let world = World::new(&[("in", 1)]);
    world.produce("in", 0, &[("a", "8 bytes.", 1), ("b", "few", 2), ("c", "few", 3), ("d", "8 bytes.", 4)]);
    let mut consumer = Consumer::new(Arc::new(world.log.clone()), "in", Serdes::string(), Serdes::long()).unwrap();
    let mut told = Vec::new();
    while told.len() < 4 {
        match consumer.poll(LONG) {
            Ok(records) => told.extend(records.into_iter().map(|record| (record.offset, Some(record.record.key)))),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Deserialization, "{error}");
                told.push((error.context().offset.unwrap(), None));
            }
        }
    }
    let expected = [Some("a"), None, None, Some("d")].map(|key| key.map(str::to_owned));
    assert_eq!(told, (0..).map(Offset).zip(expected).collect::<Vec<_>>());
}

/// Gives the batch at offset 1 with a codec that nobody knows.
struct Damage;

impl Changes for Damage {
    fn read(&self, events: &mut Vec<ReaderEvent>) {
        for event in events {
            let ReaderEvent::Fetched(fetched) = event else { continue };
            for batch in fetched.batches.iter_mut().filter(|batch| batch.base_offset() == Offset(1)) {
                let mut bytes = batch.bytes().to_vec();
                bytes[22] |= 7;
                let checksum = crc32c::crc32c(&bytes[21..]);
                bytes[17..21].copy_from_slice(&checksum.to_be_bytes());
                (*batch, _) = Batch::parse(bytes.into()).unwrap();
            }
        }
    }
}

#[test]
fn a_batch_that_cannot_be_read_is_told_with_its_offset_and_costs_no_other() {
    let world = World::new(&[("in", 1)]);
    for (key, time) in [("a", 1), ("b", 2), ("c", 3)] {
        world.produce("in", 0, &[(key, "8 bytes.", time)]);
    }
    let log = changed(world.log.clone(), &Arc::new(Damage));
    let mut consumer = Consumer::new(log, "in", Serdes::string(), Serdes::long()).unwrap();
    let key = |record: ConsumedRecord<_, _>| record.record.key;
    let mut next = || consumer.poll(LONG).map(|records| records.into_iter().map(key).collect::<Vec<String>>());
    assert_eq!(next().unwrap(), ["a"]);
    let error = next().unwrap_err();
    assert_eq!((error.kind(), error.context().offset), (ErrorKind::Corrupted, Some(Offset(1))), "{error}");
    assert_eq!((error.context().topic.as_deref(), error.context().partition.unwrap().0), (Some("in"), 0));
    assert_eq!(next().unwrap(), ["c"]);
}
