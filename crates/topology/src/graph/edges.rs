//! Whether what a node forwards is what its children take.

use super::topology::{NodeCode, Topology};
use super::validate::Problem;
use crate::flow::RecordType;

impl Topology {
    /// Edges whose ends disagree.
    pub(super) fn type_problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (node, code) in self.facts.nodes.iter().zip(&self.code) {
            let NodeCode::Node(factory) = code else { continue };
            for parent in &node.parents {
                let Some(output) = self.output_of(parent) else { continue };
                if output != factory.input {
                    problems.push(Problem::Other(format!(
                        "{parent} forwards {}, but {} takes {}",
                        output.name(),
                        node.name,
                        factory.input.name()
                    )));
                }
            }
        }
        problems
    }

    fn output_of(&self, name: &str) -> Option<RecordType> {
        let position = self.facts.nodes.iter().position(|node| *node.name == *name)?;
        match self.code.get(position)? {
            NodeCode::Source(source) => Some(source.output),
            NodeCode::Node(node) => node.output,
        }
    }
}
