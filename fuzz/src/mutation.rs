//! How bytes are made wrong.

use crate::Random;

/// Bytes that mean much in many formats: lengths, counts, nulls, ends of ranges.
const TELLING: [&[u8]; 16] = [
    &[0],
    &[1],
    &[2],
    &[0x7f],
    &[0x80],
    &[0xff],
    &[0xff, 0xff],
    &[0x7f, 0xff],
    &[0xff, 0xff, 0xff, 0xff],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x80, 0, 0, 0],
    &[0, 0, 0, 0],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0x80, 0x80, 0x80, 0x80, 0x08],
    &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x80, 0, 0, 0, 0, 0, 0, 0],
];
/// No input grows longer than this.
const LEN_MAX: usize = 1 << 16;

/// Makes an input of right ones: one of them changed in a few places, or, now and then, any bytes.
pub fn mutate(right: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = match random.below(16) {
        0 => (0..random.below(200)).map(|_| random.byte()).collect(),
        // Small numbers: short lengths and few items, in nearly every format.
        1 | 2 => (0..random.below(200)).map(|_| (random.next() % 5) as u8).collect(),
        _ => random.pick(right).cloned().unwrap_or_default(),
    };
    for _ in 0..random.below(6) {
        change(&mut bytes, right, random);
    }
    bytes.truncate(LEN_MAX);
    bytes
}

fn change(bytes: &mut Vec<u8>, right: &[Vec<u8>], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    match random.below(8) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = byte.wrapping_add((random.below(9) as u8).wrapping_sub(4));
            }
        }
        2 => {
            let telling = random.pick(&TELLING).copied().unwrap_or_default();
            for (byte, new) in bytes.iter_mut().skip(at).zip(telling) {
                *byte = *new;
            }
        }
        3 => {
            let telling = random.pick(&TELLING).copied().unwrap_or_default();
            bytes.splice(at..at, telling.iter().copied());
        }
        4 => {
            let end = (at + 1 + random.below(8)).min(bytes.len());
            bytes.drain(at.min(end)..end);
        }
        5 => bytes.truncate(at),
        6 => {
            let end = (at + 1 + random.below(64)).min(bytes.len());
            let copied = bytes.get(at..end).unwrap_or_default().to_vec();
            let to = random.below(bytes.len() + 1);
            bytes.splice(to..to, copied);
        }
        _ => {
            // The end of another one.
            let other = random.pick(right).map(Vec::as_slice).unwrap_or_default();
            let from = random.below(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(other.get(from..).unwrap_or_default());
        }
    }
}
