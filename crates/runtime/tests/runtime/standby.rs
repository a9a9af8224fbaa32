//! Standby tasks: copies of state that other processes write.

use std::sync::Arc;

use crate::support::*;
use millstream_state::MemoryEngines;
use millstream_topology::graph::Topology;
use millstream_topology::{Materialized, StreamsBuilder};
use millstream_types::{Config, ProcessingGuarantee, TaskId};

fn with_standby(guarantee: ProcessingGuarantee) -> Config {
    config(guarantee).set("num.standby.replicas", 1).build().unwrap()
}

fn other_disk() -> Arc<MemoryEngines> {
    Arc::new(MemoryEngines::simulated_disk("process-2"))
}

fn standby(app: &App) -> Vec<i32> {
    app.threads[0].metadata().standby.iter().map(|task| task.partition).collect()
}

fn active(app: &App) -> Vec<i32> {
    app.threads[0].metadata().active.iter().map(|task| task.partition).collect()
}

#[test]
fn a_copy_follows_its_changelog_and_becomes_active_with_nothing_left_to_restore() {
    for guarantee in GUARANTEES {
        let mut world = World::new(&[("in", 2), ("out", 1)]);
        let mut first = App::new(&world, &counting(), &with_standby(guarantee), disk());
        let mut second = App::new(&world, &counting(), &with_standby(guarantee), other_disk());
        world.settle(&mut [&mut first, &mut second]);
        assert_eq!((active(&first), standby(&first)), (vec![0], vec![1]), "{guarantee:?}");
        assert_eq!((active(&second), standby(&second)), (vec![1], vec![0]), "{guarantee:?}");
        for value in 0..20 {
            world.produce("in", 0, &[("a", "x", value), ("b", "x", value)]);
        }
        world.settle(&mut [&mut first, &mut second]);
        assert!(second.instance.metrics().updated() > 0, "{guarantee:?}");
        assert_eq!(second.instance.metrics().restored(), 0, "a copy is not restored, it is updated");

        // Gone without a word; the second one hears of it when the session has ended.
        drop(first);
        world.pass(60_000);
        world.produce("in", 0, &[("a", "x", 100)]);
        world.settle(&mut [&mut second]);
        second.assert_running();
        assert_eq!((active(&second), standby(&second)), (vec![0, 1], vec![]), "{guarantee:?}");
        assert_eq!(world.lines("out").last().map(String::as_str), Some("a=21"), "{guarantee:?}");
        assert_eq!(second.instance.metrics().restored(), 0, "the copy had it all");
        second.close(&mut world);
    }
}

#[test]
fn a_task_that_is_given_up_is_kept_as_a_copy_and_taken_back() {
    let guarantee = ProcessingGuarantee::ExactlyOnceV2;
    let mut world = World::new(&[("in", 2), ("out", 1)]);
    let mut first = App::new(&world, &counting(), &with_standby(guarantee), disk());
    world.produce("in", 0, &[("a", "x", 1)]);
    world.produce("in", 1, &[("b", "x", 1)]);
    world.settle(&mut [&mut first]);
    assert_eq!((active(&first), standby(&first)), (vec![0, 1], vec![]), "there is nobody else to keep copies");
    for round in 0..3 {
        let mut second = App::new(&world, &counting(), &with_standby(guarantee), other_disk());
        world.settle(&mut [&mut first, &mut second]);
        assert_eq!((active(&first).len(), standby(&first).len()), (1, 1));
        world.produce("in", 0, &[("a", "x", 2)]);
        world.produce("in", 1, &[("b", "x", 2)]);
        world.settle(&mut [&mut first, &mut second]);
        second.close(&mut world);
        world.settle(&mut [&mut first]);
        assert_eq!((active(&first), standby(&first)), (vec![0, 1], vec![]), "round {round}");
    }
    world.produce("in", 0, &[("a", "x", 3)]);
    world.produce("in", 1, &[("b", "x", 3)]);
    world.settle(&mut [&mut first]);
    let mut lines = world.lines("out");
    lines.sort();
    lines.dedup();
    assert_eq!(lines.last().map(String::as_str), Some("b=5"));
    assert!(lines.contains(&"a=5".to_owned()));
    assert_eq!(first.instance.metrics().restored(), 0);
    first.close(&mut world);
}

/// Keeps the rows of a topic that is its own changelog.
fn table(config: &Config) -> Topology {
    let builder = StreamsBuilder::with_config(config);
    let rows = builder.table_with::<String, String>(
        "in",
        millstream_topology::Consumed::default(),
        Materialized::named("rows"),
    );
    rows.to_stream().to("out");
    builder.build().unwrap()
}

#[test]
fn a_copy_of_an_input_that_serves_as_changelog_ends_at_what_is_committed() {
    let config = config(ProcessingGuarantee::AtLeastOnce)
        .set("num.standby.replicas", 1)
        .set("topology.optimization", "all")
        .build()
        .unwrap();
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let topology = table(&config);
    let mut first = App::new(&world, &topology, &config, disk());
    let mut second = App::new(&world, &topology, &config, other_disk());
    world.settle(&mut [&mut first, &mut second]);
    world.produce("in", 0, &[("a", "1", 1), ("b", "2", 2)]);
    world.settle(&mut [&mut first, &mut second]);
    world.settle_for(&mut [&mut first, &mut second], 3_000);
    let (mut active, mut copy) = if active(&first).is_empty() { (second, first) } else { (first, second) };
    assert_eq!(standby(&copy), [0]);
    assert_eq!(copy.instance.metrics().updated(), 2);
    // Nobody has processed these.
    world.produce("in", 0, &[("a", "3", 3), ("c", "4", 4)]);
    world.settle_for(&mut [&mut copy], 3_000);
    assert_eq!(copy.instance.metrics().updated(), 2, "changes that are not processed come as input");
    world.settle_for(&mut [&mut active, &mut copy], 3_000);
    assert_eq!(copy.instance.metrics().updated(), 4);
    active.close(&mut world);
    world.settle(&mut [&mut copy]);
    assert_eq!(copy.threads[0].metadata().active, [TaskId { subtopology: 0, partition: 0 }]);
    assert_eq!(copy.instance.metrics().restored(), 0);
    copy.close(&mut world);
}
