//! Stream-stream joins in the test driver: what a user of the typed DSL sees.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Duration;

use millstream_state::Stores;
use millstream_testkit::TopologyTestDriver;
use millstream_topology::{JoinWindows, StreamJoined, StreamsBuilder};
use millstream_types::{Config, Serdes, Timestamp};

fn windows(difference: u64, grace: u64) -> JoinWindows {
    let ms = Duration::from_millis;
    JoinWindows::of_time_difference_and_grace(ms(difference), ms(grace)).unwrap()
}

fn config() -> Config {
    Config::builder().application_id("joins").bootstrap_servers("memory:").build().unwrap()
}

/// Pipes `(topic, time, value)` under one key and gives the results as `value@time`.
fn outer_join(windows: JoinWindows, records: &[(&str, i64, &str)]) -> Vec<String> {
    let builder = StreamsBuilder::new();
    let left = builder.stream::<String, String>("left");
    let right = builder.stream::<String, String>("right");
    let text = |value: Option<&String>| value.cloned().unwrap_or_else(|| "-".to_owned());
    left.outer_join(&right, move |left, right| format!("{}{}", text(left), text(right)), windows).to("out");
    let topology = builder.build().unwrap();
    let driver = TopologyTestDriver::new(&topology, config()).unwrap();
    for (topic, time, value) in records {
        let input = driver.create_input_topic(topic, Serdes::string(), Serdes::string());
        input.pipe_input_at("k".to_owned(), (*value).to_owned(), Timestamp(*time)).unwrap();
    }
    let output = driver.create_output_topic("out", Serdes::string(), Serdes::string());
    let records = output.read_records_to_list().unwrap();
    records.into_iter().map(|record| format!("{}@{}", record.value, record.timestamp.unwrap().0)).collect()
}

#[test]
fn a_pair_has_the_later_time_and_comes_in_order_of_the_partners_times() {
    let records = [("left", 5, "a"), ("left", 3, "b"), ("right", 4, "x")];
    assert_eq!(outer_join(windows(10, 0), &records), ["bx@4", "ax@5"]);
}

#[test]
fn a_record_without_a_partner_comes_out_once_time_has_passed_its_window_and_grace() {
    let at_the_end = [("left", 0, "a"), ("right", 15, "x")];
    assert_eq!(outer_join(windows(10, 5), &at_the_end), [""; 0]);
    let behind_it = [("left", 0, "a"), ("right", 16, "x")];
    assert_eq!(outer_join(windows(10, 5), &behind_it), ["a-@0"]);
}

#[test]
fn a_record_whose_window_is_over_is_emitted_at_once() {
    let records = [("left", 100, "a"), ("right", 50, "x")];
    assert_eq!(outer_join(windows(10, 0), &records), ["-x@50"]);
}

#[test]
fn a_store_that_does_not_fit_the_join_is_a_problem_that_names_it() {
    let builder = StreamsBuilder::new();
    let left = builder.stream::<String, String>("left");
    let ms = Duration::from_millis;
    let store = Stores::in_memory_window_store("mine", ms(30), ms(30), false);
    let joined = StreamJoined::default().with_this_store_supplier(store);
    let right = builder.stream::<String, String>("right");
    left.join_stream_with(&right, |_, left, _| left.clone(), windows(10, 5), joined).to("out");
    let error = builder.build().err().unwrap();
    assert!(error.message().contains("store mine"), "{error}");
    assert!(error.message().contains("duplicates") && error.message().contains("20ms"), "{error}");
}
