//! Topologies that Kafka Streams refuses or gets wrong, and what is made of them here; all others
//! are among the conformance cases.

use millstream_types::Config;

use crate::{KStream, StreamsBuilder, Topology};

fn builder(optimization: &str) -> StreamsBuilder {
    let config = Config::builder().application_id("test").bootstrap_servers("memory:");
    StreamsBuilder::with_config(&config.topology_optimization(optimization).build().unwrap())
}

fn count_twice(stream: &KStream<String, String>) {
    let grouped = stream.group_by_key();
    grouped.count().to_stream().to("counts");
    grouped.reduce(|_, value| value).to_stream().to("last");
}

/// Nodes below `node`.
fn below(topology: &Topology, node: &str) -> Vec<String> {
    let nodes = topology.facts().nodes.iter();
    let below = nodes.filter(|other| other.parents.iter().any(|parent| **parent == *node));
    below.map(|node| node.name.to_string()).collect()
}

#[test]
fn an_operator_above_two_repartitions_goes_below_the_merged_one() {
    let builder = builder("all");
    let rekeyed = builder.stream::<String, String>("in").select_key(|_, value| value.clone());
    count_twice(&rekeyed.named("kept").filter(|_, _| true));
    let topology = builder.build().unwrap();
    let topics = &topology.facts().repartition_topics;
    assert_eq!(topics.len(), 1, "{topics:?}");
    assert_eq!(below(&topology, &format!("{}-source", topics[0].name)), ["kept"]);
    assert_eq!(below(&topology, "kept").len(), 2);
}

#[test]
fn streams_merged_one_after_the_other_are_repartitioned_together() {
    let builder = builder("merge.repartition.topics");
    let [one, two, three] = ["one", "two", "three"]
        .map(|topic| builder.stream::<String, String>(topic).select_key(|_, value| value.clone()));
    count_twice(&one.merge(&two).named("all").merge(&three));
    let topology = builder.build().unwrap();
    let topics = &topology.facts().repartition_topics;
    assert_eq!(topics.len(), 1, "{topics:?}");
    assert_eq!(below(&topology, "all"), [format!("{}-filter", topics[0].name)]);
}

#[test]
fn a_stream_that_joins_in_below_the_key_change_is_still_repartitioned() {
    let builder = builder("all");
    let rekeyed = builder.stream::<String, String>("one").select_key(|_, value| value.clone());
    rekeyed.group_by_key().count().to_stream().to("counts");
    let other = builder.stream::<String, String>("two").select_key(|_, value| value.clone());
    let merged = rekeyed.named("merged").merge(&other);
    merged.group_by_key().count().to_stream().to("more-counts");
    let topology = builder.build().unwrap();
    assert_eq!(topology.facts().repartition_topics.len(), 2);
    assert_eq!(below(&topology, "merged"), ["KSTREAM-FILTER-0000000015"]);
}

#[test]
fn nothing_changes_without_the_setting() {
    for optimization in ["none", "reuse.ktable.source.topics"] {
        let builder = builder(optimization);
        count_twice(&builder.stream::<String, String>("in").select_key(|_, value| value.clone()));
        assert_eq!(builder.build().unwrap().facts().repartition_topics.len(), 2);
    }
}

#[test]
fn names_that_are_not_given_are_listed_when_they_must_be() {
    let config = Config::builder().application_id("test").bootstrap_servers("memory:");
    let config = config.set("ensure.explicit.internal.resource.naming", "true").build().unwrap();
    let builder = StreamsBuilder::with_config(&config);
    builder.stream::<String, String>("in").group_by(|_, value| value.clone()).count().to_stream().to("counts");
    let error = builder.build().err().unwrap();
    let message = error.message();
    assert!(message.contains("KSTREAM-AGGREGATE-STATE-STORE-0000000002-changelog"), "{message}");
    assert!(message.contains("KSTREAM-AGGREGATE-STATE-STORE-0000000002-repartition"), "{message}");
    assert!(message.contains("Materialized::named"), "{message}");
}
