//! Threads come and go while the application runs: added, removed, replaced after an error; and the end of
//! all instances at once.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;

use crate::support::*;
use millstream_log::{Log, OffsetSpec};
use millstream_runtime::{
    Components, Handlers, State, StreamThreadExceptionResponse, Streams, ThreadMetadata, ThreadState,
};
use millstream_state::{EngineProvider, MemoryEngines};
use millstream_topology::graph::Topology;
use millstream_topology::{Context, Incoming, Processor, ProcessorError, SinkSpec, SourceSpec};
use millstream_types::clock::SystemClock;
use millstream_types::{Clock, ErrorKind, Headers, Now, ProcessingGuarantee, Serdes, Timestamp, TopicPartition};

const LONG: Duration = Duration::from_secs(60);

fn streams_on(world: &World, topology: &Topology, threads: usize, engines: Arc<dyn EngineProvider>) -> Streams {
    let config = config(ProcessingGuarantee::ExactlyOnceV2).num_stream_threads(threads).build().unwrap();
    let components = Components {
        log: Arc::new(world.log.clone()),
        engines,
        clock: Arc::new(SystemClock::new()),
        handlers: Handlers::default(),
    };
    Streams::with_log(topology, &config, components).unwrap()
}

fn streams(world: &World, threads: usize) -> Streams {
    streams_on(world, &counting(), threads, disk())
}

/// Waits, by the log's own signal, until something holds.
#[track_caller]
fn wait_until(world: &World, what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        world.log.wait(Duration::from_millis(10));
    }
    panic!("{what}: not in a minute");
}

fn names(streams: &Streams) -> Vec<String> {
    let mut names: Vec<String> = streams
        .threads_metadata()
        .iter()
        .map(|thread| thread.name.rsplit_once("StreamThread-").map_or("?", |(_, number)| number).to_owned())
        .collect();
    names.sort();
    names
}

/// How many tasks each thread runs, sorted.
fn tasks(streams: &Streams) -> Vec<usize> {
    let mut tasks: Vec<usize> = streams.threads_metadata().iter().map(|thread| thread.active.len()).collect();
    tasks.sort_unstable();
    tasks
}

#[test]
fn a_failed_thread_is_replaced_and_nothing_is_lost_or_repeated() {
    let world = World::new(&[("in", 2), ("out", 1)]);
    let failures = Arc::new(AtomicU32::new(3));
    let left = Arc::clone(&failures);
    let streams = streams_on(&world, &failing(move |_| take_one(&left)), 2, disk());
    let states = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&states);
    streams.set_state_listener(move |new, _| heard.lock().unwrap().push(new));
    streams.set_uncaught_exception_handler(|_| StreamThreadExceptionResponse::ReplaceThread);
    streams.start().unwrap();
    assert!(streams.wait_for(&[State::Running], LONG));
    for partition in 0..2 {
        world.produce("in", partition, &[("k", "1", 1), ("k", "2", 2)]);
    }

    wait_until(&world, "all results", || world.lines("out").len() == 4);
    assert!(streams.wait_for(&[State::Running], LONG));

    assert_eq!(failures.load(Ordering::SeqCst), 0);
    assert!(streams.error().is_none(), "the application has not ended");
    wait_until(&world, "two threads with a task each", || tasks(&streams) == [1, 1]);
    assert!(streams.close(LONG));
    assert_eq!(world.lines("out").len(), 4);
    assert!(!states.lock().unwrap().contains(&State::PendingError));
}

#[test]
fn a_record_nobody_can_process_ends_one_thread_after_the_other_until_the_handler_has_enough() {
    let world = World::new(&[("in", 1), ("out", 1)]);
    let streams = streams(&world, 1);
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    streams.set_uncaught_exception_handler(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) < 4 {
            StreamThreadExceptionResponse::ReplaceThread
        } else {
            StreamThreadExceptionResponse::ShutdownClient
        }
    });
    streams.start().unwrap();
    world.produce("in", 0, &[("k", "x", 1), ("k", "boom", 2)]);

    assert!(streams.wait_for(&[State::Error], LONG));
    assert_eq!(asked.load(Ordering::SeqCst), 5);
    assert!(streams.error().unwrap().to_string().contains("the value is boom"));
    assert!(streams.close(LONG));
}

/// A clock that can be stopped.
struct Stoppable {
    clock: SystemClock,
    stopped_at: OnceLock<Now>,
}

impl Clock for Stoppable {
    fn now(&self) -> Now {
        self.stopped_at.get().copied().unwrap_or_else(|| self.clock.now())
    }
}

#[test]
fn a_thread_that_waits_before_it_replaces_another_ends_at_once_on_close() {
    let world = World::new(&[("in", 1), ("out", 1)]);
    let clock = Arc::new(Stoppable { clock: SystemClock::new(), stopped_at: OnceLock::new() });
    let config = config(ProcessingGuarantee::ExactlyOnceV2).num_stream_threads(1).build().unwrap();
    let components = Components {
        log: Arc::new(world.log.clone()),
        engines: disk(),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        handlers: Handlers::default(),
    };
    let streams = Streams::with_log(&counting(), &config, components).unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    streams.set_uncaught_exception_handler(move |_| {
        if count.fetch_add(1, Ordering::SeqCst) == 1 {
            // The second one in a row is replaced after a pause, which never ends now.
            let _ = clock.stopped_at.set(clock.now());
        }
        StreamThreadExceptionResponse::ReplaceThread
    });
    streams.start().unwrap();
    world.produce("in", 0, &[("k", "boom", 2)]);
    let is_waiting = |thread: &ThreadMetadata| thread.state == ThreadState::Created;
    wait_until(&world, "a thread that waits", || {
        let threads = streams.threads_metadata();
        asked.load(Ordering::SeqCst) == 2 && threads.len() == 1 && threads.iter().all(is_waiting)
    });
    assert!(streams.close(LONG));
    assert_eq!((asked.load(Ordering::SeqCst), streams.state()), (2, State::NotRunning));
}

#[test]
fn threads_are_added_and_removed_and_share_the_tasks() {
    let world = World::new(&[("in", 4), ("out", 1)]);
    let streams = streams(&world, 1);
    assert_eq!(streams.add_stream_thread().unwrap(), None, "not before the start");
    assert_eq!(streams.remove_stream_thread(), None);
    streams.start().unwrap();
    wait_until(&world, "one thread runs all", || tasks(&streams) == [4]);

    let added = streams.add_stream_thread().unwrap().unwrap();
    assert!(added.ends_with("-StreamThread-2"), "{added}");
    wait_until(&world, "two share them", || tasks(&streams) == [2, 2]);
    for partition in 0..4 {
        world.produce("in", partition, &[("k", "x", 1)]);
    }
    wait_until(&world, "results", || world.lines("out").len() == 4);

    let removed = streams.remove_stream_thread().unwrap();
    assert!(removed.ends_with("-StreamThread-1"), "{removed}");
    assert_eq!(names(&streams), ["2"]);
    wait_until(&world, "the other has all", || tasks(&streams) == [4]);
    let added = streams.add_stream_thread().unwrap().unwrap();
    assert!(added.ends_with("-StreamThread-1"), "its number is free again: {added}");
    wait_until(&world, "two share them again", || tasks(&streams) == [2, 2]);

    assert!(streams.remove_stream_thread_within(LONG).unwrap().is_some());
    assert!(streams.remove_stream_thread_within(LONG).unwrap().is_some());
    assert_eq!(streams.remove_stream_thread(), None, "there is none left");
    assert!(streams.state().is_running_or_rebalancing());
    for partition in 0..4 {
        world.produce("in", partition, &[("k", "x", 2)]);
    }
    streams.add_stream_thread().unwrap().unwrap();
    wait_until(&world, "results of the newcomer", || world.lines("out").len() == 8);
    assert_eq!(world.lines("out").iter().filter(|line| *line == "k=2").count(), 4, "nothing is counted twice");
    assert!(streams.close(LONG));
    assert_eq!(streams.state(), State::NotRunning);
    assert_eq!(streams.add_stream_thread().unwrap(), None);
}

#[test]
fn a_thread_that_does_not_stop_in_time_is_an_error_and_stops_later() {
    let world = World::new(&[("in", 1), ("out", 1)]);
    let (entered, has_entered) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let gate = Mutex::new((entered, released));
    let topology = failing(move |value| {
        let gate = gate.lock().unwrap();
        if value == "wait" {
            gate.0.send(()).unwrap();
            gate.1.recv().unwrap();
        }
        false
    });
    let streams = streams_on(&world, &topology, 1, disk());
    streams.start().unwrap();
    world.produce("in", 0, &[("k", "wait", 1)]);
    has_entered.recv().unwrap();

    let error = streams.remove_stream_thread_within(Duration::from_millis(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    assert!(error.to_string().contains("StreamThread-1 did not stop within 1 ms"), "{error}");
    release.send(()).unwrap();
    wait_until(&world, "it stops", || streams.threads_metadata().is_empty());
    assert_eq!(world.lines("out"), ["k=wait"], "what it processed is committed");
    assert!(streams.close(LONG));
}

#[test]
fn a_thread_may_remove_itself_from_a_handler() {
    let world = World::new(&[("in", 1), ("out", 1)]);
    let streams = Arc::new(streams(&world, 1));
    let inside = Arc::downgrade(&streams);
    streams.set_state_listener(move |new, _| {
        if new == State::Running {
            assert!(inside.upgrade().unwrap().remove_stream_thread().is_some());
        }
    });
    streams.start().unwrap();
    wait_until(&world, "it is gone", || streams.threads_metadata().is_empty());
    assert!(streams.close(LONG));
}

#[test]
fn a_paused_application_processes_nothing_until_it_is_resumed() {
    let world = World::new(&[("in", 1), ("out", 1)]);
    let streams = streams(&world, 1);
    streams.pause();
    assert!(streams.is_paused());
    streams.start().unwrap();
    assert!(streams.wait_for(&[State::Running], LONG), "it becomes a member and restores all the same");
    world.produce("in", 0, &[("k", "x", 1)]);
    wait_until(&world, "it has fetched the record", || streams.metrics().lag() == 1);
    assert_eq!(streams.metrics().processed(), 0);

    streams.resume();
    wait_until(&world, "the result", || world.lines("out") == ["k=1"]);
    assert!(streams.close(LONG));
}

#[test]
fn local_state_is_deleted_before_the_start_or_after_the_end_only() {
    let world = World::new(&[("in", 1), ("out", 1)]);
    let engines: Arc<MemoryEngines> = disk();
    let streams = streams_on(&world, &counting(), 1, engines.clone());
    streams.clean_up().unwrap();
    streams.start().unwrap();
    world.produce("in", 0, &[("k", "x", 1)]);
    wait_until(&world, "the result", || world.lines("out").len() == 1);
    let error = streams.clean_up().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::State);
    assert!(streams.close(LONG));
    assert_eq!(engines.tasks().unwrap().len(), 1);

    streams.clean_up().unwrap();
    assert!(engines.tasks().unwrap().is_empty());
    let streams = streams_on(&world, &counting(), 1, engines);
    streams.start().unwrap();
    world.produce("in", 0, &[("k", "x", 2)]);
    wait_until(&world, "the next result", || world.lines("out") == ["k=1", "k=2"]);
    assert_eq!(streams.metrics().restored(), 1);
    assert!(streams.close(LONG));
}

#[test]
fn the_end_of_the_application_reaches_the_other_instances() {
    let world = World::new(&[("in", 4), ("out", 1)]);
    let streams = [1, 2].map(|number| {
        let engines = MemoryEngines::simulated_disk(format!("process-{number}"));
        streams_on(&world, &counting(), number, Arc::new(engines))
    });
    let asked = Arc::new(AtomicU32::new(0));
    for streams in &streams {
        let asked = Arc::clone(&asked);
        streams.set_uncaught_exception_handler(move |_| {
            asked.fetch_add(1, Ordering::SeqCst);
            StreamThreadExceptionResponse::ShutdownApplication
        });
        streams.start().unwrap();
    }
    wait_until(&world, "both run", || {
        streams.iter().map(|streams| tasks(streams).iter().sum::<usize>()).sum::<usize>() == 4
            && streams.iter().all(|streams| streams.state() == State::Running)
    });
    world.produce("in", 2, &[("k", "boom", 1)]);

    for streams in &streams {
        assert!(streams.wait_for(&[State::Error], LONG));
        assert!(streams.close(LONG));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1, "the others do as they are told");
    let errors = streams.each_ref().map(|streams| streams.error().unwrap().to_string());
    assert_eq!(errors.iter().filter(|error| error.contains("the value is boom")).count(), 1, "{errors:?}");
    assert_eq!(errors.iter().filter(|error| error.contains("asked that the whole application ends")).count(), 1);

    // It can be started again.
    let again = streams_on(&world, &counting(), 1, Arc::new(MemoryEngines::simulated_disk("process-3")));
    again.start().unwrap();
    assert!(again.wait_for(&[State::Running, State::Error], LONG));
    assert!(again.close(LONG));
}

fn take_one(left: &AtomicU32) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

/// `in` -> copied -> `out`; fails where `fails` says so of the value.
fn failing(fails: impl Fn(&str) -> bool + Send + Sync + 'static) -> Topology {
    struct Copy(Arc<dyn Fn(&str) -> bool + Send + Sync>);
    impl Processor for Copy {
        type KeyIn = String;
        type ValueIn = String;
        type KeyOut = String;
        type ValueOut = String;

        fn process(
            &mut self,
            ctx: &mut Context<'_, String, String>,
            record: Incoming<'_, String, String>,
        ) -> Result<(), ProcessorError> {
            if (self.0)(&record.value) {
                return Err("it fails now and then".into());
            }
            ctx.forward_incoming(record);
            Ok(())
        }
    }
    let fails: Arc<dyn Fn(&str) -> bool + Send + Sync> = Arc::new(fails);
    let mut topology = Topology::new();
    topology
        .add_source("source", &["in"], SourceSpec::new(Serdes::string(), Serdes::string()))
        .add_processor("copy", move || Copy(Arc::clone(&fails)), &["source"])
        .add_sink("sink", "out", SinkSpec::new(Serdes::string(), Serdes::string()), &["copy"]);
    topology
}

#[test]
fn what_threads_of_an_earlier_run_left_open_ends_though_there_are_fewer_now() {
    let mut world = World::new(&[("in", 4), ("out", 4)]);
    let dir = tempfile::tempdir().unwrap();
    let engines = || Arc::new(MemoryEngines::with_kept_id(dir.path(), "app", || "process-1".to_owned()).unwrap());
    let start = |world: &mut World, guarantee, threads| {
        let config = config(guarantee).num_stream_threads(threads).build().unwrap();
        let mut app = App::new(world, &counting(), &config, engines());
        world.settle(&mut [&mut app]);
        app.assert_running();
        app
    };
    let end = |world: &World, spec| answer(world.log.admin().offsets(&[TopicPartition::new("out", 0)], spec))[0];
    // What a thread leaves open that is killed.
    let leave_open = |world: &World, number| {
        let mut writer = world.log.writer(Some(&format!("app-process-1-{number}")));
        answer(writer.init());
        let to = writer.partition(&TopicPartition::new("out", 0));
        writer.append(to, Timestamp(1), Some(b"k"), Some(b"v"), &Headers::new()).unwrap();
        answer(writer.flush());
        assert!(end(world, OffsetSpec::EndCommitted) < end(world, OffsetSpec::EndUncommitted));
    };
    drop(start(&mut world, ProcessingGuarantee::ExactlyOnceV2, 3));
    assert_eq!(engines().kept_threads(), 3);
    leave_open(&world, 3);

    drop(start(&mut world, ProcessingGuarantee::ExactlyOnceV2, 2));
    assert_eq!(end(&world, OffsetSpec::EndCommitted), end(&world, OffsetSpec::EndUncommitted));
    assert_eq!(engines().kept_threads(), 2);
    leave_open(&world, 1);
    // One that writes no transactions takes nobody's place.
    drop(start(&mut world, ProcessingGuarantee::AtLeastOnce, 2));
    assert_eq!(end(&world, OffsetSpec::EndCommitted), end(&world, OffsetSpec::EndUncommitted));
    assert_eq!(engines().kept_threads(), 0);
}

#[test]
fn local_state_of_a_task_that_moved_away_is_deleted_after_the_delay() {
    let mut world = World::new(&[("in", 2), ("out", 1)]);
    let config = config(ProcessingGuarantee::AtLeastOnce).set("state.cleanup.delay.ms", 1000).build().unwrap();
    let engines = disk();
    let mut first = App::new(&world, &counting(), &config, engines.clone());
    world.produce("in", 0, &[("a", "x", 1)]);
    world.produce("in", 1, &[("b", "x", 1)]);
    world.settle(&mut [&mut first]);
    assert_eq!(engines.tasks().unwrap().len(), 2);

    let others = Arc::new(MemoryEngines::simulated_disk("process-2"));
    let mut second = App::new(&world, &counting(), &config, others.clone());
    world.settle(&mut [&mut first, &mut second]);
    assert_eq!(first.threads[0].metadata().active.len(), 1);
    assert_eq!(engines.tasks().unwrap().len(), 2, "it may come back");
    for _ in 0..30 {
        world.now.mono_ns += 100 * MS;
        first.step(world.now);
        second.step(world.now);
    }

    assert_eq!(engines.tasks().unwrap(), first.threads[0].metadata().active);
    assert_eq!(others.tasks().unwrap(), second.threads[0].metadata().active);
    first.close(&mut world);
    second.close(&mut world);
}
