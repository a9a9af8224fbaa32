//! Rows that were written through and wait to be forwarded.

use std::sync::Arc;

use millstream_types::{Headers, Offset, Partition, RawRecord, Timestamp};

use crate::Origin;
use crate::record_cache::LeavingRow;
use crate::store::is_same;

/// Rows in the order in which they were written; their memory is used again and again.
///
/// A row is written here part by part and read when all rows are written. Were it moved as a whole at once, the
/// processor would wait until all has reached memory that was written before it, to rows far away.
pub(super) struct FlushedRows<V> {
    /// Those from `len` on are of no use.
    rows: Vec<FlushedRow<V>>,
    len: usize,
    /// Keys, end to end.
    keys: Vec<u8>,
    /// Topics that the rows came from, without those that are the same as the one before: nearly always one.
    topics: Vec<Option<Arc<str>>>,
    next_row: usize,
    next_key: usize,
}

/// A row but for its key and topic.
pub(super) struct FlushedRow<V> {
    pub(super) new: Option<V>,
    pub(super) old: Option<V>,
    /// Timestamp of the new value; of a deletion, that of the record that caused it.
    pub(super) timestamp: Timestamp,
    pub(super) headers: Headers,
    key_len: usize,
    topic: usize,
    partition: Partition,
    offset: Offset,
    origin_timestamp: Timestamp,
    raw: Option<Arc<RawRecord>>,
}

impl<V> FlushedRow<V> {
    const NONE: Self = Self {
        new: None,
        old: None,
        timestamp: Timestamp::UNKNOWN,
        headers: Headers::new(),
        key_len: 0,
        topic: 0,
        partition: Partition(-1),
        offset: Offset(-1),
        origin_timestamp: Timestamp::UNKNOWN,
        raw: None,
    };
}

impl<V> Default for FlushedRows<V> {
    fn default() -> Self {
        Self { rows: Vec::new(), len: 0, keys: Vec::new(), topics: Vec::new(), next_row: 0, next_key: 0 }
    }
}

impl<V: Clone> FlushedRows<V> {
    /// How many rows wait.
    pub(super) fn len(&self) -> usize {
        self.len - self.next_row
    }

    /// Adds a row; those that were [given](Self::next) are forgotten if none waits.
    pub(super) fn push(&mut self, leaving: &LeavingRow<'_, V>, old: Option<V>) {
        if self.len() == 0 {
            self.keys.clear();
            self.topics.drain(..self.topics.len().saturating_sub(1));
            (self.len, self.next_row, self.next_key) = (0, 0, 0);
        }
        self.note_topic(leaving.origin_topic);
        self.keys.extend_from_slice(leaving.key_bytes);
        if self.rows.len() == self.len {
            self.rows.push(FlushedRow::NONE);
        }
        let Some(row) = self.rows.get_mut(self.len) else { return };
        self.len += 1;
        row.new = leaving.value.cloned();
        row.old = old;
        row.timestamp = if leaving.value.is_some() { leaving.timestamp } else { leaving.origin_timestamp };
        row.headers.clone_from(&leaving.headers);
        row.key_len = leaving.key_bytes.len();
        row.topic = self.topics.len() - 1;
        row.partition = leaving.origin_partition;
        row.offset = leaving.origin_offset;
        row.origin_timestamp = leaving.origin_timestamp;
        if row.raw.is_some() || leaving.origin_raw.is_some() {
            row.raw = leaving.origin_raw.cloned();
        }
    }

    fn note_topic(&mut self, topic: Option<&Arc<str>>) {
        if !self.topics.last().is_some_and(|last| is_same(last.as_ref(), topic)) {
            self.topics.push(topic.cloned());
        }
    }

    /// The next row, to be taken out, and the bytes of its key. `origin` says then where its last write came from.
    pub(super) fn next(&mut self, origin: &mut Origin) -> Option<(&[u8], &mut FlushedRow<V>)> {
        if self.len() == 0 {
            return None;
        }
        let row = self.rows.get_mut(self.next_row)?;
        let key = self.keys.get(self.next_key..self.next_key + row.key_len).unwrap_or_default();
        self.next_row += 1;
        self.next_key += row.key_len;
        origin.set_topic(self.topics.get(row.topic).and_then(Option::as_ref));
        origin.set_raw(row.raw.as_ref());
        origin.partition = row.partition;
        origin.offset = row.offset;
        origin.timestamp = row.origin_timestamp;
        Some((key, row))
    }
}
