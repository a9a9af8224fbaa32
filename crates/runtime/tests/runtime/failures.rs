//! What goes wrong: lost replies, fences, zombies, disks that refuse, logs that forgot.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use millstream_log::{Call, FailureKind, Log as _};
use millstream_runtime::{Handlers, Step};
use millstream_state::{CommitMark, Engine, EngineProvider, MemoryEngines, Scan, StoreFacts};
use millstream_types::{Error, ErrorKind, Offset, ProcessingGuarantee, Result, TaskId, TopicPartition};

use crate::changed_log::{Changes, changed};
use crate::support::*;

/// A log that loses the replies to some commits.
struct Lossy {
    /// Commits whose reply is lost after they took effect, and those lost before.
    after: AtomicU32,
    before: AtomicU32,
}

fn lose<T>(counter: &AtomicU32) -> Option<Call<T>> {
    let is_lost = counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
    is_lost.then(|| Call::failed(FailureKind::Unknown, Error::new(ErrorKind::Retriable, "the reply was lost")))
}

impl Changes for Lossy {
    fn commit(&self, begin: &mut dyn FnMut() -> Call<()>) -> Call<()> {
        lose(&self.before).unwrap_or_else(|| {
            let done = begin();
            lose(&self.after).unwrap_or(done)
        })
    }
}

/// Feeds one record at a time while commits lose their replies.
fn lossy_run(guarantee: ProcessingGuarantee, after: u32, before: u32) -> (World, Vec<String>) {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let log = changed(world.log.clone(), &Arc::new(Lossy { after: after.into(), before: before.into() }));
    let config = config(guarantee).build().unwrap();
    let mut app = App::on(log, &counting(), &config, disk(), Handlers::default());
    for value in 0..6 {
        world.produce("in", 0, &[("k", "x", value)]);
        world.settle(&mut [&mut app]);
    }
    app.assert_running();
    assert_eq!(app.instance.metrics().rollbacks(), u64::from(after + before));
    app.close(&mut world);
    let lines = world.lines("out");
    (world, lines)
}

#[test]
fn a_transaction_of_unknown_outcome_counts_exactly_once_either_way() {
    for (after, before) in [(3, 0), (0, 3), (2, 2)] {
        let (_, lines) = lossy_run(ProcessingGuarantee::ExactlyOnceV2, after, before);
        assert_eq!(lines, ["k=1", "k=2", "k=3", "k=4", "k=5", "k=6"], "{after} {before}");
    }
}

#[test]
fn under_at_least_once_an_unknown_outcome_loses_nothing() {
    for (after, before) in [(3, 0), (0, 3)] {
        let (world, lines) = lossy_run(ProcessingGuarantee::AtLeastOnce, after, before);
        assert_eq!(world.committed("in", 0), Some(Offset(6)));
        let last: i64 = lines.last().unwrap()[2..].parse().unwrap();
        assert!(last >= 6, "{lines:?}");
        assert_eq!(last, 6 + i64::from(before), "only what was not committed is processed again");
    }
}

#[test]
fn a_fenced_thread_begins_anew_and_leaves_nothing_behind() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let config = config(ProcessingGuarantee::ExactlyOnceV2).build().unwrap();
    let mut app = App::new(&world, &counting(), &config, disk());
    world.produce("in", 0, &[("k", "x", 1)]);
    world.settle(&mut [&mut app]);
    world.produce("in", 0, &[("k", "x", 2)]);
    // Processed but not committed when another writer takes the transactional id.
    app.step(world.now);
    answer(world.log.writer(Some("app-process-1-1")).init());

    world.settle(&mut [&mut app]);

    app.assert_running();
    assert_eq!(world.lines("out"), ["k=1", "k=2"]);
    assert!(app.instance.metrics().rollbacks() > 0);
    app.close(&mut world);
}

#[test]
fn a_zombie_has_no_effect_after_its_tasks_were_given_away() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let config = config(ProcessingGuarantee::ExactlyOnceV2)
        .session_timeout(std::time::Duration::from_secs(1))
        .set("max.poll.interval.ms", 1000)
        .build()
        .unwrap();
    let mut zombie = App::new(&world, &counting(), &config, disk());
    world.produce("in", 0, &[("k", "x", 1)]);
    world.settle(&mut [&mut zombie]);
    world.produce("in", 0, &[("k", "x", 2)]);
    for _ in 0..3 {
        zombie.step(world.now);
    }
    // It sleeps for longer than its session; another one does its work.
    let mut heir = App::new(&world, &counting(), &config, Arc::new(MemoryEngines::simulated_disk("process-2")));
    world.settle_for(&mut [&mut heir], 15_000);
    assert_eq!(world.lines("out"), ["k=1", "k=2"]);
    world.produce("in", 0, &[("k", "x", 3)]);
    world.settle(&mut [&mut heir, &mut zombie]);

    heir.assert_running();
    zombie.assert_running();
    assert_eq!(world.lines("out"), ["k=1", "k=2", "k=3"]);
    heir.close(&mut world);
    world.produce("in", 0, &[("k", "x", 4)]);
    world.settle(&mut [&mut zombie]);
    assert_eq!(world.lines("out"), ["k=1", "k=2", "k=3", "k=4"]);
}

/// Engines that refuse to write for a while, as a full disk does.
struct FullDisk {
    inner: MemoryEngines,
    refusals: Arc<AtomicU32>,
}

/// A disk that refuses so many writes, and the number of refusals left.
pub fn full_disk(refusals: u32) -> (Arc<dyn EngineProvider>, Arc<AtomicU32>) {
    let refusals = Arc::new(AtomicU32::new(refusals));
    let inner = MemoryEngines::simulated_disk("process-1");
    (Arc::new(FullDisk { inner, refusals: Arc::clone(&refusals) }), refusals)
}

struct FullEngine {
    inner: Box<dyn Engine>,
    refusals: Arc<AtomicU32>,
}

impl EngineProvider for FullDisk {
    fn open(&self, task: Option<TaskId>, facts: &StoreFacts) -> Result<Box<dyn Engine>> {
        Ok(Box::new(FullEngine { inner: self.inner.open(task, facts)?, refusals: Arc::clone(&self.refusals) }))
    }
    fn tasks(&self) -> Result<Vec<TaskId>> {
        self.inner.tasks()
    }
    fn remove(&self, task: TaskId) -> Result<()> {
        self.inner.remove(task)
    }
    fn process_id(&self) -> Arc<str> {
        self.inner.process_id()
    }
}

impl Engine for FullEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.inner.get(key)
    }
    fn scan(&self, from: Option<&[u8]>, to: Option<&[u8]>, is_reverse: bool) -> Result<Scan> {
        self.inner.scan(from, to, is_reverse)
    }
    fn apply(&mut self, writes: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>, mark: &CommitMark) -> Result<()> {
        if self.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(Error::new(ErrorKind::Storage, "no space left on device"));
        }
        self.inner.apply(writes, mark)
    }
    fn mark(&self) -> Result<Option<CommitMark>> {
        self.inner.mark()
    }
    fn wipe(&mut self) -> Result<()> {
        self.inner.wipe()
    }
    fn is_persistent(&self) -> bool {
        true
    }
}

#[test]
fn a_full_disk_pauses_the_thread_until_it_takes_what_was_committed() {
    for guarantee in GUARANTEES {
        let mut world = World::new(&[("in", 1), ("out", 1)]);
        let refusals = Arc::new(AtomicU32::new(u32::MAX));
        let inner = MemoryEngines::simulated_disk("process-1");
        let engines = Arc::new(FullDisk { inner: inner.clone(), refusals: Arc::clone(&refusals) });
        let config = config(guarantee).build().unwrap();
        let mut app = App::new(&world, &counting(), &config, engines);
        world.produce("in", 0, &[("k", "x", 1)]);
        world.settle(&mut [&mut app]);
        world.produce("in", 0, &[("k", "x", 2)]);
        world.settle(&mut [&mut app]);

        // The first commit stands; nothing further is processed.
        assert_eq!(world.lines("out"), ["k=1"], "{guarantee:?}");
        let paused = app.threads[0].metadata().paused.expect("the thread says why it waits");
        assert!(paused.to_string().contains("no space left on device"), "{paused}");
        assert_eq!(paused.context().store.as_deref(), Some("counts"));

        refusals.store(0, Ordering::SeqCst);
        world.settle_for(&mut [&mut app], 15_000);
        app.assert_running();
        assert!(app.threads[0].metadata().paused.is_none());
        assert_eq!(world.lines("out"), ["k=1", "k=2"], "{guarantee:?}");
        app.close(&mut world);
        let facts = millstream_state::StoreFactory::facts(
            &*millstream_state::Stores::key_value_store_builder(
                "counts",
                millstream_types::Serdes::string(),
                millstream_types::Serdes::long(),
            )
            .into_factory(),
        )
        .clone();
        let engine = inner.open(Some(TaskId { subtopology: 0, partition: 0 }), &facts).unwrap();
        assert_eq!(engine.get(b"k").unwrap(), Some(2i64.to_be_bytes().to_vec()));
    }
}

#[test]
fn a_crash_between_commit_and_apply_replays_the_tail() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let refusals = Arc::new(AtomicU32::new(0));
    let inner = MemoryEngines::simulated_disk("process-1");
    let engines = Arc::new(FullDisk { inner: inner.clone(), refusals: Arc::clone(&refusals) });
    let config = config(ProcessingGuarantee::ExactlyOnceV2).build().unwrap();
    let mut app = App::new(&world, &counting(), &config, engines);
    world.produce("in", 0, &[("k", "x", 1), ("k", "x", 2), ("l", "x", 3)]);
    world.settle(&mut [&mut app]);
    refusals.store(u32::MAX, Ordering::SeqCst);
    world.produce("in", 0, &[("k", "x", 4)]);
    world.settle(&mut [&mut app]);
    assert_eq!(world.lines("out").last().unwrap(), "k=3");
    drop(app);

    let mut app = App::new(&world, &counting(), &config, Arc::new(inner));
    world.produce("in", 0, &[("k", "x", 5)]);
    world.settle(&mut [&mut app]);

    app.assert_running();
    assert_eq!(app.instance.metrics().restored(), 1, "one record lies behind the mark");
    assert_eq!(world.lines("out").last().unwrap(), "k=4");
    app.close(&mut world);
}

/// Runs three records through an application that is then closed.
pub fn earlier_run(world: &mut World, engines: Arc<MemoryEngines>, guarantee: ProcessingGuarantee) {
    let mut app = App::new(world, &counting(), &config(guarantee).build().unwrap(), engines);
    world.produce("in", 0, &[("k", "x", 1), ("k", "x", 2), ("k", "x", 3)]);
    world.settle(&mut [&mut app]);
    app.close(world);
}

#[test]
fn input_deleted_before_it_was_processed_stops_with_the_number_lost() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let engines = disk();
    earlier_run(&mut world, engines.clone(), ProcessingGuarantee::ExactlyOnceV2);
    world.produce("in", 0, &[("k", "x", 4), ("k", "x", 5)]);
    answer(world.log.admin().delete_records(&[(TopicPartition::new("in", 0), Offset(5))]));

    let mut app = App::new(&world, &counting(), &config(ProcessingGuarantee::ExactlyOnceV2).build().unwrap(), engines);
    world.settle(&mut [&mut app]);

    let error = app.error().expect("the application refuses");
    assert!(error.contains("offset 3 is committed, but the log now starts at 5: 2 records were deleted"), "{error}");
    assert!(error.contains("topic=in, partition=0"), "{error}");
}

#[test]
fn lost_offsets_beside_state_are_an_error_and_no_silent_start() {
    for keep_disk in [true, false] {
        let mut world = World::new(&[("in", 1), ("out", 1)]);
        let engines = disk();
        earlier_run(&mut world, engines.clone(), ProcessingGuarantee::ExactlyOnceV2);
        // Deleting the topic takes the group's offsets with it; the changelog stays.
        answer(world.log.admin().delete_topics(&["in".into()]));
        world.create(&[("in", 1)]);

        let engines = if keep_disk { engines } else { disk() };
        let mut app =
            App::new(&world, &counting(), &config(ProcessingGuarantee::ExactlyOnceV2).build().unwrap(), engines);
        world.settle(&mut [&mut app]);

        let error = app.error().expect("the application refuses");
        assert!(error.contains("no committed offset"), "{error}");
        assert!(error.contains("task=0_0, topic=in, partition=0"), "{error}");
    }
}

#[test]
fn under_at_least_once_a_crash_before_the_first_commit_is_no_loss() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let config =
        config(ProcessingGuarantee::AtLeastOnce).commit_interval(std::time::Duration::from_secs(3600)).build().unwrap();
    let mut app = App::new(&world, &counting(), &config, disk());
    let value = "x".repeat(40_000);
    // Large enough that batches are sent before any commit.
    world.produce("in", 0, &[("k", &value, 1), ("k", &value, 2), ("k", &value, 3), ("k", &value, 4)]);
    world.settle(&mut [&mut app]);
    drop(app);

    let mut app = App::new(&world, &counting(), &config, disk());
    world.settle(&mut [&mut app]);
    app.assert_running();
    app.close(&mut world);
    assert_eq!(world.committed("in", 0), Some(Offset(4)));
}

#[test]
fn a_source_topic_deleted_while_running_is_named() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let mut app = App::new(&world, &counting(), &config(ProcessingGuarantee::ExactlyOnceV2).build().unwrap(), disk());
    world.settle(&mut [&mut app]);
    answer(world.log.admin().delete_topics(&["in".into()]));
    world.settle(&mut [&mut app]);
    let error = app.error().expect("the application stops");
    assert!(error.contains("deleted") && error.contains("topic=in"), "{error}");
    assert_eq!(app.threads[0].step(world.now), Step::Stopped);
}

#[test]
fn a_changelog_with_another_number_of_partitions_is_refused_with_both() {
    let mut world = World::new(&[("in", 2), ("out", 1), ("app-counts-changelog", 3)]);
    let mut app = App::new(&world, &counting(), &config(ProcessingGuarantee::ExactlyOnceV2).build().unwrap(), disk());
    world.settle(&mut [&mut app]);
    let error = app.error().expect("the application refuses");
    assert!(error.contains("app-counts-changelog exists with 3 partitions, 2 are needed"), "{error}");
}

#[test]
fn uncommitted_bytes_over_the_limit_commit_early() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let config = config(ProcessingGuarantee::ExactlyOnceV2)
        .commit_interval(std::time::Duration::from_secs(3600))
        .set("transaction.timeout.ms", 3_600_000)
        .statestore_uncommitted_max_bytes(1000)
        .build()
        .unwrap();
    let mut app = App::new(&world, &counting(), &config, disk());
    let keys: Vec<String> = (0..500).map(|key| format!("key-{key}")).collect();
    let records: Vec<(&str, &str, i64)> = keys.iter().map(|key| (key.as_str(), "x", 1)).collect();
    world.produce("in", 0, &records);
    world.settle(&mut [&mut app]);
    app.assert_running();
    assert!(app.instance.metrics().commits() >= 2, "{}", app.instance.metrics().commits());
    app.close(&mut world);
    assert_eq!(world.lines("out").len(), 500);
}
