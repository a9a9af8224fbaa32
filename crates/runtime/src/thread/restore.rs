//! Restoring stores from their changelogs, in large stretches.

use std::sync::Arc;

use super::start::lost;
use crate::listeners::{RestoreEar, logged};
use crate::shared::failed;
use crate::task::of_store;
use millstream_log::batch::Records;
use millstream_log::{Fetched, ReadPosition, Reader, ReaderEvent};
use millstream_state::{ChangelogRecord, CommitMark, RestoreRecord};
use millstream_types::{Error, ErrorKind, Now, Offset, RawRecord, Result, TaskId, TopicPartition};

/// Bytes asked for at once: large, since a store takes a stretch in one batch.
const RESTORE_BYTES: usize = 4 << 20;

/// What is read of a changelog goes into its store in stretches of so many bytes, or as much as there is: a store takes
/// a large batch past its journal, and a key that was written often only once.
const STRETCH_BYTES: usize = 4 << 20;

/// Most bytes of all changelogs together that wait for that.
const WAITING_BYTES_MAX: usize = 16 << 20;

/// After so long without anything to read, a restore says what it waits for.
const QUIET_NS_MAX: u64 = 60_000_000_000;

/// One store on its way to the end of its changelog.
#[derive(Debug)]
pub(crate) struct StoreRestore {
    pub(crate) task: TaskId,
    /// Place of the store in its flow.
    pub(crate) store: usize,
    pub(crate) name: Arc<str>,
    pub(crate) partition: TopicPartition,
    pub(crate) topic_id: u128,
    /// Next offset to read, and where restoring ends.
    pub(crate) next: Offset,
    pub(crate) end: Offset,
    /// Leader epoch of the record before the next; -1 where that is not known.
    pub(crate) leader_epoch: i32,
    /// Read, and not in the store yet.
    pub(crate) waiting: Vec<Fetched>,
    /// Whether the local copy was just deleted: a second time in a row is an error.
    pub(crate) is_wiped: bool,
    /// Whether old records of the changelog expire, so that it may start anywhere.
    pub(crate) may_expire: bool,
    /// Records restored.
    pub(crate) records: u64,
    /// One past the last record of the changelog, as far as known; -1 before anything was read.
    pub(crate) log_end: Offset,
    /// Whether the listener has heard of the end.
    pub(crate) has_ended: bool,
    /// What the local copy said of the inputs.
    pub(crate) position: Vec<(TopicPartition, Offset)>,
}

impl StoreRestore {
    pub(crate) fn is_done(&self) -> bool {
        self.next >= self.end
    }

    /// Next offset that the store does not have.
    pub(crate) fn position(&self) -> Offset {
        self.waiting.first().map_or(self.next, |first| first.from)
    }

    fn read_position(&self) -> ReadPosition {
        ReadPosition { offset: self.next, leader_epoch: self.leader_epoch }
    }

    fn waiting_bytes(&self) -> usize {
        self.waiting.iter().flat_map(|fetched| &fetched.batches).map(|batch| batch.bytes().len()).sum()
    }

    /// Takes what was read. Whether it is time to put it into the store: with enough of it, or with all there is.
    fn add(&mut self, fetched: Fetched, others_bytes: usize) -> bool {
        self.next = fetched.next.min(self.end).max(self.next);
        self.leader_epoch = fetched.leader_epoch;
        self.log_end = fetched.end;
        let is_all = self.is_done() || fetched.next >= fetched.end;
        self.waiting.push(fetched);
        let bytes = self.waiting_bytes();
        is_all || bytes >= STRETCH_BYTES || bytes + others_bytes > WAITING_BYTES_MAX
    }
}

/// The stores that a thread restores now, and the reader they share.
pub(crate) struct Restore {
    reader: Box<dyn Reader>,
    stores: Vec<StoreRestore>,
    events: Vec<ReaderEvent>,
    /// When something came last, or its absence was reported (monotonic ns).
    heard_ns: Option<u64>,
    ear: RestoreEar,
}

impl Restore {
    /// Starts reading. The reader reads committed records only.
    ///
    /// # Errors
    /// A listener that panics.
    pub(crate) fn start(mut reader: Box<dyn Reader>, stores: Vec<StoreRestore>, ear: RestoreEar) -> Result<Self> {
        assign(&mut *reader, &stores);
        let mut restore = Self { reader, stores, events: Vec::new(), heard_ns: None, ear };
        for store in &restore.stores {
            let StoreRestore { partition, name, next, end, .. } = store;
            restore.ear.tell(|listener| listener.on_restore_start(partition, name, *next, *end))?;
        }
        restore.tell_ends()?;
        Ok(restore)
    }

    /// Tells of stores that are restored.
    fn tell_ends(&mut self) -> Result<()> {
        for store in self.stores.iter_mut().filter(|store| store.is_done() && !store.has_ended) {
            store.has_ended = true;
            let StoreRestore { partition, name, records, .. } = store;
            self.ear.tell(|listener| listener.on_restore_end(partition, name, *records))?;
        }
        Ok(())
    }

    /// Tells of stores that are not restored any more.
    fn tell_suspended<'a>(&self, stores: impl Iterator<Item = &'a StoreRestore>) {
        for store in stores.filter(|store| !store.has_ended) {
            let StoreRestore { partition, name, records, .. } = store;
            logged(self.ear.tell(|listener| listener.on_restore_suspended(partition, name, *records)));
        }
    }

    /// The stores, done ones among them.
    pub(crate) fn stores(&self) -> &[StoreRestore] {
        &self.stores
    }

    /// Whether all stores of a task are restored.
    pub(crate) fn is_done(&self, task: TaskId) -> bool {
        self.stores.iter().all(|store| store.task != task || store.is_done())
    }

    /// Restores a changelog up to a later offset.
    pub(crate) fn extend(&mut self, partition: &TopicPartition, end: Offset) {
        let mut is_more = false;
        for store in self.stores.iter_mut().filter(|store| store.partition == *partition && store.end < end) {
            is_more |= store.is_done();
            store.end = end;
        }
        if is_more {
            assign(&mut *self.reader, &self.stores);
            self.reader.resume(partition);
        }
    }

    /// Forgets the stores of a task.
    pub(crate) fn remove(&mut self, task: TaskId) {
        let before = self.stores.len();
        self.tell_suspended(self.stores.iter().filter(|store| store.task == task));
        self.stores.retain(|store| store.task != task);
        if self.stores.len() != before {
            assign(&mut *self.reader, &self.stores);
        }
    }

    /// Reads a stretch and applies it; gives the number of records restored, `None` when nothing
    /// came.
    ///
    /// # Errors
    /// What a store gives; a changelog that is gone, or does not hold what it said it did.
    pub(crate) fn step(
        &mut self,
        now: Now,
        apply: &mut dyn FnMut(&StoreRestore, Work<'_>) -> Result<()>,
    ) -> Result<Option<u64>> {
        if self.stores.iter().all(StoreRestore::is_done) {
            return Ok(None);
        }
        let mut events = std::mem::take(&mut self.events);
        self.reader.poll(now, RESTORE_BYTES, &mut events);
        let mut restored = (!events.is_empty()).then_some(0);
        self.report_silence(now, restored.is_some());
        for event in events.drain(..) {
            match event {
                ReaderEvent::Fetched(fetched) => {
                    let of_others = self.stores.iter().filter(|store| store.partition != fetched.partition);
                    let others_bytes = of_others.map(StoreRestore::waiting_bytes).sum();
                    let Some(store) = find(&mut self.stores, &fetched.partition) else { continue };
                    if store.add(fetched, others_bytes) {
                        restored = Some(restored.unwrap_or(0) + take(store, &self.ear, now, apply)?);
                    }
                    if store.is_done() {
                        self.reader.pause(&store.partition);
                    }
                }
                ReaderEvent::OutOfRange { partition, position, log_start, log_end } => {
                    let Some(store) = find(&mut self.stores, &partition) else { continue };
                    if store.is_wiped {
                        return Err(twice(store, position, log_start));
                    }
                    // A copy of what another one writes holds what there is, whatever that is.
                    let is_copy = store.end == Offset(i64::MAX) && position > log_end;
                    if !store.may_expire && !is_copy && position > Offset(0) {
                        let why = format!("offset {position} is to be read, but it holds {log_start} to {log_end}");
                        return Err(of_store(of_partition(lost(&why), &partition), store.task, &store.name));
                    }
                    tracing::warn!(
                        store = %store.name, task = %store.task, changelog = %partition, %position, %log_start,
                        "the changelog does not hold the offset to restore from; restoring from its start"
                    );
                    apply(store, Work::Wipe)?;
                    store.is_wiped = true;
                    store.waiting.clear();
                    (store.next, store.leader_epoch) = (log_start, -1);
                    store.position.clear();
                    assign(&mut *self.reader, &self.stores);
                }
                ReaderEvent::Gone { partition } => {
                    let message = "the changelog topic was deleted, or deleted and created again, while it was read";
                    return Err(of_partition(Error::new(ErrorKind::Fatal, message), &partition));
                }
                ReaderEvent::Failed(failure) => return Err(failed(failure)),
            }
        }
        self.events = events;
        self.tell_ends()?;
        Ok(restored)
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        self.tell_suspended(self.stores.iter());
    }
}

impl Restore {
    /// A changelog that cannot be read to its end is held up by a transaction that does not end.
    fn report_silence(&mut self, now: Now, has_come: bool) {
        let heard_ns = *self.heard_ns.get_or_insert(now.mono_ns);
        if has_come {
            self.heard_ns = Some(now.mono_ns);
        } else if now.mono_ns.saturating_sub(heard_ns) > QUIET_NS_MAX {
            self.heard_ns = Some(now.mono_ns);
            // A copy has no end; its changelog may be quiet for as long as it likes.
            for store in self.stores.iter().filter(|store| !store.is_done() && store.end != Offset(i64::MAX)) {
                tracing::warn!(
                    changelog = %store.partition, position = %store.next, end = %store.end, task = %store.task,
                    "restoring waits: a transaction of an earlier owner is open on the changelog and has not ended yet"
                );
            }
        }
    }
}

/// What is to be done with a store.
pub(crate) enum Work<'a> {
    /// Delete its content.
    Wipe,
    /// Take these records.
    Records(&'a [RestoreRecord<'a>], &'a CommitMark),
}

fn assign(reader: &mut dyn Reader, stores: &[StoreRestore]) {
    let open = stores.iter().filter(|store| !store.is_done());
    let positions: Vec<_> = open.map(|store| (store.partition.clone(), store.read_position())).collect();
    reader.assign(&positions);
}

fn find<'a>(stores: &'a mut [StoreRestore], partition: &TopicPartition) -> Option<&'a mut StoreRestore> {
    stores.iter_mut().find(|store| store.partition == *partition && !store.is_done())
}

/// Puts what was read of one changelog into its store, up to the end.
fn take(
    store: &mut StoreRestore,
    ear: &RestoreEar,
    now: Now,
    apply: &mut dyn FnMut(&StoreRestore, Work<'_>) -> Result<()>,
) -> Result<u64> {
    let end = store.end;
    let mut raw: Vec<RawRecord> = Vec::new();
    for fetched in std::mem::take(&mut store.waiting) {
        for batch in &fetched.batches {
            let broken = |error| {
                let error = Error::new(ErrorKind::Corrupted, "a batch of the changelog is broken").with_source(error);
                of_partition(error, &fetched.partition)
            };
            let mut records: Records = batch.cursor(fetched.from).map_err(broken)?;
            while let Some(record) = records.next_record().map_err(broken)? {
                // A source topic that serves as changelog is taken up to the committed offset only.
                if record.offset < end && record.key.is_some() {
                    raw.push(record.to_raw());
                }
            }
        }
    }
    if raw.is_empty() {
        return Ok(0);
    }
    let mark = CommitMark {
        changelog_offset: Offset(store.next.0 - 1),
        topic_id: store.topic_id,
        leader_epoch: store.leader_epoch,
        position: store.position.clone(),
        wall_ms: now.wall_ms,
    };
    let records: Vec<RestoreRecord<'_>> = raw.iter().map(restore_record).collect();
    apply(store, Work::Records(&records, &mark))?;
    let count = records.len() as u64;
    store.records += count;
    let last = records.last().map_or(Offset(-1), |record| record.offset);
    ear.tell(|listener| listener.on_batch_restored(&store.partition, &store.name, last, count))?;
    // What follows a deletion stood in the log after all; the log may be cut again later.
    store.is_wiped = false;
    Ok(count)
}

fn restore_record(raw: &RawRecord) -> RestoreRecord<'_> {
    let record = ChangelogRecord {
        key: raw.key.as_deref().unwrap_or_default(),
        value: raw.value.as_deref(),
        timestamp: raw.timestamp,
        headers: &raw.headers,
    };
    RestoreRecord { offset: raw.offset, record }
}

#[cold]
fn twice(store: &StoreRestore, position: Offset, log_start: Offset) -> Error {
    let message = format!(
        "the changelog cannot be read at offset {position} although it was just said to start at {log_start}; the local \
         copy was deleted already, a second try would not end better"
    );
    of_store(of_partition(Error::new(ErrorKind::Fatal, message), &store.partition), store.task, &store.name)
}

pub(super) fn of_partition(error: Error, partition: &TopicPartition) -> Error {
    error.with_context(|context| {
        context.topic = Some(Arc::clone(&partition.topic));
        context.partition = Some(partition.partition);
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_log::batch::{Batch, BatchBuilder, Compression, Stamp};
    use millstream_types::{Headers, Timestamp};

    fn store() -> StoreRestore {
        StoreRestore {
            task: TaskId { subtopology: 0, partition: 0 },
            store: 0,
            name: "counts".into(),
            partition: TopicPartition::new("log", 0),
            topic_id: 1,
            next: Offset(10),
            end: Offset(100),
            leader_epoch: -1,
            waiting: Vec::new(),
            is_wiped: false,
            may_expire: false,
            records: 0,
            log_end: Offset(-1),
            has_ended: false,
            position: Vec::new(),
        }
    }

    /// One batch of about so many bytes.
    fn fetched(from: i64, next: i64, end: i64, bytes: usize) -> Fetched {
        let mut builder = BatchBuilder::new();
        builder.append(Timestamp(1), Some(b"k"), Some(&vec![0; bytes]), &Headers::new());
        let stamp = Stamp { producer_id: -1, producer_epoch: -1, base_sequence: -1, is_transactional: false };
        let (batch, _) = Batch::parse(builder.finish(stamp, Compression::None)).unwrap();
        let partition = TopicPartition::new("log", 0);
        let [from, next, end] = [from, next, end].map(Offset);
        Fetched { partition, batches: vec![batch], from, next, leader_epoch: -1, end, log_start: Offset(0) }
    }

    #[track_caller]
    fn check<const N: usize>(pieces: [Fetched; N], others_bytes: usize, expected: [bool; N]) {
        let mut store = store();
        assert_eq!(pieces.map(|piece| store.add(piece, others_bytes)), expected);
        assert_eq!(store.position(), Offset(10), "nothing is in the store yet");
    }

    #[test]
    fn a_stretch_is_put_into_the_store_when_it_is_large_or_all_there_is() {
        check([fetched(10, 20, 100, 9), fetched(20, 30, 100, 9)], 0, [false, false]);
        check([fetched(10, 20, 100, 9), fetched(20, 100, 100, 9)], 0, [false, true]);
        // Read committed: no more can be seen now.
        check([fetched(10, 20, 20, 9)], 0, [true]);
        // A source that is its own changelog ends where it is processed to.
        check([fetched(10, 120, 500, 9)], 0, [true]);
        check([fetched(10, 20, 100, 3 << 20), fetched(20, 30, 100, 1 << 20)], 0, [false, true]);
        check([fetched(10, 20, 100, 1 << 20)], 15 << 20, [true]);
    }
}
