//! Record batches and their codecs. Checksums are made right, as who means harm would: only then is more
//! than the header looked at.

use bytes::Bytes;
use millstream_log::batch::{Batch, BatchBuilder, Compression, HEADER_LEN, Marker, Stamp};
use millstream_types::{Headers, Offset, Timestamp};

use super::Target;

/// A small batch may decompress to 64 MiB, and growing takes half of that again.
const MEMORY_MAX: u64 = 112 << 20;
/// zstd holds its window besides, of 128 MiB at most.
const MEMORY_MAX_ZSTD: u64 = MEMORY_MAX + (128 << 20);
/// Where the checksum stands, and from where on it counts.
const CRC: std::ops::Range<usize> = 17..21;

const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

pub(super) fn batches() -> Target {
    let right = CODECS.iter().map(|codec| built(*codec).to_vec()).chain([marker()]).collect();
    Target { name: "batches", right, run: read_all, memory_max: MEMORY_MAX_ZSTD }
}

pub(super) fn gzip() -> Target {
    of("gzip", Compression::Gzip, |bytes| section(bytes, Compression::Gzip))
}

pub(super) fn snappy() -> Target {
    of("snappy", Compression::Snappy, |bytes| section(bytes, Compression::Snappy))
}

pub(super) fn lz4() -> Target {
    of("lz4", Compression::Lz4, |bytes| section(bytes, Compression::Lz4))
}

pub(super) fn zstd() -> Target {
    let target = of("zstd", Compression::Zstd, |bytes| section(bytes, Compression::Zstd));
    Target { memory_max: MEMORY_MAX_ZSTD, ..target }
}

fn of(name: &'static str, codec: Compression, run: fn(&[u8]) -> bool) -> Target {
    let right = vec![built(codec).slice(HEADER_LEN..).to_vec()];
    Target { name, right, run, memory_max: MEMORY_MAX }
}

fn builder() -> BatchBuilder {
    let mut builder = BatchBuilder::new();
    let mut headers = Headers::new();
    headers.add("h", Some(Bytes::from_static(b"1")));
    headers.add("h", None);
    builder.append(Timestamp(5), Some(b"key"), Some(b"value"), &Headers::new());
    builder.append(Timestamp(3), None, Some(&[7; 300]), &headers);
    builder.append(Timestamp(i64::MAX), Some(b""), None, &Headers::new());
    builder
}

fn built(codec: Compression) -> Bytes {
    let stamp = Stamp { producer_id: 7, producer_epoch: 3, base_sequence: 11, is_transactional: true };
    builder().finish(stamp, codec)
}

fn marker() -> Vec<u8> {
    Marker::Abort.batch(9, 2, Timestamp(5)).to_vec()
}

/// What a fetch gave, as the reader takes it.
pub(super) fn fetched() -> Target {
    let mut behind = marker();
    behind.splice(..8, 3_i64.to_be_bytes());
    let both = [built(Compression::None).to_vec(), behind].concat();
    let run = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let mut at = 0;
        while let Some(end) = check_in(&mut bytes, at) {
            at = end;
        }
        millstream_kafka::fuzzing::fetched(Bytes::from(bytes), 0)
    };
    Target { name: "fetched", right: vec![built(Compression::Lz4).to_vec(), both], run, memory_max: MEMORY_MAX_ZSTD }
}

/// Makes the checksum of the batch at `at` right; where the next one begins.
pub(super) fn check_in(bytes: &mut [u8], at: usize) -> Option<usize> {
    let rest = bytes.get_mut(at..).filter(|rest| rest.len() > CRC.end)?;
    let length = rest.get(8..12)?.first_chunk::<4>().map(|length| i32::from_be_bytes(*length))?;
    let end = usize::try_from(length).ok()?.checked_add(12)?;
    let crc = crc32c::crc32c(rest.get(CRC.end..end)?);
    rest.get_mut(CRC)?.copy_from_slice(&crc.to_be_bytes());
    Some(at + end)
}

/// Reads batches one behind the other.
fn read_all(bytes: &[u8]) -> bool {
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        check_in(&mut bytes, at);
        let rest = bytes.get(at..).unwrap_or_default();
        let Ok((batch, len)) = Batch::parse(Bytes::copy_from_slice(rest)) else { return false };
        let _ = Marker::read(&batch);
        assert!(batch.last_offset().0 < i64::MAX && batch.last_offset() >= batch.base_offset());
        if !read(&batch) {
            return false;
        }
        at += len;
    }
    at > 0
}

/// The records of one batch, in every way.
fn read(batch: &Batch) -> bool {
    let Ok(mut records) = batch.cursor(Offset(0)) else { return false };
    let mut count = 0;
    let is_whole = loop {
        records.keys_ahead().take(4).for_each(drop);
        match records.next_record() {
            Ok(Some(record)) => {
                count += 1;
                drop(record.to_raw());
                assert!(record.offset <= batch.last_offset());
            }
            result => break result.is_ok(),
        }
    };
    assert!(count <= batch.count());
    is_whole
}

/// These bytes as the records of a compressed batch.
fn section(bytes: &[u8], codec: Compression) -> bool {
    let mut batch = built(codec).slice(..HEADER_LEN).to_vec();
    batch.extend_from_slice(bytes);
    let length = (batch.len() - 12) as u32;
    if let Some(slot) = batch.get_mut(8..12) {
        slot.copy_from_slice(&length.to_be_bytes());
    }
    read_all(&batch)
}
