//! How far a store has come in the inputs of its task.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_types::{Offset, Partition, TopicPartition};

/// Offsets of input partitions that a store reflects: Kafka Streams' `Position`. A result brings the
/// one it was read at; given back as a [bound](PositionBound), the next query sees at least as much.
///
/// ```
/// use millstream_state::query::Position;
/// use millstream_types::Offset;
///
/// let position = Position::empty().with_component("clicks", 0, Offset(41)).with_component("clicks", 1, Offset(7));
/// let merged = position.merge(&Position::empty().with_component("clicks", 0, Offset(40)));
/// assert_eq!(merged.partition_positions("clicks").collect::<Vec<_>>(), [(0, Offset(41)), (1, Offset(7))]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position(BTreeMap<Arc<str>, BTreeMap<i32, Offset>>);

impl Position {
    /// Knows of nothing.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The same with an offset of one more partition; of two of one partition the later one counts.
    #[must_use]
    pub fn with_component(mut self, topic: impl Into<Arc<str>>, partition: i32, offset: Offset) -> Self {
        let known = self.0.entry(topic.into()).or_default().entry(partition).or_insert(offset);
        *known = offset.max(*known);
        self
    }

    /// All that either of two knows; of two offsets of one partition the later one counts.
    #[must_use]
    pub fn merge(mut self, other: &Self) -> Self {
        for (topic, offsets) in &other.0 {
            for (partition, offset) in offsets {
                self = self.with_component(Arc::clone(topic), *partition, *offset);
            }
        }
        self
    }

    /// The topics it knows of.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.keys()
    }

    /// The offsets it knows of a topic, by partition.
    pub fn partition_positions(&self, topic: &str) -> impl Iterator<Item = (i32, Offset)> {
        self.0.get(topic).into_iter().flatten().map(|(partition, offset)| (*partition, *offset))
    }

    /// Whether it knows of nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a store of that partition has come as far as a bound asks, by Kafka Streams' rule: of the
    /// bound's offsets those of the store's own partition number count.
    pub fn is_past(&self, bound: &PositionBound, partition: Partition) -> bool {
        bound.0.0.iter().all(|(topic, bounds)| {
            let seen = self.0.get(topic).and_then(|offsets| offsets.get(&partition.0));
            bounds.get(&partition.0).is_none_or(|bound| seen.is_some_and(|seen| seen >= bound))
        })
    }
}

impl FromIterator<(TopicPartition, Offset)> for Position {
    fn from_iter<I: IntoIterator<Item = (TopicPartition, Offset)>>(offsets: I) -> Self {
        let add = |position: Self, (at, offset): (TopicPartition, Offset)| {
            position.with_component(at.topic, at.partition.0, offset)
        };
        offsets.into_iter().fold(Self::empty(), add)
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map()
            .entries(self.0.iter().map(|(topic, offsets)| {
                (&**topic, offsets.iter().map(|(partition, offset)| (partition, offset.0)).collect::<BTreeMap<_, _>>())
            }))
            .finish()
    }
}

/// How far a store must have come to be asked: Kafka Streams' `PositionBound`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PositionBound(Position);

impl PositionBound {
    /// Any store will do.
    pub fn unbounded() -> Self {
        Self::default()
    }

    /// Stores that have come to this position or further.
    pub fn at(position: Position) -> Self {
        Self(position)
    }

    /// Whether any store will do.
    pub fn is_unbounded(&self) -> bool {
        self.0.is_empty()
    }

    /// The position.
    pub fn position(&self) -> &Position {
        &self.0
    }
}
