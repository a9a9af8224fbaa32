//! The README's application, from outside: feed it, run it on its threads, read what it wrote.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::time::Duration;

use millstream::prelude::*;

#[test]
fn an_application_counts_what_it_is_fed() {
    let builder = StreamsBuilder::new();
    builder
        .stream::<(), String>("lines")
        .flat_map_values(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .group_by(|(), word| word.clone())
        .count_with(Materialized::named("counts"))
        .to_stream()
        .to("words");
    let state = tempfile::tempdir().unwrap();
    let config = Config::builder()
        .application_id("word-count")
        .bootstrap_servers("memory:")
        .processing_guarantee(ProcessingGuarantee::ExactlyOnceV2)
        .state_dir(state.path())
        .build()
        .unwrap();
    let streams = Streams::new(&builder.build().unwrap(), &config).unwrap();
    let mut lines = Producer::new(streams.log(), "lines", Serdes::void(), Serdes::string()).unwrap();
    lines.send(&Record::new((), "the mill by the stream".to_owned(), Timestamp(0))).unwrap();
    lines.flush().unwrap();

    streams.start().unwrap();
    let mut words = Consumer::new(streams.log(), "words", Serdes::string(), Serdes::long()).unwrap();
    let mut counts = BTreeMap::new();
    while counts.values().sum::<i64>() < 5 {
        let records = words.poll(Duration::from_secs(60)).unwrap();
        assert!(!records.is_empty(), "nothing came: {:?}", streams.error());
        counts.extend(records.into_iter().map(|word| (word.record.key, word.record.value)));
    }
    let expected = [("by", 1), ("mill", 1), ("stream", 1), ("the", 2)];
    assert_eq!(counts, expected.map(|(word, count)| (word.to_owned(), count)).into());
    assert!(streams.close(Duration::from_secs(60)));
}
