//! Record batches: writing records of 100 bytes into a batch and reading them again. Bound by CPU
//! and the first cache; a batch has 64 KB.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use millstream_log::batch::{Batch, BatchBuilder, Compression, Stamp};
use millstream_types::{Headers, Offset, Timestamp};

const RECORDS: u64 = 500;

fn write(builder: &mut BatchBuilder, compression: Compression) -> Bytes {
    let headers = Headers::new();
    let value = [b'v'; 100];
    for number in 0..RECORDS {
        let key = number.to_be_bytes();
        builder.append(Timestamp(1_700_000_000_000 + number as i64), Some(&key), Some(&value), &headers);
    }
    builder.finish(Stamp::NONE, compression)
}

fn read(bytes: &Bytes) -> usize {
    let mut len = 0;
    if let Ok((batch, _)) = Batch::parse(bytes.clone())
        && let Ok(mut records) = batch.cursor(Offset(0))
    {
        while let Ok(Some(record)) = records.next_record() {
            len += record.value.map_or(0, <[u8]>::len);
        }
    }
    len
}

fn batches(criterion: &mut Criterion) {
    for compression in [Compression::None, Compression::Lz4] {
        let mut group = criterion.benchmark_group(format!("batch/{compression:?}"));
        group.throughput(Throughput::Elements(RECORDS));
        let mut builder = BatchBuilder::new();
        group.bench_function("write", |bencher| bencher.iter(|| write(&mut builder, compression)));
        let bytes = write(&mut builder, compression);
        group.bench_function("read", |bencher| bencher.iter(|| read(black_box(&bytes))));
    }
}

criterion_group!(benches, batches);
criterion_main!(benches);
