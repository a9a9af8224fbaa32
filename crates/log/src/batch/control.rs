//! Control batches: where a transaction ends in a partition.

use bytes::Bytes;
use millstream_types::{Headers, Offset, Timestamp};

use super::{Batch, BatchBuilder, BatchError, Compression, Stamp};

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// Its records never count.
    Abort,
    /// Its records count.
    Commit,
}

impl Marker {
    /// The control batch that says so; its base offset is 0 until a log sets it.
    pub fn batch(self, producer_id: i64, producer_epoch: i16, timestamp: Timestamp) -> Bytes {
        let kind: i16 = match self {
            Self::Abort => 0,
            Self::Commit => 1,
        };
        // Key: version 0, kind. Value: version 0, epoch of the transaction coordinator.
        let [high, low] = kind.to_be_bytes();
        let mut builder = BatchBuilder::new();
        builder.append(timestamp, Some(&[0, 0, high, low]), Some(&[0; 6]), &Headers::new());
        builder.finish_control(Stamp { producer_id, producer_epoch, base_sequence: -1, is_transactional: true })
    }

    /// Reads a control batch. `None` where it says something else, or its record was compacted away.
    ///
    /// # Errors
    /// [`BatchError::Control`] for a data batch, or a control record that is none: who read on would give
    /// records of aborted transactions, or leave out those of committed ones.
    pub fn read(batch: &Batch) -> Result<Option<Self>, BatchError> {
        let refused = BatchError::Control { base: batch.base_offset().0 };
        if !batch.is_control() || batch.compression()? != Compression::None {
            return Err(refused);
        }
        let mut records = batch.cursor(Offset(0))?;
        let Some(record) = records.next_record()? else { return Ok(None) };
        // Version and kind; what later versions may have behind them is none of ours.
        match record.key {
            Some([high, _, kind @ ..]) if *high < 0x80 => match kind {
                [0, 0, ..] => Ok(Some(Self::Abort)),
                [0, 1, ..] => Ok(Some(Self::Commit)),
                [_, _, ..] => Ok(None),
                _ => Err(refused),
            },
            _ => Err(refused),
        }
    }
}
