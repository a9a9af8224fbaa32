//! Topics of the application that are not what they were: recreated, truncated, deleted, badly set. Never a silent
//! skip, never a silent start from zero.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::changed_log::{Changes, changed};
use crate::failures::earlier_run;
use crate::support::*;
use crate::warnings::warned;
use millstream_log::{Call, Log as _, NewTopic, OffsetSpec, TopicMetadata};
use millstream_runtime::Handlers;
use millstream_state::MemoryEngines;
use millstream_topology::{Context, Incoming, Processor, ProcessorError, SourceSpec};
use millstream_types::{Config, Offset, ProcessingGuarantee, Serdes, TopicPartition};

const CHANGELOG: &str = "app-counts-changelog";

fn exactly_once() -> Config {
    config(ProcessingGuarantee::ExactlyOnceV2).build().unwrap()
}

fn start(world: &World, engines: Arc<MemoryEngines>) -> App {
    App::new(world, &counting(), &exactly_once(), engines)
}

#[track_caller]
fn refused(world: &mut World, engines: Arc<MemoryEngines>, parts: &[&str]) {
    let mut app = start(world, engines);
    world.produce("in", 0, &[("k", "x", 9)]);
    world.settle_for(&mut [&mut app], 10_000);
    let error = app.error().expect("the application refuses");
    for part in parts {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

/// Three records counted by an application that is closed.
fn counted() -> (World, Arc<MemoryEngines>) {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let engines = disk();
    earlier_run(&mut world, engines.clone(), ProcessingGuarantee::ExactlyOnceV2);
    (world, engines)
}

#[test]
fn a_recreated_changelog_is_no_silent_start_from_zero() {
    let (mut world, engines) = counted();
    answer(world.log.admin().delete_topics(&[CHANGELOG.into()]));

    refused(
        &mut world,
        engines.clone(),
        &[
            "it was deleted and created again",
            "task=0_0",
            "topic=app-counts-changelog, partition=0",
            "store=counts",
            "clean_up",
        ],
    );
    assert_eq!(world.lines("out"), ["k=1", "k=2", "k=3"], "nothing was counted from zero");

    // The remedy: without local state the application starts with what the changelog holds, which is nothing.
    let told = warned(|| {
        let mut app = start(&world, disk());
        world.settle(&mut [&mut app]);
        app.assert_running();
        assert_eq!(world.lines("out").last().unwrap(), "k=1");
        app.close(&mut world);
    });
    assert!(told.iter().any(|line| line.contains("starts empty") && line.contains(CHANGELOG)), "{told:?}");
}

#[test]
fn a_new_disk_is_no_reason_to_warn_where_the_changelog_has_the_store() {
    let (mut world, _) = counted();
    let told = warned(|| {
        let mut app = start(&world, disk());
        world.settle(&mut [&mut app]);
        app.assert_running();
        app.close(&mut world);
    });
    assert_eq!(told, [""; 0]);
}

#[test]
fn a_changelog_that_lost_its_beginning_is_told() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let engines = disk();
    earlier_run(&mut world, engines.clone(), ProcessingGuarantee::ExactlyOnceV2);
    // Another disk goes on, so that the first one's copy stands behind; then records between are deleted.
    earlier_run(&mut world, disk(), ProcessingGuarantee::ExactlyOnceV2);
    let partition = TopicPartition::new(CHANGELOG, 0);
    let end = answer(world.log.admin().offsets(std::slice::from_ref(&partition), OffsetSpec::EndUncommitted))[0];
    answer(world.log.admin().delete_records(&[(partition, Offset(end.0 - 1))]));

    refused(
        &mut world,
        engines,
        &["it starts at", "records between were deleted", "topic=app-counts-changelog, partition=0"],
    );
}

#[test]
fn a_truncated_changelog_is_told() {
    let (mut world, engines) = counted();
    let error = shortened(&mut world, engines, CHANGELOG, 3);
    assert!(error.contains("it was truncated") && error.contains("topic=app-counts-changelog, partition=0"), "{error}");
}

#[test]
fn an_input_that_was_truncated_is_told() {
    let (mut world, engines) = counted();
    let error = shortened(&mut world, engines, "in", 2);
    assert!(error.contains("offset 3 is committed, but the log ends at 1"), "{error}");
    assert!(error.contains("topic=in, partition=0") && error.contains("set the group's offset"), "{error}");
}

#[test]
fn a_changelog_deleted_while_running_is_told() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let mut app = start(&world, disk());
    world.produce("in", 0, &[("k", "x", 1)]);
    world.settle(&mut [&mut app]);
    answer(world.log.admin().delete_topics(&[CHANGELOG.into()]));
    world.produce("in", 0, &[("k", "x", 2)]);
    world.settle_for(&mut [&mut app], 10_000);
    let error = app.error().expect("the application stops");
    assert!(error.contains("topic=app-counts-changelog, partition=0"), "{error}");
    assert_eq!(world.lines("out"), ["k=1"]);
}

#[test]
fn a_repartition_topic_deleted_between_two_runs_is_told() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let topology = crate::topologies::word_count();
    let config = exactly_once();
    let mut app = App::new(&world, &topology, &config, disk());
    world.produce("in", 0, &[("k", "a", 1), ("k", "b", 2)]);
    world.settle(&mut [&mut app]);
    app.assert_running();
    app.close(&mut world);
    let names: Vec<Arc<str>> = answer(world.log.admin().list_topics()).into_iter().map(|topic| topic.name).collect();
    let repartition = names.iter().find(|name| name.ends_with("-repartition")).expect("there is one").clone();
    answer(world.log.admin().delete_topics(std::slice::from_ref(&repartition)));

    let mut app = App::new(&world, &topology, &config, disk());
    world.settle(&mut [&mut app]);
    let error = app.error().expect("the application refuses");
    assert!(error.contains("no committed offset"), "{error}");
    assert!(error.contains(&format!("topic={repartition}, partition=0")), "{error}");
}

#[test]
fn one_of_two_inputs_created_again_is_told() {
    let mut world = World::new(&[("in", 1), ("more", 1), ("out", 1)]);
    let topology = counting_of(&["in", "more"]);
    let engines = disk();
    let mut app = App::new(&world, &topology, &exactly_once(), engines.clone());
    world.produce("in", 0, &[("k", "x", 1)]);
    world.produce("more", 0, &[("k", "x", 2), ("k", "x", 3)]);
    world.settle(&mut [&mut app]);
    app.close(&mut world);
    // The offsets of a topic go with it.
    answer(world.log.admin().delete_topics(&["more".into()]));
    world.create(&[("more", 1)]);
    world.produce("more", 0, &[("k", "x", 4)]);

    let mut app = App::new(&world, &topology, &exactly_once(), engines);
    world.settle(&mut [&mut app]);
    let error = app.error().expect("the application refuses");
    let part = "no committed offset for this input, of which local state has 1 and all before";
    assert!(error.contains(part) && error.contains("task=0_0, topic=more, partition=0"), "{error}");
    assert_eq!(world.lines("out"), ["k=1", "k=2", "k=3"]);
}

#[test]
fn an_input_created_again_is_warned_of_where_changelogs_may_be_of_a_run_that_never_committed() {
    let guarantee = ProcessingGuarantee::AtLeastOnce;
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let told = warned(|| earlier_run(&mut world, disk(), guarantee));
    assert_eq!(told, [""; 0], "a first start is no reason to warn");
    answer(world.log.admin().delete_topics(&["in".into()]));
    world.create(&[("in", 1)]);
    world.produce("in", 0, &[("k", "x", 4)]);
    let told = warned(|| {
        let mut app = App::new(&world, &counting(), &config(guarantee).build().unwrap(), disk());
        world.settle(&mut [&mut app]);
        app.assert_running();
        app.close(&mut world);
    });
    let is_told = |line: &String| {
        ["no offset is committed, though changelogs have records of an earlier run", "in-0 0_0 0 0 1 \"earliest\""]
            .iter()
            .all(|part| line.contains(part))
    };
    assert!(told.iter().any(is_told), "{told:?}");
}

#[test]
fn an_input_that_is_new_to_the_topology_is_read_by_the_reset_policy() {
    let (mut world, engines) = counted();
    world.create(&[("more", 1)]);
    world.produce("more", 0, &[("k", "x", 4)]);
    let mut app = App::new(&world, &counting_of(&["in", "more"]), &exactly_once(), engines);
    world.settle(&mut [&mut app]);
    app.assert_running();
    assert_eq!(world.lines("out").last().unwrap(), "k=4");
    app.close(&mut world);
}

#[test]
fn a_store_may_be_empty_where_an_input_has_not_brought_anything() {
    let mut world = World::new(&[("in", 1), ("more", 1), ("out", 1)]);
    let topology = || {
        let mut topology = counting();
        topology.add_source("other", &["more"], SourceSpec::new(Serdes::string(), Serdes::string())).add_processor(
            "passer",
            || Passer,
            &["other"],
        );
        topology.connect_processor_and_state_stores("passer", &["counts"]);
        topology
    };
    world.produce("more", 0, &[("k", "x", 1)]);
    for _ in 0..2 {
        let told = warned(|| {
            let mut app = App::new(&world, &topology(), &exactly_once(), disk());
            world.settle(&mut [&mut app]);
            app.assert_running();
            app.close(&mut world);
        });
        assert_eq!(told, [""; 0]);
    }
    assert_eq!(world.committed("more", 0), Some(Offset(1)));
}

/// Does nothing with what it gets.
struct Passer;

impl Processor for Passer {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn process(
        &mut self,
        _: &mut Context<'_, String, String>,
        _: Incoming<'_, String, String>,
    ) -> Result<(), ProcessorError> {
        Ok(())
    }
}

#[test]
fn a_store_that_is_read_from_a_changelog_without_its_beginning_is_warned_of() {
    let (mut world, _) = counted();
    answer(world.log.admin().delete_records(&[(TopicPartition::new(CHANGELOG, 0), Offset(1))]));
    let told = warned(|| {
        let mut app = start(&world, disk());
        world.settle(&mut [&mut app]);
        app.assert_running();
        app.close(&mut world);
    });
    let is_told =
        |line: &String| line.contains("may lack rows") && line.contains(CHANGELOG) && line.contains("offset 1");
    assert!(told.iter().any(is_told), "{told:?}");
}

#[test]
fn settings_that_delete_what_is_needed_are_refused() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let configs = vec![("cleanup.policy".to_owned(), "delete".to_owned())];
    let topic = NewTopic { name: CHANGELOG.into(), partitions: 1, replication_factor: -1, configs };
    answer(world.log.admin().create_topics(&[topic]));
    refused(
        &mut world,
        disk(),
        &[
            "internal topic app-counts-changelog has cleanup.policy=delete",
            "set it to compact",
            "topic=app-counts-changelog",
        ],
    );
}

/// What an application says that finds a topic with so many offsets less than there were: what an unclean leader
/// election leaves.
fn shortened(world: &mut World, engines: Arc<MemoryEngines>, topic: &'static str, by: i64) -> String {
    let log = changed(world.log.clone(), &Arc::new(Shortened { topic, by }));
    let mut app = App::on(log, &counting(), &exactly_once(), engines, Handlers::default());
    world.settle(&mut [&mut app]);
    app.error().expect("the application refuses")
}

/// A log that says of one topic that it ends earlier than it does.
struct Shortened {
    topic: &'static str,
    by: i64,
}

impl Changes for Shortened {
    fn offsets(
        &self,
        partitions: &[TopicPartition],
        spec: OffsetSpec,
        answered: Call<Vec<Offset>>,
    ) -> Call<Vec<Offset>> {
        let mut offsets = answer(answered);
        if spec != OffsetSpec::Start {
            for (partition, offset) in partitions.iter().zip(&mut offsets) {
                offset.0 -= if *partition.topic == *self.topic { self.by } else { 0 };
            }
        }
        Call::done(offsets)
    }
}

/// A log that has not heard of the changelog yet.
#[derive(Default)]
struct HearsLate {
    has_heard: AtomicBool,
}

impl Changes for HearsLate {
    fn topics(&self, answered: Call<Vec<Option<TopicMetadata>>>) -> Call<Vec<Option<TopicMetadata>>> {
        let mut topics = answer(answered);
        let is_known = |topic: &TopicMetadata| self.has_heard.load(Ordering::SeqCst) || *topic.name != *CHANGELOG;
        for topic in &mut topics {
            *topic = topic.take().filter(is_known);
        }
        Call::done(topics)
    }
}

#[test]
fn a_topic_that_is_heard_of_a_second_late_is_waited_for() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let late = Arc::new(HearsLate::default());
    let log = changed(world.log.clone(), &late);
    let mut app = App::on(log, &counting(), &exactly_once(), disk(), Handlers::default());
    world.produce("in", 0, &[("k", "x", 1)]);
    world.settle_for(&mut [&mut app], 1_000);
    app.assert_running();
    assert!(world.lines("out").is_empty());
    late.has_heard.store(true, Ordering::SeqCst);
    world.settle(&mut [&mut app]);
    app.assert_running();
    assert_eq!(world.lines("out"), ["k=1"]);
}
