//! The local stores of a task: opened, and told where each is to be restored from. For tasks that are taken over and
//! for copies alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use millstream_log::{ReadPosition, TopicMetadata};
use millstream_state::{CacheBudget, CommitMark, StoreEnv, StoreFactory};
use millstream_topology::flow::{Flow, FlowBuild};
use millstream_types::{Now, Offset, ProcessingGuarantee, Result, TaskId, TopicPartition};

use super::restore::{StoreRestore, Work, of_partition};
use super::start::{RestoreStart, lost, may_expire, restore_start};
use super::survey::SurveyFacts;
use crate::layout::Subtopology;
use crate::metrics::Metrics;
use crate::shared::Shared;
use crate::task::{StoreChangelog, of_store};

/// Where the stores of a task stand.
pub(super) struct Restores {
    /// Stores that have a changelog.
    pub(super) stores: Vec<StoreRestore>,
    /// What their marks know.
    pub(super) history: History,
}

/// What the marks of local stores know of earlier commits.
#[derive(Debug, Default)]
pub(super) struct History {
    /// Whether there was one.
    pub(super) proves_commit: bool,
    /// The last offset of each input that is in a store.
    pub(super) processed: BTreeMap<TopicPartition, Offset>,
}

impl History {
    fn learn(&mut self, mark: &CommitMark, shared: &Shared) {
        self.proves_commit |= proves_commit(mark, shared);
        for (input, offset) in &mark.position {
            let known = self.processed.entry(input.clone()).or_insert(*offset);
            *known = (*known).max(*offset);
        }
    }
}

/// Makes the flow of a task over its opened stores. The task's lock must be held.
pub(super) fn open(shared: &Shared, cache: &CacheBudget, subtopology: &Subtopology, task: TaskId) -> Result<Flow> {
    let build = FlowBuild {
        task,
        application_id: Arc::clone(&shared.application_id),
        internal_topics: shared.topology.internal_topics(),
    };
    let mut open = |store: &dyn StoreFactory| {
        let engine = store.open_engine(Some(task), &*shared.engines);
        let engine = engine.map_err(|error| of_store(error, task, &store.facts().name))?;
        Ok(StoreEnv { engine, cache: cache.clone(), memory: shared.memory.clone() })
    };
    shared.topology.flow(&subtopology.nodes, build, Arc::clone(&shared.flow_options), &mut open)
}

/// Decides where each store is restored from, and deletes the local copies that are of no use. `source_end` tells
/// where restoring from an input that serves as changelog ends.
pub(super) fn restores(
    shared: &Shared,
    flow: &mut Flow,
    (subtopology, task): (&Subtopology, TaskId),
    facts: &SurveyFacts,
    source_end: &dyn Fn(&TopicPartition) -> Option<Offset>,
    now: Now,
) -> Result<Restores> {
    let mut found = Restores { stores: Vec::new(), history: History::default() };
    for (at, store) in flow.stores_mut().iter_mut().enumerate() {
        let name = Arc::clone(&store.facts().name);
        let Some(log) = subtopology.changelogs.iter().find(|log| log.store == name) else { continue };
        let partition = changelog_partition(log, task);
        let (start, mut end) = facts.range(&partition);
        if log.is_source {
            end = source_end(&partition).unwrap_or(start);
        }
        let mark = store.mark().map_err(|error| of_store(error, task, &name))?;
        if let Some(mark) = mark.as_ref().filter(|_| !log.is_source) {
            found.history.learn(mark, shared);
        }
        let topic = facts.topics.get(&log.topic);
        // An input that is the changelog itself is checked as an input.
        let is_rolled_back = log.is_source || mark.as_ref().is_some_and(|mark| is_ahead_of_offsets(mark, facts));
        let (ReadPosition { offset: next, leader_epoch }, is_wiped) = match restore_start(
            mark.as_ref(),
            topic,
            (start, end),
            is_rolled_back,
            now.wall_ms,
        ) {
            RestoreStart::From(next) => (next, false),
            RestoreStart::Wipe(why) => {
                tracing::warn!(store = %name, %task, changelog = %partition, "the local copy is deleted and restored: {why}");
                shared.metrics.add_restores_full(1);
                store.wipe().map_err(|error| of_store(error, task, &name))?;
                (start.into(), true)
            }
            RestoreStart::Lost(why) => return Err(of_store(of_partition(lost(&why), &partition), task, &name)),
        };
        if !log.is_source && (mark.is_none() || is_wiped) {
            warn_of_what_is_missing((&name, task, &partition), topic, (start, end), || {
                has_processed(subtopology, task, facts)
            });
        }
        found.stores.push(StoreRestore {
            task,
            store: at,
            name,
            partition,
            topic_id: facts.topic_id(&log.topic),
            next,
            end,
            leader_epoch,
            waiting: Vec::new(),
            is_wiped,
            may_expire: topic.is_none_or(may_expire),
            records: 0,
            log_end: Offset(-1),
            has_ended: false,
            position: if is_wiped { Vec::new() } else { mark.map(|mark| mark.position).unwrap_or_default() },
        });
    }
    Ok(found)
}

/// A store that is read from its changelog as a whole has what that holds, and nobody knows what it has held.
fn warn_of_what_is_missing(
    (store, task, changelog): (&Arc<str>, TaskId, &TopicPartition),
    topic: Option<&TopicMetadata>,
    (start, end): (Offset, Offset),
    has_processed: impl FnOnce() -> bool,
) {
    if end.0 == 0 && has_processed() {
        tracing::warn!(
            %store, %task, %changelog,
            "the store starts empty: its changelog has never had a record, though the task has processed input; \
             unless the store is new or nothing was ever put into it, the topic was deleted and created again"
        );
    }
    if start.0 > 0 && !topic.is_none_or(may_expire) {
        tracing::warn!(
            %store, %task, %changelog,
            "the store may lack rows: its changelog starts at offset {start}, though its records do not expire; those \
             before were deleted. To have all rows, reset the application, which processes everything anew"
        );
    }
}

/// Whether an offset that tells of records is committed for each input of the task: what comes from an input without
/// may be all that a store has.
fn has_processed(subtopology: &Subtopology, task: TaskId, facts: &SurveyFacts) -> bool {
    let inputs = subtopology.inputs.iter().map(|input| TopicPartition::new(Arc::clone(&input.topic), task.partition));
    let mut committed = inputs.map(|input| facts.committed.get(&input));
    committed.all(|committed| committed.is_some_and(|committed| committed.offset.0 > 0))
}

/// Whether a local copy knows more of the inputs than the committed offsets: the log has lost its end as a whole. A
/// copy of what others run knows no offsets, and is simply read anew.
fn is_ahead_of_offsets(mark: &CommitMark, facts: &SurveyFacts) -> bool {
    let is_ahead = |(input, processed): &(TopicPartition, Offset)| {
        facts.committed.get(input).is_none_or(|committed| committed.offset <= *processed)
    };
    mark.position.is_empty() || mark.position.iter().any(is_ahead)
}

/// Whether there can be no such mark without committed offsets. Under at-least-once a restore leaves
/// one too, of changes whose offsets were never committed; only a commit knows the inputs' position.
fn proves_commit(mark: &CommitMark, shared: &Shared) -> bool {
    !mark.position.is_empty() || (offsets_precede_state(shared) && mark.changelog_offset.0 >= 0)
}

/// Whether no change is seen in a changelog before an offset was committed.
pub(super) fn offsets_precede_state(shared: &Shared) -> bool {
    shared.config.processing_guarantee() != ProcessingGuarantee::AtLeastOnce
}

pub(super) fn changelog_partition(changelog: &StoreChangelog, task: TaskId) -> TopicPartition {
    TopicPartition::new(Arc::clone(&changelog.topic), task.partition)
}

/// Puts what a restore has read into its store. `flow`: that of the store's task, if it is still open.
pub(super) fn restore(flow: Option<&mut Flow>, which: &StoreRestore, work: Work<'_>, metrics: &Metrics) -> Result<()> {
    let Some(store) = flow.and_then(|flow| flow.stores_mut().get_mut(which.store)) else { return Ok(()) };
    let done = match work {
        Work::Wipe => {
            metrics.add_restores_full(1);
            store.wipe()
        }
        Work::Records(records, mark) => store.restore(records, mark),
    };
    done.map_err(|error| of_store(error, which.task, &which.name))
}
