//! Queries of applications that run: point reads, scans, copies, bounds, and who cannot be asked.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::support::*;
use millstream_log::Log;
use millstream_runtime::{
    Components, Handlers, InvalidStateStore, QueryableStoreTypes, State, StateQueryRequest, StateQueryResult,
    StoreQueryParameters, Streams,
};
use millstream_state::query::{FailureReason, KeyQuery, Position, PositionBound, RangeQuery, WindowRangeQuery};
use millstream_state::{MemoryEngines, StoreIterator};
use millstream_topology::graph::Topology;
use millstream_topology::{Consumed, Materialized, StreamsBuilder};
use millstream_types::clock::SystemClock;
use millstream_types::{Clock, Config, Error, ErrorKind, Offset, ProcessingGuarantee, Result};

const LONG: Duration = Duration::from_secs(60);

fn instance(world: &World, topology: &Topology, config: &Config, process: &str) -> Streams {
    let components = Components {
        log: Arc::new(world.log.clone()),
        engines: Arc::new(MemoryEngines::new(process)),
        clock: Arc::new(SystemClock::new()),
        handlers: Handlers::default(),
    };
    Streams::with_log(topology, config, components).unwrap()
}

fn running(world: &World, topology: &Topology, config: &Config, process: &str) -> Streams {
    let streams = instance(world, topology, config, process);
    streams.start().unwrap();
    assert!(streams.wait_for(&[State::Running], LONG));
    streams
}

fn with_threads(threads: usize) -> Config {
    config(ProcessingGuarantee::ExactlyOnceV2).num_stream_threads(threads).build().unwrap()
}

/// Asks again until the answer is good, by the log's own signal.
#[track_caller]
fn until<T>(world: &World, what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    // A question wakes the log itself: how often one was asked says nothing of how long it took.
    let clock = SystemClock::new();
    let deadline = clock.now().wall_ms + LONG.as_millis() as i64;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(clock.now().wall_ms < deadline, "{what} never came");
        world.log.wait(Duration::from_millis(10));
    }
}

type CountQuery = StateQueryRequest<KeyQuery<String, i64>>;

fn count_of(key: &str) -> CountQuery {
    StateQueryRequest::in_store("counts").with_query(KeyQuery::with_key(key.to_owned()))
}

fn value(result: StateQueryResult<Option<i64>>) -> Option<i64> {
    result.into_only_value().unwrap()
}

#[track_caller]
fn reason<T>(outcome: Result<T>) -> InvalidStateStore {
    let error: Error = outcome.err().expect("an error");
    InvalidStateStore::of(&error).unwrap_or_else(|| panic!("{error:?}")).clone()
}

fn sorted(rows: StoreIterator<(String, i64)>) -> Vec<(String, i64)> {
    let mut rows = rows.collect::<Result<Vec<_>>>().unwrap();
    rows.sort();
    rows
}

#[test]
fn all_partitions_of_an_instance_are_asked_over_several_threads() {
    let world = World::new(&[("in", 4), ("out", 1)]);
    let streams = running(&world, &counting(), &with_threads(2), "p");
    for (partition, key) in (0..4).zip(["a", "b", "c", "d"]) {
        world.produce("in", partition, &[(key, "x", 1), (key, "x", 2)]);
    }
    for key in ["a", "b", "c", "d"] {
        until(&world, "the count", || value(streams.query(&count_of(key)).unwrap()).filter(|count| *count == 2));
    }
    assert_eq!(value(streams.query(&count_of("nobody")).unwrap()), None);

    let all = StateQueryRequest::in_store("counts").with_query(RangeQuery::<String, i64>::with_no_bounds());
    let result = streams.query(&all).unwrap();
    assert_eq!(result.position().partition_positions("in").count(), 4);
    let rows: Vec<_> =
        result.into_partition_results().into_values().flat_map(|part| sorted(part.into_result().unwrap())).collect();
    assert_eq!(rows, ["a", "b", "c", "d"].map(|key| (key.to_owned(), 2)));

    let some = streams.query(&count_of("b").with_partitions([1, 9]).enable_execution_info()).unwrap();
    assert_eq!(some.partition_results().keys().copied().collect::<Vec<_>>(), [1, 9]);
    assert_eq!(some.partition_results()[&1].result(), Some(&Some(2)));
    assert_eq!(some.partition_results()[&1].execution_info().len(), 1);
    assert_eq!(some.partition_results()[&9].failure_reason(), Some(FailureReason::NotPresent));
    assert_eq!(value(streams.query(&count_of("b").with_partitions([1]).require_active()).unwrap()), Some(2));

    let kind = QueryableStoreTypes::key_value_store::<String, i64>();
    let counts = streams.store(StoreQueryParameters::from_name_and_type("counts", kind)).unwrap();
    assert_eq!(counts.get(&"c".to_owned()).unwrap(), Some(2));
    assert_eq!(counts.approximate_num_entries().unwrap(), 4);
    assert_eq!(sorted(counts.all().unwrap()).len(), 4);
    let from_b = counts.range(Some(&"b".to_owned()), Some(&"c".to_owned())).unwrap();
    assert_eq!(sorted(from_b), [("b".to_owned(), 2), ("c".to_owned(), 2)]);
    assert_eq!(sorted(counts.prefix_scan(b"d").unwrap()), [("d".to_owned(), 2)]);
    assert!(streams.close(LONG));
    assert_eq!(reason(counts.get(&"c".to_owned())), InvalidStateStore::Stopped(State::NotRunning));
}

#[test]
fn who_cannot_be_asked_says_why() {
    let world = World::new(&[("in", 1), ("out", 1)]);
    let streams = Arc::new(instance(&world, &counting(), &with_threads(1), "p"));
    let kind = || QueryableStoreTypes::key_value_store::<String, i64>();
    let open = |name| streams.store(StoreQueryParameters::from_name_and_type(name, kind()));
    assert_eq!(reason(streams.query(&count_of("a"))), InvalidStateStore::NotStarted);
    assert_eq!(reason(open("counts")), InvalidStateStore::NotStarted);

    // A listener runs on a stream thread, which would wait for itself.
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (inside, list) = (Arc::clone(&streams), Arc::clone(&heard));
    streams.set_state_listener(move |new, _| {
        if new == State::Running {
            list.lock().unwrap().push(reason(inside.query(&count_of("a"))));
        }
    });
    streams.start().unwrap();
    assert!(streams.wait_for(&[State::Running], LONG));
    until(&world, "the listener", || heard.lock().unwrap().first().cloned());
    assert_eq!(heard.lock().unwrap()[0], InvalidStateStore::OwnThread);

    let other = StateQueryRequest::in_store("other").with_query(KeyQuery::<String, i64>::with_key("a".to_owned()));
    assert_eq!(reason(streams.query(&other)), InvalidStateStore::Unknown);
    assert_eq!(reason(open("other")), InvalidStateStore::Unknown);
    let windows =
        StateQueryRequest::in_store("counts").with_query(WindowRangeQuery::<String, i64>::with_key("a".to_owned()));
    let result = streams.query(&windows).unwrap();
    assert_eq!(result.partition_results()[&0].failure_reason(), Some(FailureReason::UnknownQueryType));
    let kind = QueryableStoreTypes::timestamped_key_value_store::<String, i64>();
    let timed = streams.store(StoreQueryParameters::from_name_and_type("counts", kind)).unwrap();
    let InvalidStateStore::WrongType(message) = reason(timed.get(&"a".to_owned())) else { panic!("another reason") };
    assert!(message.contains("KeyValueStore<alloc::string::String, i64>"), "{message}");
    let kind = QueryableStoreTypes::key_value_store::<String, i64>();
    let parameters = StoreQueryParameters::from_name_and_type("counts", kind).with_partition(3);
    let error = streams.store(parameters).unwrap().get(&"a".to_owned()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retriable, "{error}");

    assert!(streams.close(LONG));
    assert_eq!(reason(streams.query(&count_of("a"))), InvalidStateStore::Stopped(State::NotRunning));
    streams.set_state_listener(|_, _| {});
}

#[test]
fn a_result_and_its_position_are_of_one_moment_while_records_are_processed() {
    let world = World::new(&[("in", 1), ("out", 1)]);
    let streams = running(&world, &counting(), &with_threads(1), "p");
    let records: Vec<_> = (0..500).map(|time| ("k", "x", time)).collect();
    let (is_over, world) = (AtomicBool::new(false), &world);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..40 {
                world.produce("in", 0, &records);
            }
            is_over.store(true, Ordering::Release);
        });
        let mut seen = 0;
        while seen < 20_000 {
            assert!(!is_over.load(Ordering::Acquire) || seen <= 20_000);
            for request in [count_of("k"), count_of("k").read_committed()] {
                let result = streams.query(&request).unwrap();
                let position = result.position().partition_positions("in").next().map_or(-1, |(_, offset)| offset.0);
                let count = value(result).unwrap_or(0);
                assert_eq!(count, position + 1, "one key: every record counts one more");
                if !request.is_require_active() {
                    seen = seen.max(count);
                }
            }
        }
    });
    let at = Position::empty().with_component("in", 0, Offset(19_999));
    let bounded = |position: Position| count_of("k").with_position_bound(PositionBound::at(position));
    assert_eq!(value(streams.query(&bounded(at)).unwrap()), Some(20_000));
    let at = Position::empty().with_component("in", 0, Offset(20_000));
    let result = streams.query(&bounded(at.clone())).unwrap();
    let part = &result.partition_results()[&0];
    assert_eq!(part.failure_reason(), Some(FailureReason::NotUpToBound), "{:?}", part.failure_message());
    assert!(part.position().is_some());
    assert_eq!(
        value(streams.query(&bounded(at).require_active()).unwrap()),
        Some(20_000),
        "an active task is up to date"
    );
    assert!(streams.close(LONG));
}

#[test]
fn copies_answer_where_they_may() {
    let world = World::new(&[("in", 2), ("out", 1)]);
    let config = config(ProcessingGuarantee::AtLeastOnce).set("num.standby.replicas", 1).build().unwrap();
    let (first, second) = (instance(&world, &counting(), &config, "p1"), instance(&world, &counting(), &config, "p2"));
    first.start().unwrap();
    second.start().unwrap();
    let has_both = |streams: &Streams| {
        let threads = streams.threads_metadata();
        threads.iter().all(|thread| thread.active.len() == 1 && thread.standby.len() == 1)
    };
    until(&world, "one task and one copy each", || (has_both(&first) && has_both(&second)).then_some(()));
    world.produce("in", 0, &[("a", "x", 1)]);
    world.produce("in", 1, &[("b", "x", 1)]);
    let stale =
        StoreQueryParameters::from_name_and_type("counts", QueryableStoreTypes::key_value_store::<String, i64>())
            .enable_stale_stores();
    for streams in [&first, &second] {
        let counts = streams.store(stale.clone()).unwrap();
        for key in ["a", "b"] {
            until(&world, "the count", || counts.get(&key.to_owned()).unwrap_or(None));
            until(&world, "the count", || streams.query(&count_of(key)).unwrap().into_only_value().unwrap_or(None));
        }
        let active = streams.threads_metadata()[0].active[0].partition;
        let result = streams.query(&count_of("a").require_active()).unwrap();
        let failures = result.partition_results().iter().filter_map(|(at, part)| Some((*at, part.failure_reason()?)));
        assert_eq!(failures.collect::<Vec<_>>(), [(1 - active, FailureReason::NotActive)]);
        let kind = QueryableStoreTypes::key_value_store::<String, i64>();
        let own = streams.store(StoreQueryParameters::from_name_and_type("counts", kind)).unwrap();
        assert_eq!(own.approximate_num_entries().unwrap(), 1, "a copy is not read unless it may be stale");
    }
    for streams in [&first, &second] {
        let lags = until(&world, "copies without lag", || {
            let lags = streams.all_local_store_partition_lags().unwrap();
            lags["counts"].values().all(|lag| lag.offset_lag == 0).then_some(lags)
        });
        assert_eq!(lags["counts"].values().map(|lag| lag.end_offset_position.0).collect::<Vec<_>>(), [1, 1]);
        let thread = streams.metadata_for_local_threads().unwrap().remove(0);
        assert_eq!((thread.active_tasks.len(), thread.standby_tasks.len()), (1, 1));
        let input = &thread.active_tasks[0].topic_partitions[0];
        assert_eq!(&*input.topic, "in");
        assert_eq!(thread.active_tasks[0].end_offsets[input], Offset(1));
        let changelog = &thread.standby_tasks[0].topic_partitions[0];
        assert_eq!(thread.standby_tasks[0].committed_offsets[changelog], Offset(1));
    }
    assert!(first.close(LONG) && second.close(LONG));
}

#[test]
fn global_stores_are_read_on_the_callers_thread() {
    let world = World::new(&[("in", 2), ("rates", 2)]);
    let builder = StreamsBuilder::new();
    builder.global_table_with::<String, String>("rates", Consumed::default(), Materialized::named("rates-store"));
    builder.stream::<String, String>("in").for_each(|_, _| {});
    let streams = running(&world, &builder.build().unwrap(), &with_threads(1), "p");
    world.produce("rates", 0, &[("eur", "1.1", 7)]);
    world.produce("rates", 1, &[("gbp", "1.3", 8)]);
    let kind = QueryableStoreTypes::key_value_store::<String, String>();
    let rates = streams.store(StoreQueryParameters::from_name_and_type("rates-store", kind)).unwrap();
    assert_eq!(until(&world, "the rate", || rates.get(&"gbp".to_owned()).unwrap()), "1.3");
    assert_eq!(until(&world, "the rate", || rates.get(&"eur".to_owned()).unwrap()), "1.1");
    assert_eq!(rates.all().unwrap().count(), 2);
    let query = KeyQuery::<String, String>::with_key("eur".to_owned());
    let result = streams.query(&StateQueryRequest::in_store("rates-store").with_query(query)).unwrap();
    assert_eq!(result.position().partition_positions("rates").count(), 2);
    assert_eq!(result.into_global_result().unwrap().into_result(), Ok(Some("1.1".to_owned())));
    assert!(streams.close(LONG));
}

/// Wakes a thread that is parked.
struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        std::thread::park();
    }
}

#[test]
fn a_query_may_be_awaited() {
    let world = World::new(&[("in", 2), ("out", 1)]);
    let streams = running(&world, &counting(), &with_threads(2), "p");
    world.produce("in", 1, &[("k", "x", 1)]);
    let ask = || block_on(streams.query_async(&count_of("k")).unwrap());
    assert_eq!(until(&world, "the count", || value(ask())), 1);
    drop(streams.query_async(&count_of("k")).unwrap());
    assert!(streams.close(LONG));
}

#[test]
fn queries_end_when_the_application_does() {
    for ends_by_error in [false, true] {
        let world = World::new(&[("in", 2), ("out", 1)]);
        let streams = running(&world, &counting(), &with_threads(2), "p");
        std::thread::scope(|scope| {
            let asking: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        loop {
                            // Every answer is good until the application is over; none is waited for in vain.
                            match streams.query(&count_of("k")) {
                                Ok(_) => {}
                                Err(error) => return reason::<()>(Err(error)),
                            }
                        }
                    })
                })
                .collect();
            world.produce("in", 0, &[("k", "x", 1), ("k", if ends_by_error { "boom" } else { "x" }, 2)]);
            if !ends_by_error {
                assert!(streams.close(LONG));
            }
            for thread in asking {
                assert!(matches!(thread.join().unwrap(), InvalidStateStore::Stopped(_)));
            }
        });
        assert!(streams.close(LONG));
    }
}
