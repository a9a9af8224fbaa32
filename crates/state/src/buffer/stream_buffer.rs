//! The buffer of a stream-table join with grace: records in order of time until stream time has
//! passed them by the grace period.
//!
//! ```text
//! row key   0 (1) | timestamp (8) | key | sequence number (4)
//! row       value (see value.rs) | 0 (8)
//! ```
//!
//! The changelog has the same bytes, as Kafka Streams' has.

use std::sync::Arc;

use millstream_types::{Headers, Result, Serde};

use super::serdes::BufferSerdes;
use super::value::{BufferValue, Reader};
use super::{Released, WALL_CLOCK};
use crate::bytes::{ByteRange, ByteStore, Cell, Write};
use crate::{ChangelogRecord, CommitMark, Origin, RestoreRecord, StateStore, StoreEnv, StoreFacts};

const PREFIX: u8 = 0;
/// Bytes around the key: prefix and timestamp before it, sequence number behind it.
const BEFORE_KEY: usize = 9;
const SEQUENCE_LEN: usize = 4;

/// Records of a stream that wait, every one of them, ordered by time, then key bytes, then arrival:
/// Kafka Streams' `RocksDBTimeOrderedKeyValueBuffer`. Each record costs one changelog record when
/// it comes and a tombstone when it goes.
pub struct StreamBuffer<K, V> {
    serdes: BufferSerdes<K, V>,
    below: ByteStore,
    summary: Option<Summary>,
    origin: Origin,
    row_key: Vec<u8>,
    row: Vec<u8>,
    scratch: Vec<u8>,
}

/// A record of a [`StreamBuffer`] whose grace is over.
pub struct Due<K, V> {
    row_key: Vec<u8>,
    released: Released<K, V>,
}

/// What is known of the rows without reading them.
#[derive(Clone, Copy, Debug)]
struct Summary {
    record_count: u64,
    /// No record held is older.
    first_time: i64,
    /// Largest time of a record that was held; -1 before the first.
    stream_time: i64,
    sequence: u32,
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> StreamBuffer<K, V> {
    /// A buffer over an opened engine.
    pub(crate) fn new(facts: StoreFacts, env: StoreEnv, keys: Serde<K>, values: Serde<V>) -> Result<Self> {
        Ok(Self {
            serdes: BufferSerdes { keys, values, store: Arc::clone(&facts.name) },
            below: ByteStore::new(facts, env.engine, &env.memory)?,
            summary: None,
            origin: Origin::NONE,
            row_key: Vec::new(),
            row: Vec::new(),
            scratch: Vec::new(),
        })
    }

    /// Holds the record being processed; `false` if it is late: more than `grace_ms` behind the
    /// newest record that was held.
    pub fn put(&mut self, key: &K, value: &V, headers: &Headers, grace_ms: i64) -> Result<bool> {
        let time = self.origin.timestamp.0;
        let mut summary = self.summary()?;
        if summary.stream_time.saturating_sub(grace_ms) > time {
            return Ok(false);
        }
        // Java's counter starts at 1 and stays positive.
        summary.sequence = summary.sequence.wrapping_add(1) & 0x7fff_ffff;
        self.row_key.clear();
        self.row_key.push(PREFIX);
        self.row_key.extend_from_slice(&time.to_be_bytes());
        self.serdes.encode_key(key, &mut self.row_key)?;
        self.row_key.extend_from_slice(&summary.sequence.to_be_bytes());
        let value = self.serdes.encode(Some(value), &mut self.scratch)?;
        self.row.clear();
        BufferValue::new((self.origin.clone(), headers.clone()), None, None, value).encode(&mut self.row);
        self.row.extend_from_slice(&[0; 8]);
        let headers = &Headers::new();
        let write = Write { key: &self.row_key, value: Some(&self.row), timestamp: WALL_CLOCK, headers };
        self.below.write(&write);
        summary.record_count += 1;
        summary.first_time = summary.first_time.min(time);
        summary.stream_time = summary.stream_time.max(time);
        self.summary = Some(summary);
        Ok(true)
    }

    /// The records whose grace is over: stream time, of the records held so far, is at least their
    /// time plus `grace_ms`. They stay until they are [removed](Self::remove).
    pub fn due(&mut self, grace_ms: i64) -> Result<Vec<Due<K, V>>> {
        let mut summary = self.summary()?;
        let last = summary.stream_time.saturating_sub(grace_ms);
        if last < summary.first_time {
            return Ok(Vec::new());
        }
        let to = last.checked_add(1).map(row_start);
        let range = ByteRange { from: Some(row_start(0)), to };
        let mut due = Vec::new();
        for row in self.below.rows::<V>(&range, false)? {
            let (row_key, Cell::Bytes(row)) = row? else { continue };
            let released = self.released(&row_key, &row)?;
            due.push(Due { row_key, released });
        }
        if due.is_empty() {
            summary.first_time = last.saturating_add(1);
            self.summary = Some(summary);
        }
        Ok(due)
    }

    /// Lets a record go, which comes back as [`due`](Self::due) gave it.
    pub fn remove(&mut self, due: Due<K, V>) -> Result<Released<K, V>> {
        let mut summary = self.summary()?;
        summary.record_count = summary.record_count.saturating_sub(1);
        self.summary = Some(summary);
        let headers = &Headers::new();
        self.below.write(&Write { key: &due.row_key, value: None, timestamp: WALL_CLOCK, headers });
        Ok(due.released)
    }

    /// Records held.
    pub fn record_count(&mut self) -> Result<u64> {
        Ok(self.summary()?.record_count)
    }

    fn released(&self, row_key: &[u8], row: &[u8]) -> Result<Released<K, V>> {
        let key_end = row_key.len().saturating_sub(SEQUENCE_LEN);
        let parts = row_key.get(BEFORE_KEY..key_end).zip(BufferValue::decode(&mut Reader(row)));
        let (key, held) = parts.ok_or_else(|| self.serdes.unreadable())?;
        let value = self.serdes.value(held.new.as_deref())?.ok_or_else(|| self.serdes.unreadable())?;
        Ok(Released { key: self.serdes.key(key)?, value, origin: held.origin, headers: held.headers })
    }

    /// What is known of the rows; reads them all once after an open or a restore.
    fn summary(&mut self) -> Result<Summary> {
        if let Some(summary) = self.summary {
            return Ok(summary);
        }
        let mut summary = Summary { record_count: 0, first_time: i64::MAX, stream_time: -1, sequence: 0 };
        for row in self.below.rows::<V>(&ByteRange::all(), false)? {
            let (row_key, _) = row?;
            let time = row_key.get(1..).and_then(|rest| rest.first_chunk()).map(|time| i64::from_be_bytes(*time));
            let sequence = row_key.last_chunk().map(|sequence| u32::from_be_bytes(*sequence));
            let (time, sequence) = time.zip(sequence).ok_or_else(|| self.serdes.unreadable())?;
            summary.record_count += 1;
            summary.first_time = summary.first_time.min(time);
            summary.stream_time = summary.stream_time.max(time);
            summary.sequence = summary.sequence.max(sequence);
        }
        self.summary = Some(summary);
        Ok(summary)
    }
}

/// First bytes of the rows of a time.
fn row_start(time: i64) -> Vec<u8> {
    [&[PREFIX][..], &time.to_be_bytes()].concat()
}

impl<K: Clone + Send + 'static, V: Clone + Send + 'static> StateStore for StreamBuffer<K, V> {
    fn facts(&self) -> &StoreFacts {
        self.below.facts()
    }

    fn enter(&mut self, origin: &Origin, _: &Headers) {
        self.origin.set(origin);
    }

    fn flush_cache(&mut self) -> Result<()> {
        Ok(())
    }

    fn drain_changelog(&mut self, sink: &mut dyn FnMut(ChangelogRecord<'_>) -> Result<()>) -> Result<()> {
        self.below.drain_changelog(sink)
    }

    fn row_count(&mut self) -> Result<u64> {
        self.record_count()
    }

    fn uncommitted_bytes(&self) -> usize {
        self.below.uncommitted_bytes()
    }

    fn seal(&mut self) {
        self.below.seal();
    }

    fn apply(&mut self, mark: &CommitMark) -> Result<()> {
        self.below.apply(mark)
    }

    fn mark(&self) -> Result<Option<CommitMark>> {
        self.below.mark()
    }

    fn restore(&mut self, records: &[RestoreRecord<'_>], mark: &CommitMark) -> Result<()> {
        self.summary = None;
        self.below.restore(records, mark)
    }

    fn wipe(&mut self) -> Result<()> {
        self.summary = None;
        self.below.wipe()
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn std::any::Any {
        self
    }
}
