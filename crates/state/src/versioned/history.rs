//! The versions of each key over a byte store.
//!
//! ```text
//! newest value   ff*8           | key    from (8) | value
//! old values     segment id (8) | key    see segment.rs
//! store time     (empty key)             time (8)
//! ```
//!
//! The rules are Kafka Streams' (`RocksDBVersionedStore`). An old value lies in the segment of the
//! time at which it ended, so that a search may begin at the segment of the time asked for, and a
//! whole segment is over once its time is. A deletion is the end of the value before it; where
//! there is none it is a segment's empty row. Hence a deletion at the very time of a first value
//! leaves nothing behind, there as here.

use millstream_types::{Error, ErrorKind, Result, Timestamp};

use super::PutReturn;
use super::segment::{Segment, Version};
use crate::bytes::{ByteRange, ByteStore};
use crate::query::ReadView;

/// Prefix of the newest values: after all segments, whose ids are not negative.
const NEWEST: i64 = -1;

/// Bytes of a segment id, and of a newest value's time.
const ID_LEN: usize = 8;

/// Key of the row that holds the store's time.
const TIME_KEY: &[u8] = &[];

/// Rows of dead segments that one commit removes.
const SWEEP_ROWS: usize = 1024;

/// A store's versions.
pub(crate) struct History {
    pub(super) below: ByteStore,
    history_ms: i64,
    segment_ms: i64,
    /// The newest time put into the store; -1 before the first.
    time: i64,
    saved_time: i64,
    swept_before: i64,
    row_key: Vec<u8>,
    /// What reads see.
    pub(crate) view: ReadView,
}

/// A version with its value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) value: Vec<u8>,
    pub(super) from: i64,
    pub(super) to: Option<i64>,
}

impl History {
    pub(super) fn new(below: ByteStore) -> Result<Self> {
        let facts = below.facts();
        let (history_ms, segment_ms) = (facts.history_ms.unwrap_or(0), facts.segment_ms.unwrap_or(1).max(1));
        let mut history = Self {
            below,
            history_ms,
            segment_ms,
            time: -1,
            saved_time: -1,
            swept_before: 0,
            row_key: Vec::new(),
            view: ReadView::Latest,
        };
        history.read_time()?;
        Ok(history)
    }

    fn read_time(&mut self) -> Result<()> {
        let time = self.below.read(TIME_KEY, |row| row.map(|row| row.first_chunk().copied()))?;
        self.time = match time {
            None => -1,
            Some(Some(time)) => i64::from_be_bytes(time),
            Some(None) => return Err(self.corrupted()),
        };
        self.saved_time = self.time;
        Ok(())
    }

    /// Whether a version of that time comes too late to be taken.
    pub(super) fn is_expired(&self, timestamp: i64) -> bool {
        timestamp < self.time.saturating_sub(self.history_ms)
    }

    /// Writes a version; the changelog is not touched.
    pub(super) fn put(&mut self, key: &[u8], value: Option<&[u8]>, timestamp: i64) -> Result<PutReturn> {
        if self.is_expired(timestamp) {
            return Ok(PutReturn::NotPut);
        }
        self.time = self.time.max(timestamp);
        let newest = self.newest(key)?;
        let mut next = newest.as_ref().map(|newest| newest.from);
        if let Some(newest) = newest.filter(|newest| timestamp >= newest.from) {
            if timestamp > newest.from {
                self.end(key, newest.from, timestamp, Some(&newest.value))?;
            }
            self.set_newest(key, value, timestamp);
            return Ok(PutReturn::Latest);
        }
        for id in (self.segment_of(timestamp)..=self.segment_of(self.time)).rev() {
            let Some(row) = self.segment(id, key)? else { continue };
            let segment = self.parsed(&row)?;
            if segment.next() <= timestamp {
                break;
            }
            if let Some(found) = segment.find(timestamp) {
                return self.put_into(id, key, (segment, found), value, timestamp);
            }
            next = Some(segment.first());
        }
        let Some(next) = next else {
            return self.put_newest(key, value, timestamp);
        };
        let id = self.segment_of(next);
        let row = match self.segment(id, key)? {
            None => Segment::with_one(timestamp, next, value),
            Some(row) => {
                let segment = self.parsed(&row)?;
                if segment.next() <= timestamp {
                    segment.with_newest(timestamp, next, value)
                } else {
                    segment.with_oldest(timestamp, value)
                }
            }
        };
        self.set_segment(id, key, &row);
        Ok(PutReturn::Until(Timestamp(next)))
    }

    /// Writes a version between others of a segment.
    fn put_into(
        &mut self,
        id: i64,
        key: &[u8],
        (segment, found): (Segment<'_>, Version<'_>),
        value: Option<&[u8]>,
        timestamp: i64,
    ) -> Result<PutReturn> {
        let row = if found.from == timestamp {
            segment.with_instead(&found, timestamp, value)
        } else if self.segment_of(timestamp) == id {
            segment.with_above(&found, timestamp, value)
        } else {
            // The value before now ends in an older segment.
            self.end(key, found.from, timestamp, found.value)?;
            segment.with_instead(&found, timestamp, value)
        };
        self.set_segment(id, key, &row);
        Ok(PutReturn::Until(Timestamp(found.to)))
    }

    /// Writes a version that no known one follows.
    fn put_newest(&mut self, key: &[u8], value: Option<&[u8]>, timestamp: i64) -> Result<PutReturn> {
        if value.is_some() {
            self.set_newest(key, value, timestamp);
            return Ok(PutReturn::Latest);
        }
        let id = self.segment_of(timestamp);
        let row = match self.segment(id, key)? {
            None => Segment::with_one(timestamp, timestamp, None),
            Some(row) => {
                let segment = self.parsed(&row)?;
                let next = segment.next();
                if next == timestamp {
                    return Ok(PutReturn::Latest);
                }
                segment.with_newest(next, timestamp, None)
            }
        };
        self.set_segment(id, key, &row);
        Ok(PutReturn::Latest)
    }

    /// A value ended: it goes into the segment of that time.
    fn end(&mut self, key: &[u8], from: i64, to: i64, value: Option<&[u8]>) -> Result<()> {
        let id = self.segment_of(to);
        let row = match self.segment(id, key)? {
            None => Segment::with_one(from, to, value),
            Some(row) => self.parsed(&row)?.with_newest(from, to, value),
        };
        self.set_segment(id, key, &row);
        Ok(())
    }

    /// The newest value.
    pub(super) fn newest(&mut self, key: &[u8]) -> Result<Option<Found>> {
        self.point_at(NEWEST, key);
        let row = self.read_row(|row| row.map(newest_of))?;
        row.map(|row| row.ok_or_else(|| self.corrupted())).transpose()
    }

    /// The value valid at a time. Before the history, only the newest value is known.
    pub(super) fn as_of(&mut self, key: &[u8], time: i64) -> Result<Option<Found>> {
        let newest = self.newest(key)?.filter(|newest| newest.from <= time);
        if newest.is_some() || self.is_expired(time) {
            return Ok(newest);
        }
        for id in (self.segment_of(time)..=self.segment_of(self.time)).rev() {
            let Some(row) = self.segment(id, key)? else { continue };
            let segment = self.parsed(&row)?;
            if segment.next() <= time {
                return Ok(None);
            }
            if let Some(found) = segment.find(time) {
                let Version { from, to, .. } = found;
                return Ok(found.value.map(|value| Found { value: value.to_vec(), from, to: Some(to) }));
            }
        }
        Ok(None)
    }

    /// The values that were valid at some time from `from` to `to`, newest first. Before the history,
    /// only the newest value is known.
    pub(super) fn between(&mut self, key: &[u8], from: i64, to: i64) -> Result<Vec<Found>> {
        let mut found: Vec<Found> = self.newest(key)?.into_iter().filter(|newest| newest.from <= to).collect();
        if self.is_expired(to) || from > to {
            return Ok(found);
        }
        for id in (self.segment_of(from)..=self.segment_of(self.time)).rev() {
            let Some(row) = self.segment(id, key)? else { continue };
            let valid = self.parsed(&row)?.versions().filter(|version| version.from <= to && version.to > from);
            found.extend(valid.filter_map(|Version { from, to, value, .. }| {
                Some(Found { value: value?.to_vec(), from, to: Some(to) })
            }));
        }
        Ok(found)
    }

    /// The newest values of all keys, by key bytes.
    pub(super) fn all(&mut self) -> Result<impl Iterator<Item = Result<(Vec<u8>, Found)>> + Send + use<>> {
        let rows = self.below.rows::<()>(&ByteRange::prefix(&NEWEST.to_be_bytes()), false)?;
        let corrupted = self.corrupted();
        Ok(rows.filter_map(move |row| {
            let (key, cell) = match row {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            };
            let key = key.get(ID_LEN..)?.to_vec();
            let found = cell.bytes().and_then(|bytes| newest_of(&bytes));
            Some(found.map(|found| (key, found)).ok_or_else(|| corrupted.clone()))
        }))
    }

    /// Before a commit: notes the store's time.
    pub(super) fn seal(&mut self) {
        if self.saved_time != self.time {
            self.below.put_row(TIME_KEY, Some(&self.time.to_be_bytes()));
            self.saved_time = self.time;
        }
        self.below.seal();
    }

    /// After a commit: removes rows whose segment is over, some at a time, with the next one.
    pub(super) fn sweep(&mut self) -> Result<()> {
        let first_live = self.segment_of(self.time.saturating_sub(self.history_ms));
        if first_live <= self.swept_before {
            return Ok(());
        }
        let dead = ByteRange {
            from: Some(self.swept_before.to_be_bytes().to_vec()),
            to: Some(first_live.to_be_bytes().to_vec()),
        };
        let mut rows = self.below.rows::<()>(&dead, false)?;
        for _ in 0..SWEEP_ROWS {
            let Some(row) = rows.next() else {
                self.swept_before = first_live;
                return Ok(());
            };
            self.below.put_row(&row?.0, None);
        }
        Ok(())
    }

    pub(super) fn wipe(&mut self) -> Result<()> {
        self.below.wipe()?;
        self.swept_before = 0;
        self.read_time()
    }

    fn segment_of(&self, time: i64) -> i64 {
        // No segment is older than the epoch.
        time.max(0) / self.segment_ms
    }

    fn point_at(&mut self, id: i64, key: &[u8]) {
        self.row_key.clear();
        self.row_key.extend_from_slice(&id.to_be_bytes());
        self.row_key.extend_from_slice(key);
    }

    fn segment(&mut self, id: i64, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.point_at(id, key);
        self.read_row(|row| row.map(<[u8]>::to_vec))
    }

    /// Lends the row that [`point_at`](Self::point_at) was told.
    fn read_row<T>(&mut self, use_row: impl FnOnce(Option<&[u8]>) -> T) -> Result<T> {
        match self.view {
            ReadView::Committed => self.below.peek(&self.row_key, self.view, use_row),
            ReadView::Latest | ReadView::SkipCache => self.below.read(&self.row_key, use_row),
        }
    }

    fn set_segment(&mut self, id: i64, key: &[u8], row: &[u8]) {
        self.point_at(id, key);
        self.below.put_row(&self.row_key, Some(row));
    }

    fn set_newest(&mut self, key: &[u8], value: Option<&[u8]>, timestamp: i64) {
        self.point_at(NEWEST, key);
        let row = value.map(|value| [&timestamp.to_be_bytes()[..], value].concat());
        self.below.put_row(&self.row_key, row.as_deref());
    }

    fn parsed<'a>(&self, row: &'a [u8]) -> Result<Segment<'a>> {
        Segment::of(row).ok_or_else(|| self.corrupted())
    }

    #[cold]
    fn corrupted(&self) -> Error {
        let message = "a row of the versioned store cannot be read; delete the state directory, it will be rebuilt from the changelog";
        let name = self.below.facts().name.clone();
        Error::new(ErrorKind::Corrupted, message).with_context(|context| context.store = Some(name))
    }
}

fn newest_of(row: &[u8]) -> Option<Found> {
    let (from, value) = row.split_first_chunk::<ID_LEN>()?;
    Some(Found { value: value.to_vec(), from: i64::from_be_bytes(*from), to: None })
}
