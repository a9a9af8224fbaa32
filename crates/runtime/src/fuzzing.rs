//! Doors for what makes bytes wrong; no part of the API.

use crate::task::CommitMetadata;

/// Reads what is committed with an offset; whether it says anything, and is written as it was read.
pub fn commit_metadata(text: &str) -> bool {
    let found = CommitMetadata::decode(text);
    found != CommitMetadata::default() && CommitMetadata::decode(&found.encode()) == found
}
