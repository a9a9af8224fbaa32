//! The byte budget that the record caches of one stream thread share.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A budget of bytes shared by the record caches of one thread. Clones share it.
#[derive(Clone, Debug)]
pub struct CacheBudget(Arc<Bytes>);

/// One thread writes what is used, and now and then who has it the most; the atomics only make the
/// handle `Send`.
#[derive(Debug)]
struct Bytes {
    used: AtomicI64,
    max: AtomicI64,
}

impl CacheBudget {
    /// A budget of that many bytes; 0 switches caching off.
    pub fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Bytes { used: AtomicI64::new(0), max: AtomicI64::new(signed(bytes_max)) }))
    }

    /// Most bytes the caches may hold together.
    pub fn bytes_max(&self) -> usize {
        usize::try_from(self.max()).unwrap_or(0)
    }

    /// Changes the most; what is held beyond it goes with the next writes. A store that was opened
    /// without a budget stays without a cache.
    pub fn set_bytes_max(&self, bytes_max: usize) {
        self.0.max.store(signed(bytes_max), Ordering::Relaxed);
    }

    /// Counts bytes taken (positive) or given back (negative).
    pub fn add(&self, bytes: i64) {
        // One thread writes: no record has to pay for an atomic sum.
        self.0.used.store(self.0.used.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
    }

    /// Bytes held now.
    #[cfg(test)]
    pub(crate) fn used(&self) -> i64 {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Whether more would be held than allowed with that many bytes added.
    pub(crate) fn would_exceed(&self, bytes: usize) -> bool {
        self.0.used.load(Ordering::Relaxed) + bytes as i64 > self.max()
    }

    /// Whether more is held than allowed.
    pub fn is_exceeded(&self) -> bool {
        self.0.used.load(Ordering::Relaxed) > self.max()
    }

    fn max(&self) -> i64 {
        self.0.max.load(Ordering::Relaxed)
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
