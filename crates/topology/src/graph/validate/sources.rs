//! What sources read: topics or a pattern, and no topic twice.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::facts::{NodeKind, TopologyFacts};
use super::super::pattern::TopicPattern;
use super::Problem;

impl TopologyFacts {
    pub(super) fn check_sources(&self, problems: &mut Vec<Problem>) {
        let mut readers: Vec<(&Arc<str>, Vec<Arc<str>>)> = Vec::new();
        let mut seen: HashMap<&str, usize> = HashMap::new();
        for node in &self.nodes {
            let NodeKind::Source(source) = &node.kind else { continue };
            let name = || Arc::clone(&node.name);
            match (source.topics.is_empty(), source.pattern.is_some()) {
                (true, false) => problems.push(Problem::NoTopic { node: name() }),
                (false, true) => problems.push(Problem::TopicsAndPattern { node: name() }),
                _ => {}
            }
            for topic in &source.topics {
                let at = *seen.entry(topic).or_insert(readers.len());
                match readers.get_mut(at) {
                    Some((_, sources)) => sources.push(name()),
                    None => readers.push((topic, vec![name()])),
                }
            }
        }
        for (topic, sources) in readers.into_iter().filter(|(_, sources)| sources.len() > 1) {
            problems.push(Problem::TopicReadTwice { topic: Arc::clone(topic), sources });
        }
        self.check_patterns(problems);
    }

    /// Patterns that are none, and topics that are read by name and by a pattern.
    fn check_patterns(&self, problems: &mut Vec<Problem>) {
        for (at, node) in self.nodes.iter().enumerate() {
            let NodeKind::Source(source) = &node.kind else { continue };
            let Some(text) = &source.pattern else { continue };
            let pattern = match TopicPattern::parse(text) {
                Ok(pattern) => pattern,
                Err(error) => {
                    let (node, why) = (Arc::clone(&node.name), error.message().to_owned());
                    problems.push(Problem::BadPattern { node, why });
                    continue;
                }
            };
            for (other_at, other) in self.nodes.iter().enumerate() {
                let NodeKind::Source(named) = &other.kind else { continue };
                // A global store does not mind sources that are added after it, as in Kafka Streams.
                if other.is_global && other_at < at {
                    continue;
                }
                for topic in named.topics.iter().filter(|topic| pattern.matches(topic)) {
                    problems.push(Problem::TopicMatchesPattern {
                        topic: Arc::clone(topic),
                        node: Arc::clone(&other.name),
                        pattern: text.as_str().into(),
                        pattern_node: Arc::clone(&node.name),
                    });
                }
            }
        }
    }
}
