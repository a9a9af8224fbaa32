//! What a rolling deploy of a changed topology would lose: stores, changelogs and repartition topics
//! whose generated names moved, and what keeps them.
//!
//! Kafka Streams numbers operators in the order in which they are written, so one more `filter` renames
//! the state of everything below it. The new version then starts with empty stores beside the old
//! changelogs, or, worse, one operator reads what another one wrote. Both are silent. Here two
//! topologies are laid side by side: [`outline`] reads their resources, [`pairs`] finds which operator
//! of the one is which of the other, and this file says what follows.

mod outline;
mod pairs;
mod report;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Topology, TopologyDescription};
use millstream_state::{StoreFacts, StoreKind};
use outline::{Outline, Resource, ResourceRole};
use pairs::{Pairs, inserted};

/// What changes between two versions of an application when the second takes the first one's place.
///
/// ```
/// use millstream_topology::StreamsBuilder;
/// use millstream_topology::graph::TopologyDiff;
///
/// let version = |is_filtered: bool| {
///     let builder = StreamsBuilder::new();
///     let words = builder.stream::<String, String>("words");
///     let words = if is_filtered { words.filter(|_, word| !word.is_empty()) } else { words };
///     words.group_by_key().count().to_stream().to("counts");
///     builder.build()
/// };
/// let diff = TopologyDiff::between(&version(false)?, &version(true)?);
///
/// let change = &diff.changes()[0];
/// assert!(change.effect.is_loss());
/// let keep = change.keep.as_ref().unwrap();
/// assert_eq!(keep.option, "Materialized::named");
/// assert_eq!(keep.name, "KSTREAM-AGGREGATE-STATE-STORE-0000000001");
/// # Ok::<(), millstream_types::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopologyDiff {
    changes: Vec<TopologyChange>,
    inserted: Vec<Arc<str>>,
    deleted: Vec<Arc<str>>,
}

/// One thing that is not as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologyChange {
    /// What it happens to.
    pub resource: ChangedResource,
    /// What happens.
    pub effect: ChangeEffect,
    /// Operator that has it in the first topology.
    pub operator_before: Option<Operator>,
    /// Operator that has it, or its counterpart, in the second topology.
    pub operator_after: Option<Operator>,
    /// The name that keeps it, where one does.
    pub keep: Option<Keep>,
}

/// What a change happens to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangedResource {
    /// A state store and its changelog topic `<application id>-<store>-changelog`.
    Store(Arc<str>),
    /// A repartition topic, or a topic between the two sides of a foreign-key join, without the
    /// application id.
    InternalTopic(Arc<str>),
    /// A sub-topology by its number in the first topology; tasks and their directories are named
    /// after it.
    Subtopology(i32),
    /// A topic the application reads.
    InputTopic(Arc<str>),
}

/// An operator: a number says little, so where its records come from stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Name of its node.
    pub name: Arc<str>,
    /// Input topics of the application that its records come from.
    pub inputs: Vec<Arc<str>>,
}

/// What happens to a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeEffect {
    /// The operator has it under a new name: what is under the old one is lost to it. A store starts
    /// empty; records in an internal topic that were not read yet stay unread.
    Renamed {
        /// The new name.
        after: Arc<str>,
    },
    /// Another operator has the name now and reads what this one wrote: its own operator starts
    /// anew as `after`, if it still is there.
    TakenOver {
        /// Who reads it now.
        by: Operator,
        /// The name it has from now on.
        after: Option<Arc<str>>,
    },
    /// Nobody has it any more. Its topics stay until somebody deletes them.
    Removed,
    /// It is new and starts empty.
    Added,
    /// It keeps its name, but what is stored cannot be read as before.
    Incompatible {
        /// What differs.
        what: String,
    },
    /// Its settings change, without loss.
    Reconfigured {
        /// What differs.
        what: String,
    },
    /// The sub-topology has another number: local state is read again from changelogs under the new
    /// task ids, and versions that run side by side disagree about who runs what.
    Renumbered {
        /// The new number.
        after: i32,
    },
}

/// The name to give in the second topology, so that a resource stays what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Where the name is given.
    pub option: &'static str,
    /// The name.
    pub name: String,
}

impl ChangeEffect {
    /// Whether data of the running application is lost or misread.
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::Renamed { .. } | Self::TakenOver { .. } | Self::Incompatible { .. })
    }
}

impl TopologyDiff {
    /// Compares two topologies, settings of their stores included. Costs about the product of the
    /// numbers of their stores and internal topics.
    pub fn between(before: &Topology, after: &Topology) -> Self {
        let mut diff = Self::between_descriptions(&before.describe(), &after.describe());
        diff.compare_settings(&before.facts().stores, &after.facts().stores);
        diff
    }

    /// Compares what two `describe()`s say, also of applications of Kafka Streams. Settings of stores
    /// are not told there, so they are not compared.
    pub fn between_descriptions(before: &TopologyDescription, after: &TopologyDescription) -> Self {
        let (before, after) = (Outline::of(before), Outline::of(after));
        let pairs = Pairs::of(&before, &after);
        let (inserted, deleted) = inserted(&before, &after);
        let mut diff = Self { changes: Vec::new(), inserted, deleted };
        diff.compare_resources(&before, &after, &pairs);
        diff.compare_inputs(&before, &after);
        diff.compare_subtopologies(&before, &after, &pairs);
        diff
    }

    /// The changes: losses first.
    pub fn changes(&self) -> &[TopologyChange] {
        &self.changes
    }

    /// Generated names of operators that the second topology has more; they moved the numbers of
    /// what was written after them.
    pub fn inserted_operators(&self) -> &[Arc<str>] {
        &self.inserted
    }

    /// Generated names of operators that the second topology has no more.
    pub fn deleted_operators(&self) -> &[Arc<str>] {
        &self.deleted
    }

    /// Whether a deploy changes nothing at all.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether a deploy loses or misreads data.
    pub fn has_losses(&self) -> bool {
        self.changes.iter().any(|change| change.effect.is_loss())
    }

    fn compare_resources(&mut self, before: &Outline, after: &Outline, pairs: &Pairs) {
        for (at, old) in before.resources.iter().enumerate() {
            let counterpart = pairs.after(at).and_then(|at| after.resources.get(at));
            if counterpart.is_some_and(|new| new.name == old.name) {
                continue;
            }
            // Who has the name now, if it is somebody else.
            let heir = after.resources.iter().find(|new| new.role == old.role && new.name == old.name);
            let renamed = counterpart.map(|new| Arc::clone(&new.name));
            let effect = match (heir, renamed) {
                (Some(heir), after) => ChangeEffect::TakenOver { by: heir.operator(), after },
                (None, Some(after)) => ChangeEffect::Renamed { after },
                (None, None) => ChangeEffect::Removed,
            };
            self.changes.push(TopologyChange {
                resource: old.changed(),
                keep: counterpart.and_then(|_| old.keep()),
                effect,
                operator_before: Some(old.operator()),
                operator_after: counterpart.map(Resource::operator),
            });
        }
        for (at, new) in after.resources.iter().enumerate() {
            let is_known = before.resources.iter().any(|old| old.role == new.role && old.name == new.name);
            if pairs.before(at).is_none() && !is_known {
                self.changes.push(TopologyChange {
                    resource: new.changed(),
                    effect: ChangeEffect::Added,
                    operator_before: None,
                    operator_after: Some(new.operator()),
                    keep: None,
                });
            }
        }
        self.changes.sort_by_key(|change| rank(&change.effect));
    }

    fn compare_inputs(&mut self, before: &Outline, after: &Outline) {
        let change = |topic: &Arc<str>, effect| TopologyChange {
            resource: ChangedResource::InputTopic(Arc::clone(topic)),
            effect,
            operator_before: before.inputs.get(topic).map(|input| input.source.clone()),
            operator_after: after.inputs.get(topic).map(|input| input.source.clone()),
            keep: None,
        };
        let removed = before.inputs.keys().filter(|topic| !after.inputs.contains_key(*topic));
        let added = after.inputs.keys().filter(|topic| !before.inputs.contains_key(*topic));
        self.changes.extend(removed.map(|topic| change(topic, ChangeEffect::Removed)));
        self.changes.extend(added.map(|topic| change(topic, ChangeEffect::Added)));
    }

    /// A sub-topology is what holds most of the same inputs and resources.
    fn compare_subtopologies(&mut self, before: &Outline, after: &Outline, pairs: &Pairs) {
        let mut votes: BTreeMap<i32, BTreeMap<i32, usize>> = BTreeMap::new();
        let mut vote = |from: i32, to: i32| *votes.entry(from).or_default().entry(to).or_default() += 1;
        for (topic, from) in &before.inputs {
            after.inputs.get(topic).into_iter().for_each(|to| vote(from.subtopology, to.subtopology));
        }
        for (at, old) in before.resources.iter().enumerate() {
            if let Some(new) = pairs.after(at).and_then(|at| after.resources.get(at)) {
                vote(old.subtopology, new.subtopology);
            }
        }
        for (from, to) in votes {
            // With as many votes for it as for another, the number stayed.
            let winner = to.iter().max_by_key(|(to, count)| (**count, **to == from, -**to)).map(|(to, _)| *to);
            if let Some(after) = winner.filter(|to| *to != from) {
                self.changes.push(TopologyChange {
                    resource: ChangedResource::Subtopology(from),
                    effect: ChangeEffect::Renumbered { after },
                    operator_before: None,
                    operator_after: None,
                    keep: None,
                });
            }
        }
    }

    /// Settings of the stores that keep their names.
    fn compare_settings(&mut self, before: &[StoreFacts], after: &[StoreFacts]) {
        for old in before {
            let Some(new) = after.iter().find(|new| new.name == old.name) else { continue };
            let is_told = |change: &TopologyChange| change.resource == ChangedResource::Store(Arc::clone(&old.name));
            if self.changes.iter().any(is_told) {
                continue;
            }
            if let Some(effect) = setting_change(old, new) {
                self.changes.push(TopologyChange {
                    resource: ChangedResource::Store(Arc::clone(&old.name)),
                    effect,
                    operator_before: None,
                    operator_after: None,
                    keep: None,
                });
            }
        }
        self.changes.sort_by_key(|change| rank(&change.effect));
    }
}

/// Losses first, the worst first.
fn rank(effect: &ChangeEffect) -> u8 {
    match effect {
        ChangeEffect::TakenOver { .. } => 0,
        ChangeEffect::Incompatible { .. } => 1,
        ChangeEffect::Renamed { .. } => 2,
        ChangeEffect::Renumbered { .. } => 3,
        ChangeEffect::Removed => 4,
        ChangeEffect::Reconfigured { .. } => 5,
        ChangeEffect::Added => 6,
    }
}

fn setting_change(old: &StoreFacts, new: &StoreFacts) -> Option<ChangeEffect> {
    let kind = |kind: StoreKind| format!("{kind:?}");
    if old.kind != new.kind {
        let what = format!("its kind changes from {} to {}", kind(old.kind), kind(new.kind));
        return Some(ChangeEffect::Incompatible { what });
    }
    if old.is_logged && !new.is_logged {
        return Some(ChangeEffect::Reconfigured {
            what: "it is no longer logged: its changelog goes stale, and what the store holds is lost with its \
                   directory"
                .to_owned(),
        });
    }
    if !old.is_logged && new.is_logged {
        let what = "it is logged from now on: its changelog starts empty, so what it holds already is not in it";
        return Some(ChangeEffect::Reconfigured { what: what.to_owned() });
    }
    if old.is_persistent != new.is_persistent {
        let what = if new.is_persistent { "it moves from memory to disk" } else { "it moves from disk to memory" };
        return Some(ChangeEffect::Reconfigured { what: format!("{what}: it is read back from its changelog") });
    }
    let windows = |facts: &StoreFacts| (facts.retention_ms, facts.window_size_ms);
    (windows(old) != windows(new)).then(|| ChangeEffect::Reconfigured {
        what: format!(
            "windows of {} ms kept for {} ms become windows of {} ms kept for {} ms",
            old.window_size_ms.unwrap_or(0),
            old.retention_ms.unwrap_or(0),
            new.window_size_ms.unwrap_or(0),
            new.retention_ms.unwrap_or(0)
        ),
    })
}

impl Resource {
    fn changed(&self) -> ChangedResource {
        match self.role {
            ResourceRole::Store => ChangedResource::Store(Arc::clone(&self.name)),
            ResourceRole::InternalTopic => ChangedResource::InternalTopic(Arc::clone(&self.name)),
        }
    }
}

#[cfg(test)]
mod tests;
