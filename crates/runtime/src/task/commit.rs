//! A task's part in a commit: what may be committed, and what happens to its stores then.

use std::sync::Arc;

use millstream_log::{CommittedOffset, ReadPosition};
use millstream_state::CommitMark;
use millstream_topology::flow::Flow;
use millstream_types::{Error, Now, Offset, Result, TaskId, Timestamp, TopicPartition};

use super::metadata::CommitMetadata;
use super::queue::RecordQueue;
use super::{StoreChangelog, Task, TaskOutput};
use crate::query::TaskMetadata;

/// A mark that is older is renewed. Far below the day that a changelog keeps tombstones unless it is set to less.
const MARK_AGE_MS: i64 = 30 * 60 * 1000;

/// A store that its engine is behind of.
pub(super) struct Unapplied {
    /// Its place.
    at: usize,
    /// Whether it has writes in a commit that is not settled yet.
    is_committing: bool,
    /// Whether its overlay is sealed, to be applied next.
    is_sealed: bool,
    /// The mark of the last commit that was settled.
    mark: Option<CommitMark>,
}

/// Which stores take over what is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// All.
    All,
    /// Those that no changelog could bring up to the last commit after a crash.
    Unlogged,
}

impl Task {
    /// Whether there is something to commit.
    pub fn needs_commit(&self) -> bool {
        self.is_dirty
            || self
                .queues
                .list
                .iter()
                .zip(&self.inputs)
                .any(|(queue, input)| self.position_of(queue).offset != input.committed.0)
    }

    /// What to commit for a partition: everything before it is processed or, under
    /// `at_most_once`, may be.
    fn position_of(&self, queue: &RecordQueue) -> ReadPosition {
        if self.claims_first && !self.is_closing { queue.next } else { queue.committable() }
    }

    /// Under `at_most_once`: the offsets of what was fetched and not committed yet, to be committed before
    /// anything of it is processed. Empty if there is nothing.
    pub fn claim(&mut self) -> Vec<(TopicPartition, CommittedOffset)> {
        let mut offsets = Vec::new();
        for (queue, input) in self.queues.list.iter().zip(&mut self.inputs) {
            let Some(position) = input.held.claim() else { continue };
            offsets.push((queue.partition.clone(), to_commit(&self.flow, position, queue.partition_time)));
        }
        offsets
    }

    /// The last [`claim`](Self::claim) is committed: its records may be processed.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn claimed(&mut self, output: &mut dyn TaskOutput, now: Now) -> Result<()> {
        for at in 0..self.inputs.len() {
            let (Some(queue), Some(input)) = (self.queues.list.get_mut(at), self.inputs.get_mut(at)) else { break };
            for stretch in input.held.release() {
                queue.next = stretch.next;
                queue.add(stretch.batches, stretch.from, None);
                input.committed = (queue.next.offset, queue.partition_time);
                input.has_history = true;
            }
            self.refill(at, output, now)?;
        }
        Ok(())
    }

    /// The task is given up with the next commit. Under `at_most_once` that one gives back what was
    /// claimed and is not processed, so nothing may be processed after it.
    pub fn prepare_close(&mut self) {
        self.is_closing = true;
    }

    /// Whether a processor asked for a commit since the last one.
    pub fn commit_requested(&self) -> bool {
        self.commit_requested
    }

    /// The offsets to commit: of every partition whose offset or time moved since the last commit,
    /// and with a task's first commit those of all its partitions. So state without any committed
    /// offset is known to be a loss.
    pub fn committable(&self) -> Vec<(TopicPartition, CommittedOffset)> {
        let mut offsets = Vec::new();
        for (queue, input) in self.queues.list.iter().zip(&self.inputs) {
            let position = self.position_of(queue);
            let is_first = self.is_dirty && !input.has_history;
            if (position.offset, queue.partition_time) == input.committed && !is_first {
                continue;
            }
            offsets.push((queue.partition.clone(), to_commit(&self.flow, position, queue.partition_time)));
        }
        offsets
    }

    /// A commit begins, of what is [`committable`](Self::committable) now. What is processed from here on
    /// belongs to the next one.
    pub fn start_commit(&mut self) -> Vec<(TopicPartition, CommittedOffset)> {
        let offsets = self.committable();
        let is_dirty = std::mem::take(&mut self.is_dirty);
        self.commit_requested = false;
        let positions: Vec<Offset> = self.queues.list.iter().map(|queue| self.position_of(queue).offset).collect();
        for ((queue, input), offset) in self.queues.list.iter().zip(&mut self.inputs).zip(positions) {
            input.committing = Some((offset, queue.partition_time));
            input.has_history |= is_dirty || offset != input.committed.0;
        }
        self.note_written();
        offsets
    }

    /// Notes which stores have changed: their writes belong to the commit that begins.
    fn note_written(&mut self) {
        for at in 0..self.flow.stores().len() {
            if !self.changelogs.take_written(at) {
                continue;
            }
            match self.unapplied.iter_mut().find(|unapplied| unapplied.at == at) {
                Some(unapplied) => unapplied.is_committing = true,
                None => {
                    self.unapplied.push(Unapplied { at, is_committing: true, is_sealed: false, mark: None });
                }
            }
        }
    }

    /// Closes the overlays of stores that will be applied after the commit under way, or now if there is none; the
    /// overlays of the others go on to grow.
    pub fn seal(&mut self, which: Applied) {
        // What an engine has refused and was written since goes in one batch, whose mark is that of this commit.
        for unapplied in self.unapplied.iter_mut().filter(|unapplied| unapplied.is_committing || !unapplied.is_sealed) {
            let is_chosen = unapplied.is_sealed || which == Applied::All || self.changelogs.get(unapplied.at).is_none();
            if let Some(store) = self.flow.stores_mut().get_mut(unapplied.at).filter(|_| is_chosen) {
                store.seal();
                unapplied.is_sealed = true;
            }
        }
    }

    /// The commit succeeded: what was committable when it [began](Self::start_commit) is committed.
    pub fn committed(&mut self) {
        for input in &mut self.inputs {
            input.committed = input.committing.take().unwrap_or(input.committed);
        }
    }

    /// After the commit: `mark` makes the marks of the stores that had writes in it, each from the
    /// store's changelog, if it has one, and the mark before.
    ///
    /// # Errors
    /// What an engine gives when it is asked for its mark.
    pub fn settle(
        &mut self,
        mark: &mut dyn FnMut(Option<&StoreChangelog>, Option<CommitMark>) -> CommitMark,
    ) -> Result<()> {
        let task = self.id();
        for unapplied in self.unapplied.iter_mut().filter(|unapplied| unapplied.is_committing) {
            let Some(store) = self.flow.stores().get(unapplied.at) else { continue };
            let before = match unapplied.mark.take() {
                Some(before) => Some(before),
                None => store.mark().map_err(|error| of_store(error, task, &store.facts().name))?,
            };
            unapplied.mark = Some(mark(self.changelogs.get(unapplied.at), before));
            unapplied.is_committing = false;
        }
        Ok(())
    }

    /// Writes sealed overlays that are settled to their engines, each in one batch with its mark.
    ///
    /// # Errors
    /// What an engine gives, naming the store. The call may be repeated: it goes on with the store
    /// that failed.
    pub fn apply(&mut self) -> Result<()> {
        let task = self.id();
        let flow = &mut self.flow;
        let mut outcome = Ok(());
        self.unapplied.retain(|unapplied| {
            let (Some(mark), Some(store)) = (&unapplied.mark, flow.stores_mut().get_mut(unapplied.at)) else {
                return true;
            };
            if outcome.is_err() || unapplied.is_committing || !unapplied.is_sealed {
                return true;
            }
            outcome = store.apply(mark).map_err(|error| of_store(error, task, &store.facts().name));
            outcome.is_err()
        });
        outcome
    }

    /// Renews the marks of stores that are not behind, where they are old: a local copy that was left alone for longer
    /// than its changelog keeps tombstones may have missed some, and is deleted and restored when it is opened. A store that
    /// is not written misses nothing while its task is here.
    pub(crate) fn renew_marks(&mut self, now: Now) {
        let unapplied = &self.unapplied;
        let stores = self.flow.stores_mut().iter_mut().enumerate();
        for (_, store) in stores.filter(|(at, _)| !unapplied.iter().any(|unapplied| unapplied.at == *at)) {
            let renewed = match store.mark() {
                Ok(Some(mark)) if now.wall_ms.saturating_sub(mark.wall_ms) >= MARK_AGE_MS => {
                    store.apply(&CommitMark { wall_ms: now.wall_ms, ..mark })
                }
                other => other.map(drop),
            };
            if let Err(error) = renewed {
                // It costs a restore at worst, and is tried again.
                tracing::warn!(store = &*store.facts().name, %error, "the local copy cannot be marked as up to date");
            }
        }
    }

    /// Whether an engine is behind what is committed.
    pub fn is_behind(&self) -> bool {
        !self.unapplied.is_empty()
    }

    /// What the task reads, and how far it is.
    pub(crate) fn describe(&self, now: Now) -> TaskMetadata {
        let inputs = || self.queues.list.iter().zip(&self.inputs);
        let idle_ms = |since_ns| i64::try_from(now.mono_ns.saturating_sub(since_ns) / 1_000_000).unwrap_or(i64::MAX);
        TaskMetadata {
            task_id: self.id(),
            topic_partitions: inputs().map(|(queue, _)| queue.partition.clone()).collect(),
            committed_offsets: inputs()
                .filter(|(_, input)| input.has_history)
                .map(|(queue, input)| (queue.partition.clone(), input.committed.0))
                .collect(),
            end_offsets: inputs().filter_map(|(queue, _)| Some((queue.partition.clone(), queue.end?))).collect(),
            time_current_idling_started: self.queues.idle_since().map(|since_ns| now.wall_ms - idle_ms(since_ns)),
        }
    }

    /// Whether this is where the group goes on with one of the task's partitions.
    pub(crate) fn is_committed(&self, partition: &TopicPartition, offset: Offset) -> bool {
        let mut inputs = self.queues.list.iter().zip(&self.inputs);
        inputs.any(|(queue, input)| queue.partition == *partition && input.has_history && input.committed.0 == offset)
    }

    /// The last offset of each input partition that is committed.
    pub fn committed_position(&self) -> Vec<(TopicPartition, Offset)> {
        let inputs = self.queues.list.iter().zip(&self.inputs).filter(|(_, input)| input.committed.0.0 > 0);
        inputs.map(|(queue, input)| (queue.partition.clone(), Offset(input.committed.0.0 - 1))).collect()
    }

    /// The last processed offset of each input partition, sorted: the position of the stores.
    pub fn position(&self) -> Vec<(TopicPartition, Offset)> {
        let last = |queue: &RecordQueue| Offset(queue.committable().offset.0.saturating_sub(1));
        let mut position: Vec<_> = self
            .queues
            .list
            .iter()
            .filter(|queue| queue.committable().offset.0 > 0)
            .map(|queue| (queue.partition.clone(), last(queue)))
            .collect();
        position.sort();
        position
    }
}

/// The error of a task's store.
pub(crate) fn of_store(error: Error, task: TaskId, store: &Arc<str>) -> Error {
    error.with_context(|context| {
        context.task = Some(task);
        context.store = Some(Arc::clone(store));
    })
}

/// A position as it is committed.
fn to_commit(flow: &Flow, position: ReadPosition, partition_time: Timestamp) -> CommittedOffset {
    let ReadPosition { offset, leader_epoch } = position;
    let metadata = CommitMetadata { partition_time, processors: flow.processor_metadata().clone() }.encode();
    CommittedOffset { offset, leader_epoch, metadata }
}
