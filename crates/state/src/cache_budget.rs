//! The byte budget that the record caches of one stream thread share.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A budget of bytes shared by the record caches of one thread. Clones share it.
#[derive(Clone, Debug)]
pub struct CacheBudget {
    used: Arc<AtomicI64>,
    bytes_max: i64,
}

impl CacheBudget {
    /// A budget of that many bytes; 0 switches caching off.
    pub fn new(bytes_max: usize) -> Self {
        Self { used: Arc::default(), bytes_max: i64::try_from(bytes_max).unwrap_or(i64::MAX) }
    }

    /// Most bytes the caches may hold together.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max as usize
    }

    /// Counts bytes taken (positive) or given back (negative).
    pub fn add(&self, bytes: i64) {
        // One thread writes; the atomic only makes the handle `Send`.
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes held now.
    #[cfg(test)]
    pub(crate) fn used(&self) -> i64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether more would be held than allowed with that many bytes added.
    pub(crate) fn would_exceed(&self, bytes: usize) -> bool {
        self.used.load(Ordering::Relaxed) + bytes as i64 > self.bytes_max
    }

    /// Whether more is held than allowed.
    pub fn is_exceeded(&self) -> bool {
        self.used.load(Ordering::Relaxed) > self.bytes_max
    }
}
