//! What waits in a buffer survives the instance it waits in.

use std::sync::Arc;
use std::time::Duration;

use millstream_state::{MemoryEngines, Stores};
use millstream_topology::graph::Topology;
use millstream_topology::{
    BufferConfig, Consumed, Joined, Materialized, ProcessorError, StoreHandle, StoreScope, StreamsBuilder, Suppressed,
    TimeWindows, ValueTransformer,
};
use millstream_types::Serdes;

use crate::support::*;

/// Kills the instance and goes on somewhere else, with nothing but the log.
fn elsewhere(world: &World, app: App, topology: &Topology, config: &millstream_types::Config) -> App {
    drop(app);
    App::new(world, topology, config, Arc::new(MemoryEngines::simulated_disk("elsewhere")))
}

/// The number of records of each window, when it is over.
fn final_counts() -> Topology {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("in")
        .group_by_key()
        .windowed_by(TimeWindows::of_size_with_no_grace(Duration::from_millis(10)).unwrap())
        .count()
        .suppress(Suppressed::until_window_closes(BufferConfig::unbounded()).with_name("finals"))
        .to_stream()
        .map(|window, count| (window.key, format!("{} at {}", count.unwrap_or_default(), window.window.start)))
        .to("out");
    builder.build().unwrap()
}

#[test]
fn a_window_gives_one_result_though_the_instance_is_killed_before_it_closes() {
    for guarantee in GUARANTEES {
        let mut world = World::new(&[("in", 1), ("out", 1)]);
        let config = config(guarantee).build().unwrap();
        let mut app = App::new(&world, &final_counts(), &config, disk());
        world.produce("in", 0, &[("k", "x", 1), ("k", "x", 2), ("j", "x", 3)]);
        world.settle(&mut [&mut app]);
        app.assert_running();
        assert_eq!(world.lines("out"), [""; 0]);
        let logged = world.records("app-finals-store-changelog");
        assert_eq!(logged.len(), 2, "one record a key");
        assert!(logged.iter().all(|(_, record)| record.timestamp.0 > 1000), "the wall clock: {logged:?}");

        let mut app = elsewhere(&world, app, &final_counts(), &config);
        world.produce("in", 0, &[("k", "x", 20)]);
        world.settle_for(&mut [&mut app], 60_000);
        app.assert_running();
        assert_eq!(world.lines("out"), ["j=1 at 0", "k=2 at 0"], "{guarantee:?}");

        let mut app = elsewhere(&world, app, &final_counts(), &config);
        world.produce("in", 0, &[("k", "x", 40)]);
        world.settle_for(&mut [&mut app], 60_000);
        app.assert_running();
        assert_eq!(world.lines("out"), ["j=1 at 0", "k=2 at 0", "k=1 at 20"], "{guarantee:?}");
        app.close(&mut world);
    }
}

/// Records joined with their row as it was, ten milliseconds later.
fn patient_join() -> Topology {
    let builder = StreamsBuilder::new();
    let history = Stores::persistent_versioned_key_value_store("rows", Duration::from_secs(60));
    let rows = builder.table_with::<String, String>("rows", Consumed::default(), Materialized::of_supplier(history));
    builder
        .stream::<String, String>("in")
        .left_join_with(
            &rows,
            |_, value, row| format!("{value}:{}", row.map_or("none", String::as_str)),
            Joined::named("patient").with_grace_period(Duration::from_millis(10)),
        )
        .to("out");
    builder.build().unwrap()
}

#[test]
fn records_wait_for_late_rows_though_the_instance_is_killed() {
    for guarantee in GUARANTEES {
        let mut world = World::new(&[("rows", 1), ("in", 1), ("out", 1)]);
        let config = config(guarantee).build().unwrap();
        let mut app = App::new(&world, &patient_join(), &config, disk());
        world.produce("in", 0, &[("k", "v", 5), ("k", "w", 9)]);
        world.settle(&mut [&mut app]);
        app.assert_running();
        assert_eq!(world.lines("out"), [""; 0]);

        let mut app = elsewhere(&world, app, &patient_join(), &config);
        world.produce("rows", 0, &[("k", "late", 7)]);
        world.settle_for(&mut [&mut app], 60_000);
        world.produce("in", 0, &[("k", "x", 30), ("k", "too late", 6)]);
        world.settle(&mut [&mut app]);
        app.assert_running();
        assert_eq!(world.lines("out"), ["k=v:none", "k=w:late", "k=too late:none"], "{guarantee:?}");
        app.close(&mut world);
    }
}

type Calls = millstream_state::KeyValueStore<String, i64>;

/// Counts its calls by key.
struct CountsCalls(Option<StoreHandle<Calls>>);

impl ValueTransformer for CountsCalls {
    type Key = String;
    type ValueIn = String;
    type ValueOut = String;

    fn init(&mut self, scope: &mut StoreScope<'_>) -> Result<(), ProcessorError> {
        self.0 = Some(scope.store_handle("calls")?);
        Ok(())
    }

    fn transform(
        &mut self,
        scope: &mut StoreScope<'_>,
        key: &String,
        value: Option<&String>,
    ) -> Result<Option<String>, ProcessorError> {
        let store = scope.store(self.0.ok_or("not started")?);
        let calls = store.get(key)?.unwrap_or(0) + 1;
        store.put(key, Some(calls))?;
        Ok(value.map(|value| format!("{value}{calls}")))
    }
}

#[test]
fn a_transformer_finds_its_state_again() {
    let topology = || {
        let builder = StreamsBuilder::new();
        let calls = Stores::persistent_key_value_store("calls");
        builder.add_state_store(Stores::key_value_store_builder(calls, Serdes::string(), Serdes::long()));
        builder
            .table::<String, String>("in")
            .transform_values_with(|| CountsCalls(None), Materialized::default(), &["calls"])
            .to_stream()
            .to("out");
        builder.build().unwrap()
    };
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let config = config(GUARANTEES[0]).build().unwrap();
    let mut app = App::new(&world, &topology(), &config, disk());
    world.produce("in", 0, &[("k", "a", 1), ("j", "b", 2)]);
    world.settle(&mut [&mut app]);
    let mut app = elsewhere(&world, app, &topology(), &config);
    world.produce("in", 0, &[("k", "c", 3)]);
    world.settle_for(&mut [&mut app], 60_000);
    app.assert_running();
    assert_eq!(world.lines("out"), ["k=a1", "j=b1", "k=c2"]);
    app.close(&mut world);
}
