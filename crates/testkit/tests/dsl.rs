//! The DSL through the test driver: names, `describe()` and results as Kafka Streams has them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::time::Duration;

use millstream_testkit::TopologyTestDriver;
use millstream_topology::{Materialized, StreamsBuilder, TimeWindows};
use millstream_types::{Config, Serdes};

fn config() -> Config {
    Config::builder().application_id("app").bootstrap_servers("memory:").build().unwrap()
}

#[test]
fn word_count_repartitions_and_counts() {
    let builder = StreamsBuilder::new();
    builder
        .stream::<String, String>("lines")
        .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .group_by(|_, word| word.clone())
        .count_with(Materialized::named("counts"))
        .to_stream()
        .to("words");
    let topology = builder.build().unwrap();
    let driver = TopologyTestDriver::new(&topology, config()).unwrap();
    let lines = driver.create_input_topic("lines", Serdes::string(), Serdes::string());
    let words = driver.create_output_topic("words", Serdes::string(), Serdes::long());
    lines.pipe_input("k".to_owned(), "a b a".to_owned()).unwrap();
    let read: Vec<(String, i64)> = words.read_key_values_to_list().unwrap().into_iter().collect();
    assert_eq!(read, [("a".into(), 1), ("b".into(), 1), ("a".into(), 2)]);
}

#[test]
fn windows_and_joins() {
    let builder = StreamsBuilder::new();
    let names = builder.global_table::<String, String>("names");
    let rows = builder.table::<String, String>("rows");
    let stream = builder.stream::<String, i64>("in");
    let joined = stream.join_global(&names, |key, _| key.clone(), |value, name| format!("{name}{value}"));
    joined.to("named");
    stream.left_join(&rows, |value, row| format!("{value}{row:?}")).to("with-rows");
    stream
        .group_by_key()
        .windowed_by(TimeWindows::of_size_with_no_grace(Duration::from_millis(10)).unwrap())
        .reduce(|a, b| a + b)
        .to_stream()
        .to("sums");
    let topology = builder.build().unwrap();
    let driver = TopologyTestDriver::new(&topology, config()).unwrap();
    driver.create_input_topic("names", Serdes::string(), Serdes::string()).pipe_input("a".into(), "A".into()).unwrap();
    driver.create_input_topic("rows", Serdes::string(), Serdes::string()).pipe_input("a".into(), "R".into()).unwrap();
    let input = driver.create_input_topic("in", Serdes::string(), Serdes::long());
    input.pipe_input("a".to_owned(), 1).unwrap();
    input.pipe_input("b".to_owned(), 2).unwrap();
    let named = driver.create_output_topic("named", Serdes::string(), Serdes::string());
    assert_eq!(named.read_key_values_to_list().unwrap(), [("a".to_owned(), "A1".to_owned())]);
    let with_rows = driver.create_output_topic("with-rows", Serdes::string(), Serdes::string());
    assert_eq!(
        with_rows.read_key_values_to_list().unwrap(),
        [("a".to_owned(), "1Some(\"R\")".to_owned()), ("b".to_owned(), "2None".to_owned())]
    );
}
