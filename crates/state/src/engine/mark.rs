//! The bytes of a commit mark.
//!
//! ```text
//! version (1) = 1 | changelog offset (8) | topic id (16) | leader epoch (4) | wall ms (8)
//!   | count (4) | count times: topic length (2) topic | partition (4) | offset (8)
//! ```
//!
//! All numbers are big endian.

use millstream_types::{Offset, TopicPartition};

use super::CommitMark;

const VERSION: u8 = 1;

pub(crate) fn encode(mark: &CommitMark) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend_from_slice(&mark.changelog_offset.0.to_be_bytes());
    out.extend_from_slice(&mark.topic_id.to_be_bytes());
    out.extend_from_slice(&mark.leader_epoch.to_be_bytes());
    out.extend_from_slice(&mark.wall_ms.to_be_bytes());
    out.extend_from_slice(&(mark.position.len() as u32).to_be_bytes());
    for (at, offset) in &mark.position {
        out.extend_from_slice(&(at.topic.len() as u16).to_be_bytes());
        out.extend_from_slice(at.topic.as_bytes());
        out.extend_from_slice(&at.partition.0.to_be_bytes());
        out.extend_from_slice(&offset.0.to_be_bytes());
    }
    out
}

/// Reads a mark; `None` if these are no mark's bytes.
pub(crate) fn decode(bytes: &[u8]) -> Option<CommitMark> {
    let mut rest = bytes;
    let [version] = take(&mut rest)?;
    if version != VERSION {
        return None;
    }
    let changelog_offset = Offset(i64::from_be_bytes(take(&mut rest)?));
    let topic_id = u128::from_be_bytes(take(&mut rest)?);
    let leader_epoch = i32::from_be_bytes(take(&mut rest)?);
    let wall_ms = i64::from_be_bytes(take(&mut rest)?);
    let count = u32::from_be_bytes(take(&mut rest)?);
    let mut position = Vec::new();
    for _ in 0..count {
        let len = u16::from_be_bytes(take(&mut rest)?);
        let (topic, after) = rest.split_at_checked(len.into())?;
        rest = after;
        let partition = i32::from_be_bytes(take(&mut rest)?);
        let offset = Offset(i64::from_be_bytes(take(&mut rest)?));
        position.push((TopicPartition::new(std::str::from_utf8(topic).ok()?, partition), offset));
    }
    rest.is_empty().then_some(CommitMark { changelog_offset, topic_id, leader_epoch, position, wall_ms })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> CommitMark {
        CommitMark {
            changelog_offset: Offset(41),
            topic_id: 7 << 100,
            leader_epoch: 3,
            position: vec![(TopicPartition::new("in", 2), Offset(9)), (TopicPartition::new("", 0), Offset(-1))],
            wall_ms: 1_700_000_000_000,
        }
    }

    #[test]
    fn a_mark_reads_back() {
        assert_eq!(decode(&encode(&mark())), Some(mark()));
        assert_eq!(decode(&encode(&CommitMark::default())), Some(CommitMark::default()));
    }

    #[test]
    fn cut_or_longer_bytes_are_no_mark() {
        let bytes = encode(&mark());
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len]), None, "{len}");
        }
        assert_eq!(decode(&[&bytes[..], &[0]].concat()), None);
    }
}
