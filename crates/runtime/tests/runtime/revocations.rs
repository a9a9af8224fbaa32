//! Tasks that are revoked while something else is under way.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use millstream_runtime::Handlers;
use millstream_state::MemoryEngines;
use millstream_topology::StreamsBuilder;
use millstream_topology::graph::Topology;
use millstream_types::{Config, ProcessingGuarantee};

use crate::failures::full_disk;
use crate::slow_log::SlowLog;
use crate::support::*;

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
    let (log, is_slow) = SlowLog::over(Arc::new(world.log.clone()));
    is_slow.store(false, Ordering::SeqCst);
    let config = config(ProcessingGuarantee::ExactlyOnceV2).build().unwrap();
    let (engines, refusals) = full_disk(0);
    let mut one = App::on(Arc::new(log), &counting(), &config, engines, Handlers::default());
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
    let (log, is_slow) = SlowLog::over(Arc::new(world.log.clone()));
    let config =
        config(ProcessingGuarantee::ExactlyOnceV2).set("auto.offset.reset", "by_duration:PT1H").build().unwrap();
    let mut expected = Vec::new();
    for (at, (topic, partition)) in [("left", 0), ("left", 1), ("right", 0), ("right", 1)].into_iter().enumerate() {
        // Each has another number of records from before that time.
        world.produce(topic, partition, &vec![("old", "x", 1); at * 2]);
        world.produce(topic, partition, &[("new", &format!("{topic}-{partition}"), world.now.wall_ms)]);
        expected.push(format!("new={topic}-{partition}"));
    }
    let mut one = App::on(Arc::new(log), &topology, &config, disk(), Handlers::default());
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
