//! What can be wrong with a topology.

use std::fmt;

use millstream_types::{Error, ErrorKind};

use super::facts::TopologyFacts;

/// Something wrong with a topology, in the words of the code that built it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// A sentence.
    Other(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// One error that lists all problems, a line each.
pub(crate) fn topology_error(problems: &[Problem]) -> Error {
    let lines: Vec<String> = problems.iter().map(|problem| format!("\n  - {problem}")).collect();
    Error::new(ErrorKind::Topology, format!("the topology cannot run:{}", lines.concat()))
}

impl TopologyFacts {
    /// Everything that is wrong.
    pub fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }
}
