//! The engine in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec;

use millstream_types::Result;

use super::{CommitMark, Engine, Scan};
use crate::bytes::{ByteRange, ordered_range};

/// Rows that a scan copies at once.
const SCAN_CHUNK: usize = 64;

/// An engine in memory: an ordered map.
///
/// A scan shares the map; a batch that comes while a scan is still alive copies the map first.
#[derive(Default)]
pub struct MemoryEngine {
    table: Arc<Mutex<Table>>,
    is_persistent: bool,
}

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// What an engine holds; outlives it where a provider keeps it.
#[derive(Default)]
pub(super) struct Table {
    rows: Arc<Rows>,
    mark: Option<CommitMark>,
    /// How to take back the batches that a crash may still lose, oldest first.
    undo: std::collections::VecDeque<Undo>,
    undo_max: usize,
}

struct Undo {
    rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    mark: Option<CommitMark>,
}

impl MemoryEngine {
    /// An empty engine.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn over(table: Arc<Mutex<Table>>) -> Self {
        Self { table, is_persistent: true }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }
}

/// Batches are atomic under the lock: a panic elsewhere leaves the map whole.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    /// An empty table that can take back its last `undo_max` batches.
    pub(super) fn with_undo(undo_max: usize) -> Self {
        Self { undo_max, ..Self::default() }
    }

    pub(super) fn has_data(&self) -> bool {
        self.mark.is_some() || !self.rows.is_empty()
    }

    /// Batches that [`Self::take_back`] can still take back.
    pub(super) fn undo_count(&self) -> usize {
        self.undo.len()
    }

    /// Takes the last batches back; what stays is safe from now on.
    pub(super) fn take_back(&mut self, batch_count: usize) {
        let rows = Arc::make_mut(&mut self.rows);
        for _ in 0..batch_count {
            let Some(undo) = self.undo.pop_back() else { break };
            for (key, before) in undo.rows {
                match before {
                    Some(value) => drop(rows.insert(key, value)),
                    None => drop(rows.remove(&key)),
                }
            }
            self.mark = undo.mark;
        }
        self.undo.clear();
    }

    fn apply(&mut self, writes: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>, mark: &CommitMark) {
        let mut undo = (self.undo_max > 0).then(|| Undo { rows: Vec::new(), mark: self.mark.clone() });
        let rows = Arc::make_mut(&mut self.rows);
        for (key, value) in writes {
            let before = match (rows.get_mut(key), value) {
                // Most writes replace a row by one of the same length: nothing is allocated then.
                (Some(row), Some(value)) => {
                    let before = undo.is_some().then(|| row.clone());
                    row.clear();
                    row.extend_from_slice(value);
                    before
                }
                (Some(_), None) => rows.remove(key),
                (None, Some(value)) => rows.insert(key.to_vec(), value.to_vec()),
                (None, None) => None,
            };
            if let Some(undo) = &mut undo {
                undo.rows.push((key.to_vec(), before));
            }
        }
        self.mark = Some(mark.clone());
        if let Some(undo) = undo {
            self.undo.push_back(undo);
            if self.undo.len() > self.undo_max {
                self.undo.pop_front();
            }
        }
    }
}

impl Engine for MemoryEngine {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.lock().rows.get(key).cloned())
    }

    fn scan(&self, from: Option<&[u8]>, to: Option<&[u8]>, is_reverse: bool) -> Result<Scan> {
        let range = ByteRange { from: from.map(<[u8]>::to_vec), to: to.map(<[u8]>::to_vec) };
        let rows = Arc::clone(&self.lock().rows);
        Ok(Box::new(MapScan { rows, range, is_reverse, chunk: Vec::new().into_iter(), is_done: false }))
    }

    fn apply(&mut self, writes: &mut dyn Iterator<Item = (&[u8], Option<&[u8]>)>, mark: &CommitMark) -> Result<()> {
        self.lock().apply(writes, mark);
        Ok(())
    }

    fn mark(&self) -> Result<Option<CommitMark>> {
        Ok(self.lock().mark.clone())
    }

    fn wipe(&mut self) -> Result<()> {
        let mut table = self.lock();
        *table = Table::with_undo(table.undo_max);
        Ok(())
    }

    fn is_persistent(&self) -> bool {
        self.is_persistent
    }
}

/// A scan that holds the map as it was and copies a few rows at a time.
struct MapScan {
    rows: Arc<Rows>,
    range: ByteRange,
    is_reverse: bool,
    chunk: vec::IntoIter<(Vec<u8>, Vec<u8>)>,
    is_done: bool,
}

impl Iterator for MapScan {
    type Item = Result<(Vec<u8>, Vec<u8>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.chunk.len() == 0 && !self.is_done {
            self.refill();
        }
        self.chunk.next().map(Ok)
    }
}

impl MapScan {
    fn refill(&mut self) {
        let copy = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        let rows = ordered_range(&self.rows, &self.range);
        let chunk: Vec<_> = if self.is_reverse {
            rows.rev().take(SCAN_CHUNK).map(copy).collect()
        } else {
            rows.take(SCAN_CHUNK).map(copy).collect()
        };
        self.is_done = chunk.len() < SCAN_CHUNK;
        if let Some((last, _)) = chunk.last() {
            if self.is_reverse {
                self.range.to = Some(last.clone());
            } else {
                self.range.from = Some([last, &[0][..]].concat());
            }
        }
        self.chunk = chunk.into_iter();
    }
}
