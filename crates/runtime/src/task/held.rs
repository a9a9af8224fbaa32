//! Records of one partition that wait for their offsets to be committed: under `at_most_once` nothing
//! is processed, not even decoded, before.

use std::collections::VecDeque;

use millstream_log::batch::Batch;
use millstream_log::{Fetched, ReadPosition};
use millstream_types::Offset;

/// What was fetched and is not committed yet, in order.
#[derive(Debug, Default)]
pub(crate) struct Held {
    stretches: VecDeque<Stretch>,
    /// How many of them the commit under way covers, from the front.
    claimed: usize,
}

/// The batches of one fetch.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) batches: Vec<Batch>,
    pub(crate) from: Offset,
    /// Position behind them.
    pub(crate) next: ReadPosition,
}

impl Held {
    /// Keeps what was fetched.
    pub(crate) fn add(&mut self, fetched: Fetched) {
        let next = fetched.position();
        self.stretches.push_back(Stretch { batches: fetched.batches, from: fetched.from, next });
    }

    /// Records that wait.
    pub(crate) fn len(&self) -> usize {
        self.stretches.iter().flat_map(|stretch| &stretch.batches).map(Batch::count).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.stretches.is_empty()
    }

    /// Position behind everything that waits.
    pub(crate) fn next(&self) -> Option<ReadPosition> {
        self.stretches.back().map(|stretch| stretch.next)
    }

    /// Marks everything as covered by a commit that starts now; what to commit.
    pub(crate) fn claim(&mut self) -> Option<ReadPosition> {
        self.claimed = self.stretches.len();
        self.next()
    }

    /// That commit succeeded: what it covers may be processed.
    pub(crate) fn release(&mut self) -> impl Iterator<Item = Stretch> {
        self.stretches.drain(..std::mem::take(&mut self.claimed))
    }
}
