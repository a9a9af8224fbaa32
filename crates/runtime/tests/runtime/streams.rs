//! The handle: real threads, its states, its end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::*;
use millstream_log::Log;
use millstream_runtime::{Components, Handlers, State, StreamThreadExceptionResponse, Streams};
use millstream_state::MemoryEngines;
use millstream_types::clock::SystemClock;
use millstream_types::{ErrorKind, ProcessingGuarantee};

const LONG: Duration = Duration::from_secs(60);

fn streams(world: &World, threads: usize) -> Streams {
    let config = config(ProcessingGuarantee::ExactlyOnceV2).num_stream_threads(threads).build().unwrap();
    let components = Components {
        log: Arc::new(world.log.clone()),
        engines: Arc::new(MemoryEngines::new("process-1")),
        clock: Arc::new(SystemClock::new()),
        handlers: Handlers::default(),
    };
    Streams::with_log(&counting(), &config, components).unwrap()
}

/// Waits, by the log's own signal, until a topic has so many committed records.
#[track_caller]
fn wait_for_lines(world: &World, topic: &str, count: usize) -> Vec<String> {
    for _ in 0..6000 {
        let lines = world.lines(topic);
        if lines.len() >= count {
            return lines;
        }
        world.log.wait(Duration::from_millis(10));
    }
    panic!("{topic} has {:?}", world.lines(topic));
}

#[test]
fn threads_process_what_comes_until_they_are_closed() {
    let world = World::new(&[("in", 4), ("out", 1)]);
    let streams = streams(&world, 2);
    let states = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&states);
    streams.set_state_listener(move |new, _| heard.lock().unwrap().push(new));
    streams.start().unwrap();
    assert!(streams.wait_for(&[State::Running], LONG));
    for partition in 0..4 {
        world.produce("in", partition, &[("k", "x", 1), ("k", "x", 2)]);
    }

    let lines = wait_for_lines(&world, "out", 8);

    assert_eq!(lines.iter().filter(|line| *line == "k=2").count(), 4);
    assert_eq!(streams.threads_metadata().iter().map(|thread| thread.active.len()).sum::<usize>(), 4);
    assert!(streams.close(LONG));
    assert_eq!(streams.state(), State::NotRunning);
    assert!(streams.close(LONG), "closing again changes nothing");
    assert_eq!(streams.start().unwrap_err().kind(), ErrorKind::State);
    let states = states.lock().unwrap();
    assert_eq!(states.first(), Some(&State::Rebalancing));
    assert_eq!(states[states.len() - 2..], [State::PendingShutdown, State::NotRunning]);
}

#[test]
fn an_error_goes_to_the_uncaught_handler_and_ends_the_instance() {
    let world = World::new(&[("in", 1), ("out", 1)]);
    let streams = streams(&world, 2);
    let errors = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&errors);
    streams.set_uncaught_exception_handler(move |error| {
        heard.lock().unwrap().push(error.to_string());
        StreamThreadExceptionResponse::ShutdownClient
    });
    streams.start().unwrap();
    world.produce("in", 0, &[("k", "x", 1), ("k", "boom", 2)]);

    assert!(streams.wait_for(&[State::Error], LONG));

    let errors = errors.lock().unwrap();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("the value is boom"), "{errors:?}");
    assert!(errors[0].contains("task=0_0, node=counter, topic=in, partition=0, offset=1"), "{errors:?}");
    assert!(streams.error().is_some());
    assert!(streams.close(LONG));
    assert_eq!(streams.state(), State::Error);
}

#[test]
fn a_panic_in_user_code_is_an_error_and_not_the_end_of_the_process() {
    let world = World::new(&[("in", 1), ("out", 1)]);
    let streams = streams(&world, 1);
    streams.start().unwrap();
    world.produce("in", 0, &[("k", "panic", 1)]);

    assert!(streams.wait_for(&[State::Error], LONG));

    let error = streams.error().unwrap();
    assert_eq!(error.kind(), ErrorKind::Processing);
    assert!(error.to_string().contains("the value is panic"), "{error}");
    assert_eq!(world.committed("in", 0), None);
}

#[test]
fn closing_from_a_listener_returns_at_once_and_closes() {
    let world = World::new(&[("in", 1), ("out", 1)]);
    let streams = Arc::new(streams(&world, 1));
    let inside = Arc::downgrade(&streams);
    streams.set_state_listener(move |new, _| {
        if new == State::Running {
            assert!(!inside.upgrade().unwrap().close(LONG));
        }
    });
    streams.start().unwrap();
    assert!(streams.wait_for(&[State::NotRunning], LONG));
}

#[test]
fn a_missing_source_topic_is_named() {
    let world = World::new(&[("out", 1)]);
    let streams = streams(&world, 1);
    streams.start().unwrap();
    assert!(streams.wait_for(&[State::Error], LONG));
    let error = streams.error().unwrap();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    assert!(error.to_string().contains("in (of sub-topology 0)"), "{error}");
}

#[test]
fn an_application_that_never_started_closes() {
    let world = World::new(&[]);
    let streams = streams(&world, 1);
    assert!(streams.close(LONG));
    assert_eq!(streams.state(), State::NotRunning);
}

#[test]
fn state_and_topics_on_disk_outlive_the_process_and_are_locked() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(ProcessingGuarantee::ExactlyOnceV2)
        .bootstrap_servers(&format!("embedded:{}", dir.path().join("log").display()))
        .state_dir(dir.path().join("state"))
        .build()
        .unwrap();
    for round in 1..=2 {
        let log = millstream_log::EmbeddedLog::open(dir.path().join("log"), millstream_runtime::log_options(&config))
            .unwrap();
        let world = World { log, now: millstream_types::Now::default() };
        world.create(&[("in", 1), ("out", 1)]);
        world.produce("in", 0, &[("k", "x", round)]);
        drop(world);

        let streams = Streams::new(&counting(), &config).unwrap();
        let second = Streams::new(&counting(), &config).unwrap_err();
        assert_eq!(second.kind(), ErrorKind::Storage, "{second}");
        streams.start().unwrap();
        let metrics = streams.metrics();
        for _ in 0..6000 {
            if metrics.commits() > 0 {
                break;
            }
            streams.wait_for(&[State::Error], Duration::from_millis(10));
        }
        assert!(streams.close(LONG));
        assert!(streams.error().is_none(), "{:?}", streams.error());
        assert_eq!(metrics.restored(), 0, "round {round}: the local state is at the commit");
        drop(streams);

        let log = millstream_log::EmbeddedLog::open(dir.path().join("log"), millstream_runtime::log_options(&config))
            .unwrap();
        let world = World { log, now: millstream_types::Now::default() };
        assert_eq!(world.lines("out").last().unwrap(), &format!("k={round}"));
    }
}

#[test]
fn starting_and_closing_at_the_same_time_ends_closed() {
    for _ in 0..20 {
        let world = World::new(&[("in", 1), ("out", 1)]);
        let streams = streams(&world, 2);
        std::thread::scope(|scope| {
            scope.spawn(|| streams.start());
            scope.spawn(|| streams.close(LONG));
        });
        assert!(streams.close(LONG));
        assert_eq!(streams.state(), State::NotRunning);
    }
}
