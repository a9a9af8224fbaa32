//! Records are nobody's business but their readers': logs and errors say where one is, and not what it holds.

use millstream_topology::graph::Topology;
use millstream_topology::{Consumed, Produced, StreamsBuilder};
use millstream_types::config::HandlerChoice;
use millstream_types::{ProcessingGuarantee, Serde, Serdes};

use crate::support::*;
use crate::warnings::told_at_all;

#[test]
fn neither_keys_nor_values_of_records_are_told() {
    const CANARY: &str = "canary5c1e";
    let (as_hex, as_list) = ("63616e617279", format!("{:?}", CANARY.as_bytes()));
    let is_silent = |line: &str| {
        !line.contains("canary") && !line.contains(as_hex) && !line.contains(as_list.trim_matches(['[', ']']))
    };
    for choice in [HandlerChoice::Continue, HandlerChoice::Fail] {
        for (reads_text, fails) in [(true, true), (false, true), (true, false)] {
            let mut errors = Vec::new();
            let mut lines = told_at_all(|| {
                let mut world = World::new(&[("in", 1), ("out", 1), ("dead", 1)]);
                let config = config(ProcessingGuarantee::ExactlyOnceV2)
                    .deserialization_exception_handler(choice)
                    .processing_exception_handler(choice)
                    .production_exception_handler(choice)
                    .dead_letter_queue_topic("dead")
                    .build()
                    .unwrap();
                let mut app = App::new(&world, &reading(reads_text, fails), &config, disk());
                world.produce("in", 0, &[(CANARY, &format!("{CANARY}{{"), 1), (CANARY, &format!("\"{CANARY}\""), 2)]);
                world.settle(&mut [&mut app]);
                errors.extend(app.error());
                assert_eq!(errors.is_empty(), choice == HandlerChoice::Continue || !fails);
                if errors.is_empty() {
                    app.close(&mut world);
                }
            });
            assert!(!fails || !lines.is_empty(), "a failure is told");
            lines.extend(errors);
            for line in lines {
                assert!(is_silent(&line), "{choice:?}, {reads_text}, {fails}: {line}");
            }
        }
    }
}

/// Counts texts, or numbers in JSON, which the records are not; and fails on them, if asked to.
fn reading(reads_text: bool, fails: bool) -> Topology {
    let builder = StreamsBuilder::new();
    if reads_text {
        let stream = builder.stream_with(&["in"], Consumed::with(Serdes::string(), Serdes::string()));
        let checked =
            stream.try_filter(move |_: &String, _: &String| if fails { Err("not this one".into()) } else { Ok(true) });
        checked
            .group_by_key()
            .count()
            .to_stream()
            .to_with("out", Produced::with(Serdes::string(), Serdes::long().optional()));
    } else {
        let stream = builder.stream_with(&["in"], Consumed::with(Serdes::string(), Serde::<i64>::json()));
        stream.to_with("out", Produced::with(Serdes::string(), Serde::<i64>::json()));
    }
    builder.build().unwrap()
}
