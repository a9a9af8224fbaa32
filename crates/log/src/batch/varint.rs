//! Zig-zag varints, as in Kafka's records.

/// Reads a 32-bit varint and moves `at` past it. `None`: bytes missing or too many of them.
#[inline]
pub(super) fn read_i32(bytes: &[u8], at: &mut usize) -> Option<i32> {
    let first = *bytes.get(*at)?;
    // Most lengths and deltas fit in one byte.
    if first < 0x80 {
        *at += 1;
        return Some(i32::from(first >> 1) ^ -i32::from(first & 1));
    }
    let value = read_u64(bytes, at, 5)?;
    let value = u32::try_from(value).ok()?;
    Some((value >> 1) as i32 ^ -((value & 1) as i32))
}

/// Reads a 64-bit varint and moves `at` past it.
#[inline]
pub(super) fn read_i64(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let first = *bytes.get(*at)?;
    if first < 0x80 {
        *at += 1;
        return Some(i64::from(first >> 1) ^ -i64::from(first & 1));
    }
    let value = read_u64(bytes, at, 10)?;
    Some((value >> 1) as i64 ^ -((value & 1) as i64))
}

fn read_u64(bytes: &[u8], at: &mut usize, len_max: u32) -> Option<u64> {
    let mut value = 0u64;
    for index in 0..len_max {
        let byte = *bytes.get(*at)?;
        *at += 1;
        let part = u64::from(byte & 0x7f);
        // The tenth byte of 64 bits holds one bit.
        if index == 9 && part > 1 {
            return None;
        }
        value |= part << (index * 7);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

/// Appends a 64-bit varint; the 32-bit form of the same number has the same bytes.
#[inline]
pub(super) fn write(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Bytes [`write()`] appends.
#[inline]
pub(super) fn len(value: i64) -> usize {
    let zigzag = ((value << 1) ^ (value >> 63)) as u64;
    // Seven bits a byte; zero takes one.
    (70 - (zigzag | 1).leading_zeros() as usize) / 7
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for shift in 0..63 {
            for value in [1i64 << shift, (1i64 << shift) - 1, -(1i64 << shift), i64::MIN, i64::MAX] {
                let mut bytes = Vec::new();
                write(&mut bytes, value);
                assert_eq!(bytes.len(), len(value), "{value}");
                assert_eq!(read_i64(&bytes, &mut 0), Some(value));
                assert_eq!(read_i32(&bytes, &mut 0), i32::try_from(value).ok());
                assert_eq!(read_i64(&bytes[..bytes.len() - 1], &mut 0), None);
            }
        }
    }

    #[test]
    fn endless_varints_are_refused() {
        assert_eq!(read_i64(&[0xff; 20], &mut 0), None);
        assert_eq!(read_i32(&[0xff; 20], &mut 0), None);
        assert_eq!(read_i32(&[0xff, 0xff, 0xff, 0xff, 0x7f], &mut 0), None);
    }
}
