//! Opening a partition's files: what is whole counts, a torn tail is cut off, damage is an error.

use std::path::Path;
use std::sync::Arc;

use millstream_types::{Error, ErrorKind, Result, TopicPartition};

use super::segment::Segment;
use super::walk::{Depth, Invalid, Stop, find_batch, walk};
use super::{Disk, DiskStorage};
use crate::batch::{Batch, BatchHeader};
use crate::fs;

/// What the journal knows of a partition.
#[derive(Clone, Copy, Debug)]
pub(in crate::embedded) struct Evidence {
    /// First offset that can be read.
    pub(in crate::embedded) log_start: i64,
    /// Where every acknowledged byte was made durable: all before this offset was. What lies
    /// after it was never acknowledged. `None` where acknowledged data may have been lost.
    pub(in crate::embedded) synced: Option<i64>,
}

impl DiskStorage {
    /// Opens a partition and visits every batch, oldest first: its header, and control batches
    /// whole. Closed segments are checked by their headers, the last one by its checksums; the rest
    /// is checked when it is read. Gives the end offset too.
    pub(in crate::embedded) fn recover(
        disk: &Arc<Disk>,
        name: &TopicPartition,
        evidence: Evidence,
        mut visit: impl FnMut(&BatchHeader, Option<&Batch>),
    ) -> Result<(Self, i64)> {
        let dir = disk.partition_dir(name);
        let names = disk.fs.names(&dir).map_err(|error| fs::error("read", &dir, error))?;
        let bases: Vec<i64> = names.iter().filter_map(|name| base_of(name)).collect();
        let Some(first) = bases.first().copied().filter(|first| *first <= evidence.log_start) else {
            return Err(missing(&dir, evidence.log_start, bases.first().copied()));
        };
        let mut storage =
            Self { disk: disk.clone(), dir, segments: Vec::new(), end: first, synced: evidence.synced.unwrap_or(0) };
        for (index, base) in bases.iter().enumerate() {
            let is_last = index + 1 == bases.len();
            if *base != storage.end {
                return Err(missing(&storage.dir, storage.end, Some(*base)));
            }
            let mut segment = Segment::existing(&disk.fs, &storage.dir, *base)?;
            let depth = if is_last { Depth::Checksums } else { Depth::Headers };
            let stop = walk(&mut segment, depth, &mut storage.end, &mut visit)?;
            if let Stop::Invalid(invalid) = stop {
                storage.cut(&segment, invalid, is_last, evidence)?;
            }
            if !is_last {
                segment.close();
            }
            storage.segments.push(segment);
        }
        if let Some(synced) = evidence.synced.filter(|synced| *synced > storage.end) {
            return Err(missing(&storage.dir, storage.end, Some(synced)));
        }
        let end = storage.end;
        Ok((storage, end))
    }

    /// Cuts off what follows the last whole batch, if it was never finished; else it is damage.
    fn cut(&self, segment: &Segment, invalid: Invalid, is_last: bool, evidence: Evidence) -> Result<()> {
        let position = segment.len;
        let is_damage = !is_last
            || match evidence.synced {
                Some(synced) => self.end < synced,
                None => find_batch(segment, position, self.end)?.is_some(),
            };
        if is_damage {
            return Err(segment.damaged(position, invalid));
        }
        let path = segment.path.display();
        tracing::warn!(%path, position, offset = self.end, reason = %invalid, "an unfinished batch is cut off");
        segment.with_file("truncate", |file| file.truncate(position))
    }

    /// Makes all files durable, those of before included.
    pub(in crate::embedded) fn settle(&mut self) -> Result<()> {
        self.sync_all()
    }
}

/// The base offset that a segment's file name says.
fn base_of(name: &str) -> Option<i64> {
    let digits = name.strip_suffix(".log").filter(|digits| digits.len() == 20)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn missing(dir: &Path, from: i64, to: Option<i64>) -> Error {
    let dir = dir.display();
    let what = match to {
        Some(to) => format!("the records from offset {from} to {to} are missing"),
        None => format!("there is no segment file for offset {from}"),
    };
    let message = format!(
        "{dir} is incomplete: {what}. Restore its files from a backup. Or, to give up what is missing and what follows, \
         remove the later .log files, create an empty one named {from:020}.log, and open the log once with log.flush=os"
    );
    Error::new(ErrorKind::Corrupted, message)
}
