//! Doors for what makes bytes wrong; no part of the API.

use crate::engine::{CommitMark, mark};

/// Reads a commit mark; whether it is one, which has one form only.
pub fn commit_mark(bytes: &[u8]) -> bool {
    mark::decode(bytes).is_some_and(|found| mark::encode(&found) == bytes)
}

/// The bytes of a commit mark.
pub fn mark_bytes(found: &CommitMark) -> Vec<u8> {
    mark::encode(found)
}
