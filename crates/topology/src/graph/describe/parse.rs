//! Reading the text of `describe()` back, Millstream's or Kafka Streams': a topology that is not at
//! hand as code can still be compared with one that is.

use std::str::FromStr;
use std::sync::Arc;

use millstream_types::{Error, ErrorKind, Result};

use super::{
    GlobalStoreDescription, NodeDescription, NodeDescriptionKind, SubtopologyDescription, TopologyDescription,
};
use crate::graph::SinkTopic;

const SUBTOPOLOGY: &str = "Sub-topology: ";
const GLOBAL: &str = " for global store";

/// Reads what `Display` writes; indentation and empty lines do not matter.
///
/// ```
/// use millstream_topology::graph::TopologyDescription;
///
/// let text = "Topologies:\n  Sub-topology: 0\n    Source: in (topics: [words])\n      --> out\n    \
///             Sink: out (topic: loud-words)\n      <-- in\n";
/// let description: TopologyDescription = text.parse()?;
/// assert_eq!(description.subtopologies()[0].nodes.len(), 2);
/// # Ok::<(), millstream_types::Error>(())
/// ```
///
/// # Errors
/// `Topology` with the number of the first line that is not of a description.
impl FromStr for TopologyDescription {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut reader = Reader::default();
        for (number, line) in (1..).zip(text.lines()) {
            let problem = |expected: &str| {
                let message = format!("line {number} is not of a topology description: expected {expected}");
                Error::new(ErrorKind::Topology, message)
            };
            reader.line(line.trim()).map_err(problem)?;
        }
        if !reader.has_heading {
            let message = "no topology description: expected a line `Topologies:`";
            return Err(Error::new(ErrorKind::Topology, message));
        }
        reader.finish().map_err(|expected| {
            Error::new(ErrorKind::Topology, format!("the topology description ends early: expected {expected}"))
        })
    }
}

/// What a line should have been.
type Expected = &'static str;

#[derive(Default)]
struct Reader {
    has_heading: bool,
    /// Sub-topologies so far, and whether each is a global store.
    groups: Vec<(SubtopologyDescription, bool)>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), Expected> {
        if line.is_empty() {
            return Ok(());
        }
        // A Java application logs `Topology:` or `Topologies:`, depending on the version.
        if matches!(line, "Topologies:" | "Topology:") {
            self.has_heading = true;
            return Ok(());
        }
        if let Some(heading) = line.strip_prefix(SUBTOPOLOGY) {
            return self.subtopology(heading);
        }
        if let Some(names) = line.strip_prefix("-->") {
            self.last_node()?.successors = neighbours(names);
            return Ok(());
        }
        if let Some(names) = line.strip_prefix("<--") {
            self.last_node()?.predecessors = neighbours(names);
            return Ok(());
        }
        let node = node(line)?;
        let (group, _) = self.groups.last_mut().ok_or("a sub-topology before its nodes")?;
        group.nodes.push(node);
        Ok(())
    }

    fn subtopology(&mut self, heading: &str) -> Result<(), Expected> {
        let (id, is_global) = match heading.split_once(GLOBAL) {
            Some((id, _)) => (id, true),
            None => (heading, false),
        };
        let id = id.trim().parse().map_err(|_| "the number of a sub-topology")?;
        self.groups.push((SubtopologyDescription { id, nodes: Vec::new() }, is_global));
        Ok(())
    }

    fn last_node(&mut self) -> Result<&mut NodeDescription, Expected> {
        self.groups.last_mut().and_then(|(group, _)| group.nodes.last_mut()).ok_or("a node before its neighbours")
    }

    fn finish(self) -> Result<TopologyDescription, Expected> {
        let mut description = TopologyDescription::default();
        for (group, is_global) in self.groups {
            if !is_global {
                description.subtopologies.push(group);
                continue;
            }
            let mut nodes = group.nodes.into_iter();
            let (Some(source), Some(processor)) = (nodes.next(), nodes.next()) else {
                return Err("source and processor of a global store");
            };
            description.global_stores.push(GlobalStoreDescription { id: group.id, source, processor });
        }
        Ok(description)
    }
}

/// `Source: in (topics: [a, b])`, `Processor: p (stores: [s])`, `Sink: out (topic: t)`.
fn node(line: &str) -> Result<NodeDescription, Expected> {
    const EXPECTED: Expected = "`Source: `, `Processor: ` or `Sink: ` with a name and parentheses";
    let (role, rest) = line.split_once(": ").ok_or(EXPECTED)?;
    let (name, inside) = rest.split_once(" (").ok_or(EXPECTED)?;
    let inside = inside.strip_suffix(')').ok_or(EXPECTED)?;
    let (what, value) = inside.split_once(": ").ok_or(EXPECTED)?;
    let kind = match (role, what) {
        ("Source", "topics") => match list(value) {
            Some(topics) => NodeDescriptionKind::Source { topics, pattern: None },
            None => NodeDescriptionKind::Source { topics: Vec::new(), pattern: Some(value.to_owned()) },
        },
        ("Processor", "stores") => {
            NodeDescriptionKind::Processor { stores: list(value).ok_or("names of stores in brackets")? }
        }
        ("Sink", "topic") => NodeDescriptionKind::Sink { topic: SinkTopic::Fixed(value.into()) },
        ("Sink", "extractor class") => NodeDescriptionKind::Sink { topic: SinkTopic::Extracted(value.to_owned()) },
        _ => return Err(EXPECTED),
    };
    Ok(NodeDescription { name: name.into(), kind, predecessors: Vec::new(), successors: Vec::new() })
}

/// Names in brackets; `None` without brackets.
fn list(text: &str) -> Option<Vec<Arc<str>>> {
    let inside = text.strip_prefix('[')?.strip_suffix(']')?;
    Some(inside.split(", ").filter(|name| !name.is_empty()).map(Arc::from).collect())
}

/// Names with commas; `none` stands for no name.
fn neighbours(text: &str) -> Vec<Arc<str>> {
    let text = text.trim();
    if text == "none" {
        return Vec::new();
    }
    text.split(", ").filter(|name| !name.is_empty()).map(Arc::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Descriptions that Kafka Streams wrote, one after the other.
    fn golden() -> Vec<String> {
        let mut texts = Vec::new();
        let mut rest = include_str!("golden.txt");
        while let Some((_, behind)) = rest.split_once("\ndescribe\n") {
            let (text, behind) = behind.split_once("%end").expect("an end");
            texts.push(text.to_owned());
            rest = behind;
        }
        texts
    }

    #[test]
    fn what_kafka_streams_wrote_is_read_back_to_the_byte() {
        let texts = golden();
        assert!(texts.len() > 20, "{} descriptions", texts.len());
        for text in texts {
            let description: TopologyDescription = text.parse().expect("a description");
            assert_eq!(description.to_string().trim_end(), text.trim_end());
        }
    }

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        let error = text.parse::<TopologyDescription>().expect_err("no description");
        assert_eq!(error.kind(), ErrorKind::Topology);
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn other_text_is_refused_with_its_line() {
        check_refused("", "`Topologies:`");
        check_refused("Topologies:\nSub-topology: x", "line 2");
        check_refused("Topologies:\n--> a", "line 2");
        check_refused("Topologies:\nSub-topology: 0\nSource: in (topics: [a]", "line 3");
        check_refused("Topologies:\nSub-topology: 0\nSink: in (topics: [a])", "line 3");
        check_refused("Topologies:\nSub-topology: 0 for global store\nSource: in (topics: [a])", "global store");
    }
}
