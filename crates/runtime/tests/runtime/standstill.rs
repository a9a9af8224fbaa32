//! Transactions of others that do not end.

use std::sync::Arc;

use std::sync::atomic::{AtomicBool, Ordering};

use crate::changed_log::{Changes, changed};
use crate::support::*;
use millstream_log::{Call, CommittedOffset, FailureKind, Log, Writer};
use millstream_runtime::Handlers;
use millstream_types::{Error, ErrorKind, Headers, ProcessingGuarantee, Timestamp, TopicPartition};

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

#[test]
fn a_copy_held_up_by_a_transaction_is_told_too() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let config = config(ProcessingGuarantee::ExactlyOnceV2)
        .set("transaction.timeout.ms", 2000)
        .set("num.standby.replicas", 1)
        .build()
        .unwrap();
    let instance = |number| Arc::new(millstream_state::MemoryEngines::new(format!("process-{number}")));
    let mut apps = [1, 2].map(|number| App::new(&world, &counting(), &config, instance(number)));
    let [active, copy] = &mut apps;
    world.produce("in", 0, &[("k", "x", 1)]);
    world.settle(&mut [active, copy]);
    assert_eq!([&*active, copy].map(|app| app.threads[0].metadata().standby.len()).iter().sum::<usize>(), 1);
    let mut open = leave_open(&world, "app-counts-changelog");
    world.settle_for(&mut [active, copy], 5000);
    let held_up = [&*active, copy].map(|app| app.threads[0].metadata().held_up).concat();
    assert_eq!(held_up.len(), 1, "{held_up:?}");
    assert!(held_up[0].to_string().contains("topic=app-counts-changelog, partition=0"), "{}", held_up[0]);
    answer(open.abort());
    world.settle_for(&mut [active, copy], 3000);
    assert_eq!([&*active, copy].map(|app| app.instance.metrics().held_up()), [0, 0]);
    for app in apps {
        app.close(&mut world);
    }
}

/// Committed offsets are not told while a transaction holds them.
struct Unstable(AtomicBool);

impl Changes for Unstable {
    fn committed(&self, answer: Call<Vec<Option<CommittedOffset>>>) -> Call<Vec<Option<CommittedOffset>>> {
        if !self.0.load(Ordering::SeqCst) {
            return answer;
        }
        Call::failed(FailureKind::Retriable, Error::new(ErrorKind::Retriable, "in-0: UNSTABLE_OFFSET_COMMIT"))
    }
}

#[test]
fn offsets_held_up_by_a_transaction_are_told_and_end_the_thread_in_time() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let config = config(ProcessingGuarantee::ExactlyOnceV2)
        .set("transaction.timeout.ms", 2000)
        .set("task.timeout.ms", 30_000)
        .build()
        .unwrap();
    let unstable = Arc::new(Unstable(AtomicBool::new(true)));
    let start = |world: &World| {
        App::on(changed(world.log.clone(), &unstable), &counting(), &config, disk(), Handlers::default())
    };
    world.produce("in", 0, &[("k", "x", 1)]);
    let mut app = start(&world);
    // Brokers look for transactions whose timeout is over every ten seconds.
    world.settle_for(&mut [&mut app], 11_000);
    assert!(app.threads[0].metadata().held_up.is_empty(), "it may still end in time");
    world.settle_for(&mut [&mut app], 3000);
    let held_up = app.threads[0].metadata().held_up;
    assert_eq!((held_up.len(), app.instance.metrics().held_up()), (1, 1));
    let error = held_up[0].to_string();
    assert!(error.contains("more than 12 s: in-0: UNSTABLE_OFFSET_COMMIT"), "{error}");
    unstable.0.store(false, Ordering::SeqCst);
    world.settle(&mut [&mut app]);
    assert_eq!((app.instance.metrics().held_up(), world.lines("out").len()), (0, 1));
    app.close(&mut world);

    unstable.0.store(true, Ordering::SeqCst);
    let mut app = start(&world);
    world.settle_for(&mut [&mut app], 31_000);
    let error = app.threads[0].error().expect("it does not wait for ever").report();
    assert!(error.contains("longer than task.timeout.ms (30000 ms)") && error.contains("UNSTABLE"), "{error}");
    assert_eq!(app.instance.metrics().held_up(), 0);
}
