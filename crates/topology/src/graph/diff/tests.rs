use super::*;
use crate::{Grouped, KStream, Materialized, StreamsBuilder};

/// Two versions of an application, each written into a builder of its own.
#[track_caller]
fn check(before: impl FnOnce(&StreamsBuilder), after: impl FnOnce(&StreamsBuilder), expected: &[&str]) -> TopologyDiff {
    let (old, new) = (StreamsBuilder::new(), StreamsBuilder::new());
    before(&old);
    after(&new);
    let (old, new) = (old.build().expect("a topology"), new.build().expect("a topology"));
    let diff = TopologyDiff::between(&old, &new);
    let lines: Vec<String> = diff.changes().iter().map(ToString::to_string).collect();
    assert_eq!(lines, expected);
    diff
}

fn words(builder: &StreamsBuilder, topic: &str) -> KStream<String, String> {
    builder.stream(topic)
}

fn counts(stream: &KStream<String, String>, to: &str) {
    stream.group_by_key().count().to_stream().to(to);
}

fn regrouped(stream: &KStream<String, String>, to: &str) {
    stream.group_by(|_, word| word.clone()).count().to_stream().to(to);
}

#[test]
fn the_same_topology_changes_nothing() {
    let write = |builder: &StreamsBuilder| regrouped(&words(builder, "words"), "counts");
    let diff = check(write, write, &[]);
    assert!(diff.is_empty() && !diff.has_losses());
    assert!(diff.to_string().starts_with("nothing is lost"));
}

#[test]
fn an_operator_before_a_count_moves_store_and_repartition_topic() {
    let diff = check(
        |builder| regrouped(&words(builder, "words"), "counts"),
        |builder| regrouped(&words(builder, "words").filter(|_, word| !word.is_empty()), "counts"),
        &[
            "LOST     store KSTREAM-AGGREGATE-STATE-STORE-0000000002: KSTREAM-AGGREGATE-0000000003 (of words), now \
             KSTREAM-AGGREGATE-0000000004, has it as KSTREAM-AGGREGATE-STATE-STORE-0000000003 and starts empty; its \
             changelog is left behind\n         to keep it: Materialized::named \
             \"KSTREAM-AGGREGATE-STATE-STORE-0000000002\" at KSTREAM-AGGREGATE-0000000004",
            "LOST     topic KSTREAM-AGGREGATE-STATE-STORE-0000000002-repartition: KSTREAM-AGGREGATE-0000000003 (of words), now \
             KSTREAM-AGGREGATE-0000000004, reads KSTREAM-AGGREGATE-STATE-STORE-0000000003-repartition instead; records \
             not read yet are left behind\n         to keep it: Grouped::named \
             \"KSTREAM-AGGREGATE-STATE-STORE-0000000002\" at KSTREAM-AGGREGATE-0000000004",
        ],
    );
    assert!(diff.has_losses());
    assert_eq!(diff.inserted_operators(), [Arc::from("KSTREAM-FILTER-0000000001")]);
    assert!(diff.deleted_operators().is_empty());
}

#[test]
fn the_names_that_are_told_keep_everything() {
    let diff = check(
        |builder| regrouped(&words(builder, "words"), "counts"),
        |builder| {
            let name = "KSTREAM-AGGREGATE-STATE-STORE-0000000002";
            words(builder, "words")
                .filter(|_, word| !word.is_empty())
                .group_by_with(|_, word| word.clone(), Grouped::named(name))
                .count_with(Materialized::named(name))
                .to_stream()
                .to("counts");
        },
        &[],
    );
    assert!(!diff.has_losses());
}

#[test]
fn an_operator_that_gets_the_name_of_another_one_would_misread_it() {
    let two = |builder: &StreamsBuilder, first: &str, second: &str| {
        counts(&words(builder, first), &format!("{first}-counts"));
        counts(&words(builder, second), &format!("{second}-counts"));
    };
    let diff = check(
        |builder| two(builder, "apples", "pears"),
        |builder| two(builder, "pears", "apples"),
        &[
            "MISREAD  store KSTREAM-AGGREGATE-STATE-STORE-0000000001: KSTREAM-AGGREGATE-0000000002 (of pears) would read what \
             KSTREAM-AGGREGATE-0000000002 (of apples) wrote; KSTREAM-AGGREGATE-0000000002 (of apples), now KSTREAM-AGGREGATE-0000000007, starts \
             empty as KSTREAM-AGGREGATE-STATE-STORE-0000000006\n         to keep it: Materialized::named \
             \"KSTREAM-AGGREGATE-STATE-STORE-0000000001\" at KSTREAM-AGGREGATE-0000000007",
            "MISREAD  store KSTREAM-AGGREGATE-STATE-STORE-0000000006: KSTREAM-AGGREGATE-0000000007 (of apples) would read what \
             KSTREAM-AGGREGATE-0000000007 (of pears) wrote; KSTREAM-AGGREGATE-0000000007 (of pears), now KSTREAM-AGGREGATE-0000000002, starts \
             empty as KSTREAM-AGGREGATE-STATE-STORE-0000000001\n         to keep it: Materialized::named \
             \"KSTREAM-AGGREGATE-STATE-STORE-0000000006\" at KSTREAM-AGGREGATE-0000000002",
            "REBUILT  sub-topology 0: its number is 1 now: tasks and state directories follow it, so its stores are \
             read again from their changelogs; let no old and new instances run side by side",
            "REBUILT  sub-topology 1: its number is 0 now: tasks and state directories follow it, so its stores are \
             read again from their changelogs; let no old and new instances run side by side",
        ],
    );
    assert!(diff.has_losses());
}

#[test]
fn named_stores_stay_where_they_are() {
    let named = |stream: &KStream<String, String>| {
        stream.group_by_key().count_with(Materialized::named("counts")).to_stream().to("counts");
    };
    check(
        |builder| named(&words(builder, "words")),
        |builder| named(&words(builder, "words").map_values(|word| word.to_uppercase())),
        &[],
    );
}

#[test]
fn a_new_and_a_removed_branch_are_told() {
    check(
        |builder| counts(&words(builder, "apples"), "apple-counts"),
        |builder| counts(&words(builder, "pears"), "pear-counts"),
        &[
            "MISREAD  store KSTREAM-AGGREGATE-STATE-STORE-0000000001: KSTREAM-AGGREGATE-0000000002 (of pears) would read \
             what KSTREAM-AGGREGATE-0000000002 (of apples) wrote, which is gone",
            "REMOVED  input apples: no longer read by KSTREAM-SOURCE-0000000000",
            "NEW      input pears: read by KSTREAM-SOURCE-0000000000 from `auto.offset.reset` on",
        ],
    );
}

#[test]
fn settings_of_a_kept_store_are_compared() {
    let with = |materialized: Materialized<String, i64>| {
        move |builder: &StreamsBuilder| {
            words(builder, "words").group_by_key().count_with(materialized).to_stream().to("counts");
        }
    };
    check(
        with(Materialized::named("counts")),
        with(Materialized::named("counts").with_logging_disabled()),
        &["CHANGED  store counts: it is no longer logged: its changelog goes stale, and what the store holds is lost \
           with its directory"],
    );
}

#[test]
fn generated_names_inside_names_are_found() {
    assert_eq!(outline::role_of("KSTREAM-JOINTHIS-0000000004-store").as_deref(), Some("KSTREAM-JOINTHIS--store"));
    assert_eq!(outline::role_of("counts"), None);
    assert_eq!(
        outline::role_of("KSTREAM-REDUCE-STATE-STORE-0000000003").as_deref(),
        Some("KSTREAM-REDUCE-STATE-STORE-")
    );
}
