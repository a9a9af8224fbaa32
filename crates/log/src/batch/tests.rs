mod java;

use super::*;
use millstream_types::{Headers, RawRecord};

fn headers() -> Headers {
    let mut headers = Headers::new();
    headers.add("h", Some(Bytes::from_static(b"1")));
    headers.add("h", None);
    headers
}

fn records() -> Vec<RawRecord> {
    let record = |offset: i64, timestamp: i64, key: Option<&[u8]>, value: Option<&[u8]>, headers: Headers| RawRecord {
        offset: Offset(offset),
        timestamp: Timestamp(timestamp),
        key: key.map(Bytes::copy_from_slice),
        value: value.map(Bytes::copy_from_slice),
        headers,
    };
    vec![
        record(0, 1_700_000_000_000, Some(b"key"), Some(b"value"), Headers::new()),
        record(1, 1_699_999_999_999, None, Some(&[7; 300]), headers()),
        record(2, i64::MAX, Some(b""), None, Headers::new()),
        record(3, i64::MIN, Some(&[1; 70]), Some(b""), headers()),
    ]
}

const ALL: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn build(stamp: Stamp, compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new();
    for record in records() {
        builder.append(record.timestamp, record.key.as_deref(), record.value.as_deref(), &record.headers);
    }
    builder.finish(stamp, compression)
}

fn read(batch: &Batch, from: i64) -> Result<Vec<RawRecord>, BatchError> {
    let mut cursor = batch.cursor(Offset(from))?;
    let mut all = Vec::new();
    while let Some(record) = cursor.next_record()? {
        all.push(record.to_raw());
    }
    Ok(all)
}

#[test]
fn keys_ahead_are_those_of_the_records_after_the_current_one() {
    let (batch, _) = Batch::parse(build(Stamp::NONE, Compression::None)).unwrap();
    let mut cursor = batch.cursor(Offset(0)).unwrap();
    let keys: Vec<Bytes> = records().into_iter().map(|record| record.key.unwrap_or_default()).collect();
    for passed in 0..=keys.len() {
        assert!(cursor.keys_ahead().eq(&keys[passed..]));
        assert_eq!(cursor.advance().unwrap(), passed < keys.len());
    }
}

#[test]
fn records_come_back_as_written() {
    for compression in ALL {
        let stamp = Stamp { producer_id: 7, producer_epoch: 3, base_sequence: 11, is_transactional: true };
        let mut bytes = BytesMut::from(&*build(stamp, compression));
        let len = bytes.len();
        bytes.extend_from_slice(b"the next batch");
        let (batch, parsed) = Batch::parse(bytes.freeze()).unwrap();
        assert_eq!(parsed, len);
        assert_eq!(batch.bytes().len(), len);
        assert_eq!(read(&batch, 0).unwrap(), records());
        assert_eq!(read(&batch, 2).unwrap(), records()[2..]);
        assert_eq!(batch.compression(), Ok(compression));
        assert_eq!((batch.producer_id(), batch.producer_epoch(), batch.base_sequence()), (7, 3, 11));
        assert_eq!((batch.base_offset(), batch.last_offset(), batch.count()), (Offset(0), Offset(3), 4));
        assert_eq!((batch.first_timestamp(), batch.max_timestamp()), (records()[0].timestamp, Timestamp(i64::MAX)));
        assert!(batch.is_transactional() && !batch.is_control());
    }
}

#[test]
fn a_moved_batch_is_read_at_its_new_offsets_and_the_old_one_stays() {
    let (batch, _) = Batch::parse(build(Stamp::NONE, Compression::None)).unwrap();
    let moved = batch.clone().with_base_offset(Offset(100));
    let (again, _) = Batch::parse(moved.bytes().clone()).unwrap();
    assert_eq!(again.base_offset(), Offset(100));
    assert_eq!(read(&again, 103).unwrap()[0].offset, Offset(103));
    assert_eq!(batch.bytes()[..8], [0; 8]);
}

#[test]
fn the_current_record_can_be_looked_at_again() {
    let (batch, _) = Batch::parse(build(Stamp::NONE, Compression::Lz4)).unwrap();
    let mut cursor = batch.cursor(Offset(1)).unwrap();
    assert!(cursor.current().is_none());
    assert!(cursor.advance().unwrap());
    assert_eq!(cursor.current().unwrap().to_raw(), records()[1]);
    assert_eq!(cursor.current().unwrap().to_raw(), records()[1]);
    assert!(cursor.advance().unwrap() && cursor.advance().unwrap());
    assert!(!cursor.advance().unwrap());
    assert!(cursor.current().is_none());
}

#[test]
fn a_builder_is_empty_after_finish() {
    let mut builder = BatchBuilder::new();
    assert!(builder.finish(Stamp::NONE, Compression::None).is_empty());
    for value in [b"first", b"later"] {
        builder.append(Timestamp(1), None, Some(value), &Headers::new());
        let (batch, _) = Batch::parse(builder.finish(Stamp::NONE, Compression::None)).unwrap();
        assert_eq!(batch.count(), 1);
        assert_eq!(read(&batch, 0).unwrap()[0].value.as_deref(), Some(&value[..]));
        assert!(builder.is_empty());
    }
}

#[test]
fn a_record_never_takes_more_than_its_estimate() {
    for record in records() {
        let mut builder = BatchBuilder::new();
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        builder.append(Timestamp(0), None, None, &Headers::new());
        let before = builder.len();
        builder.append(record.timestamp, key, value, &record.headers);
        assert!(builder.len() - before <= BatchBuilder::record_len_max(key, value, &record.headers));
    }
}

#[test]
fn markers_are_written_and_read() {
    for marker in [Marker::Abort, Marker::Commit] {
        let (batch, _) = Batch::parse(marker.batch(9, 2, Timestamp(5))).unwrap();
        assert!(batch.is_control() && batch.is_transactional());
        assert_eq!((batch.producer_id(), batch.producer_epoch(), batch.base_sequence()), (9, 2, -1));
        assert_eq!(Marker::read(&batch), Ok(Some(marker)));
    }
    let (batch, _) = Batch::parse(build(Stamp::NONE, Compression::None)).unwrap();
    assert_eq!(Marker::read(&batch), Err(BatchError::Control { base: 0 }));
}

#[test]
fn every_truncation_says_truncated() {
    for compression in ALL {
        let bytes = build(Stamp::NONE, compression);
        for len in 0..bytes.len() {
            let error = Batch::parse(bytes.slice(..len)).unwrap_err();
            assert!(matches!(error, BatchError::Truncated { available, .. } if available == len), "{len}: {error}");
        }
    }
}

#[test]
fn every_flipped_bit_is_noticed_where_the_checksum_covers_it() {
    for compression in ALL {
        let bytes = build(Stamp::NONE, compression);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.to_vec();
                flipped[at] ^= 1 << bit;
                // Base offset and leader epoch are the broker's to set.
                match Batch::parse(flipped.into()) {
                    Ok((_, len)) => assert!((at < 8 || (12..16).contains(&at)) && len == bytes.len()),
                    Err(error) => assert!(!(12..16).contains(&at), "{at}: {error}"),
                }
            }
        }
    }
}

/// As if an attacker had fixed the checksum: nothing panics, and no more records come than fit.
#[test]
fn every_changed_byte_under_a_right_checksum_is_an_error_or_a_bounded_read() {
    for compression in ALL {
        let bytes = build(Stamp::NONE, compression);
        for at in header::CRC_FROM..bytes.len() {
            for change in [0x01u8, 0x02, 0x7f, 0x80, 0xff] {
                let mut changed = bytes.to_vec();
                changed[at] ^= change;
                let crc = crc32c::crc32c(&changed[header::CRC_FROM..]);
                changed[17..21].copy_from_slice(&crc.to_be_bytes());
                if let Ok((batch, len)) = Batch::parse(changed.into()) {
                    assert_eq!(len, bytes.len());
                    let Ok(mut cursor) = batch.cursor(Offset(0)) else { continue };
                    let mut count = 0;
                    while let Ok(Some(record)) = cursor.next_record() {
                        let _ = record.to_raw();
                        count += 1;
                    }
                    assert!(count <= batch.count());
                    assert!(matches!(cursor.advance(), Ok(false)));
                }
            }
        }
    }
}

#[test]
fn bytes_of_no_codec_are_errors() {
    for bits in 1..=7 {
        let mut bytes = build(Stamp::NONE, Compression::None).to_vec();
        bytes[22] |= bits;
        let crc = crc32c::crc32c(&bytes[header::CRC_FROM..]);
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        let (batch, _) = Batch::parse(bytes.into()).unwrap();
        let error = batch.cursor(Offset(0)).unwrap_err();
        match bits {
            1..=4 => assert!(matches!(error, BatchError::Decompress { .. }), "{bits}: {error}"),
            _ => assert!(matches!(error, BatchError::Codec { .. }), "{bits}: {error}"),
        }
    }
}

/// A few bytes that claim to be a gigabyte.
#[test]
fn decompression_bombs_are_errors() {
    let zeros = vec![0; 1 << 20];
    for compression in [Compression::Gzip, Compression::Zstd] {
        let mut bomb = Vec::new();
        for _ in 0..128 {
            compression.compress(&zeros, &mut bomb);
        }
        // zstd reads one frame of many, gzip all of them.
        let read = compression.decompress(bomb.into());
        match compression {
            Compression::Gzip => assert!(matches!(read, Err(BatchError::Decompressed { .. })), "{read:?}"),
            _ => assert_eq!(read.unwrap().len(), zeros.len()),
        }
    }
    // A bare snappy block of 4 GiB, in its own words.
    let claim = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0];
    let read = Compression::Snappy.decompress(Bytes::copy_from_slice(&claim));
    assert!(matches!(read, Err(BatchError::Decompressed { .. } | BatchError::Decompress { .. })), "{read:?}");
}

#[test]
fn broker_time_replaces_the_producers() {
    let mut bytes = build(Stamp::NONE, Compression::None).to_vec();
    bytes[22] |= 1 << 3;
    bytes[35..43].copy_from_slice(&77i64.to_be_bytes());
    let crc = crc32c::crc32c(&bytes[header::CRC_FROM..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    let (batch, _) = Batch::parse(bytes.into()).unwrap();
    assert!(read(&batch, 0).unwrap().iter().all(|record| record.timestamp == Timestamp(77)));
}

fn noise(len: usize) -> Vec<u8> {
    let mut seed = 1u64;
    let mut byte = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 56) as u8
    };
    (0..len).map(|_| byte()).collect()
}

#[test]
fn frames_of_any_size_and_kind_come_back() {
    for len in [0, 1, 100, 65_535, 65_536, 65_537, 300_000] {
        for records in [vec![7; len], noise(len)] {
            let mut frame = Vec::new();
            Compression::Lz4.compress(&records, &mut frame);
            assert!(frame.len() <= len + 11 + 4 * len.div_ceil(65_536));
            assert_eq!(Compression::Lz4.decompress(frame.clone().into()).unwrap(), records);
            // The library reads it too, and is read with whatever options.
            let mut theirs = Vec::new();
            std::io::Read::read_to_end(&mut lz4_flex::frame::FrameDecoder::new(&*frame), &mut theirs).unwrap();
            assert_eq!(theirs, records);
            for mode in [lz4_flex::frame::BlockMode::Independent, lz4_flex::frame::BlockMode::Linked] {
                let info =
                    lz4_flex::frame::FrameInfo::new().block_mode(mode).block_checksums(true).content_checksum(true);
                let info = info.content_size(Some(len as u64));
                let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
                std::io::Write::write_all(&mut encoder, &records).unwrap();
                let frame = encoder.finish().unwrap();
                assert_eq!(Compression::Lz4.decompress(frame.into()).unwrap(), records, "{mode:?}");
            }
        }
    }
}

#[test]
fn frames_cut_short_are_errors() {
    let mut frame = Vec::new();
    Compression::Lz4.compress(&[noise(70_000), vec![1; 70_000]].concat(), &mut frame);
    for len in (0..100).chain(60_000..frame.len()).step_by(7) {
        assert!(Compression::Lz4.decompress(Bytes::copy_from_slice(&frame[..len])).is_err(), "{len}");
    }
}
