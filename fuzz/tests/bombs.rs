//! Small batches that claim, or unpack to, very much: each is an error, and costs bounded memory.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use millstream_fuzz::{Target, all, check};

/// What a batch of up to two megabytes may unpack to, half of that again while it grows, and what a decoder holds.
const SMALL: u64 = 104 << 20;

/// Unpacks these bytes as the records of a batch.
#[track_caller]
fn assert_refused(codec: &str, section: &[u8], memory_max: u64) {
    let target = all().into_iter().find(|target| target.name == codec).unwrap();
    let bounded = Target { memory_max, ..target };
    assert_eq!(check(&bounded, section), Ok(false), "{codec}, {} bytes", section.len());
}

/// So many MiB of zeros, a member each: a reader of gzip takes them as one.
fn gzip(mib: usize) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; 1 << 20]).unwrap();
    encoder.finish().unwrap().repeat(mib)
}

/// A frame of blocks that each say: this byte, 128 KiB of it. Its window is a power of two.
fn zstd(window_log: u8, blocks: usize) -> Vec<u8> {
    // Magic number, no content size, the window.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3];
    for block in 1..=blocks {
        let header = u32::from(block == blocks) | 1 << 1 | (128 << 10) << 3;
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

#[test]
fn half_a_megabyte_of_gzip_that_unpacks_to_529_mib() {
    let bomb = gzip(529);
    assert!((500_000..560_000).contains(&bomb.len()), "{}", bomb.len());
    assert_refused("gzip", &bomb, SMALL);
}

#[test]
fn a_few_bytes_of_gzip() {
    assert_refused("gzip", &gzip(80), SMALL);
}

#[test]
fn half_a_megabyte_of_zstd_that_unpacks_to_17_gib() {
    assert_refused("zstd", &zstd(17, 130_000), SMALL);
}

#[test]
fn two_kilobytes_of_zstd_that_unpack_to_more_than_a_small_batch() {
    assert_refused("zstd", &zstd(17, 600), SMALL);
}

#[test]
fn zstd_that_fills_the_largest_window() {
    // What is in the window has not been given out yet.
    for (window_log, window) in [(26, 64 << 20), (27, 128 << 20)] {
        assert_refused("zstd", &zstd(window_log, 2000), SMALL + window);
    }
}

#[test]
fn zstd_that_claims_a_window_or_a_content_of_any_size() {
    let magic = [0x28, 0xb5, 0x2f, 0xfd];
    for window in [0x70, 0x90, 0xb8, 0xf8, 0xff] {
        assert_refused("zstd", &[&magic[..], &[0, window, 1, 0, 0]].concat(), SMALL);
    }
    // A single segment whose window is its content: 8 bytes of size.
    for size in [u64::MAX, 1 << 40, 1 << 31] {
        assert_refused("zstd", &[&magic[..], &[0xe0], &size.to_le_bytes(), &[1, 0, 0]].concat(), SMALL);
    }
}

#[test]
fn snappy_that_claims_much() {
    for length in
        [&[0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0xff, 0xff, 0xff, 0xff, 0x07], &[0x80, 0x80, 0x80, 0x80, 0x01]]
    {
        assert_refused("snappy", &[length, &[0; 20]].concat(), SMALL);
        let framed = [b"\x82SNAPPY\0".as_slice(), &[0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 25], length, &[0; 20]].concat();
        assert_refused("snappy", &framed, SMALL);
    }
    // Half a megabyte of copies of what went before, 64 bytes in three: eleven megabytes that are no records.
    let copies = 170_000;
    let mut block = Vec::new();
    let mut length = 1 + copies * 64;
    while length >= 0x80 {
        block.push(length as u8 | 0x80);
        length >>= 7;
    }
    block.extend([length as u8, 0, 0]);
    block.extend([0xfe, 1, 0].repeat(copies));
    assert_refused("snappy", &block, SMALL);
    // The same twenty times: ten megabytes on the wire.
    let mut framed = [b"\x82SNAPPY\0".as_slice(), &[0, 0, 0, 1, 0, 0, 0, 1]].concat();
    for _ in 0..20 {
        framed.extend((block.len() as u32).to_be_bytes());
        framed.extend(&block);
    }
    assert_refused("snappy", &framed, 520 << 20);
}

#[test]
fn lz4_that_unpacks_to_much_in_either_form() {
    // Blocks of 4 MiB, each a literal and one long match.
    let block = |kib: usize| {
        let mut block = vec![0x1f, 0, 1, 0];
        block.extend(vec![0xff; kib * 4]);
        block.push(0);
        // Five literals end a block.
        block.extend([0x50, 0, 0, 0, 0, 0]);
        block
    };
    // Independent blocks, then ones that refer to each other.
    for flags in [0x60, 0x40] {
        let mut frame = vec![0x04, 0x22, 0x4d, 0x18, flags, 0x70, 0];
        for _ in 0..30 {
            let block = block(4000);
            frame.extend((block.len() as u32).to_le_bytes());
            frame.extend(block);
        }
        assert_refused("lz4", &frame, SMALL);
    }
    for length in [u32::MAX, 0x7fff_ffff, 0x8000_0001] {
        let mut frame = vec![0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0];
        frame.extend(length.to_le_bytes());
        assert_refused("lz4", &frame, SMALL);
    }
}

#[test]
fn a_batch_that_claims_many_records_in_few_bytes() {
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        let target = all().into_iter().find(|target| target.name == "batches").unwrap();
        let of_codec = target.right.iter().find(|batch| {
            let number = match codec {
                "gzip" => 1,
                "snappy" => 2,
                "lz4" => 3,
                _ => 4,
            };
            batch[22] & 7 == number
        });
        let mut batch = of_codec.unwrap().clone();
        // Last offset delta and count.
        batch[23..27].copy_from_slice(&(i32::MAX - 1).to_be_bytes());
        batch[57..61].copy_from_slice(&i32::MAX.to_be_bytes());
        let bounded = Target { memory_max: 4 << 20, ..target };
        assert_eq!(check(&bounded, &batch), Ok(false), "{codec}");
    }
}
