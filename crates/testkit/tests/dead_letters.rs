//! Dead letters of rows that fail after they have waited in a record cache or a buffer: key and value are those of the
//! record that wrote the row, as recorded from Kafka Streams 4.3.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millstream_runtime::Handlers;
use millstream_testkit::TopologyTestDriver;
use millstream_topology::{
    BufferConfig, ErrorHandlerContext, HandlerResponse, Materialized, ProcessingExceptionHandler, ProcessorError,
    StoreScope, StreamsBuilder, Suppressed, Topology, ValueTransformer,
};
use millstream_types::config::HandlerChoice;
use millstream_types::{Config, ConfigBuilder, Error, Result, Serdes, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Row {
    Logged,
    Unlogged,
    Suppressed,
}

/// Tells the records that fail.
struct Telling(Arc<Mutex<Vec<String>>>);

impl ProcessingExceptionHandler for Telling {
    fn handle(&self, context: &ErrorHandlerContext, _: &Error) -> HandlerResponse {
        let raw = String::from_utf8_lossy(context.raw_value.as_deref().unwrap_or_default()).into_owned();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{raw} at {}", context.offset));
        HandlerResponse::resume()
    }
}

/// Counts, and fails with every count.
fn topology(row: Row) -> Result<Topology> {
    let builder = StreamsBuilder::new();
    let counts = Materialized::named("counts");
    let counts = if row == Row::Unlogged { counts.with_logging_disabled() } else { counts };
    let mut table = builder.stream::<String, String>("in").group_by_key().count_with(counts);
    if row == Row::Suppressed {
        table = table.suppress(Suppressed::until_time_limit(Duration::from_millis(10), BufferConfig::unbounded()));
    }
    table.to_stream().try_map_values(|_, _| Err::<Option<i64>, _>("no".into())).to("out");
    builder.build()
}

fn config() -> ConfigBuilder {
    Config::builder().application_id("app").bootstrap_servers("memory:")
}

fn pipe(driver: &TopologyTestDriver) -> Result<()> {
    let input = driver.create_input_topic("in", Serdes::string(), Serdes::string());
    for (key, value, time) in [("k", "v1", 1), ("k", "v2", 2), ("z", "v3", 100)] {
        input.pipe_input_at(key.to_owned(), value.to_owned(), Timestamp(time))?;
    }
    Ok(())
}

#[test]
fn a_row_that_fails_when_it_leaves_has_the_bytes_of_its_own_record() -> Result<()> {
    let expected = [
        (Row::Logged, &["k=v1", "k=v2", "z=v3"][..]),
        (Row::Unlogged, &["k=v1", "k=v2", "z=v3"]),
        // What the third record has pushed out is not its own row.
        (Row::Suppressed, &["k=v2"]),
    ];
    for (row, letters) in expected {
        let config = config().processing_exception_handler(HandlerChoice::Continue).dead_letter_queue_topic("dead");
        let driver = TopologyTestDriver::with_start(topology(row)?, config.build()?, Timestamp(0))?;
        pipe(&driver)?;
        let dead = driver.create_output_topic("dead", Serdes::string(), Serdes::string());
        let found = dead.read_key_values_to_list()?;
        let found: Vec<String> = found.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(found, letters, "{row:?}");
    }
    Ok(())
}

#[test]
fn a_handler_given_in_code_sees_them_without_a_dead_letter_topic() -> Result<()> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let handlers = Handlers { processing: Some(Arc::new(Telling(Arc::clone(&told)))), ..Handlers::default() };
    let driver =
        TopologyTestDriver::with_handlers(topology(Row::Suppressed)?, config().build()?, Timestamp(0), &handlers)?;
    pipe(&driver)?;
    assert_eq!(*told.lock().expect("nobody panics"), ["v2 at 1"]);
    Ok(())
}

#[test]
fn a_transformer_that_panics_for_a_row_that_is_looked_up_is_told_with_the_record_that_looks() -> Result<()> {
    struct Panicking;
    impl ValueTransformer for Panicking {
        type Key = String;
        type ValueIn = String;
        type ValueOut = String;
        fn transform(
            &mut self,
            scope: &mut StoreScope<'_>,
            _: &String,
            row: Option<&String>,
        ) -> std::result::Result<Option<String>, ProcessorError> {
            assert!(scope.record_metadata().topic.is_some(), "a row that is looked up comes from nowhere");
            Ok(row.cloned())
        }
    }
    let builder = StreamsBuilder::new();
    let rows = builder.table::<String, String>("rows").transform_values(|| Panicking);
    builder.stream::<String, String>("in").join(&rows, |value, row| format!("{value} {row}")).to("out");
    let told = Arc::new(Mutex::new(Vec::new()));
    let handlers = Handlers { processing: Some(Arc::new(Telling(Arc::clone(&told)))), ..Handlers::default() };
    let topology = builder.build()?;
    let driver = TopologyTestDriver::with_handlers(&topology, config().build()?, Timestamp(0), &handlers)?;
    let rows = driver.create_input_topic("rows", Serdes::string(), Serdes::string());
    rows.pipe_input("k".to_owned(), "row".to_owned())?;
    pipe(&driver)?;
    assert_eq!(*told.lock().expect("nobody panics"), ["v1 at 0", "v2 at 1", "v3 at 2"]);
    Ok(())
}
