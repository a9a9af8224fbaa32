//! Logs that were cut below what was read, and have grown again: what an unclean leader election leaves. Only the
//! leader epoch that was kept with an offset tells.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::changed_log::{Changes, changed};
use crate::failures::earlier_run;
use crate::support::*;
use millstream_log::{Log as _, ReadPosition, Reader, ReaderEvent};
use millstream_runtime::Handlers;
use millstream_state::MemoryEngines;
use millstream_types::config::ConfigBuilder;
use millstream_types::{Now, Offset, ProcessingGuarantee, TopicPartition};

const CHANGELOG: &str = "app-counts-changelog";

/// Under which the topic was written before it was cut.
const EPOCH: i32 = 3;

/// Nothing is cut.
const NEVER: Offset = Offset(i64::MAX);

/// A topic whose records are others from an offset on than they were.
struct Cut {
    topic: &'static str,
    at: Arc<AtomicI64>,
}

impl Changes for Cut {
    fn reader(&self, inner: Box<dyn Reader>) -> Box<dyn Reader> {
        Box::new(CutReader { inner, topic: self.topic, at: Arc::clone(&self.at), positions: BTreeMap::new() })
    }
}

struct CutReader {
    inner: Box<dyn Reader>,
    topic: &'static str,
    at: Arc<AtomicI64>,
    positions: BTreeMap<TopicPartition, ReadPosition>,
}

impl Reader for CutReader {
    fn assign(&mut self, positions: &[(TopicPartition, ReadPosition)]) {
        self.positions = positions.iter().filter(|(partition, _)| &*partition.topic == self.topic).cloned().collect();
        self.inner.assign(positions);
    }
    fn pause(&mut self, partition: &TopicPartition) {
        self.inner.pause(partition);
    }
    fn resume(&mut self, partition: &TopicPartition) {
        self.inner.resume(partition);
    }
    fn poll(&mut self, now: Now, bytes_max: usize, events: &mut Vec<ReaderEvent>) {
        let end = Offset(self.at.load(Ordering::SeqCst));
        let is_lost = |position: &ReadPosition| position.leader_epoch == EPOCH && position.offset > end;
        if let Some((partition, position)) = self.positions.iter().find(|(_, position)| is_lost(position)) {
            let (partition, position) = (partition.clone(), position.offset);
            self.positions.remove(&partition);
            events.push(ReaderEvent::OutOfRange { partition, position, log_start: Offset(0), log_end: end });
            return;
        }
        let before = events.len();
        self.inner.poll(now, bytes_max, events);
        for event in events.iter_mut().skip(before) {
            if let ReaderEvent::Fetched(fetched) = event
                && let Some(position) = self.positions.get_mut(&fetched.partition)
            {
                fetched.leader_epoch = EPOCH + i32::from(end != NEVER);
                *position = fetched.position();
            }
        }
    }
}

fn nothing_cut() -> Arc<AtomicI64> {
    Arc::new(AtomicI64::new(NEVER.0))
}

fn on_cut(
    world: &World,
    (topic, at): (&'static str, &Arc<AtomicI64>),
    engines: &Arc<MemoryEngines>,
    config: ConfigBuilder,
) -> App {
    let log = changed(world.log.clone(), &Arc::new(Cut { topic, at: Arc::clone(at) }));
    App::on(log, &counting(), &config.build().unwrap(), engines.clone(), Handlers::default())
}

fn start(world: &World, at: &Arc<AtomicI64>, engines: &Arc<MemoryEngines>, guarantee: ProcessingGuarantee) -> App {
    on_cut(world, ("in", at), engines, config(guarantee))
}

#[track_caller]
fn check_told(app: &App) {
    let error = app.error().expect("the application ends");
    for part in [
        "offset 3 is committed, but the log has lost the 2 offsets before it",
        "set the group's offset to 1",
        "topic=in, partition=0",
    ] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

#[test]
fn input_that_was_cut_between_two_runs_stops_the_second() {
    for guarantee in
        [ProcessingGuarantee::AtLeastOnce, ProcessingGuarantee::ExactlyOnceV2, ProcessingGuarantee::AtMostOnce]
    {
        let mut world = World::new(&[("in", 1), ("out", 1)]);
        let (engines, cut) = (disk(), nothing_cut());
        let mut app = start(&world, &cut, &engines, guarantee);
        world.produce("in", 0, &[("k", "x", 1), ("k", "x", 2), ("k", "x", 3)]);
        world.settle(&mut [&mut app]);
        app.close(&mut world);
        let committed = answer(world.log.admin().committed("app", &[TopicPartition::new("in", 0)])).remove(0).unwrap();
        assert_eq!((committed.offset, committed.leader_epoch), (Offset(3), EPOCH));

        world.produce("in", 0, &[("k", "x", 4)]);
        cut.store(1, Ordering::SeqCst);
        let mut app = start(&world, &cut, &engines, guarantee);
        world.settle(&mut [&mut app]);
        check_told(&app);
        assert_eq!(world.lines("out").last().unwrap(), "k=3", "{guarantee:?}: nothing behind the cut is processed");
    }
}

#[test]
fn input_that_is_cut_while_it_is_read_stops_the_application() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let (engines, cut) = (disk(), nothing_cut());
    let mut app = start(&world, &cut, &engines, ProcessingGuarantee::ExactlyOnceV2);
    world.produce("in", 0, &[("k", "x", 1), ("k", "x", 2), ("k", "x", 3)]);
    world.settle(&mut [&mut app]);
    app.assert_running();

    cut.store(1, Ordering::SeqCst);
    world.produce("in", 0, &[("k", "x", 4)]);
    world.settle(&mut [&mut app]);
    check_told(&app);
}

#[test]
fn a_cut_behind_everything_that_was_read_is_no_trouble() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let (engines, cut) = (disk(), nothing_cut());
    let mut app = start(&world, &cut, &engines, ProcessingGuarantee::ExactlyOnceV2);
    world.produce("in", 0, &[("k", "x", 1), ("k", "x", 2), ("k", "x", 3)]);
    world.settle(&mut [&mut app]);
    app.close(&mut world);

    cut.store(3, Ordering::SeqCst);
    let mut app = start(&world, &cut, &engines, ProcessingGuarantee::ExactlyOnceV2);
    world.settle(&mut [&mut app]);
    app.assert_running();
    app.close(&mut world);
}

#[test]
fn a_copy_whose_changelog_was_cut_is_read_anew() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let settings = || config(ProcessingGuarantee::AtLeastOnce).set("num.standby.replicas", 1);
    let (cut, other_disk) = (nothing_cut(), Arc::new(MemoryEngines::simulated_disk("process-2")));
    let mut first = App::new(&world, &counting(), &settings().build().unwrap(), disk());
    let mut second = on_cut(&world, (CHANGELOG, &cut), &other_disk, settings());
    world.settle(&mut [&mut first, &mut second]);
    world.produce("in", 0, &[("a", "x", 1), ("a", "x", 2), ("b", "x", 3)]);
    world.settle(&mut [&mut first, &mut second]);
    assert_eq!(second.instance.metrics().updated(), 3);

    cut.store(1, Ordering::SeqCst);
    world.produce("in", 0, &[("a", "x", 4)]);
    world.settle(&mut [&mut first, &mut second]);
    second.assert_running();
    assert_eq!((second.instance.metrics().restores_full(), second.instance.metrics().updated()), (1, 7));
    first.close(&mut world);
    second.close(&mut world);
}

#[test]
fn restored_state_whose_changelog_was_cut_is_no_silent_mixture() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let settings = || config(ProcessingGuarantee::ExactlyOnceV2);
    let (cut, engines) = (nothing_cut(), Arc::new(MemoryEngines::simulated_disk("process-2")));
    earlier_run(&mut world, disk(), ProcessingGuarantee::ExactlyOnceV2);
    let mut app = on_cut(&world, (CHANGELOG, &cut), &engines, settings());
    world.settle(&mut [&mut app]);
    assert!(app.instance.metrics().restored() > 0);
    app.close(&mut world);

    // Others go on, and their broker loses what they wrote first.
    let mut others = App::new(&world, &counting(), &settings().build().unwrap(), disk());
    world.produce("in", 0, &[("k", "x", 4)]);
    world.settle(&mut [&mut others]);
    others.close(&mut world);
    cut.store(0, Ordering::SeqCst);
    let mut app = on_cut(&world, (CHANGELOG, &cut), &engines, settings());
    world.settle(&mut [&mut app]);
    let error = app.error().expect("the application ends");
    for part in ["the changelog does not hold the store any more", "it holds 0 to 0", "topic=app-counts-changelog"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}
