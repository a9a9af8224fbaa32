//! The hash of key bytes. Keys come from outside: who writes them must not know which of them fall together, so
//! each process has a seed of its own. No result depends on the order of a hash map.

use std::hash::BuildHasher;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;

/// Set apart from other uses of the process's seed.
const PURPOSE: u64 = 0x6d69_6c6c_7374_726d;

/// A key's bytes and their hash, which the layers that look the same key up share.
#[derive(Clone, Copy)]
pub(crate) struct HashedKey<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) hash: u64,
}

impl<'a> HashedKey<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, hash: hash_of(bytes) }
    }
}

/// The hash of key bytes, the same as long as the process runs.
pub(crate) fn hash_of(key: &[u8]) -> u64 {
    SeedableRandomState::with_seed(PURPOSE, SharedSeed::global_random()).hash_one(key)
}
