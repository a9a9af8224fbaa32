//! Batches written by Apache Kafka 4.3.0, by `tests/kafka-tools/Vectors.java`.

use super::*;

const PLAIN: &str = "000000000000002a000001220000000502a53f6fb30010000000020000018bcfe568000000018bcfe6eea000000000000000\
     0700030000000b000000031c000000066b65790a76616c756500ac0300090201900376767676767676767676767676767676\
     7676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676\
     7676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676\
     7676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676\
     7676767676767676767676767676767676767676767676767676767676767676767604026802310268011200c09a0c04026b\
     0100";
const LZ4: &str = "000000000000002a0000007100000005024fa0cbe80013000000020000018bcfe568000000018bcfe6eea000000000000000\
     0700030000000b0000000304224d1860408231000000ff091c000000066b65790a76616c756500ac03000902019003760100\
     b4f00304026802310268011200c09a0c04026b010000000000";
const GZIP: &str = "000000000000002a000000710000000502d8293b4a0011000000020000018bcfe568000000018bcfe6eea000000000000000\
     0700030000000b000000031f8b08000000000000ff9361606060cb4eade42a4bcc294d6558c3ccc0c9c43881b96c980016a6\
     0c2643a60c46218603b3785898b2191900ce0e33f3f1000000";
const SNAPPY: &str = "000000000000002a0000007e00000005029079bd270012000000020000018bcfe568000000018bcfe6eea000000000000000\
     0700030000000b0000000382534e4150505900000000010000000100000039f1015c1c000000066b65790a76616c756500ac\
     0300090201900376fe0100fe0100fe01000d014404026802310268011200c09a0c04026b0100";
const ZSTD: &str = "000000000000002a0000006f000000050210c6a7f40014000000020000018bcfe568000000018bcfe6eea000000000000000\
     0700030000000b0000000328b52ffd0058940100a4021c000000066b65790a76616c756500ac030009020190037604026802\
     310268011200c09a0c04026b0100010010293006010000";
const COMMIT: &str = "0000000000000032000000420000000502460ecbfa0030000000000000018bcfe568010000018bcfe5680100000000000000\
     070003ffffffff000000012000000008000000010c00000000000900";

fn bytes(hex: &str) -> Bytes {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn written() -> Vec<RawRecord> {
    let bytes = |text: &str| Some(Bytes::copy_from_slice(text.as_bytes()));
    let mut headers = Headers::new();
    headers.add("h", bytes("1"));
    headers.add("h", None);
    let record = |offset, timestamp, key, value, headers| RawRecord {
        offset: Offset(offset),
        timestamp: Timestamp(timestamp),
        key,
        value,
        headers,
    };
    vec![
        record(42, 1_700_000_000_000, bytes("key"), bytes("value"), Headers::new()),
        record(43, 1_699_999_999_995, None, bytes(&"v".repeat(200)), headers),
        record(44, 1_700_000_100_000, bytes("k"), None, Headers::new()),
    ]
}

#[test]
fn javas_batches_are_read() {
    let vectors = [
        (PLAIN, Compression::None),
        (GZIP, Compression::Gzip),
        (SNAPPY, Compression::Snappy),
        (LZ4, Compression::Lz4),
        (ZSTD, Compression::Zstd),
    ];
    for (hex, compression) in vectors {
        let (batch, len) = Batch::parse(bytes(hex)).unwrap();
        assert_eq!(len, hex.len() / 2);
        assert_eq!(batch.compression(), Ok(compression));
        assert_eq!(read(&batch, 0).unwrap(), written());
        assert_eq!((batch.producer_id(), batch.producer_epoch(), batch.base_sequence()), (7, 3, 11));
        assert_eq!((batch.last_offset(), batch.max_timestamp()), (Offset(44), Timestamp(1_700_000_100_000)));
        assert!(batch.is_transactional() && !batch.is_control());
        assert_eq!(batch.header().leader_epoch, 5);
    }
    let (marker, _) = Batch::parse(bytes(COMMIT)).unwrap();
    assert_eq!(Marker::read(&marker), Ok(Some(Marker::Commit)));
}

/// Byte for byte, but for what a broker sets.
#[test]
fn our_batches_are_javas() {
    let mut builder = BatchBuilder::new();
    for record in written() {
        builder.append(record.timestamp, record.key.as_deref(), record.value.as_deref(), &record.headers);
    }
    let stamp = Stamp { producer_id: 7, producer_epoch: 3, base_sequence: 11, is_transactional: true };
    let ours = builder.finish(stamp, Compression::None);
    assert_eq!(ours[8..12], bytes(PLAIN)[8..12]);
    assert_eq!(ours[16..], bytes(PLAIN)[16..]);
}
