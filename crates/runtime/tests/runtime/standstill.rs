//! Transactions of others that do not end.

use std::sync::Arc;

use crate::support::*;
use millstream_log::{Log, Writer};
use millstream_types::{Headers, ProcessingGuarantee, Timestamp, TopicPartition};

/// Writes a record in a transaction that stays open.
fn leave_open(world: &World, topic: &str) -> Box<dyn Writer> {
    let mut writer = world.log.writer(Some("somebody-else"));
    answer(writer.init());
    let to = writer.partition(&TopicPartition::new(topic, 0));
    writer.append(to, Timestamp(1), Some(b"k"), Some(b"held"), &Headers::new()).unwrap();
    answer(writer.flush());
    writer
}

#[test]
fn an_input_held_up_by_a_transaction_that_does_not_end_is_told_with_its_producer() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let config = config(ProcessingGuarantee::ExactlyOnceV2).set("transaction.timeout.ms", 2000).build().unwrap();
    let mut app = App::new(&world, &counting(), &config, disk());
    world.produce("in", 0, &[("k", "x", 1)]);
    world.settle(&mut [&mut app]);
    let mut open = leave_open(&world, "in");
    world.produce("in", 0, &[("k", "y", 2), ("k", "z", 3)]);
    world.settle_for(&mut [&mut app], 900);
    assert!(app.threads[0].metadata().held_up.is_empty(), "it may still end in time");

    world.settle_for(&mut [&mut app], 5000);
    app.assert_running();
    let held_up = app.threads[0].metadata().held_up;
    assert_eq!(held_up.len(), 1);
    let error = held_up[0].to_string();
    assert!(error.contains("nothing behind offset 1 can be read") && error.contains("3 offsets wait"), "{error}");
    assert!(error.contains("the transaction of producer") && error.contains("(epoch 0)"), "{error}");
    assert!(error.contains("topic=in, partition=0, offset=1"), "{error}");
    assert_eq!(app.instance.metrics().held_up(), 1);
    assert_eq!(world.lines("out"), ["k=1"]);

    answer(open.abort());
    world.settle_for(&mut [&mut app], 3000);
    assert!(app.threads[0].metadata().held_up.is_empty());
    assert_eq!(app.instance.metrics().held_up(), 0);
    assert_eq!(world.lines("out"), ["k=1", "k=2", "k=3"]);
    app.close(&mut world);
}

#[test]
fn a_restore_held_up_by_a_transaction_is_told_too() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let config = config(ProcessingGuarantee::ExactlyOnceV2).set("transaction.timeout.ms", 2000).build().unwrap();
    let mut app = App::new(&world, &counting(), &config, disk());
    world.produce("in", 0, &[("k", "x", 1)]);
    world.settle(&mut [&mut app]);
    app.close(&mut world);
    let mut open = leave_open(&world, "app-counts-changelog");

    let mut app = App::new(&world, &counting(), &config, Arc::new(millstream_state::MemoryEngines::new("process-2")));
    world.settle_for(&mut [&mut app], 5000);
    let held_up = app.threads[0].metadata().held_up;
    assert_eq!(held_up.len(), 1);
    assert!(held_up[0].to_string().contains("topic=app-counts-changelog, partition=0"), "{}", held_up[0]);
    answer(open.abort());
    world.settle_for(&mut [&mut app], 3000);
    app.assert_running();
    assert_eq!(app.threads[0].metadata().active.len(), 1);
    app.close(&mut world);
}
