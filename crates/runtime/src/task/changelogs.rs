//! Where the stores of a task write their changes.

use std::sync::Arc;

use millstream_log::PartitionHandle;
use millstream_state::StateStore;
use millstream_types::{Error, Now, Result, TaskId, Timestamp};

use super::TaskOutput;

/// The changelog of one store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreChangelog {
    /// Name of the store.
    pub store: Arc<str>,
    /// Its changelog topic, with the application id.
    pub topic: Arc<str>,
    /// Whether the topic is an input topic that serves as changelog: nothing is written then.
    pub is_source: bool,
    /// How long the topic keeps a record after the record's own time, in ms; `None`: for ever.
    pub retention_ms: Option<i64>,
}

/// The changelogs of a task's stores, in the order of the stores.
#[derive(Debug)]
pub(crate) struct Changelogs(Vec<Option<Changelog>>);

#[derive(Debug)]
struct Changelog {
    facts: StoreChangelog,
    handle: Option<PartitionHandle>,
    /// Whether the store wrote anything since the last [`Changelogs::take_written`].
    is_written: bool,
    /// Whether it was said that the topic may drop what is written now.
    is_warned: bool,
}

impl Changelogs {
    pub(crate) fn new(stores: &[Box<dyn StateStore>], changelogs: &[StoreChangelog]) -> Self {
        let of_store = |name: &Arc<str>| {
            let facts = changelogs.iter().find(|changelog| changelog.store == *name)?;
            Some(Changelog { facts: facts.clone(), handle: None, is_written: false, is_warned: false })
        };
        Self(stores.iter().map(|store| of_store(&store.facts().name)).collect())
    }

    pub(crate) fn get(&self, store: usize) -> Option<&StoreChangelog> {
        self.0.get(store)?.as_ref().map(|changelog| &changelog.facts)
    }

    /// Whether a store may have changed since the last call; one without changelog always may.
    pub(crate) fn take_written(&mut self, store: usize) -> bool {
        match self.0.get_mut(store) {
            Some(Some(changelog)) => std::mem::take(&mut changelog.is_written),
            _ => true,
        }
    }

    /// Whether any changelog was written to since its last [`take_written`](Self::take_written).
    pub(crate) fn is_written(&self) -> bool {
        self.0.iter().flatten().any(|changelog| changelog.is_written)
    }

    /// Appends what the stores have written since the last call. A record without a time of its own
    /// gets the wall clock.
    pub(crate) fn drain(
        &mut self,
        (task, now): (TaskId, Now),
        stores: &mut [Box<dyn StateStore>],
        output: &mut dyn TaskOutput,
    ) -> Result<()> {
        for (store, changelog) in stores.iter_mut().zip(&mut self.0) {
            let Some(changelog) = changelog else { continue };
            let Changelog { facts, handle, is_written, is_warned } = changelog;
            let kept_from_ms = match facts.retention_ms {
                Some(retention_ms) if !*is_warned => now.wall_ms.saturating_sub(retention_ms),
                _ => i64::MIN,
            };
            store.drain_changelog(&mut |record| {
                *is_written = true;
                if facts.is_source {
                    return Ok(());
                }
                let to = *handle.get_or_insert_with(|| output.partition(&facts.topic, task.partition));
                let has_time = record.timestamp != Timestamp::UNKNOWN;
                let timestamp = if has_time { record.timestamp } else { Timestamp(now.wall_ms) };
                if timestamp.0 < kept_from_ms && !*is_warned {
                    *is_warned = true;
                    warn_of_retention(task, facts, timestamp, now);
                }
                output
                    .append(to, timestamp, Some(record.key), record.value, record.headers)
                    .map_err(|error| located(error, task, facts, record.key))
            })?;
        }
        Ok(())
    }
}

/// Old events are processed, and the log deletes changes by their times: a restore would miss them.
#[cold]
fn warn_of_retention(task: TaskId, changelog: &StoreChangelog, timestamp: Timestamp, now: Now) {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let age_days = now.wall_ms.saturating_sub(timestamp.0) / DAY_MS;
    tracing::warn!(
        store = %changelog.store, %task, changelog = %changelog.topic,
        "changes of this store have times {age_days} days back, and its changelog keeps records for {} ms (retention.ms): \
         the log may delete them, and a restore would miss them. To process old events, set \
         windowstore.changelog.additional.retention.ms to their age or more before the topic is created, or raise \
         retention.ms of the topic",
        changelog.retention_ms.unwrap_or(-1)
    );
}

/// A change that cannot be written stops the task: leaving it out would lose state silently.
#[cold]
fn located(error: Error, task: TaskId, changelog: &StoreChangelog, key: &[u8]) -> Error {
    // What records hold is never told: errors end in logs.
    let len = key.len();
    Error::new(
        error.kind(),
        format!("the change of a key of {len} bytes cannot be written to the changelog: {}", error.message()),
    )
    .with_source(error)
    .with_context(|context| {
        context.task = Some(task);
        context.store = Some(Arc::clone(&changelog.store));
        context.topic = Some(Arc::clone(&changelog.topic));
        context.partition = Some(millstream_types::Partition(task.partition));
    })
}
