//! Names of nodes and stores, as Kafka Streams makes them.

use crate::graph::{Problem, is_legal_name};

pub(crate) const SOURCE: &str = "KSTREAM-SOURCE-";
pub(crate) const SINK: &str = "KSTREAM-SINK-";
pub(crate) const FILTER: &str = "KSTREAM-FILTER-";
pub(crate) const TABLE_SOURCE: &str = "KTABLE-SOURCE-";
pub(crate) const STATE_STORE: &str = "STATE-STORE-";
pub(crate) const REPARTITION_SUFFIX: &str = "-repartition";

/// Gives out the one counter of a builder.
#[derive(Debug, Default)]
pub(crate) struct Names {
    next: u32,
}

impl Names {
    /// `prefix` and the next number, ten digits long.
    pub(crate) fn generate(&mut self, prefix: &str) -> String {
        let name = format!("{prefix}{:010}", self.next);
        self.next += 1;
        name
    }

    /// The user's name, or a generated one; either takes a number, so that naming one node does
    /// not rename the others.
    pub(crate) fn named_or(&mut self, named: Option<String>, prefix: &str) -> String {
        let generated = self.generate(prefix);
        named.unwrap_or(generated)
    }

    /// Takes a number without using it.
    pub(crate) fn burn(&mut self) {
        self.next += 1;
    }

    /// Takes the numbers of a repartition's three nodes again, as Kafka Streams does, where an
    /// operator shares the nodes of another one's.
    pub(crate) fn burn_repartition(&mut self) {
        self.next += 3;
    }
}

/// What is wrong with a name the user gave, if anything.
pub(crate) fn problem_with(name: &str) -> Option<Problem> {
    (!is_legal_name(name)).then(|| Problem::IllegalName { what: "node", name: name.into() })
}

/// Whether a repartition topic's prefix is a generated node name (`KSTREAM-...-0000000001`); the
/// nodes around the topic are then named by number, otherwise after the topic.
pub(crate) fn is_generated(prefix: &str) -> bool {
    let Some(rest) = prefix.strip_prefix("KSTREAM") else { return false };
    let Some((_, digits)) = rest.rsplit_once('-') else { return false };
    digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_name_still_takes_a_number() {
        let mut names = Names::default();
        assert_eq!(names.named_or(Some("mine".into()), FILTER), "mine");
        assert_eq!(names.named_or(None, FILTER), "KSTREAM-FILTER-0000000001");
    }

    #[test]
    fn generated_prefixes_are_recognised() {
        assert!(is_generated("KSTREAM-KEY-SELECT-0000000001"));
        assert!(!is_generated("KSTREAM-KEY-SELECT-1"));
        assert!(!is_generated("orders"));
        assert!(!is_generated("KTABLE-SELECT-0000000001"));
    }
}
