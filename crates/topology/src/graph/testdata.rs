//! Topologies as text, for tests: a line for each call that builds one, fields apart by tabs.

use std::sync::Arc;

use millstream_state::{StoreFacts, StoreKind};

use super::facts::{NodeFacts, NodeKind, SinkTopic, SourceFacts, TopologyFacts};

pub(crate) struct Fixture {
    pub(crate) name: String,
    pub(crate) facts: TopologyFacts,
    /// The text Kafka Streams describes it with.
    pub(crate) describe: String,
}

/// All topologies of a file. Lines before the first are a note.
pub(crate) fn fixtures(text: &str) -> Vec<Fixture> {
    let blocks = text.split("\n%end\n").filter_map(|block| block.split_once("topology\t"));
    blocks
        .map(|(_, block)| {
            let (calls, describe) = block.split_once("\ndescribe\n").expect("a description");
            let (name, calls) = calls.split_once('\n').unwrap_or((calls, ""));
            Fixture { name: name.to_owned(), facts: facts(calls), describe: describe.to_owned() }
        })
        .collect()
}

/// The facts that these calls write.
pub(crate) fn facts(calls: &str) -> TopologyFacts {
    let mut facts = TopologyFacts::default();
    for line in calls.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
        let fields: Vec<&str> = line.split('\t').collect();
        match *fields {
            ["source", name, topics] => push(&mut facts, name, source(names(topics), None), ""),
            ["pattern", name, pattern] => push(&mut facts, name, source(Vec::new(), Some(pattern)), ""),
            ["processor", name, parents] => push(&mut facts, name, processor(&[]), parents),
            ["sink", name, topic, parents] => {
                push(&mut facts, name, NodeKind::Sink { topic: SinkTopic::Fixed(topic.into()) }, parents);
            }
            ["extracted", name, extractor, parents] => {
                push(&mut facts, name, NodeKind::Sink { topic: SinkTopic::Extracted(extractor.to_owned()) }, parents);
            }
            ["store", store, processors] => {
                facts.stores.push(logged_store(store));
                for name in names(processors) {
                    let node = facts.nodes.iter_mut().find(|node| node.name == name).expect("a node of that name");
                    let NodeKind::Processor { stores } = &mut node.kind else { panic!("{name} is no processor") };
                    stores.push(store.into());
                }
            }
            ["global", name, topic, below, store] => {
                push(&mut facts, name, source(names(topic), None), "");
                push(&mut facts, below, processor(&[store]), name);
                facts.nodes.iter_mut().rev().take(2).for_each(|node| node.is_global = true);
            }
            ["repartition", topic, partitions] => facts
                .repartition_topics
                .push(super::RepartitionTopic { name: topic.into(), partitions: partitions.parse().ok() }),
            ["copartitioned", sources] => facts.copartitioned.push(names(sources)),
            ["changelog", store, topic] => facts.source_changelogs.push((store.into(), topic.into())),
            _ => panic!("no such call: {line}"),
        }
    }
    facts
}

/// A logged key-value store.
pub(crate) fn logged_store(name: &str) -> StoreFacts {
    StoreFacts { is_persistent: false, ..StoreFacts::new(name, StoreKind::KeyValue) }
}

fn names(list: &str) -> Vec<Arc<str>> {
    list.split(',').filter(|name| !name.is_empty()).map(Arc::from).collect()
}

fn source(topics: Vec<Arc<str>>, pattern: Option<&str>) -> NodeKind {
    NodeKind::Source(SourceFacts { topics, pattern: pattern.map(str::to_owned), reset: None })
}

fn processor(stores: &[&str]) -> NodeKind {
    NodeKind::Processor { stores: stores.iter().map(|store| Arc::from(*store)).collect() }
}

fn push(facts: &mut TopologyFacts, name: &str, kind: NodeKind, parents: &str) {
    facts.nodes.push(NodeFacts { name: name.into(), kind, parents: names(parents), is_global: false });
}
