//! A batch that the broker finds too large becomes two, as with Java's producer: `max.message.bytes` of a
//! topic may be below `batch.size`.

use bytes::Bytes;
use millstream_log::batch::{Batch, BatchBuilder, BatchError, Stamp};
use millstream_types::Offset;

/// Half of a batch.
pub(super) struct Half {
    pub(super) bytes: Bytes,
    /// Its size before it was compressed.
    pub(super) uncompressed: usize,
    pub(super) count: i32,
}

/// The halves of a stamped batch, the second with the sequence that follows the first's. `None` for a
/// batch of one record.
pub(super) fn split(bytes: &Bytes) -> Result<Option<[Half; 2]>, BatchError> {
    let (batch, _) = Batch::parse(bytes.clone())?;
    let first_count = batch.count() / 2;
    if first_count == 0 {
        return Ok(None);
    }
    let stamp = Stamp {
        producer_id: batch.producer_id(),
        producer_epoch: batch.producer_epoch(),
        base_sequence: batch.base_sequence(),
        is_transactional: batch.is_transactional(),
    };
    let mut builders = [BatchBuilder::new(), BatchBuilder::new()];
    let [first, second] = &mut builders;
    let mut records = batch.cursor(Offset(0))?;
    while let Some(record) = records.next_record()? {
        let half = if first.count() < first_count as i32 { &mut *first } else { &mut *second };
        half.append(record.timestamp, record.key, record.value, &record.headers.to_headers());
    }
    let behind = super::sequence::after(stamp.base_sequence, first.count());
    let compression = batch.compression()?;
    let half = |builder: &mut BatchBuilder, base_sequence| {
        let (count, uncompressed) = (builder.count(), builder.len());
        Half { bytes: builder.finish(Stamp { base_sequence, ..stamp }, compression), uncompressed, count }
    };
    Ok(Some([half(first, stamp.base_sequence), half(second, behind)]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_log::batch::Compression;
    use millstream_types::{Headers, Timestamp};

    fn values(bytes: &Bytes) -> Vec<u8> {
        let (batch, _) = Batch::parse(bytes.clone()).unwrap();
        let mut records = batch.cursor(Offset(0)).unwrap();
        let mut values = Vec::new();
        while let Some(record) = records.next_record().unwrap() {
            assert_eq!((record.timestamp, record.headers.len()), (Timestamp(i64::from(record.value.unwrap()[0])), 1));
            values.push(record.value.unwrap()[0]);
        }
        values
    }

    #[test]
    fn halves_have_all_records_in_order_and_sequences_that_follow() {
        for compression in [Compression::None, Compression::Lz4] {
            let mut builder = BatchBuilder::new();
            let mut headers = Headers::new();
            headers.add("h", None);
            for number in 0..5 {
                builder.append(Timestamp(i64::from(number)), None, Some(&[number]), &headers);
            }
            let stamp =
                Stamp { producer_id: 9, producer_epoch: 1, base_sequence: i32::MAX - 1, is_transactional: true };
            let [first, second] = split(&builder.finish(stamp, compression)).unwrap().unwrap();
            assert_eq!((values(&first.bytes), values(&second.bytes)), (vec![0, 1], vec![2, 3, 4]));
            assert_eq!((first.count, second.count), (2, 3));
            let sequences = [&first, &second].map(|half| Batch::parse(half.bytes.clone()).unwrap().0.base_sequence());
            assert_eq!(sequences, [i32::MAX - 1, 0]);
            let [one, _] = split(&first.bytes).unwrap().unwrap();
            assert!(split(&one.bytes).unwrap().is_none());
        }
    }
}
