//! How much happens, and in which order: by a seed.

use tempfile::TempDir;

/// What is planned.
pub(crate) struct Plan {
    pub(crate) kills: usize,
    pub(crate) kills_brokers: bool,
    seed: u64,
}

impl Plan {
    /// What `MILLSTREAM_CHAOS` says, else so many kills.
    pub(crate) fn from_env(kills: usize) -> Self {
        let text = std::env::var("MILLSTREAM_CHAOS").unwrap_or_default();
        let mut plan = Self { kills, kills_brokers: false, seed: 1 };
        for (key, value) in text.split(',').filter_map(|part| part.split_once('=')) {
            match key {
                "kills" => plan.kills = value.parse().expect("kills is a number"),
                "brokers" => plan.kills_brokers = value == "kill",
                "seed" => plan.seed = value.parse().expect("seed is a number"),
                _ => panic!("MILLSTREAM_CHAOS knows kills, brokers and seed, not {key}"),
            }
        }
        plan
    }

    /// Where the instances live: for as long as this test, or where the brokers' data is kept, too.
    pub(crate) fn home() -> TempDir {
        match std::env::var_os("MILLSTREAM_KEEP_BROKERS") {
            None => tempfile::tempdir().unwrap(),
            Some(kept) => tempfile::Builder::new().disable_cleanup(true).tempdir_in(kept).unwrap(),
        }
    }

    pub(crate) fn random(&self) -> Random {
        Random(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }
}

/// Xorshift.
pub(crate) struct Random(u64);

impl Random {
    /// A number below the limit.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}
