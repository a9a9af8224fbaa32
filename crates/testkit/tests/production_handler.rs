//! What a production exception handler is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use millstream_runtime::Handlers;
use millstream_testkit::TopologyTestDriver;
use millstream_topology::{
    ErrorHandlerContext, HandlerResponse, Produced, ProductionExceptionHandler, SerializationExceptionOrigin,
    StreamsBuilder,
};
use millstream_types::{Config, Error, Result, Serde, Serdes, Timestamp};

/// Notes which part of a record could not be serialised, and goes on.
struct Parts(Arc<Mutex<Vec<SerializationExceptionOrigin>>>);

impl ProductionExceptionHandler for Parts {
    fn handle(&self, _: &ErrorHandlerContext, _: &Error) -> HandlerResponse {
        HandlerResponse::fail()
    }

    fn handle_serialization(
        &self,
        _: &ErrorHandlerContext,
        part: SerializationExceptionOrigin,
        _: &Error,
    ) -> HandlerResponse {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(part);
        HandlerResponse::resume()
    }
}

#[test]
fn a_production_handler_hears_which_part_could_not_be_serialised() -> Result<()> {
    let builder = StreamsBuilder::new();
    // JSON has no place for keys that are no text.
    let value = Serde::<BTreeMap<(i64, i64), i64>>::json();
    let broken = builder
        .stream::<i64, i64>("in")
        .map_values(|value| if value == 0 { BTreeMap::new() } else { [((1, 2), 3)].into() });
    broken.to_with("out", Produced::with(Serdes::long(), value));
    let parts = Arc::new(Mutex::new(Vec::new()));
    let handlers = Handlers { production: Some(Arc::new(Parts(Arc::clone(&parts)))), ..Handlers::default() };
    let config = Config::builder().application_id("app").bootstrap_servers("memory:").build()?;
    let driver = TopologyTestDriver::with_handlers(builder.build()?, config, Timestamp(0), &handlers)?;
    let input = driver.create_input_topic("in", Serdes::long(), Serdes::long());
    input.pipe_key_value_list([(1, 0), (1, 1), (1, 0)])?;
    assert_eq!(*parts.lock().expect("nobody panics"), [SerializationExceptionOrigin::Value]);
    assert_eq!((driver.produced_count("out"), driver.dropped_records()), (2, 1));
    Ok(())
}
