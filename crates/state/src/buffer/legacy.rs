//! Reading a suppression buffer's changelog in every version Kafka Streams has written. The header
//! `v` names it; only version 3 is written today.
//!
//! ```text
//! none  time (8) | change
//! 1     time (8) | context | length (4) change
//! 2     context | length (4) change | prior | time (8)
//! 3     value (see value.rs) | time (8)
//! ```
//!
//! `change` is old and new, each with its length. Some releases wrote version 3 and said 2.

use super::value::{BufferValue, Reader};
use crate::small_bytes::SmallBytes;
use crate::{ChangelogRecord, Origin, RestoreRecord};

/// The header that names the version.
pub(super) const VERSION: &str = "v";
/// The version written.
pub(super) const CURRENT: u8 = 3;

/// Time and value of a record that is no tombstone. `buffered_prior` is the prior value that the
/// buffer holds for the key, if any: old versions do not carry it. `None` if the bytes fit no version.
pub(super) fn decode(
    record: &RestoreRecord<'_>,
    value: &[u8],
    buffered_prior: Option<&SmallBytes>,
) -> Option<(i64, BufferValue)> {
    let RestoreRecord { offset, record: ChangelogRecord { timestamp, headers, .. } } = *record;
    let version = headers.last(VERSION).map(|header| header.value.as_deref().unwrap_or_default());
    match version {
        None => {
            let mut reader = Reader(value);
            let time = reader.i64()?;
            let origin = Origin { offset, timestamp, ..Origin::NONE };
            let (old, new) = change(reader)?;
            let prior = buffered_prior.cloned().or_else(|| old.clone());
            Some((time, BufferValue::new((origin, headers.clone()), prior, old, new)))
        }
        Some([1]) => {
            let mut reader = Reader(value);
            let time = reader.i64()?;
            let context = reader.context()?;
            let (old, new) = change(Reader(reader.sized()??))?;
            let prior = buffered_prior.cloned().or_else(|| old.clone());
            Some((time, BufferValue::new(context, prior, old, new)))
        }
        Some([2]) => version_2(Reader(value)).or_else(|| version_3(Reader(value))),
        Some([CURRENT]) => version_3(Reader(value)),
        Some(_) => None,
    }
}

fn version_2(mut reader: Reader<'_>) -> Option<(i64, BufferValue)> {
    let context = reader.context()?;
    let (old, new) = change(Reader(reader.sized()??))?;
    let prior = reader.sized()?.map(SmallBytes::from);
    Some((reader.i64()?, BufferValue::new(context, prior, old, new)))
}

fn version_3(mut reader: Reader<'_>) -> Option<(i64, BufferValue)> {
    let value = BufferValue::decode(&mut reader)?;
    Some((reader.i64()?, value))
}

fn change(mut reader: Reader<'_>) -> Option<(Option<SmallBytes>, Option<SmallBytes>)> {
    let old = reader.sized()?.map(SmallBytes::from);
    Some((old, reader.sized()?.map(SmallBytes::from)))
}
