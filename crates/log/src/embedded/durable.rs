//! What of the broker outlives the process: the journal, flushing, and what happens when the disk
//! refuses.

use std::sync::Arc;

use millstream_types::{Error, ErrorKind, TopicPartition};

use super::broker::{Broker, storage_failure};
use super::disk::Disk;
use super::failure::{Answer, fatal};
use super::journal::{Entry, Journal};
use super::options::Flush;
use crate::fs::Lock;
use crate::seam::Failure;

/// The files of a log.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) disk: Arc<Disk>,
    pub(super) journal: Journal,
    /// Held as long as the log is open.
    pub(super) _lock: Box<dyn Lock>,
    /// Why nothing is written any more: after a failed write nobody knows what is on disk.
    pub(super) poison: Option<Error>,
}

impl Drop for Files {
    fn drop(&mut self) {
        if self.poison.is_none()
            && let Err(failure) = self.journal.append_pending()
        {
            // Recovery knows a little less; nothing is lost.
            tracing::warn!(%failure, "the journal could not be completed when the log was closed");
        }
    }
}

impl Broker {
    /// Refuses once a write has failed.
    pub(super) fn writable(&self) -> Answer<()> {
        let Some(Files { poison: Some(cause), disk, .. }) = &self.files else { return Ok(()) };
        let message = format!(
            "the log in {} takes no more writes since one failed; remove the cause and open the log again ({cause})",
            disk.dir.display()
        );
        let failure = fatal(ErrorKind::Storage, message);
        Err(Failure { error: failure.error.with_source(cause.clone()), ..failure })
    }

    /// Lets no write follow one that has failed.
    pub(super) fn guard<T>(&mut self, answer: Answer<T>) -> Answer<T> {
        if let (Err(failure), Some(files)) = (&answer, &mut self.files)
            && failure.error.kind() == ErrorKind::Storage
            && files.poison.is_none()
        {
            tracing::error!(error = %failure.error, "a write to the log has failed; it takes no more");
            files.poison = Some(failure.error.clone());
        }
        answer
    }

    /// Records a change before it happens.
    pub(super) fn record(&mut self, entry: Entry) -> Answer<()> {
        let answer = match &mut self.files {
            Some(files) => files.journal.append(entry),
            None => Ok(()),
        };
        self.guard(answer)
    }

    /// Whether acknowledging means durable.
    pub(super) fn is_flushed(&self) -> bool {
        self.files.as_ref().is_some_and(|files| files.disk.flush == Flush::Commit)
    }

    /// Makes what was appended durable, where the options ask for it.
    pub(super) fn flush(&mut self) -> Answer<()> {
        self.writable()?;
        if !self.is_flushed() {
            return Ok(());
        }
        let synced = self.sync_partitions();
        let is_due = self.guard(synced)?;
        let partitions = if is_due { self.synced() } else { Vec::new() };
        if let Some(files) = self.files.as_mut().filter(|_| is_due) {
            // It narrows down what recovery may cut off, and may itself be lost.
            files.journal.defer(Entry::Synced { partitions });
        }
        Ok(())
    }

    /// Up to where each partition is durable.
    fn synced(&self) -> Vec<(TopicPartition, i64)> {
        let partitions = self.partitions.iter().flatten();
        partitions.map(|partition| (partition.name.clone(), partition.synced())).collect()
    }

    /// Makes the files of all partitions durable. Gives whether there was anything to do.
    fn sync_partitions(&mut self) -> Answer<bool> {
        let mut is_due = false;
        for partition in self.partitions.iter_mut().flatten() {
            is_due |= partition.sync().map_err(storage_failure)?;
        }
        Ok(is_due)
    }

    /// Rewrites the journal when it has grown. Commit points are left out, so their markers must
    /// be durable before.
    pub(super) fn compact(&mut self) -> Answer<()> {
        let Some(files) = self.files.as_ref().filter(|files| files.journal.is_long()) else { return Ok(()) };
        let disk = files.disk.clone();
        let synced = self.sync_partitions();
        self.guard(synced)?;
        let journal = Journal::create(&disk, &self.snapshot()).map_err(storage_failure);
        let journal = self.guard(journal)?;
        if let Some(files) = &mut self.files {
            files.journal = journal;
        }
        Ok(())
    }

    /// Entries that add up to the present state, commit points left out.
    pub(super) fn snapshot(&self) -> Vec<Entry> {
        let mut entries = vec![Entry::Opened {
            is_flushed: self.is_flushed(),
            seed: self.seed,
            // Creating the topics again counts their ids once more.
            ids: self.ids.saturating_sub(self.topics.len() as u64),
            next_producer_id: self.transactions.next_producer_id(),
        }];
        for (name, topic) in &self.topics {
            entries.push(Entry::TopicCreated {
                name: name.clone(),
                id: topic.id,
                partitions: topic.slots.len() as i32,
                configs: topic.configs.clone(),
            });
        }
        let partitions = || self.partitions.iter().flatten();
        for partition in partitions().filter(|partition| partition.log_start() > 0) {
            entries.push(Entry::LogStart { partition: partition.name.clone(), offset: partition.log_start() });
        }
        entries.extend(self.transactions.entries());
        for (group, state) in &self.groups {
            if !state.offsets.is_empty() {
                let offsets = state.offsets.iter().map(|(partition, offset)| (partition.clone(), offset.clone()));
                entries.push(Entry::Offsets { group: group.clone(), offsets: offsets.collect() });
            }
        }
        entries.push(Entry::Synced { partitions: self.synced() });
        entries
    }
}
