//! Exception handlers: continue, fail, dead letters.

use std::sync::{Arc, Mutex};

use millstream_log::Log;
use millstream_runtime::Handlers;
use millstream_topology::graph::Topology;
use millstream_topology::{ErrorHandlerContext, HandlerResponse, ProcessingExceptionHandler, SinkSpec, SourceSpec};
use millstream_types::config::HandlerChoice;
use millstream_types::{Error, Headers, Offset, ProcessingGuarantee, Serdes, Timestamp, TopicPartition};

use crate::support::*;

/// Puts a value that is no UTF-8 into `in`.
fn produce_undecodable(world: &World) {
    let mut writer = world.log.writer(None);
    answer(writer.init());
    let to = writer.partition(&TopicPartition::new("in", 0));
    writer.append(to, Timestamp(5), Some(b"k"), Some(b"\xff\xfe"), &Headers::new()).unwrap();
    answer(writer.flush());
}

fn header(headers: &Headers, name: &str) -> String {
    let value = headers.last(name).and_then(|header| header.value.clone()).unwrap_or_default();
    String::from_utf8_lossy(&value).into_owned()
}

#[test]
fn undecodable_records_are_dropped_counted_and_written_to_the_dead_letter_topic() {
    for guarantee in GUARANTEES {
        let mut world = World::new(&[("in", 1), ("out", 1), ("dead", 1)]);
        let config = config(guarantee)
            .deserialization_exception_handler(HandlerChoice::Continue)
            .dead_letter_queue_topic("dead")
            .build()
            .unwrap();
        let mut app = App::new(&world, &counting(), &config, disk());
        world.produce("in", 0, &[("k", "x", 1)]);
        produce_undecodable(&world);
        world.produce("in", 0, &[("k", "x", 6)]);

        world.settle(&mut [&mut app]);

        app.assert_running();
        assert_eq!(world.lines("out"), ["k=1", "k=2"]);
        let dead = world.records("dead");
        assert_eq!(dead.len(), 1, "{guarantee:?}");
        let letter = &dead[0].1;
        assert_eq!(letter.value.as_deref(), Some(&b"\xff\xfe"[..]));
        assert_eq!(letter.timestamp, Timestamp(5));
        assert_eq!(header(&letter.headers, "__streams.errors.topic"), "in");
        assert_eq!(header(&letter.headers, "__streams.errors.offset"), "1");
        assert_eq!(app.instance.metrics().dropped(), 1);
        app.close(&mut world);
        assert_eq!(world.committed("in", 0), Some(Offset(3)));
    }
}

#[test]
fn an_undecodable_record_fails_by_default_and_is_not_committed() {
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let config = config(ProcessingGuarantee::ExactlyOnceV2).build().unwrap();
    let mut app = App::new(&world, &counting(), &config, disk());
    produce_undecodable(&world);
    world.settle(&mut [&mut app]);
    let error = app.error().unwrap();
    assert!(error.contains("the value of 2 bytes cannot be read"), "{error}");
    assert!(error.contains("topic=in, partition=0, offset=0"), "{error}");
    assert_eq!(world.committed("in", 0), None);
}

#[test]
fn records_that_user_code_fails_on_are_dropped_where_the_handler_says_so() {
    let mut world = World::new(&[("in", 1), ("out", 1), ("dead", 1)]);
    let config = config(ProcessingGuarantee::ExactlyOnceV2)
        .processing_exception_handler(HandlerChoice::Continue)
        .dead_letter_queue_topic("dead")
        .build()
        .unwrap();
    let mut app = App::new(&world, &counting(), &config, disk());
    world.produce("in", 0, &[("k", "x", 1), ("k", "boom", 2), ("k", "panic", 3), ("k", "x", 4)]);

    world.settle(&mut [&mut app]);

    app.assert_running();
    assert_eq!(world.lines("out"), ["k=1", "k=2"]);
    assert_eq!(world.lines("dead"), ["k=boom", "k=panic"]);
    assert_eq!(app.instance.metrics().dropped(), 2);
    app.close(&mut world);
}

#[test]
fn a_handler_given_in_code_is_told_where_it_happened() {
    struct Telling(Arc<Mutex<Vec<String>>>);
    impl ProcessingExceptionHandler for Telling {
        fn handle(&self, context: &ErrorHandlerContext, error: &Error) -> HandlerResponse {
            let raw = String::from_utf8_lossy(context.raw_value.as_deref().unwrap_or_default()).into_owned();
            self.0.lock().unwrap().push(format!("{} {} {raw} {}", context.node, context.offset, error.message()));
            HandlerResponse::resume()
        }
    }
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut world = World::new(&[("in", 1), ("out", 1)]);
    let config = config(ProcessingGuarantee::AtLeastOnce).build().unwrap();
    let handlers = Handlers { processing: Some(Arc::new(Telling(Arc::clone(&told)))), ..Handlers::default() };
    let mut app = App::with_handlers(&world, &counting(), &config, disk(), handlers);
    world.produce("in", 0, &[("k", "x", 1), ("k", "boom", 2)]);

    world.settle(&mut [&mut app]);

    assert_eq!(*told.lock().unwrap(), ["counter 1 boom the processor failed: the value is boom"]);
    app.close(&mut world);
}

#[test]
fn a_record_too_large_for_its_topic_goes_to_the_production_handler() {
    let copies = {
        let mut topology = Topology::new();
        topology
            .add_source("source", &["in"], SourceSpec::new(Serdes::string(), Serdes::string()))
            .add_processor("double", || Doubler, &["source"])
            .add_sink("sink", "out", SinkSpec::new(Serdes::string(), Serdes::string()), &["double"]);
        topology
    };
    let large = "x".repeat(600_000);
    for (choice, expected) in [(HandlerChoice::Continue, 2), (HandlerChoice::Fail, 0)] {
        let mut world = World::new(&[("in", 1), ("out", 1)]);
        let config = config(ProcessingGuarantee::ExactlyOnceV2).production_exception_handler(choice).build().unwrap();
        let mut app = App::new(&world, &copies, &config, disk());
        world.produce("in", 0, &[("k", "a", 1), ("k", &large, 2), ("k", "b", 3)]);
        world.settle(&mut [&mut app]);
        assert_eq!(world.lines("out").len(), expected, "{choice}");
        match choice {
            HandlerChoice::Continue => {
                app.assert_running();
                assert_eq!(app.instance.metrics().dropped(), 1);
            }
            HandlerChoice::Fail => {
                let error = app.error().unwrap();
                assert!(error.contains("max.message.bytes"), "{error}");
                assert_eq!(world.committed("in", 0), None, "the offset stays before the record");
            }
        }
    }
}

/// Forwards the value twice over.
struct Doubler;

impl millstream_topology::Processor for Doubler {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn process(
        &mut self,
        ctx: &mut millstream_topology::Context<'_, String, String>,
        record: millstream_topology::Incoming<'_, String, String>,
    ) -> Result<(), millstream_topology::ProcessorError> {
        let value = record.value.repeat(2);
        ctx.forward(record.into_record().with_value(value));
        Ok(())
    }
}
