//! Inputs that were cut below what was processed, and have grown again: what an unclean leader election leaves. Only the
//! leader epoch that was committed with an offset tells.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::support::*;
use millstream_log::{Admin, Isolation, Log, Member, MemberConfig, ReadPosition, Reader, ReaderEvent, Writer};
use millstream_runtime::Handlers;
use millstream_state::MemoryEngines;
use millstream_types::{Now, Offset, ProcessingGuarantee, TopicPartition};

/// Under which the topic was written.
const EPOCH: i32 = 3;

/// A log with a topic whose records are others from an offset on than they were.
struct Cut {
    inner: Arc<dyn Log>,
    topic: &'static str,
    at: Arc<AtomicI64>,
}

impl Log for Cut {
    fn admin(&self) -> Box<dyn Admin> {
        self.inner.admin()
    }
    fn reader(&self, isolation: Isolation) -> Box<dyn Reader> {
        let inner = self.inner.reader(isolation);
        Box::new(CutReader { inner, topic: self.topic, at: Arc::clone(&self.at), positions: BTreeMap::new() })
    }
    fn writer(&self, transactional_id: Option<&str>) -> Box<dyn Writer> {
        self.inner.writer(transactional_id)
    }
    fn member(&self, config: MemberConfig) -> Box<dyn Member> {
        self.inner.member(config)
    }
    fn wait(&self, timeout: std::time::Duration) {
        self.inner.wait(timeout);
    }
    fn wake(&self) {
        self.inner.wake();
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
                fetched.leader_epoch = EPOCH;
                *position = fetched.position();
            }
        }
    }
}

fn start(world: &World, at: &Arc<AtomicI64>, engines: &Arc<MemoryEngines>, guarantee: ProcessingGuarantee) -> App {
    let log = Cut { inner: Arc::new(world.log.clone()), topic: "in", at: Arc::clone(at) };
    let config = config(guarantee).build().unwrap();
    App::on(Arc::new(log), &counting(), &config, engines.clone(), Handlers::default())
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
        let (engines, cut) = (disk(), Arc::new(AtomicI64::new(i64::MAX)));
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
    let (engines, cut) = (disk(), Arc::new(AtomicI64::new(i64::MAX)));
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
    let (engines, cut) = (disk(), Arc::new(AtomicI64::new(i64::MAX)));
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
