//! The layers below the typed ones, in bytes: changelog, overlay, values known to be in the
//! engine, engine. Written once for all kinds of stores.

#![expect(clippy::option_option, reason = "no write, a write that deletes and a write that puts are three things")]

mod changelog;
mod clean;
mod entries;
mod map;
mod overlay;
mod peek;
mod recent;
mod retention;
mod rows;
mod segmented;
mod table;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use millstream_types::{Headers, Result, Timestamp};

use crate::key_hash::HashedKey;
use crate::memory_budget::MemoryShare;
use crate::{ChangelogRecord, CommitMark, Engine, RestoreRecord, StoreFacts, StoreFormat, StoreKind};
use crate::{MemoryBudget, headed};
pub(crate) use changelog::ChangelogBuffer;
use clean::CleanRows;
use overlay::Overlay;
use recent::RecentKeys;

pub(crate) use map::{ByteRange, ordered_range};
use retention::{FirstVisible, Stretch};
pub(crate) use retention::{Retention, SESSION_LEN, WINDOW_LEN, key_of, session_key_of, session_of, window_of};
pub(crate) use rows::{Cell, Rows};
pub(crate) use segmented::RowPlace;
use segmented::SegmentedMap;

/// Bytes that a store may hold more than the memory budget knows.
const RECKON_BYTES: usize = 64 * 1024;

/// Bytes of the timestamp in front of a local value.
pub(crate) const TIMESTAMP_LEN: usize = 8;

/// A write on its way down.
pub(crate) struct Write<'a> {
    pub(crate) key: &'a [u8],
    /// Local bytes, in timestamped stores with the timestamp in front; `None` deletes.
    pub(crate) value: Option<&'a [u8]>,
    /// Timestamp of the changelog record.
    pub(crate) timestamp: Timestamp,
    /// Headers of the changelog record.
    pub(crate) headers: &'a Headers,
}

/// A store in bytes.
pub(crate) struct ByteStore {
    facts: StoreFacts,
    retention: Option<Retention>,
    /// The keys of a bounded store.
    recent: Option<RecentKeys>,
    changelog: ChangelogBuffer,
    overlay: Overlay,
    clean: CleanRows,
    engine: Box<dyn Engine>,
    memory: MemoryShare,
    /// Bytes held, above which the memory budget is told.
    reckon_above: usize,
    /// Rows dropped since somebody asked, because their time was over.
    dropped: u64,
    /// Writes that put a row less those that deleted one, since the store was opened.
    pub(crate) put_balance: i64,
}

impl ByteStore {
    pub(crate) fn new(facts: StoreFacts, engine: Box<dyn Engine>, memory: &MemoryBudget) -> Result<Self> {
        let retention = Retention::of(&facts, &*engine)?;
        let recent = recent_keys(&facts, &*engine)?;
        // Whatever is written comes with a mark.
        let segments = retention.as_ref().map(Retention::segments);
        let mut clean = CleanRows::new(segments, engine.mark()?.is_none());
        // A map in memory is its own.
        let memory = memory.share(engine.is_persistent());
        clean.fit(memory.spare_max());
        Ok(Self {
            facts,
            retention,
            recent,
            changelog: ChangelogBuffer::default(),
            overlay: Overlay::new(segments),
            clean,
            engine,
            memory,
            reckon_above: RECKON_BYTES,
            dropped: 0,
            put_balance: 0,
        })
    }

    pub(crate) fn facts(&self) -> &StoreFacts {
        &self.facts
    }

    /// The rules of a window store.
    pub(crate) fn retention_mut(&mut self) -> Option<&mut Retention> {
        self.retention.as_mut()
    }

    pub(crate) fn retention(&self) -> Option<&Retention> {
        self.retention.as_ref()
    }

    /// Lends the value under a key. Rows past their retention are not there.
    pub(crate) fn read<R>(&mut self, key: &[u8], use_value: impl FnOnce(Option<&[u8]>) -> R) -> Result<R> {
        self.find(HashedKey::of(key), |value, _| use_value(value))
    }

    /// The same, with the place for the write that may follow.
    pub(crate) fn find<R>(
        &mut self,
        hashed: HashedKey<'_>,
        use_found: impl FnOnce(Option<&[u8]>, RowPlace) -> R,
    ) -> Result<R> {
        let key = hashed.bytes;
        if self.retention.as_ref().is_some_and(|retention| !retention.is_visible(key)) {
            return Ok(use_found(None, RowPlace::NONE));
        }
        if let Some(recent) = &mut self.recent {
            recent.touch(key);
        }
        if let Some((place, value)) = self.overlay.find(hashed) {
            return Ok(use_found(value, place));
        }
        // The commonest miss of windows is the first look into a new one.
        if self.clean.is_engine_empty() || self.retention.as_ref().is_some_and(|retention| retention.is_unsaved(key)) {
            return Ok(use_found(None, RowPlace::NONE));
        }
        let is_complete = self.clean.is_complete();
        if let Some(value) = self.clean.get(key) {
            return Ok(use_found(value, RowPlace::NONE));
        }
        if is_complete {
            return Ok(use_found(None, RowPlace::NONE));
        }
        let value = self.engine.get(key)?;
        self.clean.put(key, value.as_deref());
        self.reckon_if_grown();
        Ok(use_found(value.as_deref(), RowPlace::NONE))
    }

    /// Tells the memory budget what is held, and forgets rows at hand that have no room.
    fn reckon(&mut self) {
        self.memory.set(self.overlay.held_bytes(), self.clean.bytes());
        self.clean.fit(self.memory.spare_max());
        self.memory.set(self.overlay.held_bytes(), self.clean.bytes());
        self.reckon_above = self.overlay.bytes() + self.clean.bytes() + RECKON_BYTES;
    }

    fn reckon_if_grown(&mut self) {
        if self.overlay.bytes() + self.clean.bytes() > self.reckon_above {
            self.reckon();
        }
    }

    /// What the engine does not hold yet.
    pub(crate) fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// Writes to changelog and overlay. `true` if a window store dropped the row because its time
    /// is over; as in Kafka Streams the changelog gets it all the same.
    pub(crate) fn write(&mut self, write: &Write<'_>) -> bool {
        self.write_at(write, RowPlace::NONE).is_expired()
    }

    /// The same, by the place that the key had when it was last read or written; gives the one that it has now.
    pub(crate) fn write_at(&mut self, write: &Write<'_>, place: RowPlace) -> RowPlace {
        if let Some(evicted) = self.recent.as_mut().and_then(|recent| recent.write(write.key, write.value.is_none())) {
            self.overlay.put(write.key, write.value);
            self.overlay.put(&evicted, None);
            // As in Kafka Streams only a plain store tells its changelog, and before the write itself.
            if self.facts.is_logged && self.facts.kind == StoreKind::KeyValue {
                self.changelog.push(&evicted, None, write.timestamp, &Headers::new());
            }
            self.log(write);
            return RowPlace::NONE;
        }
        self.log(write);
        if let Some(retention) = &mut self.retention
            && !retention.take(write.key)
        {
            self.dropped += 1;
            return RowPlace::EXPIRED;
        }
        if let Some(retention) = &self.retention {
            self.overlay.forget_open_before(retention.kept_from());
        }
        self.put_balance += if write.value.is_some() { 1 } else { -1 };
        let place = self.overlay.put_at(place, write.key, write.value);
        self.reckon_if_grown();
        place
    }

    /// Deletes a row of a session store. Unlike a write that deletes it never counts as dropped,
    /// and in memory it leaves the store's time alone, as in Kafka Streams.
    pub(crate) fn remove(&mut self, write: &Write<'_>) {
        self.log(write);
        if let Some(retention) = self.retention.as_mut().filter(|retention| !retention.is_exact()) {
            retention.note(write.key);
        }
        self.overlay.put(write.key, None);
    }

    /// Writes to the changelog alone.
    pub(crate) fn log(&mut self, write: &Write<'_>) {
        if self.facts.is_logged {
            let logged = write.value.map(|value| value.get(self.value_at(value)..).unwrap_or_default());
            self.changelog.push(write.key, logged, write.timestamp, write.headers);
        }
    }

    /// Where, in a local value, the part begins that its changelog record has as value.
    fn value_at(&self, local: &[u8]) -> usize {
        let time_len = self.time_len();
        match self.facts.format {
            StoreFormat::Plain | StoreFormat::Timestamped => time_len,
            StoreFormat::Headers => time_len + headed::block_len(local.get(time_len..).unwrap_or_default()),
        }
    }

    /// Length of the timestamp that a local value begins with.
    fn time_len(&self) -> usize {
        let is_timed = self.facts.format != StoreFormat::Plain && !self.facts.kind.has_sessions();
        if is_timed { TIMESTAMP_LEN } else { 0 }
    }

    /// How many rows there are, where that needs no scan. A bounded store knows its keys. Where an
    /// engine in memory stands for one on disk, in the test driver, it is `RocksDB`'s guess: what was
    /// put, overwritten rows too, less what was deleted.
    pub(crate) fn known_len(&self) -> Option<u64> {
        if let Some(recent) = &self.recent {
            return Some(recent.len() as u64);
        }
        let is_stand_in = self.facts.is_persistent && !self.engine.is_persistent();
        is_stand_in.then(|| u64::try_from(self.put_balance).unwrap_or(0))
    }

    /// Writes a row to the overlay alone, for stores whose rows are not their changelog's.
    pub(crate) fn put_row(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.overlay.put(key, value);
        self.reckon_if_grown();
    }

    /// Counts a write that came too late.
    pub(crate) fn count_dropped(&mut self) {
        self.dropped += 1;
    }

    /// Logs the deletion of a row that a store which keeps duplicates cannot have. In memory it
    /// moves the store's time as a row would; `true` if it came too late.
    pub(crate) fn log_null(&mut self, write: &Write<'_>) -> bool {
        self.log(write);
        let retention = self.retention.as_mut().filter(|retention| retention.is_exact());
        let is_expired = retention.is_some_and(|retention| !retention.take(write.key));
        self.dropped += u64::from(is_expired);
        is_expired
    }

    /// Rows dropped since the last call.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    /// The rows of a range: a snapshot of overlay and engine.
    pub(crate) fn rows<V>(&mut self, range: &ByteRange, is_reverse: bool) -> Result<Rows<V>> {
        let first_visible = self.retention.as_ref().and_then(Retention::first_visible);
        self.rows_from(range, is_reverse, first_visible)
    }

    /// As [`Self::rows`], with those that are past their retention and still kept.
    pub(crate) fn kept_rows<V>(&mut self, range: &ByteRange) -> Result<Rows<V>> {
        let first_visible = self.retention.as_ref().and_then(Retention::first_kept_visible);
        self.rows_from(range, false, first_visible)
    }

    fn rows_from<V>(
        &mut self,
        range: &ByteRange,
        is_reverse: bool,
        first_visible: Option<FirstVisible>,
    ) -> Result<Rows<V>> {
        if self.overlay.note_scan() && self.clean.is_complete() {
            self.clean.make_ordered();
        }
        let mut writes = BTreeMap::new();
        let is_at_hand = self.clean.each_in(range, |key, value| {
            writes.insert(key.to_vec(), value.map(<[u8]>::to_vec));
        });
        self.overlay.collect(range, &mut writes);
        if is_at_hand || self.clean.is_engine_empty() {
            return Ok(Rows::new(writes, Box::new(std::iter::empty()), is_reverse, first_visible));
        }
        self.rows_over(writes, range, is_reverse, first_visible)
    }

    fn rows_over<V>(
        &self,
        writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
        range: &ByteRange,
        is_reverse: bool,
        first_visible: Option<FirstVisible>,
    ) -> Result<Rows<V>> {
        let engine = if range.is_empty() {
            Box::new(std::iter::empty())
        } else {
            self.engine.scan(range.from.as_deref(), range.to.as_deref(), is_reverse)?
        };
        Ok(Rows::new(writes, engine, is_reverse, first_visible))
    }

    pub(crate) fn drain_changelog(&mut self, sink: &mut dyn FnMut(ChangelogRecord<'_>) -> Result<()>) -> Result<()> {
        self.changelog.drain(sink)
    }

    pub(crate) fn uncommitted_bytes(&self) -> usize {
        self.overlay.bytes()
    }

    pub(crate) fn seal(&mut self) {
        if let Some(retention) = &mut self.retention
            && let Some((key, value)) = retention.unsaved()
        {
            self.overlay.put(key, Some(&value));
        }
        self.overlay.seal();
    }

    /// Writes what is sealed to the engine. Rows that are past their retention by then never get there; those
    /// that the engine has go.
    pub(crate) fn apply(&mut self, mark: &CommitMark) -> Result<()> {
        let (mut scanned, mut is_swept) = (Stretch::default(), false);
        if let Some(retention) = &self.retention {
            self.overlay.forget_sealed_before(retention.saved_from());
            if retention.is_engine_dead() && self.facts.is_logged {
                // A crash before the next batch leaves a store that is restored from its changelog.
                self.engine.wipe()?;
                self.clean.clear();
            }
            is_swept = self.clean.is_complete();
            if !is_swept {
                let write_count = self.overlay.sealed().map_or(0, SegmentedMap::len);
                scanned = retention.sweep(&*self.engine, write_count)?;
            }
        }
        let retention = self.retention.as_ref();
        let is_dead = |key: &[u8]| retention.is_some_and(|retention| retention.is_dead(key));
        let mut writes: Vec<_> = self.overlay.sealed().into_iter().flat_map(SegmentedMap::iter).collect();
        // All of these are dead: none is among the writes.
        writes.extend(scanned.expired.iter().map(|key| (&**key, None)));
        let sweeps = retention.is_some_and(Retention::has_dead_rows) && is_swept;
        if sweeps {
            writes.extend(self.clean.iter().filter(|(key, _)| is_dead(key)).map(|(key, _)| (key, None)));
        }
        self.engine.apply(&mut map::sort(writes).into_iter(), mark)?;
        if let Some(retention) = retention {
            self.clean.forget_before(retention.saved_from());
        }
        scanned.expired.iter().for_each(|key| self.clean.remove(key));
        if let Some(retention) = &mut self.retention {
            retention.applied(if is_swept { None } else { Some(scanned) });
        }
        if let Some(sealed) = self.overlay.take_sealed() {
            self.remember(sealed);
        }
        self.reckon();
        Ok(())
    }

    /// Keeps at hand what the engine has taken.
    fn remember(&mut self, taken: SegmentedMap) {
        // What the budget does not know yet is no more than what these rows had before.
        self.reckon();
        self.clean.put_all(taken);
    }

    pub(crate) fn mark(&self) -> Result<Option<CommitMark>> {
        self.engine.mark()
    }

    /// Changelog records become local rows: the last write of each key, sorted, in one batch.
    pub(crate) fn restore(&mut self, records: &[RestoreRecord<'_>], mark: &CommitMark) -> Result<()> {
        if let Some(retention) = &mut self.retention {
            for record in records {
                retention.note(record.record.key);
            }
        }
        let mut last: HashMap<&[u8], ChangelogRecord<'_>, _> =
            HashMap::with_capacity_and_hasher(records.len(), foldhash::fast::RandomState::default());
        for record in records {
            last.insert(record.record.key, record.record);
        }
        let retention = self.retention.as_ref();
        let mut last: Vec<ChangelogRecord<'_>> = last.into_values().collect();
        last.retain(|record| retention.is_none_or(|retention| retention.is_kept(record.key)));
        last.sort_unstable_by_key(|record| record.key);
        let mut rows: Vec<(&[u8], Option<Vec<u8>>)> =
            last.iter().map(|record| (record.key, self.local_value(record))).collect();
        let evicted = self.evicted_by(records);
        if let Some(recent) = &self.recent {
            rows.iter_mut().filter(|(key, _)| !recent.contains(key)).for_each(|(_, value)| *value = None);
            rows.extend(evicted.iter().filter(|key| !recent.contains(key)).map(|key| (&**key, None)));
            rows.sort_by_key(|(key, _)| *key);
            rows.dedup_by_key(|(key, _)| *key);
        }
        let state = self.retention.as_mut().and_then(Retention::unsaved);
        let state = state.iter().map(|(key, value)| (*key, Some(&value[..])));
        let writes = rows.iter().map(|(key, value)| (*key, value.as_deref()));
        // The row of the retention has the empty key and so comes first.
        self.engine.apply(&mut state.chain(writes), mark)?;
        if let Some(retention) = &mut self.retention {
            retention.restored();
        }
        for (key, value) in &rows {
            self.clean.put_loaded(key, value.as_deref());
        }
        self.reckon();
        Ok(())
    }

    /// The keys that a bounded store forgets while it takes these records in.
    fn evicted_by(&mut self, records: &[RestoreRecord<'_>]) -> Vec<Arc<[u8]>> {
        let Some(recent) = &mut self.recent else { return Vec::new() };
        records.iter().filter_map(|record| recent.write(record.record.key, record.record.value.is_none())).collect()
    }

    fn local_value(&self, record: &ChangelogRecord<'_>) -> Option<Vec<u8>> {
        let value = record.value?;
        let mut local = Vec::with_capacity(TIMESTAMP_LEN + 1 + value.len());
        if self.time_len() > 0 {
            local.extend_from_slice(&record.timestamp.0.to_be_bytes());
        }
        if self.facts.format == StoreFormat::Headers {
            headed::put_block(record.headers, &mut local);
        }
        local.extend_from_slice(value);
        Some(local)
    }

    pub(crate) fn wipe(&mut self) -> Result<()> {
        self.changelog.clear();
        self.overlay.clear();
        self.put_balance = 0;
        self.clean.clear();
        self.engine.wipe()?;
        self.retention = Retention::of(&self.facts, &*self.engine)?;
        self.recent = recent_keys(&self.facts, &*self.engine)?;
        Ok(())
    }
}

/// The keys of a bounded store; what its engine holds already counts as used in key order.
fn recent_keys(facts: &StoreFacts, engine: &dyn Engine) -> Result<Option<RecentKeys>> {
    let Some(entries_max) = facts.entries_max else { return Ok(None) };
    let mut recent = RecentKeys::new(entries_max);
    for row in engine.scan(None, None, false)? {
        recent.write(&row?.0, false);
    }
    Ok(Some(recent))
}
