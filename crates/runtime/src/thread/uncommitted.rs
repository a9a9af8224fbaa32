//! Inputs for which no offset is committed: new ones, which are read by the reset policy, and those that have lost their
//! offset. Offsets expire (`offsets.retention.minutes`), can be deleted, and go with their topic; what the brokers have
//! then cannot be told from a first start. What else is known of earlier runs is looked at here.

use millstream_types::config::OffsetReset;
use millstream_types::{Error, ErrorKind, Offset, TaskId, TopicPartition};

use super::local_stores::History;

/// An input without a committed offset.
pub(super) struct Uncommitted {
    pub(super) partition: TopicPartition,
    /// First offset of its log, and one past the last.
    pub(super) range: (Offset, Offset),
    pub(super) reset: OffsetReset,
    /// Whether the topic is the application's own.
    pub(super) is_internal: bool,
}

/// What is known of a task's earlier runs.
pub(super) struct Past<'a> {
    /// What the marks of local stores know.
    pub(super) history: &'a History,
    /// Whether changelogs had records that were not here.
    pub(super) was_restored: bool,
    /// Whether a changelog has records only after an offset was committed. Under at-least-once a crash before the
    /// first commit leaves records without offsets; that is no loss.
    pub(super) offsets_precede_state: bool,
    /// Whether another input of the task has a committed offset: the first commit is of all.
    pub(super) is_committed: bool,
    /// Whether an earlier process has used the state directory.
    pub(super) is_directory_used: bool,
}

impl Past<'_> {
    /// An input that has surely lost its offset while the state from it is there: by the reset policy everything would
    /// count twice, or be left out. An input that no store knows may be new to the topology.
    pub(super) fn lost<'i>(&self, uncommitted: &'i [Uncommitted]) -> Option<&'i Uncommitted> {
        let has_state = self.history.proves_commit || (self.offsets_precede_state && self.was_restored);
        if has_state && !self.is_committed {
            return uncommitted.first();
        }
        uncommitted.iter().find(|input| self.history.processed.contains_key(&input.partition))
    }

    /// What is done about a lost offset at first: who owned the task before may have committed just now.
    pub(super) fn ask_again() -> Error {
        let message = "offsets are missing beside state from earlier runs; they are asked for again";
        Error::new(ErrorKind::Retriable, message)
    }

    /// What is done when it is still missing.
    pub(super) fn refuse(&self, lost: &TopicPartition) -> Error {
        let all = if self.is_committed { "this input" } else { "any input of the task" };
        let stands = self.history.processed.get(lost);
        let stands = stands.map(|at| format!(", of which local state has {at} and all before")).unwrap_or_default();
        let message = format!(
            "there is state from earlier runs, but no committed offset for {all}{stands}: the offsets were deleted or \
             have expired, or the topic was deleted and created again; set the group's offsets while the application \
             is stopped, or reset the application (delete its state and changelogs) to process everything anew"
        );
        Error::new(ErrorKind::Fatal, message)
    }

    /// Tells where an input begins, which need not be where an earlier run has ended: as a warning if there was one.
    pub(super) fn tell(&self, task: TaskId, input: &Uncommitted, position: Offset) {
        let Uncommitted { partition, range: (log_start, log_end), reset, is_internal } = input;
        // Nothing is repeated or left out of a log that never had a record, and all in a topic of our own is to be processed.
        if *is_internal || log_end.0 <= 0 {
            return;
        }
        let reset = reset.to_string();
        let Some(why) = self.sign_of_earlier_run() else {
            tracing::info!(%partition, %task, %position, %log_start, %log_end, reset, "no offset is committed");
            return;
        };
        tracing::warn!(
            %partition, %task, %position, %log_start, %log_end, reset,
            "no offset is committed, though {why}: unless this input is new, its offset was deleted or has expired, or \
             the topic was deleted and created again; it is read from this position by the reset policy, and records before and behind it \
             may be left out or processed again. Set the group's offset while the application is stopped to begin elsewhere"
        );
    }

    /// What speaks for an earlier run.
    fn sign_of_earlier_run(&self) -> Option<&'static str> {
        if self.is_committed {
            Some("other inputs of the task have one")
        } else if self.was_restored {
            Some("changelogs have records of an earlier run")
        } else if self.is_directory_used {
            Some("an earlier run has used this state directory")
        } else {
            None
        }
    }
}
