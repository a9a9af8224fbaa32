//! Who hears how state is restored and copies are kept.

use std::sync::{Arc, Mutex};

use crate::support::*;
use millstream_log::Log;
use millstream_runtime::{StandbyUpdateListener, StateRestoreListener, SuspendReason};
use millstream_state::MemoryEngines;
use millstream_types::{Headers, Offset, ProcessingGuarantee, TaskId, Timestamp, TopicPartition};

/// Writes down what it hears.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, note: String) {
        self.0.lock().unwrap().push(note);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl StateRestoreListener for Notes {
    fn on_restore_start(&self, partition: &TopicPartition, store: &str, from: Offset, to: Offset) {
        self.add(format!("start {store} {} {from}..{to}", partition.partition));
    }

    fn on_batch_restored(&self, partition: &TopicPartition, store: &str, last: Offset, count: u64) {
        self.add(format!("batch {store} {} {last} {count}", partition.partition));
    }

    fn on_restore_end(&self, partition: &TopicPartition, store: &str, total: u64) {
        self.add(format!("end {store} {} {total}", partition.partition));
    }

    fn on_restore_suspended(&self, partition: &TopicPartition, store: &str, total: u64) {
        self.add(format!("suspended {store} {} {total}", partition.partition));
    }
}

impl StandbyUpdateListener for Notes {
    fn on_update_start(&self, partition: &TopicPartition, store: &str, from: Offset) {
        self.add(format!("start {store} {} {from}", partition.partition));
    }

    fn on_batch_loaded(
        &self,
        partition: &TopicPartition,
        store: &str,
        task: TaskId,
        last: Offset,
        count: u64,
        end: Offset,
    ) {
        assert_eq!(task.partition, partition.partition.0);
        self.add(format!("batch {store} {} {last} {count} of {end}", partition.partition));
    }

    fn on_update_suspended(
        &self,
        partition: &TopicPartition,
        store: &str,
        last: Offset,
        end: Offset,
        reason: SuspendReason,
    ) {
        self.add(format!("{reason:?} {store} {} {last} of {end}", partition.partition));
    }
}

fn other_disk() -> Arc<MemoryEngines> {
    Arc::new(MemoryEngines::simulated_disk("process-2"))
}

fn counted(world: &mut World, records: &[(&str, &str, i64)]) {
    let config = config(ProcessingGuarantee::AtLeastOnce).build().unwrap();
    let mut app = App::new(world, &counting(), &config, disk());
    world.produce("in", 0, records);
    world.settle(&mut [&mut app]);
    app.close(world);
}

#[test]
fn a_restore_is_told_from_its_start_to_its_end() {
    let mut world = World::new(&[("in", 2), ("out", 1)]);
    counted(&mut world, &[("a", "x", 1), ("a", "x", 2), ("b", "x", 3)]);
    let config = config(ProcessingGuarantee::AtLeastOnce).build().unwrap();
    let mut app = App::new(&world, &counting(), &config, other_disk());
    let notes = Notes::default();
    app.instance.set_global_state_restore_listener(notes.clone());
    world.settle(&mut [&mut app]);
    let expected =
        ["start counts 0 0..3", "start counts 1 0..0", "end counts 1 0", "batch counts 0 2 3", "end counts 0 3"];
    assert_eq!(notes.take(), expected);
    app.close(&mut world);
    assert_eq!(notes.take(), [""; 0]);
}

#[test]
fn a_restore_that_is_given_up_is_told() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    counted(&mut world, &[("a", "x", 1)]);
    // A transaction that does not end holds the restore up.
    let mut writer = world.log.writer(Some("somebody"));
    answer(writer.init());
    let to = writer.partition(&TopicPartition::new("app-counts-changelog", 0));
    writer.append(to, Timestamp(1), Some(b"z"), Some(b"12345678"), &Headers::new()).unwrap();
    answer(writer.flush());
    let config = config(ProcessingGuarantee::AtLeastOnce).build().unwrap();
    let mut app = App::new(&world, &counting(), &config, other_disk());
    let notes = Notes::default();
    app.instance.set_global_state_restore_listener(notes.clone());
    world.settle(&mut [&mut app]);
    assert_eq!(notes.take(), ["start counts 0 0..2", "batch counts 0 0 1"]);
    app.close(&mut world);
    assert_eq!(notes.take(), ["suspended counts 0 1"]);
}

struct Broken;

impl StateRestoreListener for Broken {
    fn on_restore_end(&self, _: &TopicPartition, _: &str, _: u64) {
        panic!("no");
    }
}

#[test]
fn a_listener_that_panics_ends_its_thread() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let config = config(ProcessingGuarantee::AtLeastOnce).build().unwrap();
    let mut app = App::new(&world, &counting(), &config, disk());
    app.instance.set_global_state_restore_listener(Broken);
    world.settle(&mut [&mut app]);
    let error = app.error().unwrap();
    assert!(error.contains("the state restore listener panicked: no"), "{error}");
}

#[test]
fn a_copy_is_told_until_it_is_promoted_or_migrates() {
    let config = config(ProcessingGuarantee::AtLeastOnce).set("num.standby.replicas", 1).build().unwrap();
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let mut first = App::new(&world, &counting(), &config, disk());
    world.settle(&mut [&mut first]);
    let mut second = App::new(&world, &counting(), &config, other_disk());
    let (updates, restores) = (Notes::default(), Notes::default());
    second.instance.set_standby_update_listener(updates.clone());
    second.instance.set_global_state_restore_listener(restores.clone());
    world.settle(&mut [&mut first, &mut second]);
    assert_eq!(updates.take(), ["start counts 0 0"]);
    world.produce("in", 0, &[("a", "x", 1), ("b", "x", 2)]);
    world.settle(&mut [&mut first, &mut second]);
    assert_eq!(updates.take(), ["batch counts 0 1 2 of 2"]);
    assert_eq!(restores.take(), [""; 0], "a copy is not restored");
    first.close(&mut world);
    world.settle(&mut [&mut second]);
    assert_eq!(updates.take(), ["Promoted counts 0 1 of 2"]);
    assert_eq!(restores.take(), ["start counts 0 2..2", "end counts 0 0"]);
    second.close(&mut world);

    let mut first = App::new(&world, &counting(), &config, disk());
    world.settle(&mut [&mut first]);
    let mut second = App::new(&world, &counting(), &config, other_disk());
    second.instance.set_standby_update_listener(updates.clone());
    world.settle(&mut [&mut first, &mut second]);
    second.close(&mut world);
    assert_eq!(updates.take(), ["start counts 0 0", "batch counts 0 1 2 of 2", "Migrated counts 0 1 of 2"]);
    world.settle(&mut [&mut first]);
    first.close(&mut world);
}
