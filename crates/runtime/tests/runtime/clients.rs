//! Reading a topic by hand.

use std::sync::Arc;
use std::time::Duration;

use crate::support::*;
use millstream_runtime::Consumer;
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
