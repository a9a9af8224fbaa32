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

    /// Reads a control batch.
    ///
    /// # Errors
    /// [`BatchError::Control`] for a data batch, or a control record of another kind.
    pub fn read(batch: &Batch) -> Result<Self, BatchError> {
        let refused = BatchError::Control { base: batch.base_offset().0 };
        if !batch.is_control() || batch.compression()? != Compression::None {
            return Err(refused);
        }
        let mut records = batch.cursor(Offset(0))?;
        let key = records.next_record()?.and_then(|record| record.key);
        match key {
            Some([_, _, 0, 0]) => Ok(Self::Abort),
            Some([_, _, 0, 1]) => Ok(Self::Commit),
            _ => Err(refused),
        }
    }
}
