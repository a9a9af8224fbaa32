//! What the group is told of a topology: all that Kafka Streams tells it, since brokers compare it to the byte and a
//! Java application may have made the group.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millstream_log::{GroupTopology, InternalTopicFacts};
use millstream_runtime::Handlers;
use millstream_state::MemoryEngines;
use millstream_topology::graph::Topology;
use millstream_topology::{
    Consumed, Grouped, JoinWindows, Materialized, Repartitioned, StreamJoined, StreamsBuilder, TimeWindows,
};
use millstream_types::Config;

use crate::changed_log::{Changes, changed};
use crate::support::*;

/// What Kafka Streams 4.3 tells: written from `StreamThread.initBrokerTopology` and the client's heartbeats.
const EXPECTED: &str = include_str!("group_topology.txt");

fn topology(config: &Config) -> Topology {
    let builder = StreamsBuilder::with_config(config);
    let orders = builder.stream::<String, String>("orders");
    let customers =
        builder.table_with::<String, String>("customers", Consumed::default(), Materialized::named("customers"));
    let by_name = orders.select_key(|_, value| value.clone()).repartition_with(Repartitioned::named("by-name"));
    by_name.join(&customers, |left, right| format!("{left}{right}")).to("joined");
    orders
        .select_key(|_, value| value.clone())
        .group_by_key_with(Grouped::named("by-value"))
        .windowed_by(TimeWindows::of_size_with_no_grace(Duration::from_secs(300)).unwrap())
        .count_with(Materialized::named("windowed"));
    let left = builder.stream::<String, String>("left");
    let right = builder.stream::<String, String>("right");
    left.join_stream_with(
        &right,
        |_, left, right| format!("{left}{right}"),
        JoinWindows::of_time_difference_with_no_grace(Duration::from_secs(60)).unwrap(),
        StreamJoined::named("lr").with_store_name("lr"),
    )
    .to("pairs");
    let prices = builder.table_with::<String, String>("prices", Consumed::default(), Materialized::named("prices"));
    left.join(&prices, |left, right| format!("{left}{right}")).to("priced");
    right
        .select_key(|_, value| value.clone())
        .repartition_with(Repartitioned::named("fixed").with_number_of_partitions(3))
        .to("out");
    builder.build().unwrap()
}

/// Takes down with which topology a group is joined.
#[derive(Default)]
struct Overhearing(Mutex<Option<GroupTopology>>);

impl Changes for Overhearing {
    fn join(&self, topology: &GroupTopology) {
        *self.0.lock().unwrap() = Some(topology.clone());
    }
}

fn told(optimization: &str) -> GroupTopology {
    let mut world =
        World::new(&[("orders", 2), ("customers", 2), ("left", 4), ("right", 4), ("prices", 4), ("joined", 1)]);
    let config = Config::builder()
        .application_id("app")
        .bootstrap_servers("memory:")
        .set("topology.optimization", optimization)
        .set("topic.segment.ms", 1000)
        .build()
        .unwrap();
    let told = Arc::new(Overhearing::default());
    let engines = Arc::new(MemoryEngines::new("p"));
    let mut app = App::on(changed(world.log.clone(), &told), &topology(&config), &config, engines, Handlers::default());
    for _ in 0..100 {
        app.step(world.now);
        world.pass(10);
    }
    let told = told.0.lock().unwrap().take();
    told.unwrap_or_else(|| panic!("nobody joined: {:?}", app.error()))
}

fn text(topology: &GroupTopology) -> String {
    let mut text = String::new();
    for facts in &topology.subtopologies {
        let sorted = |names: &[Arc<str>]| {
            let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
            names.sort();
            names
        };
        let by_name = |topics: &[InternalTopicFacts]| {
            let mut topics = topics.to_vec();
            topics.sort_by(|left, right| left.name.cmp(&right.name));
            topics
        };
        let (sources, repartitions) = (sorted(&facts.source_topics), by_name(&facts.repartition_sources));
        writeln!(text, "subtopology {}", facts.id).unwrap();
        writeln!(text, "  sources [{}]", sources.join(", ")).unwrap();
        writeln!(text, "  sinks [{}]", sorted(&facts.repartition_sinks).join(", ")).unwrap();
        for (kind, topics) in [("repartition", &repartitions), ("changelog", &by_name(&facts.changelogs))] {
            for topic in topics {
                let partitions = topic.partitions.unwrap_or_default();
                let configs: Vec<String> = topic.configs.iter().map(|(key, value)| format!(" {key}={value}")).collect();
                let (name, replicas, configs) = (&topic.name, topic.replication_factor, configs.concat());
                writeln!(text, "  {kind} {name} {partitions} {replicas}{configs}").unwrap();
            }
        }
        for group in &facts.copartition_groups {
            let at = |topic: &Arc<str>| sources.iter().position(|other| **other == **topic);
            let at_own = |topic: &Arc<str>| repartitions.iter().position(|other| other.name == *topic);
            let sources: Vec<usize> = group.iter().filter_map(at).collect();
            let own: Vec<usize> = group.iter().filter_map(at_own).collect();
            writeln!(text, "  copartitioned {sources:?} {own:?}").unwrap();
        }
    }
    text
}

#[test]
fn a_group_is_told_what_kafka_streams_would_tell_it() {
    let text = |optimization: &str| format!("# topology.optimization={optimization}\n{}", text(&told(optimization)));
    assert_eq!(text("none") + &text("all"), EXPECTED);
}
