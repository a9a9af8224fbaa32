//! Kafka's murmur2: which partition a key belongs to.

/// Kafka's murmur2 of some bytes (seed `0x9747b28c`), as a signed 32-bit number.
pub fn murmur2(data: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut h = SEED ^ data.len() as u32;
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = chunk.iter().rev().fold(0u32, |k, byte| k << 8 | u32::from(*byte));
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        k = k.wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    let tail = chunks.remainder();
    if !tail.is_empty() {
        h ^= tail.iter().rev().fold(0u32, |k, byte| k << 8 | u32::from(*byte));
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^= h >> 15;
    h as i32
}

/// The partition Kafka's default partitioner gives to these key bytes, of `partitions` in all.
/// `partitions` below 1 counts as 1.
pub fn partition_for_key(key: &[u8], partitions: i32) -> i32 {
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, hash: i32, of_ten: i32) {
        assert_eq!(murmur2(key.as_bytes()), hash);
        assert_eq!(partition_for_key(key.as_bytes(), 10), of_ten);
    }

    #[test]
    fn hashes_equal_kafkas() {
        check("", 275_646_681, 1);
        check("a", -1_563_381_124, 4);
        check("k1", 1_684_045_097, 7);
        check("R1", 303_887_150, 0);
        check("hello world", 1_221_641_059, 9);
        check("ключ", 2_122_343_024, 4);
    }
}
