//! Sources that read what a pattern matches, and tables whose topic is their changelog.

use std::sync::Arc;

use millstream_log::Log;
use millstream_state::MemoryEngines;
use millstream_topology::StreamsBuilder;
use millstream_topology::graph::Topology;
use millstream_types::{Config, ProcessingGuarantee};

use crate::support::*;

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// Everything of the topics `in-...` to `out`.
fn collected() -> Topology {
    let builder = StreamsBuilder::new();
    builder.stream_pattern::<String, String>("in-.*").to("out");
    builder.build().unwrap()
}

#[test]
fn topics_that_appear_under_a_pattern_join_while_the_application_runs() {
    for guarantee in GUARANTEES {
        let mut world = World::new(&[("in-a", 1), ("out", 1), ("other", 1)]);
        let config = config(guarantee).num_stream_threads(2).build().unwrap();
        let mut app = App::new(&world, &collected(), &config, disk());
        let mut second = App::new(&world, &collected(), &config, Arc::new(MemoryEngines::simulated_disk("process-2")));
        world.produce("in-a", 0, &[("1", "a", 1)]);
        world.produce("other", 0, &[("1", "other", 1)]);
        world.settle(&mut [&mut app, &mut second]);
        assert_eq!(world.lines("out"), ["1=a"], "{guarantee:?}");

        world.create(&[("in-b", 2)]);
        world.produce("in-b", 1, &[("2", "b", 2)]);
        world.produce("in-a", 0, &[("3", "a", 3)]);
        world.settle_for(&mut [&mut app, &mut second], 5_000);
        app.assert_running();
        second.assert_running();
        assert_eq!(sorted(world.lines("out")), ["1=a", "2=b", "3=a"], "{guarantee:?}");

        // A topic that is deleted leaves, and the others go on.
        answer(world.log.admin().delete_topics(&["in-a".into()]));
        world.produce("in-b", 0, &[("4", "b", 4)]);
        world.settle_for(&mut [&mut app, &mut second], 5_000);
        assert_eq!(sorted(world.lines("out")), ["1=a", "2=b", "3=a", "4=b"], "{guarantee:?}");
        app.close(&mut world);
        second.close(&mut world);
    }
}

#[test]
fn a_pattern_may_match_nothing_at_first() {
    let mut world = World::new(&[("out", 1)]);
    let config = config(GUARANTEES[1]).build().unwrap();
    let mut app = App::new(&world, &collected(), &config, disk());
    world.settle(&mut [&mut app]);
    app.assert_running();
    world.create(&[("in-late", 1)]);
    world.produce("in-late", 0, &[("1", "a", 1)]);
    world.settle_for(&mut [&mut app], 5_000);
    app.assert_running();
    assert_eq!(world.lines("out"), ["1=a"]);
    app.close(&mut world);
}

/// Visits with the names of their cities; the table's topic is its changelog.
fn named_visits(config: &Config) -> Topology {
    let builder = StreamsBuilder::with_config(config);
    let cities = builder.table::<String, String>("cities");
    builder.stream::<String, String>("visits").join(&cities, |visit, city| format!("{visit}@{city}")).to("out");
    builder.build().unwrap()
}

#[test]
fn a_table_is_restored_from_its_topic_and_writes_nothing_there() {
    for guarantee in GUARANTEES {
        let mut world = World::new(&[("cities", 2), ("visits", 2), ("out", 1)]);
        let config = config(guarantee).topology_optimization("all").build().unwrap();
        let mut app = App::new(&world, &named_visits(&config), &config, disk());
        world.produce("cities", 0, &[("b", "Berlin", 1), ("b", "Bonn", 2), ("p", "Paris", 2)]);
        world.settle(&mut [&mut app]);
        world.produce("visits", 0, &[("b", "1", 3)]);
        world.settle(&mut [&mut app]);
        app.assert_running();
        assert_eq!(world.lines("out"), ["b=1@Bonn"], "{guarantee:?}");

        // A crash; what the topic got meanwhile is input, in its order, and not state.
        drop(app);
        world.produce("visits", 0, &[("b", "2", 4), ("p", "3", 5)]);
        world.produce("cities", 0, &[("b", "Bern", 6)]);
        let elsewhere = Arc::new(MemoryEngines::simulated_disk("process-2"));
        let mut app = App::new(&world, &named_visits(&config), &config, elsewhere);
        world.settle_for(&mut [&mut app], 60_000);
        app.assert_running();
        assert_eq!(world.lines("out"), ["b=1@Bonn", "b=2@Bonn", "p=3@Paris"], "{guarantee:?}");
        world.produce("visits", 0, &[("b", "4", 7)]);
        world.settle(&mut [&mut app]);
        assert_eq!(world.lines("out").last().unwrap(), "b=4@Bern", "{guarantee:?}");

        assert_eq!(world.records("cities").len(), 4, "nothing but what was produced");
        let topics = answer(world.log.admin().list_topics());
        assert!(topics.iter().all(|topic| !topic.name.ends_with("-changelog")), "{topics:?}");
        app.close(&mut world);
    }
}

#[test]
fn a_group_without_offsets_starts_where_the_configuration_says() {
    for (reset, expected) in [
        ("earliest", vec!["old=1", "young=1"]),
        ("by_duration:PT1H", vec!["young=1"]),
        ("by_duration:P1D", vec!["old=1", "young=1"]),
        ("latest", vec![]),
    ] {
        let mut world = World::new(&[("in", 1), ("out", 1)]);
        let now = world.now.wall_ms;
        world.produce("in", 0, &[("old", "x", now - 7_200_000), ("young", "x", now - 1_800_000)]);
        let config = config(ProcessingGuarantee::AtLeastOnce).set("auto.offset.reset", reset).build().unwrap();
        let mut app = App::new(&world, &counting(), &config, disk());

        world.settle(&mut [&mut app]);

        assert_eq!(world.lines("out"), expected, "{reset}");
        app.close(&mut world);
    }
}
