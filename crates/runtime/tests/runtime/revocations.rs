//! Tasks that are revoked while something else is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use millstream_log::{Call, Log, OffsetSpec, Outcome, Pending};
use millstream_runtime::Handlers;
use millstream_state::MemoryEngines;
use millstream_topology::StreamsBuilder;
use millstream_topology::graph::Topology;
use millstream_types::{Config, Now, Offset, ProcessingGuarantee, TopicPartition};

use crate::changed_log::{Changes, changed};
use crate::failures::full_disk;
use crate::support::*;

/// A log that keeps some answers back while it is told to: what begins has its effect at once, and its answer comes when
/// that is over. Commits, and which offsets belong to a point in time.
struct Slow(Arc<AtomicBool>);

impl Slow {
    /// Over a log; slow from now on until told otherwise.
    fn over(log: impl Log + 'static) -> (Arc<dyn Log>, Arc<AtomicBool>) {
        let is_slow = Arc::new(AtomicBool::new(true));
        (changed(log, &Arc::new(Self(Arc::clone(&is_slow)))), is_slow)
    }

    /// Keeps the answer of a call that begins while the log is slow.
    fn kept<T: Send + 'static>(&self, call: Call<T>) -> Call<T> {
        if self.0.load(Ordering::SeqCst) { Call::pending(Kept { call, is_slow: Arc::clone(&self.0) }) } else { call }
    }
}

impl Changes for Slow {
    fn commit(&self, begin: &mut dyn FnMut() -> Call<()>) -> Call<()> {
        self.kept(begin())
    }

    fn offsets(&self, _: &[TopicPartition], spec: OffsetSpec, answer: Call<Vec<Offset>>) -> Call<Vec<Offset>> {
        if matches!(spec, OffsetSpec::AtTime(_)) { self.kept(answer) } else { answer }
    }
}

/// The answer of a call, kept back.
struct Kept<T> {
    call: Call<T>,
    is_slow: Arc<AtomicBool>,
}

impl<T: Send> Pending<T> for Kept<T> {
    fn poll(&mut self, now: Now) -> Outcome<T> {
        if self.is_slow.load(Ordering::SeqCst) { Outcome::Pending } else { self.call.poll(now) }
    }
}

/// Another instance of the application.
fn second(world: &World, topology: &Topology, config: &Config) -> App {
    App::new(world, topology, config, Arc::new(MemoryEngines::simulated_disk("process-2")))
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[test]
fn a_task_given_up_while_its_store_refuses_is_committed_before_and_counts_exactly_once() {
    let mut world = World::new(&[("in", 2), ("out", 1)]);
    let (log, is_slow) = Slow::over(world.log.clone());
    is_slow.store(false, Ordering::SeqCst);
    let config = config(ProcessingGuarantee::ExactlyOnceV2).build().unwrap();
    let (engines, refusals) = full_disk(0);
    let mut one = App::on(log, &counting(), &config, engines, Handlers::default());
    let produce = |world: &World| {
        world.produce("in", 0, &[("a", "x", 1)]);
        world.produce("in", 1, &[("b", "x", 1)]);
    };
    produce(&world);
    world.settle(&mut [&mut one]);
    assert_eq!(sorted(world.lines("out")), ["a=1", "b=1"]);

    // A transaction is about to end, and the thread goes on with the next one; the disk is full by now.
    is_slow.store(true, Ordering::SeqCst);
    refusals.store(u32::MAX, Ordering::SeqCst);
    produce(&world);
    world.settle(&mut [&mut one]);
    produce(&world);
    world.settle(&mut [&mut one]);
    assert_eq!(one.instance.metrics().processed(), 6);
    assert_eq!(sorted(world.lines("out")), ["a=1", "a=2", "b=1", "b=2"]);

    is_slow.store(false, Ordering::SeqCst);
    one.step(world.now);
    assert!(one.threads[0].metadata().paused.is_some());
    let mut two = second(&world, &counting(), &config);
    world.settle_for(&mut [&mut one, &mut two], 3000);
    assert_eq!(two.threads[0].metadata().active.len(), 1);
    refusals.store(0, Ordering::SeqCst);
    world.settle_for(&mut [&mut one, &mut two], 15_000);

    one.assert_running();
    two.assert_running();
    assert_eq!(sorted(world.lines("out")), ["a=1", "a=2", "a=3", "b=1", "b=2", "b=3"]);
    one.close(&mut world);
    two.close(&mut world);
}

#[test]
fn inputs_that_start_at_a_point_in_time_start_there_when_other_tasks_are_revoked_meanwhile() {
    // Two sub-topologies: of the tasks 0_0, 0_1, 1_0, 1_1 the second and the last are revoked.
    let builder = StreamsBuilder::new();
    builder.stream::<String, String>("left").to("out");
    builder.stream::<String, String>("right").to("out");
    let topology = builder.build().unwrap();
    let mut world = World::new(&[("left", 2), ("right", 2), ("out", 1)]);
    let (log, is_slow) = Slow::over(world.log.clone());
    let config =
        config(ProcessingGuarantee::ExactlyOnceV2).set("auto.offset.reset", "by_duration:PT1H").build().unwrap();
    let mut expected = Vec::new();
    for (at, (topic, partition)) in [("left", 0), ("left", 1), ("right", 0), ("right", 1)].into_iter().enumerate() {
        // Each has another number of records from before that time.
        world.produce(topic, partition, &vec![("old", "x", 1); at * 2]);
        world.produce(topic, partition, &[("new", &format!("{topic}-{partition}"), world.now.wall_ms)]);
        expected.push(format!("new={topic}-{partition}"));
    }
    let mut one = App::on(log, &topology, &config, disk(), Handlers::default());
    world.settle(&mut [&mut one]);
    assert_eq!(one.threads[0].metadata().restoring.len(), 4, "where they start is not known yet");
    let mut two = second(&world, &topology, &config);
    world.settle(&mut [&mut one, &mut two]);
    let left = one.threads[0].metadata().restoring;
    assert_eq!(left.iter().map(ToString::to_string).collect::<Vec<_>>(), ["0_0", "1_0"]);

    is_slow.store(false, Ordering::SeqCst);
    world.settle_for(&mut [&mut one, &mut two], 15_000);

    one.assert_running();
    two.assert_running();
    assert_eq!(sorted(world.lines("out")), expected);
    one.close(&mut world);
    two.close(&mut world);
}
