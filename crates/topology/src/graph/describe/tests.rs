use super::*;
use crate::graph::testdata::{Fixture, fixtures};

/// Facts and texts captured from Java: see the note at the head of the file.
const GOLDEN: &str = include_str!("golden.txt");

#[test]
fn texts_equal_kafka_streams_to_the_byte() {
    let fixtures = fixtures(GOLDEN);
    assert_eq!(fixtures.len(), 36);
    for Fixture { name, facts, describe } in fixtures {
        assert_eq!(facts.describe().to_string(), describe, "{name}");
        assert_eq!(facts.problems(), [], "Java built {name}");
    }
}

#[test]
fn a_description_is_data() {
    let fixtures = fixtures(GOLDEN);
    let find = |name: &str| fixtures.iter().find(|fixture| fixture.name == name).expect("a fixture of that name");
    let description = find("global-between").facts.describe();

    let ids: Vec<_> = description.subtopologies().iter().map(|subtopology| subtopology.id).collect();
    assert_eq!(ids, [0, 2]);
    let [first, second] = description.global_stores() else { panic!("two global stores") };
    assert_eq!((first.id, &*first.source.name, &*first.processor.name), (1, "gs", "gp"));
    assert_eq!(second.processor.kind, NodeDescriptionKind::Processor { stores: vec!["rows2".into()] });
    let below = &description.subtopologies()[1].nodes[1];
    assert_eq!((&*below.name, &*below.predecessors[0], below.successors.len()), ("p", "b", 0));
}

#[test]
fn many_ways_down_do_not_take_exponential_time() {
    let node = |name: String, parents: Vec<String>| NodeFacts {
        name: name.into(),
        kind: NodeKind::Processor { stores: Vec::new() },
        parents: parents.into_iter().map(Arc::from).collect(),
        is_global: false,
    };
    let mut facts = TopologyFacts::default();
    facts.nodes.push(node("a0".to_owned(), Vec::new()));
    for level in 0..100 {
        let above = format!("a{level}");
        facts.nodes.push(node(format!("l{level}"), vec![above.clone()]));
        facts.nodes.push(node(format!("r{level}"), vec![above]));
        facts.nodes.push(node(format!("a{}", level + 1), vec![format!("l{level}"), format!("r{level}")]));
    }
    let description = facts.describe();
    assert_eq!(description.subtopologies()[0].nodes.len(), 301);
    assert_eq!(&*description.subtopologies()[0].nodes[300].name, "a100");
}
