//! Walking a segment batch by batch, when a log is opened.

use bytes::Bytes;
use millstream_types::Result;

use super::segment::Segment;
use crate::batch::{Batch, BatchError, BatchHeader, HEADER_LEN};

/// How much is read ahead where batches are checked, and where they are small.
const AHEAD_BYTES: usize = 256 << 10;
/// How much is read at once where only headers are wanted and batches are large.
const HEADER_AHEAD_BYTES: usize = 4 << 10;

/// How thoroughly batches are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Headers only; records are checked when they are read.
    Headers,
    /// Checksums too.
    Checksums,
}

/// Why a walk ended.
#[derive(Debug)]
pub(super) enum Stop {
    /// At the end of the file.
    End,
    /// At bytes that are no batch, or not the next one.
    Invalid(Invalid),
}

/// What is wrong with the next batch.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Invalid {
    /// It is no batch.
    #[error(transparent)]
    Batch(BatchError),
    /// It is one, but not the one that follows.
    #[error("the next batch starts at offset {found}, {expected} is due")]
    Offset { expected: i64, found: i64 },
}

/// Reads ahead in a file.
struct Window<'a> {
    segment: &'a Segment,
    file_len: u64,
    start: u64,
    bytes: Bytes,
}

impl Window<'_> {
    /// Bytes from a position on: at least `needed`, or all up to the end of the file.
    fn at(&mut self, position: u64, needed: usize, ahead: usize) -> Result<Bytes> {
        let skip = position.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        if let Some(skip) = skip.filter(|skip| skip.saturating_add(needed) <= self.bytes.len()) {
            return Ok(self.bytes.slice(skip..));
        }
        let left = usize::try_from(self.file_len.saturating_sub(position)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; needed.max(ahead).min(left)];
        self.segment.with_file("read", |file| file.read_at(&mut bytes, position))?;
        self.start = position;
        self.bytes = bytes.into();
        Ok(self.bytes.clone())
    }
}

/// Visits the batches after what the segment knows, and lets it take note of each. `expected` is
/// the offset that is due; it moves along.
pub(super) fn walk(
    segment: &mut Segment,
    depth: Depth,
    expected: &mut i64,
    mut visit: impl FnMut(&BatchHeader, Option<&Batch>),
) -> Result<Stop> {
    let file_len = segment.with_file("read", |file| file.len())?;
    let mut window_state = (0, Bytes::new());
    let mut last_len = 0;
    while segment.len < file_len {
        let position = segment.len;
        let ahead =
            if depth == Depth::Headers && last_len > HEADER_AHEAD_BYTES { HEADER_AHEAD_BYTES } else { AHEAD_BYTES };
        let (start, bytes) = window_state;
        let mut window = Window { segment, file_len, start, bytes };
        let step = look(&mut window, depth, position, ahead, *expected)?;
        window_state = (window.start, window.bytes);
        match step {
            Ok((header, batch)) => {
                visit(&header, batch.as_ref());
                segment.note(&header);
                *expected = header.last_offset() + 1;
                last_len = header.len;
            }
            Err(invalid) => return Ok(Stop::Invalid(invalid)),
        }
    }
    Ok(Stop::End)
}

type Look = Result<(BatchHeader, Option<Batch>), Invalid>;

/// Looks at the batch at a position. Control batches come whole at any depth.
fn look(window: &mut Window<'_>, depth: Depth, position: u64, ahead: usize, expected: i64) -> Result<Look> {
    let bytes = window.at(position, HEADER_LEN, ahead)?;
    let header = match BatchHeader::parse(&bytes) {
        Ok(header) => header,
        Err(error) => return Ok(Err(Invalid::Batch(error))),
    };
    // Only whole batches are ever written.
    if header.count - 1 != header.last_offset_delta {
        return Ok(Err(Invalid::Batch(BatchError::Count { count: header.count })));
    }
    if header.base_offset != expected {
        return Ok(Err(Invalid::Offset { expected, found: header.base_offset }));
    }
    let left = window.file_len - position;
    if header.len as u64 > left {
        let available = usize::try_from(left).unwrap_or(usize::MAX);
        return Ok(Err(Invalid::Batch(BatchError::Truncated { needed: header.len, available })));
    }
    if depth == Depth::Headers && !header.is_control() {
        return Ok(Ok((header, None)));
    }
    let bytes = window.at(position, header.len, ahead)?;
    Ok(Batch::parse(bytes).map(|(batch, _)| (header, Some(batch))).map_err(Invalid::Batch))
}

/// Position of a whole batch with an offset above `offset` behind a position: the sign that what
/// lies between was damaged and not merely never finished.
pub(super) fn find_batch(segment: &Segment, position: u64, offset: i64) -> Result<Option<u64>> {
    let file_len = segment.with_file("read", |file| file.len())?;
    let mut bytes = vec![0; usize::try_from(file_len.saturating_sub(position)).unwrap_or(0)];
    segment.with_file("read", |file| file.read_at(&mut bytes, position))?;
    let bytes = Bytes::from(bytes);
    for at in 1..bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        let Ok(header) = BatchHeader::parse(rest) else { continue };
        let is_next = header.base_offset > offset && header.len <= rest.len();
        if is_next && rest.get(..header.len).is_some_and(|batch| header.check(batch).is_ok()) {
            return Ok(Some(position + at as u64));
        }
    }
    Ok(None)
}
