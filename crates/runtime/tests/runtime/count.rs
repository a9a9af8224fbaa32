//! Counting by key: commits, crashes, rebalances, restores.

use std::sync::Arc;

use crate::support::*;
use millstream_state::{KeyValueStore, MemoryEngines, Stores};
use millstream_topology::graph::Topology;
use millstream_topology::{
    Context, Incoming, Materialized, Processor, ProcessorError, SinkSpec, SourceSpec, StreamsBuilder,
};
use millstream_types::{Offset, ProcessingGuarantee, Record, Serdes, TaskId, Timestamp};

#[test]
fn records_are_counted_and_committed() {
    for guarantee in GUARANTEES {
        let mut world = World::new(&[("in", 2), ("out", 1)]);
        let mut app = App::new(&world, &counting(), &config(guarantee).build().unwrap(), disk());
        world.produce("in", 0, &[("a", "x", 1), ("a", "y", 2)]);
        world.produce("in", 1, &[("b", "x", 1)]);

        world.settle(&mut [&mut app]);

        app.assert_running();
        let mut lines = world.lines("out");
        lines.sort();
        assert_eq!(lines, ["a=1", "a=2", "b=1"], "{guarantee:?}");
        assert_eq!(world.committed("in", 0), Some(Offset(2)));
        assert_eq!(world.committed("in", 1), Some(Offset(1)));
        assert_eq!(world.records("app-counts-changelog").len(), 3);
        assert_eq!(app.instance.metrics().processed(), 3);
        app.close(&mut world);
    }
}

#[test]
fn what_comes_after_a_pause_is_committed_at_once_and_what_follows_an_interval_later() {
    for guarantee in GUARANTEES {
        let mut world = World::new(&[("in", 1), ("out", 1)]);
        let mut app = App::new(&world, &counting(), &config(guarantee).build().unwrap(), disk());
        world.settle(&mut [&mut app]);
        let mut write_and_step = |app: &mut App, passed_ms: u64| {
            world.now.mono_ns += passed_ms * MS;
            world.produce("in", 0, &[("a", "x", 1)]);
            for _ in 0..5 {
                app.step(world.now);
            }
            world.committed("in", 0)
        };

        assert_eq!(write_and_step(&mut app, 0), Some(Offset(1)), "{guarantee:?}");
        assert_eq!(write_and_step(&mut app, 99), Some(Offset(1)), "{guarantee:?}");
        assert_eq!(write_and_step(&mut app, 2), Some(Offset(3)), "{guarantee:?}");
        app.close(&mut world);
    }
}

#[test]
fn a_crash_costs_the_tail_only_and_loses_nothing() {
    for guarantee in GUARANTEES {
        let mut world = World::new(&[("in", 1), ("out", 1)]);
        let engines = disk();
        let config = config(guarantee).build().unwrap();
        let mut app = App::new(&world, &counting(), &config, engines.clone());
        world.produce("in", 0, &[("a", "x", 1), ("a", "x", 2), ("b", "x", 3)]);
        world.settle(&mut [&mut app]);
        // Processed, and perhaps written, but not committed.
        world.produce("in", 0, &[("a", "x", 4)]);
        app.threads[0].step(world.now);
        drop(app);

        let mut app = App::new(&world, &counting(), &config, engines);
        world.settle(&mut [&mut app]);

        app.assert_running();
        let mut lines = world.lines("out");
        lines.dedup();
        assert_eq!(lines, ["a=1", "a=2", "b=1", "a=3"], "{guarantee:?}");
        assert_eq!(app.instance.metrics().restored(), 0, "local state stood at the commit");
        assert_eq!(app.instance.metrics().restores_full(), 0);
        app.close(&mut world);
    }
}

#[test]
fn a_quiet_local_copy_is_up_to_date_while_its_thread_commits_and_old_a_day_after() {
    const HOUR_MS: u64 = 60 * 60 * 1000;
    for guarantee in GUARANTEES {
        let mut world = World::new(&[("in", 2), ("out", 1)]);
        let (engines, config) = (disk(), config(guarantee).build().unwrap());
        let mut app = App::new(&world, &counting(), &config, engines.clone());
        world.produce("in", 0, &[("quiet", "x", 1)]);
        for _ in 0..40 {
            world.produce("in", 1, &[("busy", "x", 1)]);
            world.settle(&mut [&mut app]);
            world.pass(HOUR_MS);
        }
        app.close(&mut world);

        for (hours, restored) in [(20, 0), (26, 2)] {
            world.pass(hours * HOUR_MS);
            let mut app = App::new(&world, &counting(), &config, engines.clone());
            world.produce("in", 0, &[("quiet", "x", 1)]);
            world.produce("in", 1, &[("busy", "x", 1)]);
            world.settle(&mut [&mut app]);
            app.assert_running();
            assert_eq!(app.instance.metrics().restores_full(), restored, "{guarantee:?}, after {hours} hours");
            app.close(&mut world);
        }
        let lines = world.lines("out");
        assert!(["quiet=3", "busy=42"].iter().all(|line| lines.iter().any(|told| told == line)), "{guarantee:?}");
    }
}

#[test]
fn a_lost_state_directory_is_restored_from_the_changelog() {
    for guarantee in GUARANTEES {
        let mut world = World::new(&[("in", 1), ("out", 1)]);
        let config = config(guarantee).build().unwrap();
        let mut app = App::new(&world, &counting(), &config, disk());
        world.produce("in", 0, &[("a", "x", 1), ("a", "x", 2), ("b", "x", 3)]);
        world.settle(&mut [&mut app]);
        app.close(&mut world);

        let mut app = App::new(&world, &counting(), &config, disk());
        world.produce("in", 0, &[("a", "x", 4)]);
        world.settle(&mut [&mut app]);

        app.assert_running();
        assert_eq!(world.lines("out"), ["a=1", "a=2", "b=1", "a=3"], "{guarantee:?}");
        assert_eq!(app.instance.metrics().restored(), 3);
        app.close(&mut world);
    }
}

#[test]
fn a_second_instance_takes_half_the_tasks_and_gives_them_back() {
    for guarantee in GUARANTEES {
        let mut world = World::new(&[("in", 4), ("out", 1)]);
        let config = config(guarantee).build().unwrap();
        let mut one = App::new(&world, &counting(), &config, disk());
        for partition in 0..4 {
            world.produce("in", partition, &[("k", "x", 1)]);
        }
        world.settle(&mut [&mut one]);
        assert_eq!(one.threads[0].metadata().active.len(), 4);

        let mut two = App::new(&world, &counting(), &config, Arc::new(MemoryEngines::simulated_disk("process-2")));
        world.settle(&mut [&mut one, &mut two]);
        assert_eq!(one.threads[0].metadata().active.len(), 2);
        assert_eq!(two.threads[0].metadata().active.len(), 2);
        for partition in 0..4 {
            world.produce("in", partition, &[("k", "x", 2)]);
        }
        world.settle(&mut [&mut one, &mut two]);
        two.close(&mut world);
        world.settle(&mut [&mut one]);
        assert_eq!(one.threads[0].metadata().active.len(), 4);
        for partition in 0..4 {
            world.produce("in", partition, &[("k", "x", 3)]);
        }
        world.settle(&mut [&mut one]);

        one.assert_running();
        let mut lines = world.lines("out");
        lines.sort();
        assert_eq!(lines, [vec!["k=1"; 4], vec!["k=2"; 4], vec!["k=3"; 4]].concat(), "{guarantee:?}");
        one.close(&mut world);
    }
}

#[test]
fn the_store_and_its_mark_follow_the_commit() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let config = config(ProcessingGuarantee::ExactlyOnceV2).build().unwrap();
    let mut app = App::new(&world, &counting(), &config, disk());
    world.produce("in", 0, &[("a", "x", 1), ("b", "x", 2)]);
    world.settle(&mut [&mut app]);

    let task = app.threads[0].task_mut(TaskId { subtopology: 0, partition: 0 }).unwrap();
    let mark = task.stores()[0].mark().unwrap().expect("a commit leaves a mark");

    assert_eq!(mark.changelog_offset, Offset(1));
    assert_ne!(mark.topic_id, 0);
    assert_eq!(mark.position, [(millstream_types::TopicPartition::new("in", 0), Offset(1))]);
    app.close(&mut world);
}

#[test]
fn two_threads_share_the_tasks_of_an_instance() {
    let mut world = World::new(&[("in", 4), ("out", 1)]);
    let config = config(ProcessingGuarantee::ExactlyOnceV2).num_stream_threads(2).build().unwrap();
    let mut app = App::new(&world, &counting(), &config, disk());
    for partition in 0..4 {
        world.produce("in", partition, &[("k", "x", 1)]);
    }

    world.settle(&mut [&mut app]);

    app.assert_running();
    let active = app.threads.iter().map(|thread| thread.metadata().active.len()).collect::<Vec<_>>();
    assert_eq!(active, [2, 2]);
    assert_eq!(world.lines("out"), ["k=1"; 4]);
    app.close(&mut world);
}

/// Puts a row when it starts, and may forward a record.
struct Opener {
    forwards: bool,
}

impl Processor for Opener {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn init(&mut self, ctx: &mut Context<'_, String, String>) -> Result<(), ProcessorError> {
        let counts = ctx.store_handle::<KeyValueStore<String, i64>>("counts")?;
        let key = format!("start-{}", ctx.task_id());
        ctx.store(counts).put(&key, Some(1))?;
        if self.forwards {
            ctx.forward(Record::new(key, "1".to_owned(), Timestamp(1)));
        }
        Ok(())
    }

    fn process(
        &mut self,
        _: &mut Context<'_, String, String>,
        _: Incoming<'_, String, String>,
    ) -> Result<(), ProcessorError> {
        Ok(())
    }
}

#[test]
fn what_is_written_when_a_processor_starts_is_committed_with_the_offsets_of_its_task() {
    for (is_cached, forwards) in [(false, true), (false, false), (true, false)] {
        for guarantee in GUARANTEES {
            let case = format!("{guarantee:?}, cached {is_cached}, forwards {forwards}");
            let counts = Stores::key_value_store_builder("counts", Serdes::string(), Serdes::long());
            let counts = if is_cached { counts.with_caching_enabled() } else { counts };
            let mut topology = Topology::new();
            topology
                .add_source("source", &["in"], SourceSpec::new(Serdes::string(), Serdes::string()))
                .add_processor("opener", move || Opener { forwards }, &["source"])
                .add_state_store(counts, &["opener"])
                .add_sink("sink", "out", SinkSpec::new(Serdes::string(), Serdes::string()), &["opener"]);
            let mut world = World::new(&[("in", 2), ("out", 1)]);
            let config = config(guarantee).build().unwrap();
            let mut app = App::new(&world, &topology, &config, disk());
            world.settle(&mut [&mut app]);
            // Seen though there was no record.
            let expected: &[&str] = if forwards { &["start-0_0=1", "start-0_1=1"] } else { &[] };
            assert_eq!(world.lines("out"), expected, "{case}");
            world.produce("in", 0, &[("k", "x", 1)]);
            world.settle(&mut [&mut app]);
            assert_eq!(world.records("app-counts-changelog").len(), 2, "{case}");
            assert_eq!(world.committed("in", 1), Some(Offset(0)), "{case}");
            // A crash, and all that is local is lost.
            drop(app);

            let mut app = App::new(&world, &topology, &config, Arc::new(MemoryEngines::simulated_disk("process-2")));
            world.settle_for(&mut [&mut app], 60_000);
            app.assert_running();
            app.close(&mut world);
        }
    }
}

#[test]
fn a_thread_with_nothing_to_do_leaves_no_store_behind() {
    let builder = StreamsBuilder::new();
    let records = builder.stream::<String, String>("in").group_by_key();
    records.count_with(Materialized::named("logged"));
    records.count_with(Materialized::named("local").with_logging_disabled());
    let topology = builder.build().unwrap();
    for guarantee in GUARANTEES {
        let mut world = World::new(&[("in", 1)]);
        let mut app = App::new(&world, &topology, &config(guarantee).build().unwrap(), disk());
        for time in 1..=3 {
            world.produce("in", 0, &[("a", "x", time)]);
            world.settle(&mut [&mut app]);
            assert!(!app.threads[0].metadata().is_behind, "{guarantee:?}");
        }
        app.assert_running();
        app.close(&mut world);
    }
}
