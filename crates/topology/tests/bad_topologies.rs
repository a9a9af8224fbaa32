//! Bad topologies: all problems come at once, when the topology is built, in the words of the code
//! that is wrong: topics, stores and names.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use millstream_state::Stores;
use millstream_topology::{
    BufferConfig, Consumed, Context, EmitStrategy, Grouped, Incoming, JoinWindows, Joined, Materialized, OffsetReset,
    Processor, ProcessorError, Repartitioned, SessionWindows, SinkSpec, SourceSpec, StreamJoined, StreamsBuilder,
    Suppressed, TimeWindows, Topology, UnlimitedWindows,
};
use millstream_types::{Config, Serdes, Windowed};

/// What `build` says of a topology, without the first line.
#[track_caller]
fn check(write: impl FnOnce(&StreamsBuilder), problems: &[&str]) {
    let builder = StreamsBuilder::new();
    write(&builder);
    check_built(&builder.build().map(drop), problems);
}

#[track_caller]
fn check_by_hand(write: impl FnOnce(&mut Topology), problems: &[&str]) {
    let mut topology = Topology::new();
    write(&mut topology);
    check_built(&topology.check(), problems);
}

#[track_caller]
fn check_built(built: &millstream_types::Result<()>, problems: &[&str]) {
    let error = built.as_ref().expect_err("a bad topology");
    let mut lines = error.message().lines();
    let head = match problems.len() {
        1 => "the topology has a problem:".to_owned(),
        count => format!("the topology has {count} problems:"),
    };
    let found: Vec<&str> = lines.by_ref().skip(1).map(|line| line.strip_prefix("- ").unwrap_or(line)).collect();
    assert_eq!(found, problems);
    assert_eq!(error.message().lines().next(), Some(&*head));
}

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// A type that no serde is known for.
#[derive(Clone)]
struct Order;

struct Keep;

impl Processor for Keep {
    type KeyIn = String;
    type ValueIn = String;
    type KeyOut = String;
    type ValueOut = String;

    fn process(
        &mut self,
        ctx: &mut Context<'_, String, String>,
        record: Incoming<'_, String, String>,
    ) -> Result<(), ProcessorError> {
        ctx.forward_incoming(record);
        Ok(())
    }
}

#[test]
fn names_are_given_once_and_legal() {
    check(
        |builder| {
            let words = builder.stream::<String, String>("words");
            words.named("long").filter(|_, word| word.len() > 9).to("long-words");
            words.named("long").filter(|_, word| word.len() > 99).to("very long words");
            words.group_by_key().count_with(Materialized::named("counts")).to_stream().to("counts");
            words.group_by_key_with(Grouped::named("a/b")).reduce_with(|_, word| word, Materialized::named("counts"));
        },
        &[
            "node name \"a/b\" is not allowed: 1 to 249 letters, digits, '.', '_' and '-', but not '.' or \
             '..'",
            "node long is added more than once; give each node its own name",
            "store counts is added more than once; give each store its own name",
            "topic name \"very long words\" is not allowed: 1 to 249 letters, digits, '.', '_' and '-', \
             but not '.' or '..'",
        ],
    );
}

#[test]
fn stores_are_known_and_added_once() {
    check(
        |builder| {
            let store = || Stores::key_value_store_builder("seen", Serdes::string(), Serdes::long()).into_factory();
            builder.add_state_store(store()).add_state_store(store());
            let words = builder.stream::<String, String>("words");
            words.named("keep").process_with(|| Keep, &["sene"]).to("kept");
            builder.global_table_with::<String, String>("names", Consumed::default(), Materialized::named("names"));
            words.named("look").process_with(|| Keep, &["names"]).to("looked-up");
        },
        &[
            "store seen is added more than once; give each store its own name",
            "store sene of node keep was not added to the topology",
            "global store names can be used by node look without being connected; do not connect it",
        ],
    );
}

#[test]
fn topics_are_read_once_and_patterns_can_be_read() {
    check(
        |builder| {
            builder.stream::<String, String>("orders").to("copies");
            builder.table::<String, String>("orders").to_stream().to("rows");
            builder.stream_pattern::<String, String>("ord.*").to("by-pattern");
            builder.stream_pattern::<String, String>("(?=never)").to("never");
            let reset = |reset| Consumed::<String, String>::default().with_offset_reset_policy(reset);
            builder.stream_with(&["visits"], reset(OffsetReset::Earliest)).to("early");
            builder.stream_with(&["visits"], reset(OffsetReset::Latest)).to("late");
        },
        &[
            "topic visits is read with different offset reset policies; give each call the same",
            "topic orders is read by more than one source (KSTREAM-SOURCE-0000000000, \
             KSTREAM-SOURCE-0000000003); read it once and use that twice",
            "topic orders of source KSTREAM-SOURCE-0000000000 also matches the pattern ord.* of source \
             KSTREAM-SOURCE-0000000007; no topic may be read by two sources",
            "topic orders of source KSTREAM-SOURCE-0000000003 also matches the pattern ord.* of source \
             KSTREAM-SOURCE-0000000007; no topic may be read by two sources",
            "source KSTREAM-SOURCE-0000000009 cannot be read: topic pattern \"(?=never)\": look-around, \
             including look-ahead and look-behind, is not supported",
        ],
    );
}

#[test]
fn stores_fit_their_windows() {
    check(
        |builder| {
            let clicks = builder.stream::<String, String>("clicks").group_by_key();
            let minutes = TimeWindows::of_size_and_grace(ms(60_000), ms(5_000)).unwrap();
            clicks.windowed_by(minutes).count_with(Materialized::named("minutes").with_retention(ms(60_000)));
            let visits = SessionWindows::of_inactivity_gap_and_grace(ms(1_000), ms(500));
            clicks.windowed_by(visits).count_with(Materialized::named("visits").with_retention(ms(1_000)));
            let sessions = Stores::persistent_session_store("clicks", ms(1_000));
            clicks.count_with(Materialized::of_supplier(sessions));
            clicks.windowed_by(minutes).count_with(Materialized::of_supplier(Stores::lru_map("recent", 10)));
            let windows = Stores::in_memory_window_store("windows", ms(1_500), ms(1_000), false);
            clicks.windowed_by(visits).count_with(Materialized::of_supplier(windows));
            let ever = clicks.windowed_by(UnlimitedWindows::of()).emit_strategy(EmitStrategy::OnWindowClose);
            ever.count_with(Materialized::named("ever"));
        },
        &[
            "store minutes keeps its windows 60000 ms, less than their size plus grace of 65000 ms",
            "store visits keeps its windows 1000 ms, less than their size plus grace of 1500 ms",
            "the table in store clicks needs a key-value store, but was given the supplier of a session \
             store",
            "the table in store recent needs a window store, but was given the supplier of a key-value \
             store",
            "the table in store windows needs a session store, but was given the supplier of a window store",
            "the results in store ever can never come when the window closes: it is unlimited",
        ],
    );
}

#[test]
fn what_is_held_back_has_an_end_and_one_version() {
    check(
        |builder| {
            let windowed =
                Consumed::with(millstream_types::Serde::time_windowed(Serdes::string(), 1_000), Serdes::long());
            let counts = builder.table_with::<Windowed<String>, i64>("counts", windowed, Materialized::default());
            counts.suppress(Suppressed::until_window_closes(BufferConfig::unbounded()).with_name("final"));
            let history = Stores::persistent_versioned_key_value_store("prices", ms(1_000));
            let prices =
                builder.table_with::<String, i64>("prices", Consumed::default(), Materialized::of_supplier(history));
            prices.suppress(Suppressed::until_time_limit(ms(10), BufferConfig::unbounded()).with_name("slow"));
            let history = Stores::persistent_versioned_key_value_store("rates", ms(1_000));
            builder.global_table_with::<String, i64>("rates", Consumed::default(), Materialized::of_supplier(history));
        },
        &[
            "a window's close is only known for windowed aggregates, not for KSTREAM-SOURCE-0000000001 -> \
             KTABLE-SOURCE-0000000002",
            "slow cannot hold back updates of a versioned table: they may be older than its rows",
            "the global table in store rates cannot be versioned",
        ],
    );
}

#[test]
fn joined_streams_and_tables_fit_each_other() {
    check(
        |builder| {
            let repartitioned = |name: &str, count| Repartitioned::named(name).with_number_of_partitions(count);
            let clicks = builder.stream::<String, String>("clicks").repartition_with(repartitioned("clicks", 2));
            let views = builder.stream::<String, String>("views").repartition_with(repartitioned("views", 3));
            let windows = JoinWindows::of_time_difference_with_no_grace(ms(50)).unwrap();
            let joiner = |_: &String, one: &String, two: &String| format!("{one}{two}");
            let supplier = |size, duplicates| Stores::in_memory_window_store("pairs", ms(100), ms(size), duplicates);
            let stores = StreamJoined::<String, String, String>::default()
                .with_name("pair")
                .with_this_store_supplier(supplier(100, false))
                .with_other_store_supplier(supplier(50, true));
            clicks.join_stream_with(&views, joiner, windows, stores);

            let rates = builder.table::<String, String>("rates");
            let waiting = |name: &str| Joined::<String, String, String>::named(name).with_grace_period(ms(5_000));
            clicks.join_with(&rates, joiner, waiting("convert"));
            let history = Stores::persistent_versioned_key_value_store("prices", ms(1_000));
            let materialized = Materialized::of_supplier(history);
            let prices = builder.table_with::<String, String>("prices", Consumed::default(), materialized);
            clicks.join_with(&prices, joiner, waiting("price"));
        },
        &[
            "store pairs of join pair-merge must keep duplicates, and its supplier does not",
            "store pairs of join pair-merge has windows of 50ms kept 100ms, but the join's are of 100ms \
             and are kept 100ms",
            "join pair-merge has two stores with the name pairs",
            "convert (of topic clicks-repartition) has a grace period: the table it joins must be versioned",
            "price (of topic clicks-repartition) has a grace period of 5000 ms, longer than store prices keeps its history of 1000 ms",
            "joined topics must have equally many partitions, but clicks-repartition has 2, \
             views-repartition has 3",
        ],
    );
}

#[test]
fn streams_of_a_cogroup_have_repartition_topics_of_their_own() {
    check(
        |builder| {
            let by_value = |topic: &str| builder.stream::<String, String>(topic).group_by(|_, value| value.clone());
            let add = |_: &String, _: String, count: i64| count + 1;
            let cogrouped = by_value("clicks").cogroup(add).cogroup(&by_value("views"), add);
            cogrouped.aggregate_with(|| 0, Materialized::named("seen"));
        },
        &["two repartition topics would have the name seen-repartition: those below \
             KSTREAM-KEY-SELECT-0000000001 and below KSTREAM-KEY-SELECT-0000000003; name them with Grouped, Joined, \
             StreamJoined or Repartitioned"],
    );
}

#[test]
fn every_type_has_a_serde_where_bytes_are_made() {
    check(
        |builder| {
            builder.stream::<String, Order>("orders").to("copies");
            let orders = builder.stream::<String, String>("raw").map_values(|_| Order);
            orders.to("orders-2");
            orders.group_by_key().reduce_with(|_, order| order, Materialized::named("last"));
            orders.group_by(|key, _| key.clone()).count_with(Materialized::named("counts"));
            let table = orders.to_table();
            let names = builder.table::<i64, String>("names");
            table.join_on_foreign_key(&names, |_| 1_i64, |_, name| name.clone()).to_stream().to("named");
            table.group_by(|key, order| (key.clone(), order.clone())).count().to_stream().to("grouped");
            let windows = JoinWindows::of_time_difference_with_no_grace(ms(50)).unwrap();
            orders.join_stream(&orders, |one, _| one.clone(), windows).for_each(|_, _| {});
        },
        &[
            "KSTREAM-SOURCE-0000000000 (of topic orders) needs a serde for its values of type \
             bad_topologies::Order: give one with the call, or register a default with \
             StreamsBuilder::register_serde",
            "KSTREAM-SINK-0000000001 (to copies) needs a serde for its values of type \
             bad_topologies::Order: give one with the call, or register a default with \
             StreamsBuilder::register_serde",
            "KSTREAM-SINK-0000000004 (to orders-2) needs a serde for its values of type \
             bad_topologies::Order: give one with the call, or register a default with \
             StreamsBuilder::register_serde",
            "KSTREAM-REDUCE-0000000005 (in store last) needs a serde for its aggregates of type \
             bad_topologies::Order: give one with the call, or register a default with \
             StreamsBuilder::register_serde",
            "counts-repartition (of topic raw) needs a serde for its values of type bad_topologies::Order: give one with \
             the call, or register a default with StreamsBuilder::register_serde",
            "KSTREAM-TOTABLE-0000000008 (of topic raw) needs a serde for its table values of type bad_topologies::Order: \
             give one with the call, or register a default with StreamsBuilder::register_serde",
            "KTABLE-FK-JOIN-SUBSCRIPTION-REGISTRATION-0000000014 (of topics raw, names) needs a serde for its values of type \
             bad_topologies::Order: give one with the call, or register a default with \
             StreamsBuilder::register_serde",
            "KTABLE-SELECT-0000000029 (of topic raw) needs a serde for its values of type bad_topologies::Order: give one \
             with the call, or register a default with StreamsBuilder::register_serde",
            "KSTREAM-MERGE-0000000040 (of topic raw) needs a serde for its values of type bad_topologies::Order: give one \
             with the call, or register a default with StreamsBuilder::register_serde",
            "KSTREAM-MERGE-0000000040 (of topic raw) needs a serde for its values of the other stream of type \
             bad_topologies::Order: give one with the call, or register a default with \
             StreamsBuilder::register_serde",
        ],
    );
}

#[test]
fn names_are_asked_for_where_the_configuration_wants_them() {
    let config = Config::builder()
        .application_id("shop")
        .bootstrap_servers("memory:")
        .set("ensure.explicit.internal.resource.naming", "true");
    let builder = StreamsBuilder::with_config(&config.build().unwrap());
    let clicks = builder.stream::<String, String>("clicks");
    let by_value = clicks.group_by(|_, value| value.clone());
    by_value.count().to_stream().to("counts");
    let windows = JoinWindows::of_time_difference_with_no_grace(ms(50)).unwrap();
    clicks.join_stream(&builder.stream::<String, String>("views"), |one, _| one.clone(), windows).to("joined");
    check_built(
        &builder.build().map(drop),
        &[
            "changelog topics without a name of yours: KSTREAM-AGGREGATE-STATE-STORE-0000000002-changelog, \
             KSTREAM-JOINTHIS-0000000012-store-changelog, KSTREAM-JOINOTHER-0000000013-store-changelog; \
             name their stores",
            "stores without a name of yours: KSTREAM-AGGREGATE-STATE-STORE-0000000002, \
             KSTREAM-JOINTHIS-0000000012-store, KSTREAM-JOINOTHER-0000000013-store; name them with \
             Materialized::named, StreamJoined or Suppressed",
            "repartition topics without a name of yours: \
             KSTREAM-AGGREGATE-STATE-STORE-0000000002-repartition; name them with Grouped, Joined, \
             StreamJoined or Repartitioned",
        ],
    );
}

#[test]
fn topologies_by_hand_hang_together() {
    let strings = || SourceSpec::new(Serdes::string(), Serdes::string());
    let numbers = || SinkSpec::new(Serdes::string(), Serdes::long());
    check_by_hand(
        |topology| {
            topology
                .add_source("in", &["words"], strings())
                .add_source("again", &["words", "more words"], strings())
                .add_source("nothing", &[], strings())
                .add_pattern_source("all", "w.*", None, strings())
                .add_processor("keep", || Keep, &["in", "nowhere"])
                .add_processor("keep", || Keep, &["in"])
                .add_processor("lost", || Keep, &[])
                .add_processor("round", || Keep, &["in", "about"])
                .add_processor("about", || Keep, &["round"])
                .add_sink("out", "counts", numbers(), &["keep"])
                .add_processor("after", || Keep, &["out"])
                .add_state_store(
                    Stores::key_value_store_builder("seen", Serdes::string(), Serdes::long()).into_factory(),
                    &["in", "keeper"],
                );
        },
        &[
            "stores seen are connected to in, which is no processor",
            "stores seen are connected to keeper, which is no processor",
            "parent nowhere of node keep does not exist",
            "node keep is added more than once; give each node its own name",
            "node lost has no parent; name at least one",
            "sink out cannot be a parent of node after; read its topic with a source instead",
            "nodes form a cycle: about -> round -> about",
            "source nothing has no topics; give it at least one",
            "topic words is read by more than one source (in, again); read it once and use that twice",
            "topic words of source in also matches the pattern w.* of source all; no topic may be read by \
             two sources",
            "topic words of source again also matches the pattern w.* of source all; no topic may be read \
             by two sources",
            "topic name \"more words\" is not allowed: 1 to 249 letters, digits, '.', '_' and '-', but not \
             '.' or '..'",
            "keep forwards (alloc::string::String, alloc::string::String), but out takes \
             (alloc::string::String, i64)",
        ],
    );
}

#[test]
fn paths_are_not_deeper_than_a_stack_can_be() {
    check(
        |builder| {
            let mut words = builder.stream::<String, String>("words");
            for at in 0..600 {
                words = words.named(format!("step-{at}")).filter(|_, _| true);
            }
            words.to("out");
        },
        &["a path of 602 nodes passes the limit of 512 at node step-511; split it with a repartition"],
    );
}

/// What cannot be said at all is refused where it is said.
#[test]
fn windows_that_hold_nothing_are_refused_at_once() {
    let none = ms(0);
    let refused = [
        TimeWindows::of_size_with_no_grace(none).map(drop),
        TimeWindows::of_size_with_no_grace(ms(10)).and_then(|windows| windows.advance_by(ms(11))).map(drop),
        JoinWindows::of_time_difference_with_no_grace(none).and_then(|windows| windows.with_bounds_ms(-3, 2)).map(drop),
        UnlimitedWindows::of().start_on(millstream_types::Timestamp(-1)).map(drop),
    ];
    let messages: Vec<String> = refused.into_iter().map(|refused| refused.unwrap_err().message().to_owned()).collect();
    assert_eq!(
        messages,
        [
            "a window size of 0ns is under 1 ms",
            "windows of 10 ms cannot advance by 11ms: 1 ms to the size is possible",
            "a join window from -3 ms before to 2 ms after holds no time",
            "no window starts at -1, before 1970",
        ]
    );
}
