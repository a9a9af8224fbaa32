//! The hash of key bytes. Keys come from outside: who writes them must not know which of them fall together, so
//! each process has a seed of its own. No result depends on the order of a hash map.

use std::hash::BuildHasher;

use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;

/// Set apart from other uses of the process's seed.
const PURPOSE: u64 = 0x6d69_6c6c_7374_726d;

/// The hash of key bytes, the same as long as the process runs.
pub(crate) fn hash_of(key: &[u8]) -> u64 {
    SeedableRandomState::with_seed(PURPOSE, SharedSeed::global_random()).hash_one(key)
}
