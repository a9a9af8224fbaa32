//! `processing.guarantee=at_most_once`: offsets first, then the records.

use std::time::Duration;

use crate::support::*;
use crate::topologies::word_count;
use millstream_types::{Offset, ProcessingGuarantee};

fn at_most_once() -> millstream_types::config::ConfigBuilder {
    config(ProcessingGuarantee::AtMostOnce)
}

#[test]
fn what_a_crash_finds_committed_and_not_written_is_lost_and_never_repeated() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let engines = disk();
    // After the first one no commit of what was processed before the crash.
    let slow = at_most_once().commit_interval(Duration::from_secs(3600)).build().unwrap();
    let mut app = App::new(&world, &counting(), &slow, engines.clone());
    world.produce("in", 0, &[("b", "x", 1)]);
    world.settle(&mut [&mut app]);
    world.produce("in", 0, &[("a", "x", 1), ("a", "x", 2)]);
    world.settle(&mut [&mut app]);
    assert_eq!(app.instance.metrics().processed(), 3);
    assert_eq!(world.committed("in", 0), Some(Offset(3)), "offsets are committed at once");
    drop(app);

    let mut app = App::new(&world, &counting(), &at_most_once().build().unwrap(), engines);
    world.produce("in", 0, &[("a", "x", 3)]);
    world.settle(&mut [&mut app]);

    app.assert_running();
    assert_eq!(world.lines("out"), ["b=1", "a=1"], "the two in between are lost");
    app.close(&mut world);
}

#[test]
fn a_close_in_order_loses_nothing() {
    let mut world = World::new(&[("in", 2), ("out", 1)]);
    let engines = disk();
    let config = at_most_once().build().unwrap();
    for round in 1..=5 {
        let mut app = App::new(&world, &counting(), &config, engines.clone());
        let records: Vec<_> = (0..40).map(|_| ("a", "x", round)).collect();
        world.produce("in", 0, &records);
        world.produce("in", 1, &records);
        // Somewhere between claiming and processing all.
        for _ in 0..round * 3 {
            app.step(world.now);
        }
        app.close(&mut world);
    }
    let mut app = App::new(&world, &counting(), &config, engines);
    world.settle(&mut [&mut app]);
    app.close(&mut world);

    let lines = world.lines("out");
    assert_eq!(lines.len(), 400);
    assert_eq!(lines.iter().filter(|line| *line == "a=200").count(), 2, "one count of 200 for each partition");
}

#[test]
fn a_rebalance_loses_nothing_either() {
    let mut world = World::new(&[("in", 4), ("out", 1)]);
    let config = at_most_once().build().unwrap();
    let mut one = App::new(&world, &counting(), &config, disk());
    let records: Vec<_> = (0..50).map(|at| ("k", "x", at)).collect();
    for partition in 0..4 {
        world.produce("in", partition, &records);
    }
    for _ in 0..12 {
        one.step(world.now);
    }
    let other = std::sync::Arc::new(millstream_state::MemoryEngines::simulated_disk("process-2"));
    let mut two = App::new(&world, &counting(), &config, other);
    world.settle(&mut [&mut one, &mut two]);

    assert_eq!(two.threads[0].metadata().active.len(), 2);
    assert_eq!(world.lines("out").iter().filter(|line| *line == "k=50").count(), 4);
    one.close(&mut world);
    two.close(&mut world);
}

#[test]
fn what_is_given_back_at_a_close_is_still_in_its_repartition_topic() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let engines = disk();
    let short = Duration::from_millis(1);
    let config = at_most_once().commit_interval(short).repartition_purge_interval(short).build().unwrap();
    let line = ["w"; 30].join(" ");
    for round in 1..=25 {
        let mut app = App::new(&world, &word_count(), &config, engines.clone());
        world.produce("in", 0, &[("k", &line, round)]);
        // Ends somewhere between claiming the words and counting them all.
        for _ in 0..round * 2 {
            app.step(world.now);
            world.pass(2);
        }
        app.close(&mut world);
    }
    let mut app = App::new(&world, &word_count(), &config, engines);
    world.settle(&mut [&mut app]);
    app.close(&mut world);

    assert_eq!(world.lines("out").last().map(String::as_str), Some("w=750"), "no word is lost");
}
